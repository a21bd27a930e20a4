/* SPDX-License-Identifier: MIT */
/* config_search: see config_search.h. */
#include "configuration/config_search.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* The manager from code of that name, NULL: none. */
static const struct connpool_manager *find_adopted(const struct cp_config_search *search, const char *name)
{
    for (size_t i = 0; i < search->manager_count; i++) {
        if (strcmp(search->managers[i]->name, name) == 0) {
            return search->managers[i];
        }
    }
    return NULL;
}

static bool adopt_managers(struct cp_config_search *search, const struct connpool_options *options,
                           struct cp_mistakes *mistakes)
{
    connpool_error error;

    search->managers = cp_alloc_array(options->manager_count, sizeof(const struct connpool_manager *));
    if (search->managers == NULL) {
        return false;
    }
    for (size_t i = 0; i < options->manager_count; i++) {
        const struct connpool_manager *manager = cp_plugin_adopt(options->managers[i], "manager from code", &error);
        const struct connpool_manager *other = manager == NULL ? NULL : find_adopted(search, manager->name);

        if (manager == NULL) {
            cp_mistakes_add_error(mistakes, NULL, &error);
        } else if (other != NULL && other != manager) {
            cp_mistakes_add(mistakes, NULL, "found two managers from code that are named %s, expected one",
                            cp_quote(manager->name).text);
        } else {
            search->managers[search->manager_count++] = manager;
        }
    }
    return !mistakes->no_memory;
}

/* A folder of the configuration's plugin_path, in new memory; NULL: the mistake, or no memory. */
static char *read_folder(const json_t *json, const char *base, const char *path, struct cp_mistakes *mistakes)
{
    const char *text = json_string_value(json);
    bool is_relative = text != NULL && (strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0);
    char *folder;

    if (text == NULL || (text[0] != '/' && !is_relative) || cp_text_kind(text, strlen(text)) != CP_TEXT_PLAIN) {
        cp_mistakes_add(mistakes, path, "found %s, expected an absolute folder or one that begins with ./ or ../",
                        cp_quote_json(json).text);
        return NULL;
    }
    if (is_relative && base == NULL) {
        cp_mistakes_add(mistakes, path, "found %s, expected an absolute folder: there is none that it is relative to",
                        cp_quote_json(json).text);
        return NULL;
    }
    folder = cp_file_absolute(base, text);
    mistakes->no_memory = mistakes->no_memory || folder == NULL;
    return folder;
}

static void read_folders(char **folders, const json_t *plugin_path, const char *base, struct cp_mistakes *mistakes)
{
    size_t index;
    json_t *item;
    char number[24];

    if (plugin_path != NULL && !json_is_array(plugin_path)) {
        cp_mistakes_add(mistakes, "/plugin_path", "found %s, expected a list of folders", cp_json_kind(plugin_path));
    }
    json_array_foreach ((json_t *)(uintptr_t)plugin_path, index, item) {
        (void)snprintf(number, sizeof(number), "%zu", index);
        *folders = read_folder(item, base, cp_path_join("/plugin_path", number).text, mistakes);
        folders += *folders != NULL;
    }
}

/* The application's folders before the configuration's. */
static bool collect_folders(struct cp_config_search *search, const struct connpool_options *options,
                            const json_t *plugin_path, const char *base, struct cp_mistakes *mistakes)
{
    size_t given = 0, used = 0;

    while (options->plugin_path != NULL && options->plugin_path[given] != NULL) {
        given++;
    }
    search->folders = cp_alloc_array(given + json_array_size(plugin_path) + 1, sizeof(char *));
    if (search->folders == NULL) {
        return false;
    }
    for (size_t i = 0; i < given; i++) {
        if (options->plugin_path[i][0] != '/') {
            cp_mistakes_add(mistakes, NULL, "found %s in the application's plugin_path, expected an absolute folder",
                            cp_quote(options->plugin_path[i]).text);
            continue;
        }
        search->folders[used] = cp_text_copy(options->plugin_path[i]);
        if (search->folders[used++] == NULL) {
            return false;
        }
    }
    read_folders(search->folders + used, plugin_path, base, mistakes);
    return !mistakes->no_memory;
}

bool cp_config_search_init(struct cp_config_search *search, const struct connpool_options *options,
                           const json_t *plugin_path, const char *folder, struct cp_mistakes *mistakes)
{
    memset(search, 0, sizeof(*search));
    if (!adopt_managers(search, options, mistakes) ||
        !collect_folders(search, options, plugin_path, folder, mistakes)) {
        mistakes->no_memory = true;
        return false;
    }
    search->plugins.folders = search->folders;
    search->plugins.flags = options->flags;
    return true;
}

void cp_config_search_fini(struct cp_config_search *search)
{
    for (size_t i = 0; search->folders != NULL && search->folders[i] != NULL; i++) {
        cp_free(search->folders[i]);
    }
    cp_free(search->folders);
    cp_free(search->managers);
}

const struct connpool_manager *cp_config_search_find(const struct cp_config_search *search, const char *name,
                                                     connpool_error *error)
{
    const struct connpool_manager *adopted = find_adopted(search, name);

    return adopted != NULL ? adopted : cp_plugin_load(name, &search->plugins, error);
}
