/* SPDX-License-Identifier: MIT */
/*
 * acquire_blocking: the functions of connpool.h that acquire in the calling thread. An idle connection that needs
 * nothing is taken here with one lock and one coarse clock read; for all else the acquire is driven by the blocking
 * driver.
 */
#include "base/cancel.h"
#include "base/error.h"
#include "base/fork.h"
#include "engine/driver.h"
#include "pool/acquire_call.h"
#include "pool/endpoints.h"
#include "pool/verdict.h"

/* Drive an acquire to its end. The context may close meanwhile, but not go. */
static connpool_status drive(struct cp_acquire *acquire, void *called_from, connpool_lease *lease,
                             connpool_error *error)
{
    struct connpool *context = acquire->pool->context;
    int64_t began = cp_acquire_call_began(acquire->pool);
    int cancel_state = cp_cancel_disable();
    connpool_status status;

    if (acquire->pool->finds_leaks) {
        cp_leak_site_capture(&acquire->site, called_from);
    }
    cp_context_ref(context);
    (void)cp_drive(&acquire->operation, context->sleepers, &context->clock, 0);
    cp_acquire_call_ended(acquire, began);
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
                                      struct connpool_connection *connection, uint32_t needs, void *called_from,
                                      connpool_lease *lease, connpool_error *error)
{
    struct cp_acquire acquire;
    struct cp_place place;
    int64_t timeout = CP_NEVER;
    connpool_status status = cp_acquire_call_timeout(endpoint, timeout_ms, &timeout, error);

    if (status != CONNPOOL_OK) {
        return status;
    }
    cp_acquire_init(&acquire, &endpoint, 1, &place, timeout);
    if (connection != NULL) {
        cp_acquire_begin_with(&acquire, connection, needs);
    }
    return drive(&acquire, called_from, lease, error);
}

/* called_from: the return address of the public function. */
static inline connpool_status acquire(connpool_endpoint *endpoint, int timeout_ms, void *called_from,
                                      connpool_lease *lease, connpool_error *error)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct connpool_connection *connection = NULL;
    struct connpool_pool *pool;
    connpool_lease taken;
    uint32_t needs = 0;

    if (endpoint == NULL) {
        return cp_acquire_call_refuse_null("endpoint", error);
    }
    pool = endpoint->pool;
    if (cp_pool_is_forked(pool)) {
        return cp_acquire_call_refuse_forked(pool, error);
    }
    if (pool->leases_at_once && timeout_ms >= CONNPOOL_WAIT_DEFAULT) {
        connection = cp_endpoint_take(endpoint, cp_clock_coarse(&pool->context->clock), &taken, &needs, &doomed);
        cp_verdict_doomed(&doomed);
        if (connection != NULL && needs == 0) {
            *lease = taken;
            return CONNPOOL_OK;
        }
    }
    return acquire_slowly(endpoint, timeout_ms, connection, needs, called_from, lease, error);
}

connpool_status connpool_endpoint_acquire(connpool_endpoint *endpoint, int timeout_ms, connpool_lease *lease,
                                          connpool_error *error)
{
    return acquire(endpoint, timeout_ms, __builtin_return_address(0), lease, error);
}

connpool_status connpool_try_acquire(connpool_endpoint *endpoint, connpool_lease *lease, connpool_error *error)
{
    return acquire(endpoint, 0, __builtin_return_address(0), lease, error);
}

connpool_status connpool_acquire(connpool_pool *pool, const char *name, int timeout_ms, connpool_lease *lease,
                                 connpool_error *error)
{
    struct connpool_endpoint *endpoint;
    struct connpool *context;
    connpool_error why;
    connpool_status status;

    if (pool == NULL) {
        return cp_acquire_call_refuse_null("pool", error);
    }
    context = pool->context;
    if (cp_pool_is_forked(pool)) {
        return cp_acquire_call_refuse_forked(pool, error);
    }
    endpoint = cp_endpoints_get(pool, name, error != NULL ? error : &why);
    if (endpoint == NULL) {
        return error != NULL ? error->status : why.status;
    }
    /* The context may close meanwhile, but not go before the endpoint is put. */
    cp_context_ref(context);
    status = acquire(endpoint, timeout_ms, __builtin_return_address(0), lease, error);
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
    connpool_status status = cp_acquire_call_check_list(endpoints, count_of, error);

    if (status == CONNPOOL_OK) {
        status = cp_acquire_call_timeout(endpoints[0], timeout_ms, &timeout, error);
    }
    if (status != CONNPOOL_OK) {
        return status;
    }
    cp_acquire_init(&acquire, endpoints, count_of, places, timeout);
    return drive(&acquire, __builtin_return_address(0), lease, error);
}
