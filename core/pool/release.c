/* SPDX-License-Identifier: MIT */
/*
 * release: see release.h, and connpool_release and connpool_discard.
 *
 * The hot path, where nothing waits or is due and the manager has no reset, is: the endpoint's lock once, one coarse
 * clock read, one atomic load of the pool's count of waiters and one of the endpoint's of openers inside the lock
 * (line.h says why there), one of the pool's next due time after it.
 */
#include "pool/release.h"

#include "base/cancel.h"
#include "base/fork.h"
#include "pool/carry.h"
#include "pool/collector.h"
#include "pool/dispose.h"
#include "pool/endpoints.h"
#include "pool/observe.h"
#include "pool/pool.h"
#include "pool/run.h"

/* ⌊log2(size + 1)⌋ + 1, as the reference. */
static size_t batch_by_size(uint64_t size)
{
    return (size_t)(63 - __builtin_clzll(size + 1)) + 1;
}

/* Doom what is due: at most the batch of one release, or everything. */
static size_t collect(struct connpool_pool *pool, int64_t now, bool everything, struct cp_connection_list *doomed)
{
    bool has_lingering;
    size_t batch;
    size_t count;

    cp_lock_take(&pool->lock);
    batch = pool->policy.dispose_batch_size != 0 ? pool->policy.dispose_batch_size : batch_by_size(pool->total);
    count = cp_due_collect(pool, now, everything ? SIZE_MAX : batch, doomed);
    has_lingering = !TAILQ_EMPTY(&pool->lingering);
    cp_lock_give(&pool->lock);
    if (has_lingering) {
        cp_endpoints_purge(pool, now);
    }
    if (pool->finds_leaks) {
        (void)cp_leak_sweep(pool, now);
    }
    return count;
}

size_t cp_release_collect(struct connpool_pool *pool, int64_t now)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    size_t count = collect(pool, now, true, &doomed);

    cp_dispose_all(pool, &doomed);
    return count;
}

/* After something was parked: the index of what is due, and whoever waits. */
static void parked(struct connpool_pool *pool, struct connpool_endpoint *endpoint, int64_t due)
{
    struct cp_wakes wakes = {.count = 0};
    bool is_earlier;

    cp_lock_take(&pool->lock);
    is_earlier = cp_line_parked(endpoint, due, &wakes);
    cp_lock_give(&pool->lock);
    cp_wakes_fire(&wakes);
    if (is_earlier && pool->policy.background_collector) {
        cp_collector_kick_of(pool->context);
    }
}

/* Whether the application still holds what the lease says; the endpoint's lock is held. */
static bool is_current(const connpool_lease *lease)
{
    return atomic_load_explicit(&lease->connection->generation, memory_order_relaxed) == lease->generation;
}

/* The lease is over; the endpoint's lock is held. */
static void end_lease(struct connpool_connection *connection)
{
    (void)cp_connection_next_generation(connection);
    cp_connection_endpoint(connection)->counters.released++;
}

void cp_release_settle(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct connpool_pool *pool = connection->pool;
    int64_t now = cp_clock_coarse(&pool->context->clock);
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct cp_wakes wakes = {.count = 0};
    connpool_reason reason;
    bool is_earlier = false;
    bool is_spent;
    int64_t due;

    cp_lock_take(&pool->lock);
    cp_lock_take(&endpoint->lock);
    is_spent = cp_endpoint_is_spent(connection, now, &reason);
    if (is_spent) {
        cp_endpoint_doom(connection, reason, true);
        TAILQ_INSERT_TAIL(&doomed, connection, link);
    }
    cp_lock_give(&endpoint->lock);
    if (!is_spent && !cp_line_hand_over(connection, &wakes)) {
        cp_lock_take(&endpoint->lock);
        due = connection->uses == 0 && endpoint->policy.prewarm ? cp_endpoint_park_ahead(connection, now, &doomed)
                                                                : cp_endpoint_park(connection, now);
        cp_lock_give(&endpoint->lock);
        is_earlier = cp_line_parked(endpoint, due, &wakes);
    }
    cp_lock_give(&pool->lock);
    cp_wakes_fire(&wakes);
    if (is_earlier && pool->policy.background_collector) {
        cp_collector_kick_of(pool->context);
    }
    cp_dispose_all(pool, &doomed);
}

bool cp_release_put_back_or_doom(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct connpool_pool *pool = connection->pool;
    int64_t now = cp_clock_coarse(&pool->context->clock);
    struct cp_wakes wakes = {.count = 0};
    connpool_reason reason;
    bool is_earlier = false;
    bool is_spent;
    int64_t due = CP_NEVER;

    cp_lock_take(&pool->lock);
    cp_lock_take(&endpoint->lock);
    is_spent = cp_endpoint_is_spent(connection, now, &reason);
    if (is_spent) {
        cp_endpoint_doom(connection, reason, true);
    } else {
        due = cp_endpoint_put_back(connection);
    }
    cp_lock_give(&endpoint->lock);
    if (is_spent) {
        cp_line_match(endpoint, &wakes); /* who waited for it, when a look is over, needs a slot now */
    } else {
        /* Unlocked, the connection is not ours, and connpool_close may free everything. */
        cp_context_ref(pool->context);
        is_earlier = cp_line_parked(endpoint, due, &wakes);
    }
    cp_lock_give(&pool->lock);
    cp_wakes_fire(&wakes);
    if (is_earlier && pool->policy.background_collector) {
        cp_collector_kick_of(pool->context);
    }
    if (!is_spent) {
        cp_context_unref(pool->context);
    }
    return !is_spent;
}

