/* SPDX-License-Identifier: MIT */
/* lane: see lane.h. */
#include "pool/lane.h"

#include <assert.h>

#include "pool/pool.h"

void cp_lanes_init(struct cp_lanes *lanes)
{
    TAILQ_INIT(&lanes->threads.waiters);
    LIST_INIT(&lanes->reactors);
    TAILQ_INIT(&lanes->calls);
}

void cp_lane_init(struct cp_lane *lane, struct connpool_pool *pool, struct cp_loop *loop, atomic_bool *was_passed_over)
{
    lane->loop = loop;
    lane->was_passed_over = was_passed_over;
    TAILQ_INIT(&lane->waiters);
    cp_lock_take(&pool->lock);
    LIST_INSERT_HEAD(&pool->lanes.reactors, lane, entry);
    cp_lock_give(&pool->lock);
}

void cp_lane_fini(struct cp_lane *lane, struct connpool_pool *pool)
{
    cp_lock_take(&pool->lock);
    assert(TAILQ_EMPTY(&lane->waiters) && lane->calls == 0);
    LIST_REMOVE(lane, entry);
    cp_lock_give(&pool->lock);
}

/* A call of another lane is looked at by then. */
static int64_t look_at(const struct cp_waiter *called)
{
    return called->called_at + 1 + CP_PATIENCE;
}

/* Somebody of this lane is the watch, and looks in time for the first call, which may have come before one that it
 * stands for; one of its own lane may hide another's behind it. It is told of that, and not woken in the sense of the
 * line: it may not take what there is a wake under way for to another. */
static void set_watch(struct cp_lane *lane, const struct cp_waiter *first, struct cp_wakes *wakes)
{
    if (lane->watch == NULL) {
        lane->watch = TAILQ_LAST(&lane->waiters, cp_lane_waiters);
    } else if (lane->watch_until <= look_at(first)) {
        return;
    }
    lane->watch_until = 0;
    if (lane->watch != NULL && lane->watch->state == CP_WAITER_WAITING) {
        cp_wakes_add(wakes, lane->watch);
    }
}

/* While there are calls: who sleeps must not go on sleeping because nobody answers them. */
static void set_watches(struct cp_lanes *lanes, struct cp_wakes *wakes)
{
    const struct cp_waiter *first = TAILQ_FIRST(&lanes->calls);
    struct cp_lane *lane;

    if (first == NULL) {
        return;
    }
    if (!TAILQ_EMPTY(&lanes->threads.waiters)) {
        set_watch(&lanes->threads, first, wakes);
        return;
    }
    LIST_FOREACH (lane, &lanes->reactors, entry) {
        if (lane->calls != lanes->call_count) {
            set_watch(lane, first, wakes);
        }
    }
}

void cp_lane_enter(struct connpool_pool *pool, struct cp_waiter *waiter)
{
    if (waiter->lane == NULL) {
        waiter->lane = &pool->lanes.threads;
    }
    TAILQ_INSERT_TAIL(&waiter->lane->waiters, waiter, in_lane);
}

void cp_lane_leave(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes)
{
    TAILQ_REMOVE(&waiter->lane->waiters, waiter, in_lane);
    if (waiter->lane->watch == waiter) {
        waiter->lane->watch = NULL;
        set_watches(&pool->lanes, wakes);
    }
}

void cp_lane_returned(struct connpool_pool *pool, struct cp_wakes *wakes)
{
    set_watches(&pool->lanes, wakes);
}

/* Before those that are to come later. */
static void insert_call(struct cp_lane_waiters *calls, struct cp_waiter *waiter)
{
    struct cp_waiter *before = TAILQ_LAST(calls, cp_lane_waiters);

    while (before != NULL && before->called_at > waiter->called_at) {
        before = TAILQ_PREV(before, cp_lane_waiters, called);
    }
    if (before == NULL) {
        TAILQ_INSERT_HEAD(calls, waiter, called);
    } else {
        TAILQ_INSERT_AFTER(calls, before, waiter, called);
    }
}

void cp_lane_expect(struct connpool_pool *pool, struct cp_waiter *waiter, int64_t at, struct cp_wakes *wakes)
{
    if (waiter->lane->loop == NULL) {
        return;
    }
    cp_lane_answer(pool, waiter);
    waiter->called_at = at;
    insert_call(&pool->lanes.calls, waiter);
    pool->lanes.call_count++;
    waiter->lane->calls++;
    set_watches(&pool->lanes, wakes);
}

void cp_lane_called(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes)
{
    if (waiter->lane->loop != NULL) {
        cp_lane_expect(pool, waiter, cp_clock_precise(&pool->context->clock), wakes);
    }
}

void cp_lane_answer(struct connpool_pool *pool, struct cp_waiter *waiter)
{
    if (waiter->called_at != 0) {
        waiter->called_at = 0;
        TAILQ_REMOVE(&pool->lanes.calls, waiter, called);
        pool->lanes.call_count--;
        waiter->lane->calls--;
    }
}

struct cp_waiter *cp_lane_overdue(const struct connpool_pool *pool, const struct cp_lane *by, int64_t now)
{
    struct cp_waiter *first = TAILQ_FIRST(&pool->lanes.calls);

    return first != NULL && first->lane != by && now - first->called_at > CP_PATIENCE ? first : NULL;
}

int64_t cp_lane_watch_until(struct connpool_pool *pool, struct cp_waiter *waiter)
{
    struct cp_lane *lane = waiter->lane;
    const struct cp_waiter *first = TAILQ_FIRST(&pool->lanes.calls);
    int64_t now;

    if (lane->calls == pool->lanes.call_count) {
        lane->watch = lane->watch == waiter ? NULL : lane->watch;
        return 0;
    }
    if (lane->watch == NULL) {
        lane->watch = waiter;
    }
    if (lane->watch != waiter) {
        return 0;
    }
    if (first->lane != lane) {
        lane->watch_until = look_at(first);
    } else {
        /* Its own reactor's calls are answered soon, since it runs; those behind them are looked at again. */
        now = cp_clock_precise(&pool->context->clock);
        lane->watch_until = (first->called_at > now ? first->called_at : now) + CP_PATIENCE;
    }
    return lane->watch_until;
}
