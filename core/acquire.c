/* SPDX-License-Identifier: MIT */
/* acquire: see acquire.h. */
#include "acquire.h"

#include <string.h>

#include "acquire_busy.h"
#include "acquire_error.h"
#include "carry.h"
#include "dispose.h"
#include "endpoints.h"
#include "error.h"
#include "local_check.h"
#include "release.h"
#include "run.h"
#include "verdict.h"

/* What a phase says. */
enum course {
    GO_ON, /* with what acquire->phase says now */
    STAND, /* the wait says what for */
    END    /* status, lease and error are set */
};

static struct cp_acquire *acquire_of(struct cp_operation *operation)
{
    return (struct cp_acquire *)((char *)operation - offsetof(struct cp_acquire, operation));
}

static bool is_try(const struct cp_acquire *acquire)
{
    return acquire->deadline == 0;
}

static enum course go_on(struct cp_acquire *acquire, enum cp_acquire_phase phase)
{
    acquire->phase = phase;
    return GO_ON;
}

/* Connections that were looked at and not taken are idle again. */
static void put_back_skipped(struct cp_acquire *acquire)
{
    struct connpool_connection *connection;

    while ((connection = TAILQ_FIRST(&acquire->skipped)) != NULL) {
        TAILQ_REMOVE(&acquire->skipped, connection, link);
        cp_release_settle(connection);
    }
}

static enum course end(struct cp_acquire *acquire, connpool_status status)
{
    acquire->connection = NULL;
    cp_acquire_busy_leave(acquire);
    put_back_skipped(acquire);
    acquire->status = status;
    return END;
}

static enum course end_with_time(struct cp_acquire *acquire)
{
    cp_acquire_error_timed_out(acquire);
    return end(acquire, CONNPOOL_TIMED_OUT);
}

/* The wait that a phase answered, to end by the deadline too. */
static enum course stand(const struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (acquire->deadline != CP_NEVER) {
        wait->at = cp_time_earlier(wait->at, acquire->deadline);
    }
    return STAND;
}

static bool is_late(const struct cp_acquire *acquire, const struct connpool_wait *wait)
{
    return acquire->deadline <= wait->now;
}

static enum course end_closed(struct cp_acquire *acquire)
{
    (void)cp_error_set(&acquire->error, CONNPOOL_CLOSED, 0, "pool '%s' is closed", acquire->pool->name);
    return end(acquire, CONNPOOL_CLOSED);
}

/* ---- SEARCH ---- */

static bool is_excluded(const struct cp_acquire *acquire, size_t index)
{
    return (acquire->excluded >> index & 1) != 0;
}

static void exclude(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint)
{
    for (size_t i = 0; i < acquire->count; i++) {
        if (acquire->endpoints[i] == endpoint) {
            acquire->excluded |= UINT64_C(1) << i;
        }
    }
}

static bool is_all_excluded(const struct cp_acquire *acquire)
{
    for (size_t i = 0; i < acquire->count; i++) {
        if (!is_excluded(acquire, i)) {
            return false;
        }
    }
    return true;
}

/* An idle connection of one of the endpoints, leased if it needs nothing. */
static bool take_idle(struct cp_acquire *acquire, int64_t now, struct cp_connection_list *doomed)
{
    for (size_t i = 0; i < acquire->count && acquire->connection == NULL; i++) {
        if (!is_excluded(acquire, i)) {
            acquire->connection =
                cp_endpoint_take(acquire->endpoints[i], now, &acquire->lease, &acquire->needs, doomed);
        }
    }
    return acquire->connection != NULL;
}

static enum course go_on_with_idle(struct cp_acquire *acquire)
{
    return acquire->needs == 0 ? end(acquire, CONNPOOL_OK) : go_on(acquire, CP_ACQUIRE_LOCAL);
}

