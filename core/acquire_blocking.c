/* SPDX-License-Identifier: MIT */
/*
 * acquire_blocking: the functions of connpool.h that acquire in the calling thread. An idle connection that needs
 * nothing is taken here with one lock and one coarse clock read; for all else the acquire is driven by the blocking
 * driver.
 */
#include "acquire.h"
#include "cancel.h"
#include "driver.h"
#include "endpoints.h"
#include "error.h"
#include "fork.h"
#include "observe.h"
#include "verdict.h"

static connpool_status refuse_forked(const struct connpool_pool *pool, connpool_error *error)
{
    return cp_error_set(error, CONNPOOL_FORKED, 0, "pool '%s' belongs to the parent process", pool->name);
}

/* An endpoint or pool that was looked up and not found is often passed on unseen. */
static connpool_status refuse_null(const char *what, connpool_error *error)
{
    return cp_error_set(error, CONNPOOL_NOT_FOUND, 0, "the %s is NULL: there is none of that name", what);
}

static connpool_status timeout_of(const struct connpool_endpoint *endpoint, int timeout_ms, int64_t *timeout,
                                  connpool_error *error)
{
    if (timeout_ms >= 0) {
        *timeout = timeout_ms * CP_MILLISECOND;
    } else if (timeout_ms == CONNPOOL_WAIT_DEFAULT) {
        *timeout = endpoint->policy.acquire_timeout;
    } else if (timeout_ms == CONNPOOL_WAIT_FOREVER) {
        *timeout = CP_NEVER;
    } else {
        return cp_error_set(error, CONNPOOL_INVALID, 0,
                            "pool '%s': timeout_ms is %d, expected 0 or more, CONNPOOL_WAIT_FOREVER or "
                            "CONNPOOL_WAIT_DEFAULT",
                            endpoint->pool->name, timeout_ms);
    }
    return CONNPOOL_OK;
}

/* The application's hook refused a new connection: it is a failed open, unless the hook gave it back itself. */
static connpool_status refuse_new(struct connpool_connection *connection, connpool_lease *lease, connpool_error *error)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    bool is_ours;

    error->status = CONNPOOL_FAILED;
    cp_lock_take(&endpoint->lock);
    is_ours = atomic_load_explicit(&connection->generation, memory_order_relaxed) == lease->generation;
    if (is_ours) {
        (void)cp_connection_next_generation(connection);
        endpoint->counters.released++;
    }
    cp_lock_give(&endpoint->lock);
    lease->connection = NULL;
    if (is_ours) {
        connection->kind = CP_OPEN;
        cp_fault_init(&connection->fault);
        (void)cp_fault_set(&connection->fault, error->error_class != 0 ? error->error_class : CONNPOOL_ERROR_TRANSIENT,
                           error->os_error, "%.200s", error->text);
        (void)cp_verdict_open_failed(connection);
    }
    return CONNPOOL_FAILED;
}

static connpool_status configure(connpool_lease *lease, connpool_error *error)
{
    struct connpool_connection *connection = lease->connection;
    struct connpool_pool *pool = connection->pool;

    if (pool->configure == NULL || connection->uses != 1) {
        return CONNPOOL_OK;
    }
    (void)cp_error_set(error, CONNPOOL_FAILED, 0, "pool '%s', endpoint '%s': the application's configuration failed",
                       pool->name, cp_connection_endpoint(connection)->name);
    cp_lock_assert_none();
    if (pool->configure(pool->configure_argument, lease, error) == CONNPOOL_OK) {
        return CONNPOOL_OK;
    }
    return refuse_new(connection, lease, error);
}

static void count(struct cp_acquire *acquire)
{
    struct connpool_endpoint *endpoint = acquire->endpoints[0];

    cp_lock_take(&endpoint->lock);
    endpoint->counters.waited += acquire->has_waited;
    endpoint->counters.timed_out += acquire->status == CONNPOOL_TIMED_OUT;
    endpoint->counters.overloaded += acquire->status == CONNPOOL_OVERLOADED;
    endpoint->counters.failed += acquire->status != CONNPOOL_OK && acquire->status != CONNPOOL_TIMED_OUT &&
                                 acquire->status != CONNPOOL_OVERLOADED;
    cp_lock_give(&endpoint->lock);
}

static void observe(const struct cp_acquire *acquire, int64_t began)
{
    int64_t now = cp_clock_precise(&acquire->pool->context->clock);

    if (acquire->status == CONNPOOL_OK) {
        acquire->lease.connection->leased_at = now;
        cp_observe_acquired(&acquire->lease, acquire->lease.connection->uses == 1, now - began);
    } else {
        cp_observe_acquire_error(acquire->endpoints[0], &acquire->error, now - began);
    }
}

