/* SPDX-License-Identifier: MIT */
/* acquire_call: see acquire_call.h. */
#include "pool/acquire_call.h"

#include "base/error.h"
#include "pool/observe.h"
#include "pool/verdict.h"

connpool_status cp_acquire_call_refuse_forked(const struct connpool_pool *pool, connpool_error *error)
{
    return cp_error_set(error, CONNPOOL_FORKED, 0, "pool '%s' belongs to the parent process", pool->name);
}

connpool_status cp_acquire_call_refuse_null(const char *what, connpool_error *error)
{
    return cp_error_set(error, CONNPOOL_NOT_FOUND, 0, "the %s is NULL: there is none of that name", what);
}

connpool_status cp_acquire_call_check_list(struct connpool_endpoint *const *endpoints, size_t count,
                                           connpool_error *error)
{
    if (count == 0 || count > CP_ANY_ENDPOINTS) {
        return cp_error_set(error, CONNPOOL_INVALID, 0, "acquire_any: %zu endpoints, expected 1 to %d", count,
                            CP_ANY_ENDPOINTS);
    }
    if (endpoints == NULL) {
        return cp_error_set(error, CONNPOOL_INVALID, 0, "acquire_any: the list of endpoints is NULL");
    }
    for (size_t i = 0; i < count; i++) {
        if (endpoints[i] == NULL) {
            return cp_acquire_call_refuse_null("endpoint", error);
        }
        if (endpoints[i]->pool != endpoints[0]->pool) {
            return cp_error_set(error, CONNPOOL_INVALID, 0,
                                "acquire_any: endpoints of pool '%s' and pool '%s', expected one pool",
                                endpoints[0]->pool->name, endpoints[i]->pool->name);
        }
    }
    if (cp_pool_is_forked(endpoints[0]->pool)) {
        return cp_acquire_call_refuse_forked(endpoints[0]->pool, error);
    }
    return CONNPOOL_OK;
}

connpool_status cp_acquire_call_timeout(const struct connpool_endpoint *endpoint, int timeout_ms, int64_t *timeout,
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
    int64_t duration = began == 0 ? 0 : now - began; /* nobody observed when it began */

    if (acquire->status == CONNPOOL_OK) {
        acquire->lease.connection->leased_at = now;
        cp_observe_acquired(&acquire->lease, acquire->lease.connection->uses == 1, duration);
    } else {
        cp_observe_acquire_error(acquire->endpoints[0], &acquire->error, duration);
    }
}

int64_t cp_acquire_call_began(const struct connpool_pool *pool)
{
    return pool->is_observed ? cp_clock_precise(&pool->context->clock) : 0;
}

void cp_acquire_call_ended(struct cp_acquire *acquire, int64_t began)
{
    if (acquire->status == CONNPOOL_OK && acquire->pool->finds_leaks) {
        cp_leak_begin(&acquire->lease, &acquire->site); /* first: the hook may note something, or hang */
    }
    if (acquire->status == CONNPOOL_OK) {
        acquire->status = configure(&acquire->lease, &acquire->error);
    }
    if (acquire->status != CONNPOOL_OK || acquire->has_waited) {
        count(acquire);
    }
    if (acquire->pool->is_observed) {
        observe(acquire, began);
    }
}
