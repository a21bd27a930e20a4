/* SPDX-License-Identifier: MIT */
/* endpoints: see endpoints.h. */
#include "pool/endpoints.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pool/watch.h"

/* A multiple of every alignment: the plugin's state lies there behind the record. */
static size_t record_size(void)
{
    size_t alignment = _Alignof(max_align_t);

    return (sizeof(struct connpool_endpoint) + alignment - 1) / alignment * alignment;
}

static struct connpool_endpoint *take_free_record(struct connpool_pool *pool)
{
    struct connpool_endpoint *endpoint;

    cp_lock_take(&pool->lock);
    endpoint = TAILQ_FIRST(&pool->free_endpoints);
    if (endpoint != NULL) {
        TAILQ_REMOVE(&pool->free_endpoints, endpoint, listed);
    }
    cp_lock_give(&pool->lock);
    if (endpoint == NULL) {
        endpoint = cp_alloc_lines(record_size() + pool->manager->endpoint_size);
        if (endpoint != NULL && cp_lock_init(&endpoint->lock, CP_RANK_ENDPOINT) != 0) {
            cp_free_lines(endpoint);
            endpoint = NULL;
        }
    }
    if (endpoint != NULL) {
        endpoint->pool = pool;
    }
    return endpoint;
}

static void free_record(struct connpool_endpoint *endpoint)
{
    cp_lock_fini(&endpoint->lock);
    cp_free_lines(endpoint);
}

/* Recycled where a stale lease may name it, else freed. */
static void put_record(struct connpool_endpoint *endpoint)
{
    struct connpool_pool *pool = endpoint->pool;

    if (!endpoint->was_leased_from) {
        free_record(endpoint);
        return;
    }
    cp_lock_take(&pool->lock);
    TAILQ_INSERT_HEAD(&pool->free_endpoints, endpoint, listed);
    cp_lock_give(&pool->lock);
}

/* All but what a stale lease, or a release that was overtaken, may look at at any time. */
static void reset_record(struct connpool_endpoint *endpoint, struct connpool_pool *pool)
{
    size_t kept = offsetof(struct connpool_endpoint, is_closing);

    cp_lock_take(&pool->lock);
    cp_lock_take(&endpoint->lock);
    memset((char *)endpoint + kept, 0, record_size() - kept + pool->manager->endpoint_size);
    for (int i = 0; i < CP_CLASS_COUNT; i++) {
        TAILQ_INIT(&endpoint->idle[i]);
    }
    endpoint->bound = CP_NEVER;
    endpoint->gate = CP_NEVER;
    TAILQ_INIT(&endpoint->places);
    TAILQ_INIT(&endpoint->openers);
    cp_lock_give(&endpoint->lock);
    cp_lock_give(&pool->lock);
}

static connpool_status init_plugin_state(struct connpool_endpoint *endpoint, connpool_error *error)
{
    struct connpool_pool *pool = endpoint->pool;
    struct cp_pool_state *state = cp_pool_state_for(pool, endpoint->options);
    struct connpool_head *head;
    struct connpool_fault fault;

    if (pool->manager->endpoint_size == 0) {
        endpoint->plugin_state = state == NULL ? NULL : state->plugin_state;
        return CONNPOOL_OK;
    }
    endpoint->plugin_state = (char *)endpoint + record_size();
    head = endpoint->plugin_state;
    head->host = &endpoint->host.table;
    head->options = endpoint->options == NULL ? NULL : cp_options_struct(endpoint->options);
    head->parent = state == NULL ? NULL : state->plugin_state;
    cp_fault_init(&fault);
    cp_lock_assert_none();
    if (pool->manager->endpoint_init(endpoint->plugin_state, &fault) == 0) {
        return CONNPOOL_OK;
    }
    return cp_error_set_fault(error, CONNPOOL_INVALID, &fault, "pool '%s', endpoint '%s'", pool->name, endpoint->name);
}

