/* SPDX-License-Identifier: MIT */
/* config: see config.h. From the top of the file down: the configuration, its pools, their endpoints. Every mistake is
 * added and the search goes on; only a lack of memory ends it. */
#include "configuration/config.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "configuration/config_json.h"
#include "configuration/config_search.h"
#include "options/option_row.h"

/* What the whole search shares. */
struct loading {
    struct cp_mistakes *mistakes;
    struct cp_option_source source;
    struct cp_config_search search;
};

/* One pool while it is read. */
struct pool_loading {
    struct loading *loading;
    struct cp_config_pool *pool;
    struct cp_policy_reading policy;
    const json_t *json;
    const char *path;
};

static bool is_users_own(const char *key)
{
    return strncmp(key, "x-", 2) == 0;
}

/* A pool's or endpoint's name. */
static bool check_name(const char *name, const char *path, struct cp_mistakes *mistakes)
{
    size_t length = strlen(name);

    if (length > 0 && length <= 255 && cp_text_kind(name, length) == CP_TEXT_PLAIN) {
        return true;
    }
    cp_mistakes_add(mistakes, path, "found the name %s, expected 1 to 255 bytes without control characters",
                    cp_quote(name).text);
    return false;
}

/* Whether it is an object; else, unless it is NULL, the mistake. */
static bool is_object(const json_t *json, const char *path, const char *expected, struct cp_mistakes *mistakes)
{
    if (json != NULL && !json_is_object(json)) {
        cp_mistakes_add(mistakes, path, "found %s, expected %s", cp_json_kind(json), expected);
    }
    return json_is_object(json);
}

static json_t *iterable(const json_t *json)
{
    return (json_t *)(uintptr_t)json;
}

static void add_unknown_policy(struct cp_mistakes *mistakes, const char *path, const char *key,
                               const char *const *others, const char *hint)
{
    const char *names[64];
    size_t count = 0;

    for (; others[count] != NULL; count++) {
        names[count] = others[count];
    }
    for (size_t i = 0; cp_policy_key_name(i) != NULL && count < sizeof(names) / sizeof(names[0]); i++) {
        names[count++] = cp_policy_key_name(i);
    }
    cp_mistakes_add_unknown(mistakes, path, key, names, count, hint);
}

/* ---- Endpoints ---- */

static void read_overrides(struct pool_loading *pool, struct cp_policy_reading *policy, const json_t *overrides,
                           const char *path)
{
    static const char *const no_others[] = {NULL};
    struct cp_mistakes *mistakes = pool->loading->mistakes;
    const char *key;
    json_t *value;

    if (!is_object(overrides, path, "an object with keys of a pool", mistakes)) {
        return;
    }
    json_object_foreach (iterable(overrides), key, value) {
        if (cp_policy_is_key(key)) {
            cp_policy_read(policy, key, value, true, path, mistakes);
        } else if (!is_users_own(key)) {
            add_unknown_policy(mistakes, path, key, no_others, NULL);
        }
    }
    cp_policy_check(policy, true, path, mistakes);
}

/* The endpoint's name becomes the pool's even where the rest fails, so that it is freed with the pool. */
static void read_endpoint(struct pool_loading *pool, const char *name, const json_t *json, const char *path)
{
    struct cp_config_endpoint *endpoint = &pool->pool->endpoints[pool->pool->endpoint_count];
    struct cp_mistakes *mistakes = pool->loading->mistakes;
    struct cp_policy_reading policy = pool->policy;

    endpoint->name = cp_text_copy(name);
    if (endpoint->name == NULL) {
        mistakes->no_memory = true;
        return;
    }
    pool->pool->endpoint_count++;
    cp_policy_descend(&policy);
    if (json_object_get(json, "pool") != NULL) {
        read_overrides(pool, &policy, json_object_get(json, "pool"), cp_path_join(path, "pool").text);
    }
    endpoint->policy = policy.policy;
    if (pool->pool->defaults != NULL) {
        endpoint->options = cp_options_endpoint(pool->pool->defaults, json, path, &pool->loading->source, mistakes);
    }
}

