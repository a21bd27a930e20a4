/* SPDX-License-Identifier: MIT */
/*
 * acquire_search: the phase SEARCH: an idle connection; else a slot; else a place in line, and another look before the
 * sleep. Where only busy connections were seen, they are looked after meanwhile. An opener, in the phase OPEN, looks
 * and stands in line in the same way, but for a slot.
 */
#include "base/error.h"
#include "pool/acquire_busy.h"
#include "pool/acquire_error.h"
#include "pool/acquire_phase.h"
#include "pool/local_check.h"
#include "pool/run.h"
#include "pool/verdict.h"

/* Several busy connections are put aside, but a wait knows one descriptor: the others are looked at this often. */
#define LOOK_AT_BUSY (50 * CP_MILLISECOND)

/* What a look under the pool's lock found. */
enum finding {
    FOUND_NOTHING,
    FOUND_IDLE,  /* acquire->connection */
    FOUND_SLOT,  /* acquire->reserved, and perhaps a victim */
    FOUND_GRANT, /* the same, or acquire->connection: the waiter was given it */
    FOUND_CLOSED,
    FOUND_HELD, /* connects are held down everywhere: the error is set */
    FOUND_OVERLOAD
};

/* An idle connection of one of the endpoints, leased if it needs nothing. */
static bool look_for_idle(struct cp_acquire *acquire, int64_t now, struct cp_connection_list *doomed)
{
    for (size_t i = 0; i < acquire->count && acquire->connection == NULL; i++) {
        if (!cp_acquire_is_excluded(acquire, i)) {
            acquire->connection =
                cp_endpoint_take(acquire->endpoints[i], now, &acquire->lease, &acquire->needs, doomed);
        }
    }
    return acquire->connection != NULL;
}

bool cp_acquire_take_idle(struct cp_acquire *acquire, int64_t now)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    bool is_found = look_for_idle(acquire, now, &doomed);

    cp_verdict_doomed(&doomed);
    return is_found;
}

enum cp_course cp_acquire_use_idle(struct cp_acquire *acquire)
{
    acquire->is_new = false;
    return acquire->needs == 0 ? cp_acquire_end(acquire, CONNPOOL_OK) : cp_acquire_go_on(acquire, CP_ACQUIRE_LOCAL);
}

/* The watch has a connection in hand, for less than it takes to open another; then it wakes who waits. */
static bool is_looked_at(const struct cp_acquire *acquire)
{
    for (size_t i = 0; i < acquire->count; i++) {
        if (!cp_acquire_is_excluded(acquire, i) && cp_endpoint_is_looked_at(acquire->endpoints[i])) {
            return true;
        }
    }
    return false;
}

/* No open may be started there before a time: it looks again then. Where acquires retry, only the first does. */
static void note_wait(const struct cp_acquire *acquire, const struct connpool_endpoint *endpoint, int64_t until,
                      int64_t *at)
{
    if (until != CP_NEVER && (!endpoint->policy.retry || cp_line_is_first(endpoint, &acquire->waiter))) {
        *at = cp_time_earlier(*at, until);
    }
}

/* A slot of one of the endpoints; the earliest time at which one may be asked again goes to *at. */
static enum finding find_slot(struct cp_acquire *acquire, int64_t now, int64_t *at)
{
    if (acquire->opening != NULL) {
        return FOUND_NOTHING;
    }
    for (size_t i = 0; i < acquire->count; i++) {
        struct connpool_endpoint *endpoint = acquire->endpoints[i];
        int64_t until;

        if (cp_acquire_is_excluded(acquire, i)) {
            continue;
        }
        until = cp_recovery_wait(endpoint, now);
        if (endpoint->size < endpoint->policy.max_size && cp_acquire_has_no_hope(acquire, endpoint, now)) {
            cp_acquire_exclude(acquire, endpoint);
        } else if (until != 0) {
            note_wait(acquire, endpoint, until, at);
        } else if (cp_line_reserve(endpoint, &acquire->victim) != CP_NOT_RESERVED) {
            acquire->reserved = endpoint;
            return FOUND_SLOT;
        }
    }
    return cp_acquire_is_all_excluded(acquire) ? FOUND_HELD : FOUND_NOTHING;
}

/* Whether every line is full for one more. Who returns to its place, opens, or has a busy connection to look after, is
 * not one more. */