/* What a record holds beside its memory. */
static void fini(struct connpool_endpoint *endpoint)
{
    const struct connpool_manager *manager = endpoint->pool->manager;

    cp_lock_assert_none();
    if (manager->endpoint_size != 0 && endpoint->plugin_state != NULL) {
        manager->endpoint_fini(endpoint->plugin_state);
    }
    endpoint->plugin_state = NULL;
    cp_host_fini(&endpoint->host);
    cp_options_unref(endpoint->options);
    endpoint->options = NULL;
    cp_free(endpoint->name);
    endpoint->name = NULL;
}

/* Takes over name and options, also when it fails. In use by nobody yet. */
static struct connpool_endpoint *new_endpoint(struct connpool_pool *pool, char *name, struct cp_option_block *options,
                                              const struct cp_policy *policy, connpool_error *error)
{
    struct connpool_endpoint *endpoint = take_free_record(pool);

    if (endpoint == NULL || name == NULL) {
        if (endpoint != NULL) {
            put_record(endpoint);
        }
        cp_free(name);
        cp_options_unref(options);
        (void)cp_error_no_memory(error, pool->name);
        return NULL;
    }
    reset_record(endpoint, pool);
    endpoint->policy = *policy;
    endpoint->is_watched = cp_watch_is_wanted(pool->manager, policy);
    endpoint->name = name;
    endpoint->options = options;
    cp_host_init(&endpoint->host, pool->context->services);
    if (init_plugin_state(endpoint, error) != CONNPOOL_OK) {
        fini(endpoint);
        put_record(endpoint);
        return NULL;
    }
    return endpoint;
}

/* Run-time text that says the same as a named endpoint means that one; of named ones with equal options the first. */
static bool add_by_options(struct connpool_pool *pool, struct connpool_endpoint *endpoint, connpool_error *error)
{
    struct connpool_endpoint *first = NULL;

    if (endpoint->options == NULL) {
        return true;
    }
    endpoint->options_hash = cp_options_hash(endpoint->options);
    HASH_FIND(by_options, pool->by_options, &endpoint->options_hash, sizeof(endpoint->options_hash), first);
    if (first != NULL) {
        return true;
    }
    HASH_ADD(by_options, pool->by_options, options_hash, sizeof(endpoint->options_hash), endpoint);
    if (endpoint->by_options.tbl == NULL) {
        (void)cp_error_no_memory(error, pool->name);
        return false;
    }
    return true;
}

struct connpool_endpoint *cp_endpoints_add_named(struct connpool_pool *pool, struct cp_config_endpoint *config,
                                                 connpool_error *error)
{
    struct connpool_endpoint *endpoint = new_endpoint(pool, config->name, config->options, &config->policy, error);

    config->name = NULL;
    config->options = NULL;
    if (endpoint == NULL) {
        return NULL;
    }
    endpoint->is_named = true;
    endpoint->references = 1;
    TAILQ_INSERT_TAIL(&pool->endpoints, endpoint, listed);
    HASH_ADD_KEYPTR(by_name, pool->named_by_name, endpoint->name, strlen(endpoint->name), endpoint);
    if (endpoint->by_name.tbl == NULL) {
        (void)cp_error_no_memory(error, pool->name);
        return NULL;
    }
    pool->named[pool->named_count++] = endpoint;
    return add_by_options(pool, endpoint, error) ? endpoint : NULL;
}

static struct connpool_endpoint *find_named(struct connpool_pool *pool, const char *name, connpool_error *error)
{
    struct connpool_endpoint *endpoint = NULL;

    if (name == NULL) {
        if (pool->named_count == 1) {
            return pool->named[0];
        }
        (void)cp_error_set(error, CONNPOOL_NOT_FOUND, 0, "pool '%s': no endpoint was named, and it has %zu", pool->name,
                           pool->named_count);
        return NULL;
    }
    HASH_FIND(by_name, pool->named_by_name, name, strlen(name), endpoint);
    return endpoint;
}

/* Counted; the pool's lock is held. A lingering one is in use again. */
static struct connpool_endpoint *use(struct connpool_endpoint *endpoint)
{
    if (endpoint != NULL && !endpoint->is_named) {
        cp_endpoints_ref(endpoint);
    }
    return endpoint;
}