static void read_endpoints(struct pool_loading *pool, const json_t *endpoints)
{
    struct cp_path path = cp_path_join(pool->path, "endpoints");
    struct cp_mistakes *mistakes = pool->loading->mistakes;
    const char *name;
    json_t *json;

    pool->pool->endpoints = cp_alloc_array(json_object_size(endpoints), sizeof(*pool->pool->endpoints));
    if (pool->pool->endpoints == NULL) {
        mistakes->no_memory = true;
        return;
    }
    json_object_foreach (iterable(endpoints), name, json) {
        struct cp_path endpoint = cp_path_join(path.text, name);

        if (check_name(name, path.text, mistakes) &&
            is_object(json, endpoint.text, "an object with an endpoint's options", mistakes) && !mistakes->no_memory) {
            read_endpoint(pool, name, json, endpoint.text);
        }
    }
}

/* A pool that names no endpoint: it has one of its own, or takes those of run time. */
static void add_default_endpoint(struct pool_loading *pool)
{
    struct cp_config_pool *made = pool->pool;
    const char *missing;

    if (made->defaults == NULL) {
        return;
    }
    missing = cp_options_missing(made->defaults);
    if (missing != NULL) {
        if (!cp_options_take_text(made->manager)) {
            cp_mistakes_add(pool->loading->mistakes, cp_path_join(pool->path, "endpoints").text,
                            "found none, expected at least one with the option \"%s\": manager %s takes no endpoints "
                            "at run time",
                            missing, made->manager->name);
        }
        return;
    }
    made->endpoints = cp_alloc(sizeof(*made->endpoints));
    if (made->endpoints == NULL) {
        pool->loading->mistakes->no_memory = true;
        return;
    }
    made->endpoint_count = 1;
    made->endpoints[0].policy = made->policy;
    made->endpoints[0].options = cp_options_ref(made->defaults);
    made->endpoints[0].name = cp_text_copy("default");
    if (made->endpoints[0].name == NULL) {
        pool->loading->mistakes->no_memory = true;
    }
}

struct hashed {
    uint64_t hash; /* of the options, without secrets */
    const struct cp_config_endpoint *endpoint;
};