/* What a look under the pool's lock found. */
enum finding {
    FOUND_NOTHING,
    FOUND_IDLE,  /* acquire->connection */
    FOUND_SLOT,  /* acquire->reserved, and perhaps a victim */
    FOUND_GRANT, /* the waiter holds what it was given */
    FOUND_CLOSED,
    FOUND_HELD, /* connects are held down everywhere: the error is set */
    FOUND_OVERLOAD
};

/* A slot of one of the endpoints; the earliest time at which a blocked one may open again goes to *at. */
static enum finding find_slot(struct cp_acquire *acquire, int64_t now, int64_t *at)
{
    for (size_t i = 0; i < acquire->count; i++) {
        struct connpool_endpoint *endpoint = acquire->endpoints[i];

        if (is_excluded(acquire, i)) {
            continue;
        }
        if (endpoint->held_until > now && endpoint->size < endpoint->policy.max_size) {
            cp_acquire_error_held(acquire, endpoint);
            exclude(acquire, endpoint);
        } else if (endpoint->blocked_until > now) {
            *at = cp_time_earlier(*at, endpoint->blocked_until);
        } else if (cp_line_reserve(endpoint, &acquire->victim) != CP_NOT_RESERVED) {
            acquire->reserved = endpoint;
            return FOUND_SLOT;
        }
    }
    return is_all_excluded(acquire) ? FOUND_HELD : FOUND_NOTHING;
}

/* Whether every line is full for one more. */
static bool is_overloaded(const struct cp_acquire *acquire)
{
    for (size_t i = 0; i < acquire->count; i++) {
        const struct connpool_endpoint *endpoint = acquire->endpoints[i];

        if (!is_excluded(acquire, i) &&
            (endpoint->policy.max_waiters == 0 || endpoint->waiters < endpoint->policy.max_waiters)) {
            return false;
        }
    }
    return true;
}

/* A place at each endpoint that is still asked: at another one it would hold up those behind it. */
static void enter_line(struct cp_acquire *acquire)
{
    struct cp_waiter *waiter = &acquire->waiter;

    waiter->count = 0;
    for (size_t i = 0; i < acquire->count; i++) {
        if (!is_excluded(acquire, i)) {
            waiter->places[waiter->count++].endpoint = acquire->endpoints[i];
        }
    }
    cp_line_enter(acquire->pool, waiter);
}

/* Look with a place in line, for idle connections first; line.h says why in this order. */
static enum finding look_in_line(struct cp_acquire *acquire, int64_t now, int64_t *at,
                                 struct cp_connection_list *doomed, struct cp_wakes *wakes)
{
    struct cp_waiter *waiter = &acquire->waiter;
    uint64_t excluded = acquire->excluded;
    enum finding finding = take_idle(acquire, now, doomed) ? FOUND_IDLE : find_slot(acquire, now, at);

    /* A busy connection that was skipped is better than none: its exchange is driven instead of a sleep. */
    if (finding == FOUND_NOTHING && acquire->deadline > now && TAILQ_EMPTY(&acquire->skipped)) {
        if (acquire->excluded != excluded) {
            cp_line_leave(acquire->pool, waiter, wakes);
            enter_line(acquire);
        }
        waiter->state = CP_WAITER_WAITING;
        acquire->is_in_line = true;
    } else {
        cp_line_leave(acquire->pool, waiter, wakes);
        acquire->is_in_line = false;
    }
    return finding;
}

/* Still in line: neither granted nor told that the context closes. The pool's lock is held. */
static bool is_standing(const struct cp_waiter *waiter)
{
    return waiter->state == CP_WAITER_WAITING || waiter->state == CP_WAITER_WOKEN;
}

/* The pool's lock is held. */
static enum finding look(struct cp_acquire *acquire, int64_t now, int64_t *at, struct cp_connection_list *doomed,
                         struct cp_wakes *wakes)
{
    struct cp_waiter *waiter = &acquire->waiter;
    enum finding finding;

