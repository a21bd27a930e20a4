/* SPDX-License-Identifier: MIT */
/* config_describe: a configuration as it was understood, as JSON: in the form of the file it came from, with all
 * defaults filled in and the secrets redacted. */
#include "base/json_text.h"
#include "configuration/config.h"

/* Adds a value (a new reference, NULL: no memory) to an object; what was added, NULL: no memory. */
static json_t *add(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? value : NULL;
}

static bool describe_endpoint(const struct cp_config_endpoint *endpoint, json_t *endpoints)
{
    json_t *described = add(endpoints, endpoint->name, cp_options_redacted(endpoint->options, CONNPOOL_LEVEL_ENDPOINT));
    json_t *policy = described == NULL ? NULL : add(described, "pool", json_object());

    return policy != NULL && cp_policy_describe(&endpoint->policy, true, policy);
}

static bool describe_pool(const struct cp_config_pool *pool, json_t *pools)
{
    json_t *described = add(pools, pool->name, json_object()), *endpoints;

    if (described == NULL || add(described, "manager", json_string(pool->manager->name)) == NULL ||
        add(described, "options", cp_options_redacted(pool->defaults, CONNPOOL_LEVEL_POOL)) == NULL ||
        !cp_policy_describe(&pool->policy, false, described)) {
        return false;
    }
    endpoints = add(described, "endpoints", json_object());
    for (size_t i = 0; endpoints != NULL && i < pool->endpoint_count; i++) {
        if (!describe_endpoint(&pool->endpoints[i], endpoints)) {
            return false;
        }
    }
    return endpoints != NULL;
}

char *cp_config_describe(const struct cp_config *config)
{
    json_t *described = json_object(), *pools = described == NULL ? NULL : add(described, "pools", json_object());
    bool complete = pools != NULL;
    char *text;

    for (size_t i = 0; complete && i < config->pool_count; i++) {
        complete = describe_pool(&config->pools[i], pools);
    }
    text = complete ? cp_json_text(described) : NULL;
    json_decref(described);
    return text;
}
