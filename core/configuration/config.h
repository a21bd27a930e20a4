/* SPDX-License-Identifier: MIT */
/* config: a whole configuration, read, checked and resolved: what connpool_open makes its pools from. */
#ifndef CP_CONFIG_H
#define CP_CONFIG_H

#include <connpool/connpool.h>
#include <stdbool.h>
#include <stddef.h>

#include "options/options.h"
#include "options/policy.h"

struct cp_config_endpoint {
    char *name;
    struct cp_policy policy; /* the pool's, with the endpoint's overrides */
    struct cp_option_block *options;
};

struct cp_config_pool {
    char *name;
    const struct connpool_manager *manager;
    struct cp_policy policy;
    struct cp_option_block
        *defaults; /* what run-time endpoints begin with (pool-level values; required ones may be missing) */
    struct cp_config_endpoint *endpoints;
    size_t endpoint_count; /* 0 is allowed where the manager parses endpoints. A pool whose options alone are complete
                              and that names none has one endpoint, called "default" */
};

struct cp_config {
    struct cp_config_pool *pools; /* in the file's order */
    size_t pool_count;
};

/* Copy what an application gave, whose struct may be shorter or longer than ours, and hold it against what its comments
 * say. CONNPOOL_INVALID: the error. */
connpool_status cp_config_take_options(const struct connpool_options *given, struct connpool_options *options,
                                       connpool_error *error);
/* Read, load the managers, check, resolve. mistakes: zeroed, or with a report; its origin is set here and lives as long
 * as the options. NULL: mistakes were added, or memory ran out (and the error is filled with the first). May wait for
 * files. */
struct cp_config *cp_config_load(const struct connpool_options *options, struct cp_mistakes *mistakes,
                                 connpool_error *error);
void cp_config_free(struct cp_config *config);
/* The configuration as understood: all defaults filled in, secrets redacted; new text (cp_free), NULL: no memory. */
char *cp_config_describe(const struct cp_config *config);

#endif