/* Drive an acquire to its end. The context may close meanwhile, but not go. */
static connpool_status drive(struct cp_acquire *acquire, connpool_lease *lease, connpool_error *error)
{
    struct connpool *context = acquire->pool->context;
    int64_t began = acquire->pool->is_observed ? cp_clock_precise(&context->clock) : 0;
    int cancel_state = cp_cancel_disable();
    connpool_status status;

    cp_context_ref(context);
    (void)cp_drive(&acquire->operation, context->sleepers, &context->clock, 0);
    if (acquire->status == CONNPOOL_OK) {
        acquire->status = configure(&acquire->lease, &acquire->error);
    }
    if (acquire->status != CONNPOOL_OK || acquire->has_waited) {
        count(acquire);
    }
    if (acquire->pool->is_observed) {
        observe(acquire, began);
    }
    status = acquire->status;
    if (status == CONNPOOL_OK) {
        *lease = acquire->lease;
    } else if (error != NULL) {
        *error = acquire->error;
    }
    cp_context_unref(context);
    cp_cancel_restore(cancel_state);
    return status;
}

/* With a connection that was taken and needs something, or without one. */
static connpool_status acquire_slowly(struct connpool_endpoint *endpoint, int timeout_ms,
                                      struct connpool_connection *connection, uint32_t needs, connpool_lease *lease,
                                      connpool_error *error)
{
    struct cp_acquire acquire;
    struct cp_place place;
    int64_t timeout = CP_NEVER;
    connpool_status status = timeout_of(endpoint, timeout_ms, &timeout, error);

    if (status != CONNPOOL_OK) {
        return status;
    }
    cp_acquire_init(&acquire, &endpoint, 1, &place, timeout);
    if (connection != NULL) {
        cp_acquire_begin_with(&acquire, connection, needs);
    }
    return drive(&acquire, lease, error);
}

connpool_status connpool_endpoint_acquire(connpool_endpoint *endpoint, int timeout_ms, connpool_lease *lease,
                                          connpool_error *error)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct connpool_connection *connection = NULL;
    struct connpool_pool *pool;
    connpool_lease taken;
    uint32_t needs = 0;

    if (endpoint == NULL) {
        return refuse_null("endpoint", error);
    }
    pool = endpoint->pool;
    if (cp_pool_is_forked(pool)) {
        return refuse_forked(pool, error);
    }
    if (pool->leases_at_once && timeout_ms >= CONNPOOL_WAIT_DEFAULT) {
        connection = cp_endpoint_take(endpoint, cp_clock_coarse(&pool->context->clock), &taken, &needs, &doomed);
        cp_verdict_doomed(&doomed);
        if (connection != NULL && needs == 0) {
            *lease = taken;
            return CONNPOOL_OK;
        }
    }
    return acquire_slowly(endpoint, timeout_ms, connection, needs, lease, error);
}

connpool_status connpool_try_acquire(connpool_endpoint *endpoint, connpool_lease *lease, connpool_error *error)
{
    return connpool_endpoint_acquire(endpoint, 0, lease, error);
}

connpool_status connpool_acquire(connpool_pool *pool, const char *name, int timeout_ms, connpool_lease *lease,
                                 connpool_error *error)
{
    struct connpool_endpoint *endpoint;
    struct connpool *context;
    connpool_error why;
    connpool_status status;

    if (pool == NULL) {
        return refuse_null("pool", error);
    }
    context = pool->context;
    if (cp_pool_is_forked(pool)) {
        return refuse_forked(pool, error);
    }
    endpoint = cp_endpoints_get(pool, name, error != NULL ? error : &why);
    if (endpoint == NULL) {
        return error != NULL ? error->status : why.status;
    }
    /* The context may close meanwhile, but not go before the endpoint is put. */
    cp_context_ref(context);
    status = connpool_endpoint_acquire(endpoint, timeout_ms, lease, error);
    cp_endpoints_put(endpoint);
    cp_context_unref(context);
    return status;
}

connpool_status connpool_acquire_any(connpool_endpoint *const *endpoints, size_t count_of, int timeout_ms,
                                     connpool_lease *lease, connpool_error *error)
{
    struct cp_place places[CP_ANY_ENDPOINTS];
    struct cp_acquire acquire;
    int64_t timeout = CP_NEVER;
    connpool_status status;

    if (count_of == 0 || count_of > CP_ANY_ENDPOINTS) {
        return cp_error_set(error, CONNPOOL_INVALID, 0, "acquire_any: %zu endpoints, expected 1 to %d", count_of,
                            CP_ANY_ENDPOINTS);
    }
    for (size_t i = 0; i < count_of; i++) {
        if (endpoints[i] == NULL) {
            return refuse_null("endpoint", error);
        }
        if (endpoints[i]->pool != endpoints[0]->pool) {
            return cp_error_set(error, CONNPOOL_INVALID, 0,
                                "acquire_any: endpoints of pool '%s' and pool '%s', expected one pool",
                                endpoints[0]->pool->name, endpoints[i]->pool->name);
        }
    }
    if (cp_pool_is_forked(endpoints[0]->pool)) {
        return refuse_forked(endpoints[0]->pool, error);
    }
    status = timeout_of(endpoints[0], timeout_ms, &timeout, error);
    if (status != CONNPOOL_OK) {
        return status;
    }
    cp_acquire_init(&acquire, endpoints, count_of, places, timeout);
    return drive(&acquire, lease, error);
}