static bool is_overloaded(const struct cp_acquire *acquire)
{
    if (acquire->waiter.sequence != 0 || acquire->opening != NULL || !TAILQ_EMPTY(&acquire->skipped)) {
        return false;
    }
    for (size_t i = 0; i < acquire->count; i++) {
        const struct connpool_endpoint *endpoint = acquire->endpoints[i];

        if (!cp_acquire_is_excluded(acquire, i) &&
            (endpoint->policy.max_waiters == 0 || endpoint->waiters < endpoint->policy.max_waiters)) {
            return false;
        }
    }
    return true;
}

static bool has_place(const struct cp_waiter *waiter, const struct connpool_endpoint *endpoint)
{
    for (size_t i = 0; i < waiter->count; i++) {
        if (waiter->places[i].endpoint == endpoint) {
            return true;
        }
    }
    return false;
}

/* One place at each endpoint that is still asked: at another one it would hold up those behind it. */
static void enter_line(struct cp_acquire *acquire)
{
    struct cp_waiter *waiter = &acquire->waiter;

    waiter->is_opener = acquire->opening != NULL;
    waiter->count = 0;
    for (size_t i = 0; i < acquire->count; i++) {
        if (!cp_acquire_is_excluded(acquire, i) && !has_place(waiter, acquire->endpoints[i])) {
            waiter->places[waiter->count++].endpoint = acquire->endpoints[i];
        }
    }
    cp_line_enter(acquire->pool, waiter);
}

/* The watch of its lane (lane.h), or an opener, that nobody woke: what there is is for those that were woken. */
static bool is_asleep(const struct cp_acquire *acquire, int64_t now)
{
    const struct cp_waiter *waiter = &acquire->waiter;

    return waiter->state == CP_WAITER_WAITING && (waiter->is_opener || waiter->lane->watch == waiter) &&
           waiter->looks_at == 0 && acquire->deadline > now;
}

static enum finding watch(struct cp_acquire *acquire, int64_t *at, struct cp_connection_list *doomed,
                          struct cp_wakes *wakes)
{
    cp_line_take_back(acquire->pool, acquire->waiter.lane, doomed, wakes);
    if (cp_line_is_standing(&acquire->waiter)) { /* else it was granted what was taken back, and is woken */
        *at = cp_time_earlier(*at, cp_lane_watch_until(acquire->pool, &acquire->waiter));
    }
    return FOUND_NOTHING;
}

/* Look with a place in line, for idle connections first; line.h says why in this order. */
static enum finding look_in_line(struct cp_acquire *acquire, int64_t now, int64_t *at,
                                 struct cp_connection_list *doomed, struct cp_wakes *wakes)
{
    struct cp_waiter *waiter = &acquire->waiter;
    uint64_t excluded = acquire->excluded;
    enum finding finding = FOUND_NOTHING;

    if (look_for_idle(acquire, now, doomed)) {
        finding = FOUND_IDLE;
    } else if (!is_looked_at(acquire)) {
        finding = find_slot(acquire, now, at);
    }
    if (finding == FOUND_NOTHING && acquire->deadline > now) {
        if (acquire->excluded != excluded) {
            cp_line_leave(acquire->pool, waiter, wakes);
            enter_line(acquire);
        }
        waiter->looks_at = *at;
        if (*at != 0) {
            cp_lane_expect(acquire->pool, waiter, *at, wakes);
        }
        waiter->state = CP_WAITER_WAITING;
        acquire->is_in_line = true;
        finding = watch(acquire, at, doomed, wakes);
    } else {
        cp_line_leave(acquire->pool, waiter, wakes);
        acquire->is_in_line = false;
    }
    return finding;
}

/* Take over what the waiter was given; a connection was released just now. The pool's lock is held. */
static enum finding accept_grant(struct cp_acquire *acquire)
{
    struct cp_waiter *waiter = &acquire->waiter;

    acquire->needs = (acquire->pool->needs & ~CP_NEEDS_CHECK) | CP_NEEDS_PREPARE;
    waiter->state = CP_WAITER_OUT;
    acquire->is_in_line = false;
    acquire->connection = waiter->connection;
    acquire->victim = waiter->victim;
    acquire->reserved = waiter->connection == NULL ? waiter->endpoint : NULL;
    waiter->connection = NULL;
    waiter->victim = NULL;
    return FOUND_GRANT;
}

