/* SPDX-License-Identifier: MIT */
/* acquire_error: see acquire_error.h. */
#include "pool/acquire_error.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pool/run.h"

/* What an acquire was doing when its time ran out. */
static const char *const doing[CP_ACQUIRE_PHASE_COUNT] = {
    [CP_ACQUIRE_SEARCH] = "waiting for a connection",    [CP_ACQUIRE_LOCAL] = "checking an idle connection",
    [CP_ACQUIRE_IDLE] = "waiting for a busy connection", [CP_ACQUIRE_CHECK] = "checking an idle connection",
    [CP_ACQUIRE_EVICT] = "making room for a connection", [CP_ACQUIRE_OPEN] = "opening a connection",
    [CP_ACQUIRE_PREPARE] = "preparing a connection",
};

/* The endpoint's connections as text, and its last connect error if it has one. True: acquires wait until connects
 * succeed again. */
static bool describe(struct connpool_endpoint *endpoint, char *text, size_t size, struct connpool_fault *last)
{
    struct connpool_pool *pool = endpoint->pool;
    uint32_t leased;
    uint32_t idle;
    uint32_t opening;
    bool is_down;

    cp_lock_take(&pool->lock);
    cp_lock_take(&endpoint->lock);
    leased = endpoint->count[CP_LEASED] + endpoint->count[CP_CHECKING] + endpoint->count[CP_RESETTING];
    idle = endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA];
    opening = endpoint->count[CP_OPENING];
    cp_lock_give(&endpoint->lock);
    *last = endpoint->last_fault;
    is_down = endpoint->policy.retry && cp_recovery_is_on(&endpoint->recovery);
    (void)snprintf(text, size, "%u leased, %u opening, %u idle of max_size %llu; pool %llu of %llu, %u waiting", leased,
                   opening, idle, (unsigned long long)endpoint->policy.max_size, (unsigned long long)pool->total,
                   (unsigned long long)pool->policy.total_max_size,
                   atomic_load_explicit(&pool->waiters, memory_order_relaxed));
    cp_lock_give(&pool->lock);
    return is_down;
}

static void span_text(int64_t span, char *text, size_t size)
{
    (void)snprintf(text, size, "%lld ms ", (long long)(span / CP_MILLISECOND));
}

void cp_acquire_error_timed_out(struct cp_acquire *acquire)
{
    struct connpool_endpoint *endpoint = acquire->endpoints[0];
    bool is_try = acquire->timeout == 0;
    struct connpool_fault last;
    bool is_down;
    char state[160];
    char span[32];

    is_down = describe(endpoint, state, sizeof(state), &last);
    span_text(acquire->timeout, span, sizeof(span));
    (void)cp_error_set(&acquire->error, CONNPOOL_TIMED_OUT, last.error_class,
                       "pool '%s', endpoint '%s'%s: %s%s%s (%s)%s%.*s", acquire->pool->name, endpoint->name,
                       acquire->count > 1 ? " and others" : "",
                       is_try ? "no idle connection that can be had at once" : "timed out after ", is_try ? "" : span,
                       is_try                                           ? ""
                       : is_down && acquire->phase == CP_ACQUIRE_SEARCH ? "waiting until connects succeed again"
                                                                        : doing[acquire->phase],
                       state, last.error_class != 0 ? "; last connect error: " : "", (int)sizeof(last.text),
                       last.error_class != 0 ? last.text : "");
    acquire->error.os_error = last.os_error;
    acquire->error.library_code = last.library_code;
}

void cp_acquire_error_failed(struct cp_acquire *acquire, const struct connpool_connection *connection)
{
    (void)cp_error_set_fault(&acquire->error, CONNPOOL_FAILED, &connection->fault, "pool '%s', endpoint '%s', %s",
                             acquire->pool->name, cp_connection_endpoint(connection)->name,
                             cp_run_name(connection->kind));
}

void cp_acquire_error_held(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint, int64_t now)
{
    (void)cp_error_set_fault(&acquire->error, CONNPOOL_FAILED, &endpoint->last_fault,
                             "pool '%s', endpoint '%s', no connect for another %.3g s after one that failed",
                             acquire->pool->name, endpoint->name,
                             (double)(endpoint->held_until - now) / (double)CP_SECOND);
}

connpool_status cp_acquire_error_not_ready(struct connpool_endpoint *endpoint, int timeout_ms, connpool_error *error)
{
    struct connpool_fault last;
    char state[160];

    (void)describe(endpoint, state, sizeof(state), &last);
    (void)cp_error_set(
        error, CONNPOOL_TIMED_OUT, last.error_class,
        "pool '%s', endpoint '%s': not ready within %d ms, expected min_idle (%llu) connections (%s)%s%.*s",
        endpoint->pool->name, endpoint->name, timeout_ms, (unsigned long long)endpoint->policy.min_idle, state,
        last.error_class != 0 ? "; last connect error: " : "", (int)sizeof(last.text),
        last.error_class != 0 ? last.text : "");
    if (error != NULL) {
        error->os_error = last.os_error;
        error->library_code = last.library_code;
    }
    return CONNPOOL_TIMED_OUT;
}

void cp_acquire_error_refused(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint)
{
    (void)cp_error_set_fault(&acquire->error, CONNPOOL_FAILED, &endpoint->recovery.refusal,
                             "pool '%s', endpoint '%s', open for an acquire that came before", acquire->pool->name,
                             endpoint->name);
}

void cp_acquire_error_overloaded(struct cp_acquire *acquire)
{
    struct connpool_endpoint *endpoint = acquire->endpoints[0];
    struct connpool_fault last;
    char state[160];

    (void)describe(endpoint, state, sizeof(state), &last);
    (void)cp_error_set(&acquire->error, CONNPOOL_OVERLOADED, 0,
                       "pool '%s', endpoint '%s': max_waiters (%llu) acquires wait already (%s)", acquire->pool->name,
                       endpoint->name, (unsigned long long)endpoint->policy.max_waiters, state);
}
