/* SPDX-License-Identifier: MIT */
/* config_search: where a configuration's managers come from: first the application's code, then plugin files. */
#ifndef CP_CONFIG_SEARCH_H
#define CP_CONFIG_SEARCH_H

#include <connpool/connpool.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/mistakes.h"
#include "plugin/plugin.h"

struct cp_config_search {
    const struct connpool_manager **managers; /* from code, checked */
    size_t manager_count;
    char **folders; /* absolute, ended by NULL */
    struct cp_plugin_search plugins;
};

/* plugin_path: the configuration's, may be NULL; folder: what its relative entries are relative to, NULL: none may be.
 * False: memory ran out. Mistakes are added, and what is right is used. fini in either case. */
bool cp_config_search_init(struct cp_config_search *search, const struct connpool_options *options,
                           const json_t *plugin_path, const char *folder, struct cp_mistakes *mistakes);
void cp_config_search_fini(struct cp_config_search *search);

/* The manager of that name, or at that absolute path; NULL: the error. May wait for files. */
const struct connpool_manager *cp_config_search_find(const struct cp_config_search *search, const char *name,
                                                     connpool_error *error);

#endif
