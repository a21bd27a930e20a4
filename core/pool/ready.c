/* SPDX-License-Identifier: MIT */
/* ready: see ready.h; connpool_wait_ready. */
#include "pool/ready.h"

#include <errno.h>

#include "base/cancel.h"
#include "base/error.h"
#include "pool/acquire_error.h"
#include "pool/pool.h"
#include "pool/reactor.h"

/* ---- An endpoint ---- */

/* The pool's lock is held; takes the endpoint's. */
static bool has_enough(struct connpool_endpoint *endpoint)
{
    uint64_t usable;

    cp_lock_take(&endpoint->lock);
    usable = (uint64_t)endpoint->count[CP_CHECKING] + endpoint->count[CP_LEASED] + endpoint->count[CP_RESETTING] +
             endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA];
    cp_lock_give(&endpoint->lock);
    return usable >= endpoint->policy.min_idle;
}

void cp_ready_look(struct connpool_endpoint *endpoint, int64_t now)
{
    bool was_ready;
    bool is_ready;

    cp_lock_take(&endpoint->pool->lock);
    was_ready = endpoint->is_ready;
    is_ready = has_enough(endpoint);
    endpoint->is_ready = is_ready;
    if (is_ready) {
        endpoint->ready_at = now;
    }
    cp_lock_give(&endpoint->pool->lock);
    if (is_ready && !was_ready) {
        cp_ready_wake_all(endpoint->pool->context);
    }
}

/* ---- Who waits ---- */

/* The waker of one that was not woken in this round yet, with a reference. NULL: no more. The context's lock is held.
 */
static struct cp_waker *next_to_wake(struct connpool *context, uint64_t round)
{
    struct cp_ready_waiter *waiter;

    LIST_FOREACH (waiter, &context->ready_waiters, entry) {
        if (waiter->woken < round) {
            waiter->woken = round;
            return cp_waker_ref(waiter->operation.waker);
        }
    }
    return NULL;
}

/* Each once: one that looks and sleeps again meanwhile has seen what the round is for. */
void cp_ready_wake_all(struct connpool *context)
{
    struct cp_waker *waker;
    uint64_t round;

    cp_lock_take(&context->lock);
    round = ++context->ready_round;
    while ((waker = next_to_wake(context, round)) != NULL) {
        cp_lock_give(&context->lock);
        cp_waker_fire(waker);
        cp_lock_take(&context->lock);
    }
    cp_lock_give(&context->lock);
}

/* In the list, to be woken by the next change. */
static void stand(struct cp_ready_waiter *waiter)
{
    cp_lock_take(&waiter->context->lock);
    if (!waiter->is_listed) {
        LIST_INSERT_HEAD(&waiter->context->ready_waiters, waiter, entry);
        waiter->is_listed = true;
    }
    cp_lock_give(&waiter->context->lock);
}

static void leave(struct cp_ready_waiter *waiter)
{
    cp_lock_take(&waiter->context->lock);
    if (waiter->is_listed) {
        LIST_REMOVE(waiter, entry);
        waiter->is_listed = false;
    }
    cp_lock_give(&waiter->context->lock);
}

/* ---- The wait ---- */

static bool is_ready(struct connpool_endpoint *endpoint, int64_t since)
{
    bool is_ready;

    cp_lock_take(&endpoint->pool->lock);
    is_ready = endpoint->ready_at >= since || has_enough(endpoint);
    if (!is_ready) {
        endpoint->is_ready = false; /* the collector may have looked before and after, and seen no change */
    }
    cp_lock_give(&endpoint->pool->lock);
    return is_ready;
}

/* NULL: all are ready. */
static struct connpool_endpoint *first_not_ready(const struct connpool *context, int64_t since)
{
    for (size_t i = 0; i < context->pool_count; i++) {
        const struct connpool_pool *pool = context->pools[i];

        for (size_t k = 0; k < pool->named_count; k++) {
            struct connpool_endpoint *endpoint = pool->named[k];

            if (endpoint->policy.prewarm && !is_ready(endpoint, since)) {
                return endpoint;
            }
        }
    }
    return NULL;
}

