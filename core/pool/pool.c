/* SPDX-License-Identifier: MIT */
/* pool: see pool.h. Making and ending a pool. */
#include "pool/pool.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pool/acquire_busy.h"
#include "pool/dispose.h"
#include "pool/endpoints.h"

static uint32_t needs_of(const struct connpool_manager *manager)
{
    return (manager->idle != NULL || manager->descriptors != NULL ? CP_NEEDS_LOCAL_CHECK : 0) |
           (manager->check != NULL ? CP_NEEDS_CHECK : 0) | (manager->prepare != NULL ? CP_NEEDS_PREPARE : 0);
}

struct cp_pool_state *cp_pool_state_for(struct connpool_pool *pool, const struct cp_option_block *options)
{
    struct cp_pool_state *state = pool->states;

    while (state != NULL && options != NULL && !cp_options_shared_equal(state->options, options)) {
        state = state->next;
    }
    return state;
}

static void free_states(struct connpool_pool *pool)
{
    struct cp_pool_state *state;

    while ((state = pool->states) != NULL) {
        pool->states = state->next;
        pool->manager->pool_fini(state->plugin_state);
        cp_host_fini(&state->host);
        cp_options_unref(state->options);
        cp_free(state);
    }
}

/* The pool state for a set of shared options, unless it is there. */
static connpool_status add_state(struct connpool_pool *pool, struct cp_option_block *options, const char *whose,
                                 connpool_error *error)
{
    const struct connpool_manager *manager = pool->manager;
    struct cp_pool_state *state;
    struct connpool_head *head;
    struct connpool_fault fault;

    if (manager->pool_size == 0 || cp_pool_state_for(pool, options) != NULL) {
        return CONNPOOL_OK;
    }
    state = cp_alloc(sizeof(*state) + manager->pool_size);
    if (state == NULL) {
        return cp_error_no_memory(error, pool->name);
    }
    state->options = cp_options_ref(options);
    cp_host_init(&state->host, pool->context->services);
    state->next = pool->states;
    pool->states = state;
    head = (struct connpool_head *)state->plugin_state;
    head->host = &state->host.table;
    head->options = cp_options_struct(options);
    cp_fault_init(&fault);
    cp_lock_assert_none();
    if (manager->pool_init(state->plugin_state, &fault) != 0) {
        return cp_error_set_fault(error, CONNPOOL_INVALID, &fault, "pool '%s'%s%s", pool->name,
                                  whose == NULL ? "" : ", endpoint ", whose == NULL ? "" : whose);
    }
    return CONNPOOL_OK;
}

static connpool_status add_states(struct connpool_pool *pool, const struct cp_config_pool *config,
                                  connpool_error *error)
{
    connpool_status status = CONNPOOL_OK;

    if (pool->manager->parse_endpoint != NULL && pool->defaults != NULL) {
        status = add_state(pool, pool->defaults, NULL, error);
    }
    for (size_t i = 0; i < config->endpoint_count && status == CONNPOOL_OK; i++) {
        status = add_state(pool, config->endpoints[i].options, config->endpoints[i].name, error);
    }
    return status;
}

static connpool_status add_endpoints(struct connpool_pool *pool, struct cp_config_pool *config, connpool_error *error)
{
    pool->named = cp_alloc_array(config->endpoint_count + 1, sizeof(struct connpool_endpoint *));
    if (pool->named == NULL) {
        return cp_error_no_memory(error, pool->name);
    }
    for (size_t i = 0; i < config->endpoint_count; i++) {
        if (cp_endpoints_add_named(pool, &config->endpoints[i], error) == NULL) {
            return CONNPOOL_INVALID;
        }
    }
    return CONNPOOL_OK;
}