/* The pool's lock is held. */
static enum finding look(struct cp_acquire *acquire, int64_t now, int64_t *at, struct cp_connection_list *doomed,
                         struct cp_wakes *wakes)
{
    struct cp_waiter *waiter = &acquire->waiter;
    enum finding finding;

    cp_lane_answer(acquire->pool, waiter);
    if (waiter->state == CP_WAITER_GRANTED) {
        return accept_grant(acquire);
    }
    if (acquire->pool->is_closing) {
        if (cp_line_is_standing(waiter)) {
            cp_line_leave(acquire->pool, waiter, wakes);
        }
        acquire->is_in_line = false;
        return FOUND_CLOSED;
    }
    if (is_asleep(acquire, now)) {
        return watch(acquire, at, doomed, wakes);
    }
    if (waiter->state == CP_WAITER_OUT) {
        if (is_overloaded(acquire)) {
            finding = find_slot(acquire, now, at);
            if (finding == FOUND_SLOT) {
                cp_line_match(acquire->reserved, wakes); /* a wake may be under way to who could have used it */
            }
            return finding == FOUND_NOTHING ? FOUND_OVERLOAD : finding;
        }
        enter_line(acquire);
    }
    return look_in_line(acquire, now, at, doomed, wakes);
}

void cp_acquire_leave_line(struct cp_acquire *acquire)
{
    struct cp_waiter *waiter = &acquire->waiter;
    struct cp_wakes wakes = {.count = 0};

    cp_lock_take(&acquire->pool->lock);
    cp_lane_answer(acquire->pool, waiter);
    if (waiter->state == CP_WAITER_GRANTED) {
        (void)accept_grant(acquire);
    } else if (cp_line_is_standing(waiter)) {
        cp_line_leave(acquire->pool, waiter, &wakes);
    }
    acquire->is_in_line = false;
    cp_lock_give(&acquire->pool->lock);
    cp_wakes_fire(&wakes);
}

/* A busy connection is free again: it is taken, unless something was granted before. */
static enum cp_course use_busy(struct cp_acquire *acquire, struct connpool_connection *connection,
                               const struct connpool_wait *wait)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct cp_wakes wakes = {.count = 0};
    bool is_free;

    cp_lock_take(&acquire->pool->lock);
    is_free = cp_line_is_standing(&acquire->waiter);
    if (is_free) {
        cp_line_leave(acquire->pool, &acquire->waiter, &wakes);
        acquire->is_in_line = false;
    }
    cp_lock_give(&acquire->pool->lock);
    cp_wakes_fire(&wakes);
    if (!is_free) {
        return CP_GO_ON;
    }
    TAILQ_REMOVE(&acquire->skipped, connection, link);
    acquire->connection = connection;
    acquire->is_new = false;
    cp_lock_take(&endpoint->lock);
    acquire->needs = cp_endpoint_needs(connection, wait->now);
    cp_lock_give(&endpoint->lock);
    return cp_acquire_alive(acquire, wait);
}

static void end_dead(struct cp_acquire *acquire, struct connpool_connection *connection)
{
    TAILQ_REMOVE(&acquire->skipped, connection, link);
    cp_verdict_dead(connection);
}

/* A look at the busy connections that were put aside, all but the one that is waited for. STAND: none is of use yet. */
static enum cp_course look_at_busy(struct cp_acquire *acquire, const struct connpool_wait *wait,
                                   const struct connpool_connection *first)
{
    struct connpool_connection *other;
    struct connpool_connection *next;

    TAILQ_FOREACH_SAFE (other, &acquire->skipped, link, next) {
        enum cp_local_check found = other == first ? CP_LOCAL_BUSY : cp_local_check(other, wait->now);

        if (found == CP_LOCAL_ALIVE) {
            return use_busy(acquire, other, wait);
        }
        if (found == CP_LOCAL_DEAD) {
            end_dead(acquire, other);
        }
    }
    return CP_STAND;
}

/* The wait is for the open: busy connections are only looked at. */
static enum cp_course look_while_opening(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    enum cp_course course = look_at_busy(acquire, wait, NULL);

    if (course == CP_STAND && !TAILQ_EMPTY(&acquire->skipped)) {
        wait->at = cp_time_earlier(wait->at, cp_time_add(wait->now, LOOK_AT_BUSY));
    }
    return course;
}