static int compare_hashed(const void *a, const void *b)
{
    const struct hashed *left = a, *right = b;

    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* One place with two passwords: one of them is wrong, and connections of both would count as the same place's. */
static void check_twins(struct pool_loading *pool)
{
    const struct cp_config_pool *made = pool->pool;
    struct hashed *sorted = cp_alloc_array(made->endpoint_count, sizeof(*sorted));

    if (sorted == NULL) {
        pool->loading->mistakes->no_memory = true;
        return;
    }
    for (size_t i = 0; i < made->endpoint_count; i++) {
        sorted[i] = (struct hashed){cp_options_hash(made->endpoints[i].options), &made->endpoints[i]};
    }
    qsort(sorted, made->endpoint_count, sizeof(*sorted), compare_hashed);
    for (size_t i = 1; i < made->endpoint_count; i++) {
        const struct cp_config_endpoint *one = sorted[i - 1].endpoint, *other = sorted[i].endpoint;

        if (cp_options_public_equal(one->options, other->options) && !cp_options_equal(one->options, other->options)) {
            cp_mistakes_add(pool->loading->mistakes, cp_path_join(pool->path, "endpoints").text,
                            "found %s and %s with the same options but other secrets, expected one of them",
                            cp_quote(one < other ? one->name : other->name).text,
                            cp_quote(one < other ? other->name : one->name).text);
        }
    }
    cp_free(sorted);
}

static bool all_resolved(const struct cp_config_pool *pool)
{
    for (size_t i = 0; i < pool->endpoint_count; i++) {
        if (pool->endpoints[i].options == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- Pools ---- */

static void read_manager(struct pool_loading *pool)
{
    const json_t *name = json_object_get(pool->json, "manager");
    struct cp_path path = cp_path_join(pool->path, "manager");
    struct cp_mistakes *mistakes = pool->loading->mistakes;
    connpool_error error;

    if (!json_is_string(name)) {
        cp_mistakes_add(mistakes, path.text, "found %s, expected the name of a manager", cp_quote_json(name).text);
        return;
    }
    pool->pool->manager = cp_config_search_find(&pool->loading->search, json_string_value(name), &error);
    if (pool->pool->manager == NULL) {
        cp_mistakes_add_error(mistakes, path.text, &error);
    }
}

static void read_policy(struct pool_loading *pool)
{
    static const char *const others[] = {"manager", "options", "endpoints", NULL};
    const struct connpool_manager *manager = pool->pool->manager;
    const char *key;
    json_t *value;

    cp_policy_reading_init(&pool->policy);
    json_object_foreach (iterable(pool->json), key, value) {
        bool is_option = manager != NULL && cp_option_find(manager, key, strlen(key)) < manager->option_count;

        if (cp_policy_is_key(key)) {
            cp_policy_read(&pool->policy, key, value, false, pool->path, pool->loading->mistakes);
        } else if (strcmp(key, "manager") != 0 && strcmp(key, "options") != 0 && strcmp(key, "endpoints") != 0 &&
                   !is_users_own(key)) {
            add_unknown_policy(pool->loading->mistakes, pool->path, key, others,
                               is_option ? "under \"options\" or an endpoint" : NULL);
        }
    }
    cp_policy_check(&pool->policy, false, pool->path, pool->loading->mistakes);
    pool->pool->policy = pool->policy.policy;
}

static void read_pool(struct pool_loading *pool)
{
    struct cp_mistakes *mistakes = pool->loading->mistakes;
    const json_t *endpoints = json_object_get(pool->json, "endpoints");
    bool has_endpoints =
        is_object(endpoints, cp_path_join(pool->path, "endpoints").text, "an object of endpoints", mistakes) &&
        json_object_size(endpoints) > 0;

    read_manager(pool);
    read_policy(pool);
    if (pool->pool->manager != NULL) {
        pool->pool->defaults =
            cp_options_defaults(pool->pool->manager, json_object_get(pool->json, "options"),
                                cp_path_join(pool->path, "options").text, &pool->loading->source, mistakes);
    }
    if (has_endpoints) {
        read_endpoints(pool, endpoints);
    } else {
        add_default_endpoint(pool);
    }
    if (!mistakes->no_memory && all_resolved(pool->pool)) {
        check_twins(pool);
    }
}

static void read_pools(struct loading *loading, const json_t *pools, struct cp_config *config)
{
    struct cp_mistakes *mistakes = loading->mistakes;
    const char *name;
    json_t *json;

    if (!json_is_object(pools)) {
        cp_mistakes_add(mistakes, "/pools", "found %s, expected an object of pools", cp_json_kind(pools));
        return;
    }
    config->pools = cp_alloc_array(json_object_size(pools), sizeof(*config->pools));
    if (config->pools == NULL) {
        mistakes->no_memory = true;
        return;
    }
    json_object_foreach (iterable(pools), name, json) {
        struct cp_path path = cp_path_join("/pools", name);
        struct pool_loading pool = {.loading = loading, .json = json, .path = path.text};

        if (mistakes->no_memory || !check_name(name, "/pools", mistakes) ||
            !is_object(json, path.text, "an object with the keys of a pool", mistakes)) {
            continue;
        }
        pool.pool = &config->pools[config->pool_count++];
        pool.pool->name = cp_text_copy(name);
        if (pool.pool->name == NULL) {
            mistakes->no_memory = true;
        } else {
            read_pool(&pool);
        }
    }
}

/* ---- The top ---- */

static void read_top(struct loading *loading, const json_t *json)
{
    static const char *const known[] = {"plugin_path", "pools", "allow_inline_secrets"};
    const json_t *allow = json_object_get(json, "allow_inline_secrets");
    const char *key;
    json_t *value;

    json_object_foreach (iterable(json), key, value) {
        bool is_known = is_users_own(key);

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            is_known = is_known || strcmp(key, known[i]) == 0;
        }
        if (!is_known) {
            cp_mistakes_add_unknown(loading->mistakes, "", key, known, sizeof(known) / sizeof(known[0]),
                                    cp_policy_is_key(key) ? "under a pool" : NULL);
        }
    }
    if (allow != NULL && !json_is_boolean(allow)) {
        cp_mistakes_add(loading->mistakes, "/allow_inline_secrets", "found %s, expected true or false",
                        cp_quote_json(allow).text);
    }
    loading->source.allow_inline_secrets = json_is_true(allow);
}

/* The folder that relative paths are relative to, absolute from here on: the process may change its own. NULL with
 * *error 0: there is none. */
static const char *find_folder(const struct connpool_options *options, char *room, int *error)
{
    const char *slash = options->path == NULL ? NULL : strrchr(options->path, '/');
    char *folder;

    *error = 0;
    if (options->path == NULL && options->folder == NULL) {
        return NULL;
    }
    if (options->path == NULL) {
        folder = cp_text_copy(options->folder);
    } else if (slash == NULL) {
        folder = cp_text_copy(".");
    } else {
        folder = cp_text_copy_length(options->path, slash == options->path ? 1 : (size_t)(slash - options->path));
    }
    if (folder == NULL || realpath(folder, room) == NULL) {
        *error = folder == NULL ? ENOMEM : errno;
    }
    cp_free(folder);
    return *error == 0 ? room : NULL;
}

static void load_json(struct loading *loading, const struct connpool_options *options, const json_t *json,
                      struct cp_config *config)
{
    read_top(loading, json);
    if (cp_config_search_init(&loading->search, options, json_object_get(json, "plugin_path"), loading->source.folder,
                              loading->mistakes)) {
        read_pools(loading, json_object_get(json, "pools"), config);
    }
    cp_config_search_fini(&loading->search);
}

static void load_config(const struct connpool_options *options, struct cp_mistakes *mistakes, struct cp_config *config)
{
    struct loading loading = {.mistakes = mistakes};
    char room[PATH_MAX];
    int folder_error;
    json_t *json;

    json = options->path != NULL ? cp_config_json_read(options->path, mistakes)
                                 : cp_config_json_parse(options->json, strlen(options->json), mistakes);
    if (json == NULL) {
        return;
    }
    loading.source.folder = find_folder(options, room, &folder_error);
    if (folder_error == ENOMEM) {
        mistakes->no_memory = true;
    } else if (folder_error != 0) {
        cp_mistakes_add(mistakes, NULL, "found no folder for relative paths: %s", cp_file_reason(folder_error));
    } else {
        load_json(&loading, options, json, config);
    }
    cp_config_json_free(json);
}

static bool has_null_manager(const struct connpool_options *options)
{
    for (size_t i = 0; i < options->manager_count; i++) {
        if (options->managers[i] == NULL) {
            return true;
        }
    }
    return false;
}

connpool_status cp_config_take_options(const struct connpool_options *given, struct connpool_options *options,
                                       connpool_error *error)
{
    const char *fault = NULL;

    memset(options, 0, sizeof(*options));
    if (given == NULL || given->size < offsetof(struct connpool_options, plugin_path)) {
        (void)cp_error_set(error, CONNPOOL_INVALID, 0, "connpool_options: found no size, expected its size");
        return CONNPOOL_INVALID;
    }
    memcpy(options, given, given->size < sizeof(*options) ? given->size : sizeof(*options));
    if ((options->path == NULL) == (options->json == NULL)) {
        fault = "found path and json both or neither, expected one of them";
    } else if (options->managers == NULL && options->manager_count > 0) {
        fault = "found a count of managers without managers, expected them";
    } else if (has_null_manager(options)) {
        fault = "found NULL among the managers, expected a table";
    } else if ((options->flags & ~CONNPOOL_OPEN_TRUST_ANY_OWNER) != 0) {
        fault = "found unknown flags, expected those of connpool.h";
    }
    if (fault != NULL) {
        (void)cp_error_set(error, CONNPOOL_INVALID, 0, "connpool_options: %s", fault);
    }
    return fault == NULL ? CONNPOOL_OK : CONNPOOL_INVALID;
}

struct cp_config *cp_config_load(const struct connpool_options *options, struct cp_mistakes *mistakes,
                                 connpool_error *error)
{
    struct connpool_options taken;
    struct cp_config *config;
    connpool_error wrong;

    mistakes->origin = "configuration";
    if (cp_config_take_options(options, &taken, &wrong) != CONNPOOL_OK) {
        cp_mistakes_add_error(mistakes, NULL, &wrong);
        (void)cp_mistakes_error(mistakes, error);
        return NULL;
    }
    mistakes->origin = taken.path != NULL ? taken.path : mistakes->origin;
    config = cp_alloc(sizeof(*config));
    if (config == NULL) {
        mistakes->no_memory = true;
    } else {
        load_config(&taken, mistakes, config);
    }
    if (cp_mistakes_any(mistakes)) {
        (void)cp_mistakes_error(mistakes, error);
        cp_config_free(config);
        config = NULL;
    }
    return config;
}

static void free_pool(struct cp_config_pool *pool)
{
    for (size_t i = 0; i < pool->endpoint_count; i++) {
        cp_options_unref(pool->endpoints[i].options);
        cp_free(pool->endpoints[i].name);
    }
    cp_free(pool->endpoints);
    cp_options_unref(pool->defaults);
    cp_free(pool->name);
}

void cp_config_free(struct cp_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->pool_count; i++) {
        free_pool(&config->pools[i]);
    }
    cp_free(config->pools);
    cp_free(config);
}