static void init_lists(struct connpool_pool *pool)
{
    RB_INIT(&pool->due);
    RB_INIT(&pool->hungry);
    cp_lanes_init(&pool->lanes);
    TAILQ_INIT(&pool->busy);
    cp_supply_init(&pool->supply);
    TAILQ_INIT(&pool->endpoints);
    TAILQ_INIT(&pool->lingering);
    TAILQ_INIT(&pool->free_endpoints);
    TAILQ_INIT(&pool->restless);
    LIST_INIT(&pool->watches_to_bury);
    TAILQ_INIT(&pool->free_connections);
    TAILQ_INIT(&pool->tracked);
    atomic_init(&pool->next_due, CP_NEVER);
}

static void set_hot_paths(struct connpool_pool *pool)
{
    pool->parks_at_once = pool->manager->reset == NULL && !pool->is_observed && !pool->finds_leaks;
    pool->leases_at_once = pool->configure == NULL && !pool->is_observed && !pool->finds_leaks;
}

struct connpool_pool *cp_pool_new(struct connpool *context, struct cp_config_pool *config, connpool_error *error)
{
    struct connpool_pool *pool = cp_alloc(sizeof(*pool));

    if (pool == NULL || cp_lock_init(&pool->lock, CP_RANK_POOL) != 0) {
        cp_free(pool);
        (void)cp_error_no_memory(error, config->name);
        return NULL;
    }
    init_lists(pool);
    pool->context = context;
    pool->index = context->pool_count;
    pool->manager = config->manager;
    pool->policy = config->policy;
    pool->name = config->name;
    config->name = NULL;
    pool->defaults = config->defaults;
    config->defaults = NULL;
    pool->needs = needs_of(pool->manager);
    pool->random = context->random_seed ^ cp_hash(pool->name, strlen(pool->name));
    if (add_states(pool, config, error) != CONNPOOL_OK || add_endpoints(pool, config, error) != CONNPOOL_OK) {
        cp_pool_free(pool);
        return NULL;
    }
    cp_leak_prepare_pool(pool);
    set_hot_paths(pool);
    return pool;
}

static void free_observers(struct connpool_pool *pool)
{
    struct cp_observer *observer;

    while ((observer = pool->observers) != NULL) {
        pool->observers = observer->before;
        cp_free(observer);
    }
}

void cp_pool_free(struct connpool_pool *pool)
{
    struct connpool_connection *connection;

    if (pool == NULL) {
        return;
    }
    while ((connection = TAILQ_FIRST(&pool->free_connections)) != NULL) {
        TAILQ_REMOVE(&pool->free_connections, connection, link);
        cp_free_lines(connection);
    }
    cp_endpoints_free_all(pool);
    free_states(pool);
    free_observers(pool);
    cp_options_unref(pool->defaults);
    cp_free(pool->named);
    cp_free(pool->name);
    cp_lock_fini(&pool->lock);
    cp_free(pool);
}

/* The endpoint's next idle connection in the order of closing: base, oldest first, then extra, newest first. */
static struct connpool_connection *doom_next(struct connpool_endpoint *endpoint, connpool_reason reason)
{
    struct connpool_connection *connection = TAILQ_FIRST(&endpoint->idle[CP_CLASS_BASE]);

    connection = connection != NULL ? connection : TAILQ_FIRST(&endpoint->idle[CP_CLASS_EXTRA]);
    if (connection != NULL) {
        cp_endpoint_doom(connection, reason, true);
    }
    return connection;
}

/* One of each endpoint; false: none was idle. The pool's lock is held. */
static bool doom_round(struct connpool_pool *pool, struct cp_connection_list *doomed)
{
    struct connpool_endpoint *endpoint;
    bool any = false;

    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        struct connpool_connection *connection;

        cp_lock_take(&endpoint->lock);
        endpoint->is_closing = true;
        connection = doom_next(endpoint, CONNPOOL_REASON_CLOSED);
        cp_lock_give(&endpoint->lock);
        if (connection != NULL) {
            TAILQ_INSERT_TAIL(doomed, connection, link);
            any = true;
        }
    }
    return any;
}