    if (waiter->state == CP_WAITER_GRANTED) {
        waiter->state = CP_WAITER_OUT;
        acquire->is_in_line = false;
        return FOUND_GRANT;
    }
    if (acquire->pool->is_closing) {
        if (is_standing(waiter)) {
            cp_line_leave(acquire->pool, waiter, wakes);
        }
        acquire->is_in_line = false;
        return FOUND_CLOSED;
    }
    if (waiter->state == CP_WAITER_OUT) {
        if (is_overloaded(acquire)) {
            finding = find_slot(acquire, now, at);
            return finding == FOUND_NOTHING ? FOUND_OVERLOAD : finding;
        }
        enter_line(acquire);
    }
    return look_in_line(acquire, now, at, doomed, wakes);
}

/* What was handed over: a connection of one of the endpoints, or a slot, its present holder still to be ended. */
static enum course accept_grant(struct cp_acquire *acquire)
{
    struct cp_waiter *waiter = &acquire->waiter;

    acquire->connection = waiter->connection;
    acquire->victim = waiter->victim;
    waiter->connection = NULL;
    waiter->victim = NULL;
    if (acquire->connection != NULL) {
        acquire->needs = acquire->pool->needs & ~CP_NEEDS_CHECK;
        return go_on(acquire, CP_ACQUIRE_LOCAL);
    }
    acquire->reserved = waiter->endpoint;
    return go_on(acquire, CP_ACQUIRE_EVICT);
}

/* Nothing to be had now. */
static enum course sleep_or_help(struct cp_acquire *acquire, struct connpool_wait *wait, int64_t at)
{
    if (is_late(acquire, wait)) {
        return end_with_time(acquire);
    }
    if (!acquire->is_in_line) {
        acquire->connection = TAILQ_FIRST(&acquire->skipped);
        TAILQ_REMOVE(&acquire->skipped, acquire->connection, link);
        cp_run_start(acquire->connection, CP_IDLE, wait->now);
        return go_on(acquire, CP_ACQUIRE_IDLE);
    }
    acquire->has_waited = true;
    cp_wait_init(wait, wait->now, 0, 0);
    wait->flags = CONNPOOL_WAIT_WAKE;
    wait->at = at;
    return stand(acquire, wait);
}

static enum course seek(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct cp_wakes wakes = {.count = 0};
    enum finding finding;
    int64_t at = 0;

    if (acquire->waiter.waker == NULL && (acquire->waiter.waker = cp_operation_waker(&acquire->operation)) == NULL) {
        return end(acquire, cp_error_no_memory(&acquire->error, acquire->pool->name));
    }
    cp_lock_take(&acquire->pool->lock);
    finding = look(acquire, wait->now, &at, &doomed, &wakes);
    cp_lock_give(&acquire->pool->lock);
    cp_wakes_fire(&wakes);
    cp_verdict_doomed(&doomed);
    switch (finding) {
    case FOUND_IDLE:
        return go_on_with_idle(acquire);
    case FOUND_SLOT:
        return go_on(acquire, CP_ACQUIRE_EVICT);
    case FOUND_GRANT:
        return accept_grant(acquire);
    case FOUND_CLOSED:
        return end_closed(acquire);
    case FOUND_HELD:
        return end(acquire, CONNPOOL_FAILED);
    case FOUND_OVERLOAD:
        cp_acquire_error_overloaded(acquire);
        return end(acquire, CONNPOOL_OVERLOADED);
    default:
        return sleep_or_help(acquire, wait, at);
    }
}

/* Nothing that needs no round trip: none is there, or none is given any more. */
static enum course end_try(struct cp_acquire *acquire)
{
    return atomic_load(&acquire->pool->context->is_closing) ? end_closed(acquire) : end_with_time(acquire);
}