static struct connpool_endpoint *find_run_time(struct connpool_pool *pool, const char *name)
{
    struct connpool_endpoint *endpoint = NULL;

    cp_lock_take(&pool->lock);
    HASH_FIND(by_name, pool->by_name, name, strlen(name), endpoint);
    endpoint = use(endpoint);
    cp_lock_give(&pool->lock);
    return endpoint;
}

/* An endpoint with equal options, counted; the pool's lock is held. */
static struct connpool_endpoint *find_equal(struct connpool_pool *pool, const struct cp_option_block *options,
                                            uint64_t hash)
{
    struct connpool_endpoint *endpoint = NULL;

    HASH_FIND(by_options, pool->by_options, &hash, sizeof(hash), endpoint);
    if (endpoint != NULL && !cp_options_equal(endpoint->options, options)) {
        endpoint = NULL;
    }
    return use(endpoint);
}

/* Put a new run-time endpoint into the tables; the pool's lock is held. */
static connpool_status insert(struct connpool_pool *pool, struct connpool_endpoint *endpoint, connpool_error *error)
{
    if (pool->is_closing) {
        return cp_error_set(error, CONNPOOL_CLOSED, 0, "pool '%s' is closed", pool->name);
    }
    if (pool->run_time_endpoints >= pool->policy.max_endpoints) {
        return cp_error_set(error, CONNPOOL_OVERLOADED, 0, "pool '%s': endpoint '%s' is over max_endpoints (%llu)",
                            pool->name, endpoint->name, (unsigned long long)pool->policy.max_endpoints);
    }
    HASH_ADD_KEYPTR(by_name, pool->by_name, endpoint->name, strlen(endpoint->name), endpoint);
    if (endpoint->by_name.tbl == NULL) {
        return cp_error_no_memory(error, pool->name);
    }
    HASH_ADD(by_options, pool->by_options, options_hash, sizeof(endpoint->options_hash), endpoint);
    if (endpoint->by_options.tbl == NULL) {
        HASH_DELETE(by_name, pool->by_name, endpoint);
        return cp_error_no_memory(error, pool->name);
    }
    TAILQ_INSERT_TAIL(&pool->endpoints, endpoint, listed);
    pool->run_time_endpoints++;
    cp_endpoints_ref(endpoint);
    return CONNPOOL_OK;
}

/* Text that the manager does not understand may be a configured name mistyped. */
static void refuse_text(const struct connpool_pool *pool, const connpool_error *why, connpool_error *error)
{
    (void)cp_error_set(error, why->status, why->error_class,
                       "pool '%s': no endpoint is configured by that name, and %.400s", pool->name, why->text);
}

/* Text that is not known by name: what it parses to may be. */
static struct connpool_endpoint *find_or_add(struct connpool_pool *pool, const char *text, connpool_error *error)
{
    connpool_error why = {.status = CONNPOOL_NOT_FOUND};
    struct cp_option_block *options = cp_options_parse_text(pool->manager, pool->defaults, text, &why);
    struct connpool_endpoint *found;
    struct connpool_endpoint *added;
    connpool_status status = CONNPOOL_OK;
    uint64_t hash;

    if (options == NULL) {
        refuse_text(pool, &why, error);
        return NULL;
    }
    hash = cp_options_hash(options);
    cp_lock_take(&pool->lock);
    found = find_equal(pool, options, hash);
    cp_lock_give(&pool->lock);
    if (found != NULL) {
        cp_options_unref(options);
        return found;
    }
    added = new_endpoint(pool, cp_text_copy(text), options, &pool->policy, error);
    if (added == NULL) {
        return NULL;
    }
    added->options_hash = hash;
    cp_lock_take(&pool->lock);
    found = find_equal(pool, added->options, hash);
    if (found == NULL) {
        status = insert(pool, added, error);
        found = status == CONNPOOL_OK ? added : NULL;
    }
    cp_lock_give(&pool->lock);
    if (found != added) {
        fini(added);
        put_record(added);
    }
    return found;
}