void cp_pool_close(struct connpool_pool *pool, struct cp_connection_list *doomed)
{
    cp_lock_take(&pool->lock);
    pool->is_closing = true;
    cp_line_close(pool);
    cp_acquire_busy_wake_all(pool);
    while (doom_round(pool, doomed)) {
    }
    cp_lock_give(&pool->lock);
}

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014); the upper 53 bits are a
 * double's. */
double cp_pool_random(struct connpool_pool *pool)
{
    uint64_t z = pool->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static void drain(struct connpool_endpoint *endpoint, uint64_t newest, struct cp_connection_list *doomed)
{
    struct connpool_connection *connection;

    cp_lock_take(&endpoint->lock);
    endpoint->drained = newest;
    while ((connection = doom_next(endpoint, CONNPOOL_REASON_DRAINED)) != NULL) {
        TAILQ_INSERT_TAIL(doomed, connection, link);
    }
    cp_lock_give(&endpoint->lock);
}

void connpool_pool_drain(connpool_pool *pool)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct connpool_endpoint *endpoint;

    if (cp_pool_is_forked(pool)) {
        return;
    }
    cp_lock_take(&pool->lock);
    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        drain(endpoint, pool->next_id, &doomed);
    }
    cp_lock_give(&pool->lock);
    cp_dispose_all(pool, &doomed);
}

void connpool_endpoint_drain(connpool_endpoint *endpoint)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);

    if (cp_pool_is_forked(endpoint->pool)) {
        return;
    }
    cp_lock_take(&endpoint->pool->lock);
    drain(endpoint, endpoint->pool->next_id, &doomed);
    cp_lock_give(&endpoint->pool->lock);
    cp_dispose_all(endpoint->pool, &doomed);
}

connpool_pool *connpool_pool_get(connpool *context, const char *name)
{
    for (size_t i = 0; i < context->pool_count; i++) {
        if (strcmp(context->pools[i]->name, name) == 0) {
            return context->pools[i];
        }
    }
    return NULL;
}

connpool_pool *connpool_pool_at(connpool *context, size_t index)
{
    return index < context->pool_count ? context->pools[index] : NULL;
}

const char *connpool_pool_name(const connpool_pool *pool)
{
    return pool->name;
}

const char *connpool_pool_manager(const connpool_pool *pool)
{
    return pool->manager->name;
}

const char *connpool_pool_endpoint_name(const connpool_pool *pool, size_t index)
{
    return index < pool->named_count ? pool->named[index]->name : NULL;
}

void connpool_pool_on_configure(connpool_pool *pool, connpool_configure_fn *configure, void *argument)
{
    pool->configure = configure;
    pool->configure_argument = argument;
    set_hot_paths(pool);
}

/* From now on. NULL: nobody. */
static void set_observer(struct connpool_pool *pool, struct cp_observer *observer)
{
    cp_lock_take(&pool->lock);
    if (observer != NULL) {
        observer->before = pool->observers;
        pool->observers = observer;
    }
    atomic_store(&pool->observer, observer);
    atomic_store(&pool->is_observed, observer != NULL);
    cp_lock_give(&pool->lock);
    set_hot_paths(pool);
}

connpool_status connpool_pool_observe(connpool_pool *pool, const struct connpool_observer *observer)
{
    struct cp_observer *copy;

    if (pool == NULL) {
        return CONNPOOL_NOT_FOUND;
    }
    if (cp_pool_is_forked(pool)) {
        return CONNPOOL_FORKED;
    }
    if (observer == NULL) {
        set_observer(pool, NULL);
        return CONNPOOL_OK;
    }
    if (observer->size < offsetof(struct connpool_observer, opened)) {
        return CONNPOOL_INVALID;
    }
    copy = cp_alloc(sizeof(*copy));
    if (copy == NULL) {
        return CONNPOOL_NO_MEMORY;
    }
    memcpy(&copy->functions, observer,
           observer->size < sizeof(copy->functions) ? observer->size : sizeof(copy->functions));
    set_observer(pool, copy);
    return CONNPOOL_OK;
}