void cp_release_put_back(struct connpool_connection *connection)
{
    if (!cp_release_put_back_or_doom(connection)) {
        cp_dispose_cut(connection);
    }
}

/* What is to be done with a connection whose lease has ended. */
enum fate {
    FATE_STALE,  /* the lease was not current: nothing */
    FATE_PARKED, /* it is idle already */
    FATE_RESET,  /* reset, then settle (RESETTING) */
    FATE_END,    /* dispose of it (CLOSING) */
};

/* Under the endpoint's lock alone. may_park: nobody waits and there is nothing to reset. */
static enum fate decide(connpool_lease *lease, bool is_broken, bool may_park, int64_t now, int64_t *due)
{
    struct connpool_connection *connection = lease->connection;
    connpool_reason reason;

    if (!is_current(lease)) {
        return FATE_STALE;
    }
    end_lease(connection);
    if (is_broken) {
        cp_endpoint_doom(connection, CONNPOOL_REASON_DISCARDED, false);
        return FATE_END;
    }
    if (cp_endpoint_is_spent(connection, now, &reason)) {
        cp_endpoint_doom(connection, reason, true);
        return FATE_END;
    }
    if (!may_park) {
        cp_connection_set_state(connection, CP_RESETTING);
        return FATE_RESET;
    }
    *due = cp_endpoint_park(connection, now);
    return FATE_PARKED;
}

/* Whether there is more to do than the parking; the endpoint's lock is held. */
static bool has_more_to_do(const struct connpool_endpoint *endpoint, enum fate fate, int64_t due, int64_t now)
{
    const struct connpool_pool *pool = endpoint->pool;

    if (fate != FATE_PARKED) {
        return fate != FATE_STALE;
    }
    return due != CP_NEVER || cp_pool_has_waiters_for(endpoint) ||
           (!pool->policy.background_collector && atomic_load_explicit(&pool->next_due, memory_order_relaxed) <= now);
}

/* What is due on a release, where no collector closes it, and a connection that ends by this one: all share one limit.
 */
static void close_due(struct connpool_pool *pool, struct cp_connection_list *doomed)
{
    int64_t now = cp_clock_coarse(&pool->context->clock);

    if (!pool->policy.background_collector && atomic_load_explicit(&pool->next_due, memory_order_relaxed) <= now) {
        (void)collect(pool, now, false, doomed);
    }
    cp_dispose_all(pool, doomed);
}

static void observe(struct connpool_connection *connection)
{
    int64_t now = cp_clock_precise(&connection->pool->context->clock);
    int64_t began = connection->leased_at;

    connection->leased_at = 0;
    cp_observe_released(connection, began == 0 ? 0 : now - began); /* 0: nobody observed when it was leased */
}

/* The rest of a release, with a reference on the context held. */
static void finish(struct connpool_connection *connection, struct connpool_endpoint *endpoint, enum fate fate,
                   int64_t due)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct connpool_pool *pool = connection->pool;
    int cancel_state = cp_cancel_disable();

    if (fate == FATE_PARKED) {
        parked(pool, endpoint, due);
    } else if (pool->is_observed) {
        observe(connection);
    }
    if (fate != FATE_PARKED && pool->finds_leaks) {
        cp_leak_end(connection);
    }
    if (fate == FATE_RESET) {
        cp_carry_start(connection, CP_RESET);
    } else if (fate == FATE_END) {
        TAILQ_INSERT_TAIL(&doomed, connection, link);
    }
    close_due(pool, &doomed);
    cp_cancel_restore(cancel_state);
}

static connpool_status give_back(connpool_lease *lease, bool is_broken)
{
    struct connpool_connection *connection = lease->connection;
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct connpool_pool *pool = connection->pool;
    struct connpool *context = pool->context;
    int64_t now = cp_clock_coarse(&context->clock);
    bool may_park = pool->parks_at_once && !cp_pool_has_waiters_for(endpoint);
    int64_t due = CP_NEVER;
    enum fate fate;
    bool has_more;

    cp_lock_take(&endpoint->lock);
    fate = decide(lease, is_broken, may_park, now, &due);
    has_more = has_more_to_do(endpoint, fate, due, now);
    if (has_more) {
        /* Once unlocked, the connection is not ours and connpool_close may free everything. */
        cp_context_ref(context);
    }
    cp_lock_give(&endpoint->lock);
    lease->connection = NULL;
    if (has_more) {
        finish(connection, endpoint, fate, due);
        cp_context_unref(context);
    }
    return fate == FATE_STALE ? CONNPOOL_STALE : CONNPOOL_OK;
}

static connpool_status begin(connpool_lease *lease, bool is_broken)
{
    if (lease == NULL || lease->connection == NULL) {
        return CONNPOOL_STALE;
    }
    if (cp_pool_is_forked(lease->connection->pool)) {
        return CONNPOOL_FORKED;
    }
    return give_back(lease, is_broken);
}

connpool_status connpool_release(connpool_lease *lease)
{
    return begin(lease, false);
}

connpool_status connpool_discard(connpool_lease *lease)
{
    return begin(lease, true);
}