/* One step of idle for the first of the busy connections, which says what to wait for, a look at the others. */
static enum cp_course look_after_busy(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct connpool_connection *first = TAILQ_FIRST(&acquire->skipped);
    enum cp_course course = look_at_busy(acquire, wait, first);
    int32_t result;

    if (course != CP_STAND) {
        return course;
    }
    result = cp_run_step(first, wait, &acquire->operation);
    if (result < 0) {
        end_dead(acquire, first);
        return CP_GO_ON;
    }
    if (result == CONNPOOL_STEP_DONE || (wait->flags & CONNPOOL_WAIT_BUSY) == 0) {
        return use_busy(acquire, first, wait);
    }
    if (TAILQ_NEXT(first, link) != NULL) {
        wait->at = cp_time_earlier(wait->at, cp_time_add(wait->now, LOOK_AT_BUSY));
    }
    return CP_STAND;
}

/* What else the sleep in line is for: the open, or a busy connection. */
static enum cp_course look_aside(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (acquire->opening != NULL) {
        return look_while_opening(acquire, wait);
    }
    if (!TAILQ_EMPTY(&acquire->skipped)) {
        return look_after_busy(acquire, wait);
    }
    cp_wait_init(wait, wait->now, 0, 0);
    return CP_STAND;
}

/* Nothing to be had now. */
static enum cp_course sleep_in_line(struct cp_acquire *acquire, struct connpool_wait *wait, int64_t at)
{
    enum cp_course course;

    if (cp_acquire_is_late(acquire, wait)) {
        return cp_acquire_end_with_time(acquire);
    }
    course = look_aside(acquire, wait);
    if (course != CP_STAND) {
        return course;
    }
    acquire->has_waited = acquire->has_waited || acquire->opening == NULL;
    wait->flags |= CONNPOOL_WAIT_WAKE;
    wait->at = cp_time_earlier(wait->at, at);
    return cp_acquire_stand(acquire, wait);
}

static enum cp_course go_on_with_grant(struct cp_acquire *acquire)
{
    return acquire->connection == NULL ? cp_acquire_go_on(acquire, CP_ACQUIRE_EVICT) : cp_acquire_use_idle(acquire);
}

enum cp_course cp_acquire_seek(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct cp_wakes wakes = {.count = 0};
    enum finding finding;
    int64_t at = 0;

    if (acquire->waiter.waker == NULL && (acquire->waiter.waker = cp_operation_waker(&acquire->operation)) == NULL) {
        return cp_acquire_end(acquire, cp_error_no_memory(&acquire->error, acquire->pool->name));
    }
    cp_lock_take(&acquire->pool->lock);
    finding = look(acquire, wait->now, &at, &doomed, &wakes);
    cp_lock_give(&acquire->pool->lock);
    cp_wakes_fire(&wakes);
    cp_verdict_doomed(&doomed);
    switch (finding) {
    case FOUND_IDLE:
        return cp_acquire_use_idle(acquire);
    case FOUND_SLOT:
        return cp_acquire_go_on(acquire, CP_ACQUIRE_EVICT);
    case FOUND_GRANT:
        return go_on_with_grant(acquire);
    case FOUND_CLOSED:
        return cp_acquire_end_closed(acquire);
    case FOUND_HELD:
        return cp_acquire_end(acquire, CONNPOOL_FAILED);
    case FOUND_OVERLOAD:
        cp_acquire_error_overloaded(acquire);
        return cp_acquire_end(acquire, CONNPOOL_OVERLOADED);
    default:
        return sleep_in_line(acquire, wait, at);
    }
}

/* Nothing that needs no round trip: none is there, or none is given any more. */
static enum cp_course end_try(struct cp_acquire *acquire)
{
    return atomic_load(&acquire->pool->context->is_closing) ? cp_acquire_end_closed(acquire)
                                                            : cp_acquire_end_with_time(acquire);
}

enum cp_course cp_acquire_search(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (acquire->is_in_line) {
        return cp_acquire_seek(acquire, wait);
    }
    if (cp_acquire_take_idle(acquire, wait->now)) {
        return cp_acquire_use_idle(acquire);
    }
    return cp_acquire_is_try(acquire) ? end_try(acquire) : cp_acquire_seek(acquire, wait);
}