static enum course search(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    bool is_found;

    if (acquire->is_in_line) {
        return seek(acquire, wait);
    }
    is_found = take_idle(acquire, wait->now, &doomed);
    cp_verdict_doomed(&doomed);
    if (is_found) {
        return go_on_with_idle(acquire);
    }
    return is_try(acquire) ? end_try(acquire) : seek(acquire, wait);
}

/* ---- A connection's own operation ---- */

/* The caller's time is up: the operation goes on without us where somebody can drive it, and the connection feeds the
 * pool; else it ends, without a verdict. */
static enum course leave(struct cp_acquire *acquire)
{
    struct connpool_connection *connection = acquire->connection;

    acquire->connection = NULL;
    cp_acquire_error_timed_out(acquire);
    if (!cp_carry_elsewhere(connection)) {
        cp_verdict_abandoned(connection);
    }
    return end(acquire, CONNPOOL_TIMED_OUT);
}

/* The context closes: nobody wants the connection any more. */
static enum course leave_closed(struct cp_acquire *acquire)
{
    struct connpool_connection *connection = acquire->connection;

    acquire->connection = NULL;
    cp_verdict_abandoned(connection);
    return end_closed(acquire);
}

/* The operation is not done: sleep on it, or leave it. */
static enum course stand_by(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (is_late(acquire, wait)) {
        return leave(acquire);
    }
    if (acquire->waiter.waker == NULL) {
        acquire->waiter.waker = cp_operation_waker(&acquire->operation);
    }
    if (acquire->waiter.waker != NULL) {
        if (!cp_acquire_busy_enter(acquire) || atomic_load(&acquire->pool->context->is_closing)) {
            return leave_closed(acquire);
        }
        wait->flags |= CONNPOOL_WAIT_WAKE;
    }
    return stand(acquire, wait);
}

/* ---- LOCAL, IDLE, CHECK: is an idle connection alive? ---- */

static enum course skip(struct cp_acquire *acquire)
{
    TAILQ_INSERT_TAIL(&acquire->skipped, acquire->connection, link);
    acquire->connection = NULL;
    return go_on(acquire, CP_ACQUIRE_SEARCH);
}

static enum course dead(struct cp_acquire *acquire)
{
    struct connpool_connection *connection = acquire->connection;

    acquire->connection = NULL;
    cp_verdict_dead(connection);
    return go_on(acquire, CP_ACQUIRE_SEARCH);
}

static enum course start(struct cp_acquire *acquire, enum cp_acquire_phase phase, enum cp_kind kind,
                         const struct connpool_wait *wait)
{
    cp_run_start(acquire->connection, kind, wait->now);
    return go_on(acquire, phase);
}

static enum course alive(struct cp_acquire *acquire, const struct connpool_wait *wait)
{
    if ((acquire->needs & CP_NEEDS_CHECK) == 0) {
        return start(acquire, CP_ACQUIRE_PREPARE, CP_PREPARE, wait);
    }
    return is_try(acquire) ? skip(acquire) : start(acquire, CP_ACQUIRE_CHECK, CP_CHECK, wait);
}

static enum course check_locally(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (cp_run_is_blocking(acquire->connection, CP_IDLE)) {
        return is_try(acquire) ? skip(acquire) : start(acquire, CP_ACQUIRE_IDLE, CP_IDLE, wait);
    }
    switch (cp_local_check(acquire->connection, wait->now)) {
    case CP_LOCAL_DEAD:
        return dead(acquire);
    case CP_LOCAL_BUSY:
        return skip(acquire);
    default:
        return alive(acquire, wait);
    }
}

static enum course drive_idle(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct connpool_connection *connection = acquire->connection;
    int32_t result = cp_run_step(connection, wait, &acquire->operation);

    if (result < 0) {
        return dead(acquire);
    }
    if (connection->blocking != NULL) {
        return stand_by(acquire, wait);
    }
    if (result == CONNPOOL_STEP_DONE || (wait->flags & CONNPOOL_WAIT_BUSY) == 0) {
        connection->idle_fd = result == CONNPOOL_STEP_DONE ? -1 : wait->fd;
        connection->idle_events = wait->events;
        return alive(acquire, wait);
    }
    if (!is_late(acquire, wait)) {
        return stand_by(acquire, wait);
    }
    acquire->connection = NULL;
    cp_release_settle(connection);
    return end_with_time(acquire);
}