struct connpool_endpoint *cp_endpoints_get(struct connpool_pool *pool, const char *name, connpool_error *error)
{
    struct connpool_endpoint *endpoint = find_named(pool, name, error);

    if (endpoint != NULL || name == NULL) {
        return endpoint;
    }
    if (pool->manager->parse_endpoint == NULL) {
        (void)cp_error_set(error, CONNPOOL_NOT_FOUND, 0,
                           "pool '%s' has no endpoint '%.200s', and manager '%s' takes none at run time", pool->name,
                           name, pool->manager->name);
        return NULL;
    }
    endpoint = find_run_time(pool, name);
    if (endpoint != NULL) {
        return endpoint;
    }
    cp_endpoints_purge(pool, cp_clock_coarse(&pool->context->clock));
    return find_or_add(pool, name, error);
}

void cp_endpoints_put(struct connpool_endpoint *endpoint)
{
    struct connpool_pool *pool = endpoint->pool;

    if (endpoint->is_named) {
        return;
    }
    cp_lock_take(&pool->lock);
    cp_endpoints_unref(endpoint);
    cp_lock_give(&pool->lock);
    cp_endpoints_purge(pool, cp_clock_coarse(&pool->context->clock));
}

void cp_endpoints_ref(struct connpool_endpoint *endpoint)
{
    endpoint->references++;
    if (endpoint->is_lingering) {
        TAILQ_REMOVE(&endpoint->pool->lingering, endpoint, lingering);
        endpoint->is_lingering = false;
    }
}

void cp_endpoints_unref(struct connpool_endpoint *endpoint)
{
    assert(endpoint->references > 0);
    endpoint->references--;
    if (endpoint->references == 0) {
        TAILQ_INSERT_TAIL(&endpoint->pool->lingering, endpoint, lingering);
        endpoint->is_lingering = true;
    }
}

/* Out of every table of the pool; its lock is held. */
static void remove_from_pool(struct connpool_endpoint *endpoint)
{
    struct connpool_pool *pool = endpoint->pool;

    TAILQ_REMOVE(&pool->lingering, endpoint, lingering);
    endpoint->is_lingering = false;
    TAILQ_REMOVE(&pool->endpoints, endpoint, listed);
    HASH_DELETE(by_name, pool->by_name, endpoint);
    HASH_DELETE(by_options, pool->by_options, endpoint);
    cp_due_forget(endpoint);
    cp_watch_forget(endpoint);
    pool->run_time_endpoints--;
    cp_counters_add(&pool->retired, &endpoint->counters);
}

void cp_endpoints_purge(struct connpool_pool *pool, int64_t now)
{
    struct cp_endpoint_list gone = TAILQ_HEAD_INITIALIZER(gone);
    struct connpool_endpoint *endpoint;
    struct connpool_endpoint *next;

    cp_lock_take(&pool->lock);
    TAILQ_FOREACH_SAFE (endpoint, &pool->lingering, lingering, next) {
        if (endpoint->held_until <= now) {
            remove_from_pool(endpoint);
            TAILQ_INSERT_TAIL(&gone, endpoint, lingering);
        }
    }
    cp_lock_give(&pool->lock);
    TAILQ_FOREACH_SAFE (endpoint, &gone, lingering, next) {
        fini(endpoint);
        put_record(endpoint);
    }
}

void cp_endpoints_free_all(struct connpool_pool *pool)
{
    struct connpool_endpoint *endpoint;
    struct connpool_endpoint *next;

    HASH_CLEAR(by_name, pool->named_by_name);
    HASH_CLEAR(by_name, pool->by_name);
    HASH_CLEAR(by_options, pool->by_options);
    TAILQ_FOREACH_SAFE (endpoint, &pool->endpoints, listed, next) {
        fini(endpoint);
        free_record(endpoint);
    }
    TAILQ_FOREACH_SAFE (endpoint, &pool->free_endpoints, listed, next) {
        free_record(endpoint);
    }
}