static int32_t end(struct cp_ready_waiter *waiter, connpool_status status)
{
    leave(waiter);
    waiter->status = status;
    return CONNPOOL_STEP_DONE;
}

static int32_t step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct cp_ready_waiter *waiter =
        (struct cp_ready_waiter *)((char *)operation - offsetof(struct cp_ready_waiter, operation));

    if (cp_operation_waker(operation) == NULL) {
        return end(waiter, CONNPOOL_NO_MEMORY);
    }
    stand(waiter);
    if (atomic_load(&waiter->context->is_closing)) {
        return end(waiter, CONNPOOL_CLOSED);
    }
    waiter->not_ready = first_not_ready(waiter->context, waiter->began);
    if (waiter->not_ready == NULL) {
        return end(waiter, CONNPOOL_OK);
    }
    if (waiter->deadline <= wait->now) {
        return end(waiter, CONNPOOL_TIMED_OUT);
    }
    wait->flags |= CONNPOOL_WAIT_WAKE;
    wait->at = waiter->deadline == CP_NEVER ? 0 : waiter->deadline;
    return CONNPOOL_STEP_AGAIN;
}

static void abandon(struct cp_operation *operation)
{
    (void)end((struct cp_ready_waiter *)((char *)operation - offsetof(struct cp_ready_waiter, operation)),
              CONNPOOL_NO_MEMORY);
}

static connpool_status refuse(const struct connpool *context, int timeout_ms, connpool_error *error)
{
    if (context == NULL) {
        return cp_error_set(error, CONNPOOL_NOT_FOUND, 0, "the context is NULL");
    }
    if (context->fork_generation != cp_fork_generation) {
        return cp_error_set(error, CONNPOOL_FORKED, 0, "the context belongs to the parent process");
    }
    if (timeout_ms < CONNPOOL_WAIT_FOREVER) {
        return cp_error_set(error, CONNPOOL_INVALID, 0,
                            "wait_ready: timeout_ms is %d, expected 0 or more, or CONNPOOL_WAIT_FOREVER", timeout_ms);
    }
    if (timeout_ms != 0 && cp_reactor_is_dispatching()) {
        return cp_error_set(error, CONNPOOL_INVALID, 0,
                            "wait_ready: inside a dispatch it may not wait, expected timeout_ms 0");
    }
    return CONNPOOL_OK;
}

static connpool_status tell(const struct cp_ready_waiter *waiter, int timeout_ms, connpool_error *error)
{
    switch (waiter->status) {
    case CONNPOOL_OK:
        return CONNPOOL_OK;
    case CONNPOOL_CLOSED:
        return cp_error_set(error, CONNPOOL_CLOSED, 0, "the context is closed");
    case CONNPOOL_TIMED_OUT:
        return cp_acquire_error_not_ready(waiter->not_ready, timeout_ms, error);
    default:
        return cp_error_no_memory(error, "wait_ready");
    }
}

connpool_status connpool_wait_ready(connpool *context, int timeout_ms, connpool_error *error)
{
    struct cp_ready_waiter waiter = {.operation = {.step = step, .abandon = abandon}, .context = context};
    connpool_status status = refuse(context, timeout_ms, error);
    int cancel_state;

    if (status != CONNPOOL_OK) {
        return status;
    }
    waiter.began = cp_clock_precise(&context->clock);
    waiter.deadline = timeout_ms == 0                       ? 0
                      : timeout_ms == CONNPOOL_WAIT_FOREVER ? CP_NEVER
                                                            : cp_time_add(waiter.began, timeout_ms * CP_MILLISECOND);
    cancel_state = cp_cancel_disable();
    cp_context_ref(context);
    (void)cp_drive(&waiter.operation, context->sleepers, &context->clock, 0);
    status = tell(&waiter, timeout_ms, error);
    cp_context_unref(context);
    cp_cancel_restore(cancel_state);
    return status;
}
