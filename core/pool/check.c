/* SPDX-License-Identifier: MIT */
/* check: connpool_check and connpool_text_free of connpool.h. */
#include <connpool/connpool.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "configuration/config.h"
#include "pool/context.h"

/* The configuration itself: all its mistakes, or what it is, and as understood (NULL: not asked for). */
static struct cp_config *check_config(const struct connpool_options *options, struct cp_mistakes *mistakes,
                                      char **understood, connpool_error *error)
{
    struct cp_config *config = cp_config_load(options, mistakes, error);

    if (config != NULL && understood != NULL) {
        *understood = cp_config_describe(config);
        if (*understood == NULL) {
            (void)cp_error_no_memory(error, mistakes->origin);
            cp_config_free(config);
            config = NULL;
        }
    }
    return config;
}

/* A pool with one of its endpoints (NULL: it has none), opened for itself. False: the refusal. */
static bool open_part(const struct connpool_options *options, const struct cp_config_pool *pool,
                      struct cp_config_endpoint *endpoint, connpool_error *refusal)
{
    struct cp_config_pool part = {.manager = pool->manager, .policy = pool->policy, .endpoints = endpoint};
    struct cp_config config = {.pools = &part, .pool_count = 1};
    connpool *context;

    part.policy.background_collector = false;
    part.endpoint_count = endpoint != NULL;
    part.defaults = cp_options_ref(pool->defaults);
    part.name = cp_text_copy(pool->name);
    if (part.name == NULL) {
        cp_options_unref(part.defaults);
        (void)cp_error_no_memory(refusal, pool->name);
        return false;
    }
    context = cp_context_open(options, &config, refusal);
    cp_options_unref(part.defaults);
    cp_free(part.name);
    (void)connpool_close(context, 0, NULL);
    return context != NULL;
}

/* What is wrong with a pool itself comes with each of its endpoints, and is told once. */
static void check_parts(const struct connpool_options *options, const struct cp_config_pool *pool,
                        struct cp_mistakes *mistakes)
{
    connpool_error refusal, last = {.text = ""};
    size_t i = 0;

    do {
        if (!open_part(options, pool, pool->endpoint_count > 0 ? &pool->endpoints[i] : NULL, &refusal) &&
            strcmp(refusal.text, last.text) != 0) {
            cp_mistakes_add_error(mistakes, NULL, &refusal);
            last = refusal;
        }
    } while (++i < pool->endpoint_count && !mistakes->no_memory);
}

/* All of it, read once more, without a collector, which may connect. NULL: the error. */
static connpool *open_all(const struct connpool_options *options, connpool_error *error)
{
    struct cp_mistakes mistakes = {0};
    struct cp_config *config = cp_config_load(options, &mistakes, error);
    connpool *context;

    if (config == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < config->pool_count; i++) {
        config->pools[i].policy.background_collector = false;
    }
    context = cp_context_open(options, config, error);
    cp_config_free(config);
    return context;
}

/* What the managers say when they see it: they read files and make their pools and endpoints, and connect nothing. The
 * first that refuses ends an open; so where it fails, each is asked for itself. */
static connpool_status check_managers(const struct connpool_options *given, struct cp_config *config,
                                      struct cp_mistakes *mistakes, connpool_error *error)
{
    struct connpool_options options;
    connpool_error refusal;
    connpool *context;

    if (cp_config_take_options(given, &options, error) != CONNPOOL_OK) {
        return CONNPOOL_INVALID;
    }
    cp_memory_keep_allocator();
    context = open_all(&options, &refusal);
    if (context != NULL) {
        return connpool_close(context, 0, NULL);
    }
    for (size_t i = 0; i < config->pool_count && refusal.status != CONNPOOL_NO_MEMORY && !mistakes->no_memory; i++) {
        check_parts(&options, &config->pools[i], mistakes);
    }
    if (!cp_mistakes_any(mistakes)) {
        cp_mistakes_add_error(mistakes, NULL, &refusal);
    }
    return cp_mistakes_error(mistakes, error);
}

connpool_status connpool_check(const struct connpool_options *options, connpool_mistake_fn *mistake, void *argument,
                               char **understood, connpool_error *error)
{
    struct cp_mistakes mistakes = {.report = mistake, .argument = argument};
    connpool_error wrong;
    char *text = NULL;
    struct cp_config *config = check_config(options, &mistakes, understood == NULL ? NULL : &text, &wrong);
    connpool_status status = config == NULL ? wrong.status : check_managers(options, config, &mistakes, &wrong);

    cp_config_free(config);
    if (status != CONNPOOL_OK && error != NULL) {
        *error = wrong;
    }
    if (status != CONNPOOL_OK || understood == NULL) {
        cp_free(text);
    } else {
        *understood = text;
    }
    return status;
}

void connpool_text_free(char *text)
{
    cp_free(text);
}