static enum course check(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    int32_t result = cp_run_step(acquire->connection, wait, &acquire->operation);

    if (result == CONNPOOL_STEP_AGAIN) {
        return stand_by(acquire, wait);
    }
    return result < 0 ? dead(acquire) : start(acquire, CP_ACQUIRE_PREPARE, CP_PREPARE, wait);
}

/* ---- EVICT, OPEN: a new connection ---- */

static void give_slot_back(struct cp_acquire *acquire)
{
    struct cp_wakes wakes = {.count = 0};

    cp_lock_take(&acquire->pool->lock);
    cp_line_unreserve(acquire->reserved, &wakes);
    cp_lock_give(&acquire->pool->lock);
    acquire->reserved = NULL;
    cp_wakes_fire(&wakes);
}

static enum course evict(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct connpool_endpoint *endpoint = acquire->reserved;
    struct connpool_connection *victim = acquire->victim;

    acquire->victim = NULL;
    if (victim != NULL) {
        cp_dispose_cut_keep_slot(victim);
    }
    acquire->connection = cp_connection_new(endpoint);
    if (acquire->connection == NULL) {
        give_slot_back(acquire);
        return end(acquire, cp_error_no_memory(&acquire->error, acquire->pool->name));
    }
    acquire->reserved = NULL;
    cp_lock_take(&endpoint->lock);
    cp_connection_set_state(acquire->connection, CP_OPENING);
    cp_lock_give(&endpoint->lock);
    if (acquire->pool->is_observed) {
        acquire->connection->opened_at = cp_clock_precise(&acquire->pool->context->clock);
    }
    return start(acquire, CP_ACQUIRE_OPEN, CP_OPEN, wait);
}

static enum course open_failed(struct cp_acquire *acquire)
{
    struct connpool_connection *connection = acquire->connection;
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    acquire->connection = NULL;
    cp_acquire_error_failed(acquire, connection);
    if (cp_verdict_open_failed(connection)) {
        return go_on(acquire, CP_ACQUIRE_SEARCH);
    }
    exclude(acquire, endpoint);
    return is_all_excluded(acquire) ? end(acquire, CONNPOOL_FAILED) : go_on(acquire, CP_ACQUIRE_SEARCH);
}

static enum course open(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    int32_t result = cp_run_step(acquire->connection, wait, &acquire->operation);

    if (result == CONNPOOL_STEP_AGAIN) {
        return stand_by(acquire, wait);
    }
    if (result < 0) {
        return open_failed(acquire);
    }
    cp_verdict_opened(acquire->connection);
    return start(acquire, CP_ACQUIRE_PREPARE, CP_PREPARE, wait);
}

/* ---- PREPARE ---- */

static enum course hand_out(struct cp_acquire *acquire)
{
    struct connpool_connection *connection = acquire->connection;
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    bool is_closing;

    acquire->connection = NULL;
    cp_lock_take(&endpoint->lock);
    is_closing = endpoint->is_closing;
    if (is_closing) {
        cp_endpoint_doom(connection, CONNPOOL_REASON_CLOSED, true);
    } else {
        cp_endpoint_lease(connection, &acquire->lease);
    }
    cp_lock_give(&endpoint->lock);
    if (!is_closing) {
        return end(acquire, CONNPOOL_OK);
    }
    cp_dispose_cut(connection);
    return end_closed(acquire);
}

static enum course prepare(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    int32_t result;

    wait->flags = acquire->flags;
    result = cp_run_step(acquire->connection, wait, &acquire->operation);
    if (result == CONNPOOL_STEP_AGAIN) {
        return stand_by(acquire, wait);
    }
    if (result == CONNPOOL_STEP_DONE) {
        return hand_out(acquire);
    }
    return acquire->connection->uses == 0 ? open_failed(acquire) : dead(acquire);
}

/* ---- The operation ---- */

static enum course (*const phases[CP_ACQUIRE_PHASE_COUNT])(struct cp_acquire *, struct connpool_wait *) = {
    [CP_ACQUIRE_SEARCH] = search,   [CP_ACQUIRE_LOCAL] = check_locally, [CP_ACQUIRE_IDLE] = drive_idle,
    [CP_ACQUIRE_CHECK] = check,     [CP_ACQUIRE_EVICT] = evict,         [CP_ACQUIRE_OPEN] = open,
    [CP_ACQUIRE_PREPARE] = prepare,
};

static int32_t step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct cp_acquire *acquire = acquire_of(operation);
    enum course course = GO_ON;

    while (course == GO_ON) {
        course = phases[acquire->phase](acquire, wait);
    }
    return course == END ? CONNPOOL_STEP_DONE : CONNPOOL_STEP_AGAIN;
}

/* Out of line; what was granted meanwhile is ours to give back. */
static void leave_line(struct cp_acquire *acquire)
{
    struct cp_waiter *waiter = &acquire->waiter;
    struct cp_wakes wakes = {.count = 0};

    cp_lock_take(&acquire->pool->lock);
    if (is_standing(waiter)) {
        cp_line_leave(acquire->pool, waiter, &wakes);
    } else if (waiter->state == CP_WAITER_GRANTED) {
        waiter->state = CP_WAITER_OUT;
        (void)accept_grant(acquire);
    }
    cp_lock_give(&acquire->pool->lock);
    acquire->is_in_line = false;
    cp_wakes_fire(&wakes);
}

static void abandon(struct cp_operation *operation)
{
    struct cp_acquire *acquire = acquire_of(operation);
    struct connpool_connection *connection;

    if (acquire->is_in_line) {
        leave_line(acquire);
    }
    if (acquire->victim != NULL) {
        cp_dispose_cut_keep_slot(acquire->victim);
        acquire->victim = NULL;
    }
    if (acquire->reserved != NULL) {
        give_slot_back(acquire);
    }
    connection = acquire->connection;
    acquire->connection = NULL;
    if (connection != NULL && acquire->phase == CP_ACQUIRE_LOCAL) {
        cp_release_settle(connection);
    } else if (connection != NULL && !cp_carry_elsewhere(connection)) {
        cp_verdict_abandoned(connection);
    }
    (void)end(acquire, cp_error_set(&acquire->error, CONNPOOL_NO_MEMORY, CONNPOOL_ERROR_RESOURCE_LOCAL,
                                    "pool '%s': out of memory or descriptors for a wait", acquire->pool->name));
}

void cp_acquire_init(struct cp_acquire *acquire, struct connpool_endpoint *const *endpoints, size_t count,
                     struct cp_place *places, int64_t timeout)
{
    memset(acquire, 0, offsetof(struct cp_acquire, error));
    acquire->operation = (struct cp_operation){.step = step, .abandon = abandon};
    acquire->pool = endpoints[0]->pool;
    acquire->endpoints = endpoints;
    acquire->count = count;
    acquire->timeout = timeout;
    acquire->deadline = timeout == 0 ? 0 : cp_time_add(cp_clock_precise(&acquire->pool->context->clock), timeout);
    acquire->waiter.places = places;
    TAILQ_INIT(&acquire->skipped);
}

void cp_acquire_begin_with(struct cp_acquire *acquire, struct connpool_connection *connection, uint32_t needs)
{
    acquire->connection = connection;
    acquire->needs = needs;
    acquire->phase = CP_ACQUIRE_LOCAL;
}
