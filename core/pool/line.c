/* SPDX-License-Identifier: MIT */
/* line: see line.h. */
#include "pool/line.h"

#include <assert.h>

#include "pool/endpoints.h"
#include "pool/pool.h"
#include "pool/watch.h"

static int compare(const struct connpool_endpoint *a, const struct connpool_endpoint *b)
{
    if (a->hungry_sequence != b->hungry_sequence) {
        return a->hungry_sequence < b->hungry_sequence ? -1 : 1;
    }
    return a < b ? -1 : a > b;
}

CP_TREE_GENERATE(cp_hungry_tree, connpool_endpoint, hungry, compare)

void cp_wakes_fire(struct cp_wakes *wakes)
{
    cp_lock_assert_none();
    for (size_t i = 0; i < wakes->count; i++) {
        cp_waker_fire(wakes->wakers[i]);
    }
    wakes->count = 0;
}

void cp_wakes_add(struct cp_wakes *wakes, const struct cp_waiter *waiter)
{
    if (wakes->count == CP_WAKES) {
        cp_waker_fire(cp_waker_ref(waiter->waker));
        return;
    }
    wakes->wakers[wakes->count++] = cp_waker_ref(waiter->waker);
}

/* Who is first for a slot, or a connection. */
static struct cp_waiter *first_waiter(const struct connpool_endpoint *endpoint)
{
    const struct cp_place *first = TAILQ_FIRST(&endpoint->places);

    return first == NULL ? NULL : first->waiter;
}

/* Who is first for a connection. */
static struct cp_waiter *first_taker(const struct connpool_endpoint *endpoint)
{
    const struct cp_place *opener = TAILQ_FIRST(&endpoint->openers);
    struct cp_waiter *waiter = first_waiter(endpoint);

    return opener == NULL || (waiter != NULL && waiter->sequence < opener->waiter->sequence) ? waiter : opener->waiter;
}

/* An endpoint's size or its first waiter changed: is it hungry, and whose turn is it? */
static void refresh(struct connpool_endpoint *endpoint)
{
    struct cp_hungry_tree *tree = &endpoint->pool->hungry;
    const struct cp_waiter *first = first_waiter(endpoint);
    bool is_hungry = first != NULL && endpoint->size < endpoint->policy.max_size;

    if (endpoint->is_hungry) {
        if (is_hungry && endpoint->hungry_sequence == first->sequence) {
            return;
        }
        RB_REMOVE(cp_hungry_tree, tree, endpoint);
    }
    endpoint->is_hungry = is_hungry;
    if (is_hungry) {
        endpoint->hungry_sequence = first->sequence;
        RB_INSERT(cp_hungry_tree, tree, endpoint);
    }
}

/* Something may forbid opens there. */
static bool is_troubled(const struct connpool_endpoint *endpoint)
{
    return endpoint->blocked_until != 0 || endpoint->held_until != 0 || cp_recovery_is_on(&endpoint->recovery);
}

/* An open may be started there: its peer is not full, connects are not held down, nor waited with. */
static bool may_open(struct connpool_endpoint *endpoint, int64_t now)
{
    return endpoint->held_until <= now && cp_recovery_wait(endpoint, now) == 0;
}

/* The endpoint whose first waiter came first of all that could use a slot. */
static struct connpool_endpoint *first_hungry(struct connpool_pool *pool)
{
    int64_t now = 0;
    struct connpool_endpoint *endpoint;

    RB_FOREACH (endpoint, cp_hungry_tree, &pool->hungry) {
        if (!is_troubled(endpoint)) {
            return endpoint;
        }
        now = now != 0 ? now : cp_clock_precise(&pool->context->clock);
        if (may_open(endpoint, now)) {
            return endpoint;
        }
    }
    return NULL;
}

bool cp_line_has_live(struct connpool_endpoint *endpoint)
{
    bool has;

    cp_lock_take(&endpoint->lock);
    has = endpoint->count[CP_CHECKING] + endpoint->count[CP_LEASED] + endpoint->count[CP_RESETTING] +
              endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA] !=
          0;
    cp_lock_give(&endpoint->lock);
    return has;
}

static void take_slot(struct connpool_endpoint *endpoint)
{
    endpoint->size++;
    cp_endpoints_ref(endpoint);
    refresh(endpoint);
}

static void drop_slot(struct connpool_endpoint *endpoint)
{
    assert(endpoint->size > 0);
    endpoint->size--;
    if (endpoint->blocked_until != 0 && !cp_line_has_live(endpoint)) {
        endpoint->blocked_until = 0;
    }
    refresh(endpoint);
    cp_endpoints_unref(endpoint);
}

enum cp_reservation cp_line_reserve(struct connpool_endpoint *endpoint, struct connpool_connection **victim)
{
    struct connpool_pool *pool = endpoint->pool;

    if (endpoint->size >= endpoint->policy.max_size) {
        return CP_NOT_RESERVED;
    }
    if (pool->total < pool->policy.total_max_size) {
        pool->total++;
        take_slot(endpoint);
        return CP_RESERVED;
    }
    *victim = cp_due_evict(pool);
    if (*victim == NULL) {
        return CP_NOT_RESERVED;
    }
    take_slot(endpoint);
    return CP_RESERVED_BY_EVICTION;
}

static struct cp_places *places_for(struct connpool_endpoint *endpoint, const struct cp_waiter *waiter)
{
    return waiter->is_opener ? &endpoint->openers : &endpoint->places;
}

bool cp_line_reserve_spare(struct connpool_endpoint *endpoint)
{
    struct connpool_pool *pool = endpoint->pool;

    if (pool->is_closing || endpoint->size >= endpoint->policy.max_size || pool->total >= pool->policy.total_max_size ||
        first_hungry(pool) != NULL) {
        return false;
    }
    pool->total++;
    take_slot(endpoint);
    return true;
}

static void count_place(struct connpool_endpoint *endpoint, const struct cp_waiter *waiter, int change)
{
    if (waiter->is_opener) {
        atomic_fetch_add_explicit(&endpoint->opener_count, (uint32_t)change, memory_order_relaxed);
    } else {
        endpoint->waiters += (uint64_t)change;
    }
}

/* Out of every line it stands in; the lines it leaves get new heads. */
static void remove_places(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes)
{
    for (size_t i = 0; i < waiter->count; i++) {
        struct connpool_endpoint *endpoint = waiter->places[i].endpoint;

        TAILQ_REMOVE(places_for(endpoint, waiter), &waiter->places[i], entry);
        count_place(endpoint, waiter, -1);
        refresh(endpoint);
        cp_endpoints_unref(endpoint);
    }
    atomic_fetch_sub_explicit(&pool->waiters, !waiter->is_opener, memory_order_relaxed);
    cp_lane_leave(pool, waiter, wakes);
}

static void wake(struct cp_waiter *waiter, struct cp_wakes *wakes)
{
    if (waiter->state == CP_WAITER_WAITING) {
        waiter->state = CP_WAITER_WOKEN;
        cp_wakes_add(wakes, waiter);
        cp_lane_called(waiter->places[0].endpoint->pool, waiter, wakes);
    }
}

static bool has_idle(struct connpool_endpoint *endpoint)
{
    bool has;

    cp_lock_take(&endpoint->lock);
    has = endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA] != 0;
    cp_lock_give(&endpoint->lock);
    return has;
}

/* Whether the first waiter of an endpoint is to learn that no open may be started there: to end, where connects are
 * held down or what it would try was refused; to look again by itself when it may be, where that is a matter of time.
 */
static bool must_look(const struct connpool_endpoint *endpoint, const struct cp_waiter *first)
{
    int64_t now, until;

    if (endpoint->size >= endpoint->policy.max_size || !is_troubled(endpoint)) {
        return false;
    }
    now = cp_clock_precise(&endpoint->pool->context->clock);
    if (cp_recovery_is_held(endpoint, now) || cp_line_is_refused(endpoint, first)) {
        return true;
    }
    until = cp_recovery_stopped_until(endpoint);
    return until > now && (first->looks_at == 0 || first->looks_at > until);
}

bool cp_line_is_refused(const struct connpool_endpoint *endpoint, const struct cp_waiter *waiter)
{
    return endpoint->policy.retry && waiter->sequence != 0 && waiter->sequence <= endpoint->recovery.refused;
}

bool cp_line_is_first(const struct connpool_endpoint *endpoint, const struct cp_waiter *waiter)
{
    return first_waiter(endpoint) == waiter;
}

void cp_line_match(struct connpool_endpoint *endpoint, struct cp_wakes *wakes)
{
    struct connpool_pool *pool = endpoint->pool;
    struct cp_waiter *taker = first_taker(endpoint);
    struct cp_waiter *first = first_waiter(endpoint);
    const struct connpool_endpoint *hungry;

    if (taker != NULL && taker->state == CP_WAITER_WAITING && has_idle(endpoint)) {
        wake(taker, wakes);
    }
    if (first != NULL && first->state == CP_WAITER_WAITING && must_look(endpoint, first)) {
        wake(first, wakes);
    }
    hungry = first_hungry(pool);
    if (hungry != NULL && (pool->total < pool->policy.total_max_size || !cp_due_is_empty(pool))) {
        wake(first_waiter(hungry), wakes);
    }
}

/* Pass on a wake to whoever is first now where a waiter stood. */
static void match_all(const struct cp_waiter *waiter, struct cp_wakes *wakes)
{
    for (size_t i = 0; i < waiter->count; i++) {
        cp_line_match(waiter->places[i].endpoint, wakes);
    }
}

/* Take a waiter out of line with what it was given. It is woken; or a wake is under way to it, for something else that
 * it will not look for any more: that is passed on, as is a time at which it would have looked. */
static void grant(struct cp_waiter *waiter, struct connpool_endpoint *endpoint, struct cp_wakes *wakes)
{
    bool is_asleep = waiter->state == CP_WAITER_WAITING;

    waiter->endpoint = endpoint;
    remove_places(endpoint->pool, waiter, wakes);
    waiter->state = CP_WAITER_GRANTED;
    cp_lane_called(endpoint->pool, waiter, wakes);
    if (is_asleep) {
        cp_wakes_add(wakes, waiter);
    }
    if (!is_asleep || waiter->looks_at != 0) {
        match_all(waiter, wakes);
    }
}

/* It has waited so long that it is handed what is freed. */
static bool is_overdue(const struct connpool_pool *pool, const struct cp_waiter *waiter)
{
    return cp_clock_precise(&pool->context->clock) - waiter->since > CP_PATIENCE;
}

void cp_line_unreserve(struct connpool_endpoint *endpoint, struct cp_wakes *wakes)
{
    struct connpool_pool *pool = endpoint->pool;
    struct connpool_endpoint *hungry;
    struct cp_waiter *first;

    pool->total--;
    drop_slot(endpoint);
    hungry = first_hungry(pool);
    first = hungry == NULL ? NULL : first_waiter(hungry);
    if (first != NULL && pool->total < pool->policy.total_max_size && is_overdue(pool, first)) {
        pool->total++;
        take_slot(hungry);
        grant(first, hungry, wakes);
    }
    cp_line_match(endpoint, wakes);
}

void cp_line_give_back(struct connpool_endpoint *endpoint)
{
    struct cp_wakes wakes = {.count = 0};

    cp_lock_take(&endpoint->pool->lock);
    cp_line_unreserve(endpoint, &wakes);
    cp_lock_give(&endpoint->pool->lock);
    cp_wakes_fire(&wakes);
}

void cp_line_pass_slot(struct connpool_endpoint *endpoint, struct cp_wakes *wakes)
{
    drop_slot(endpoint);
    cp_line_match(endpoint, wakes);
}

void cp_line_closing(struct connpool_endpoint *endpoint)
{
    struct cp_wakes wakes = {.count = 0};

    cp_lock_take(&endpoint->pool->lock);
    if (endpoint->blocked_until != 0 && !cp_line_has_live(endpoint)) {
        endpoint->blocked_until = 0;
        cp_line_match(endpoint, &wakes);
    }
    cp_lock_give(&endpoint->pool->lock);
    cp_wakes_fire(&wakes);
}

/* Behind all that came before; a waiter that returns to its place is nearer the head, a new one is last. */
static void insert_place(struct cp_places *places, struct cp_place *place)
{
    struct cp_place *before = TAILQ_LAST(places, cp_places);

    while (before != NULL && before->waiter->sequence > place->waiter->sequence) {
        before = TAILQ_PREV(before, cp_places, entry);
    }
    if (before == NULL) {
        TAILQ_INSERT_HEAD(places, place, entry);
    } else {
        TAILQ_INSERT_AFTER(places, before, place, entry);
    }
}

void cp_line_enter(struct connpool_pool *pool, struct cp_waiter *waiter)
{
    if (waiter->sequence == 0) {
        waiter->sequence = ++pool->next_sequence;
        waiter->since = cp_clock_precise(&pool->context->clock);
    }
    atomic_fetch_add_explicit(&pool->waiters, !waiter->is_opener, memory_order_relaxed);
    for (size_t i = 0; i < waiter->count; i++) {
        struct connpool_endpoint *endpoint = waiter->places[i].endpoint;

        waiter->places[i].waiter = waiter;
        cp_endpoints_ref(endpoint);
        insert_place(places_for(endpoint, waiter), &waiter->places[i]);
        count_place(endpoint, waiter, 1);
        refresh(endpoint);
    }
    cp_lane_enter(pool, waiter);
    waiter->looks_at = 0;
    waiter->state = CP_WAITER_WAITING;
}

void cp_line_leave(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes)
{
    cp_lane_answer(pool, waiter);
    remove_places(pool, waiter, wakes);
    waiter->state = CP_WAITER_OUT;
    match_all(waiter, wakes);
}

bool cp_line_is_standing(const struct cp_waiter *waiter)
{
    return waiter->state == CP_WAITER_WAITING || waiter->state == CP_WAITER_WOKEN;
}

bool cp_line_parked(struct connpool_endpoint *endpoint, int64_t due, struct cp_wakes *wakes)
{
    bool is_earlier = due != CP_NEVER && cp_due_lower(endpoint, due);
    bool is_to_be_swept = due != CP_NEVER && cp_watch_parked(endpoint);

    if (cp_pool_has_waiters_for(endpoint)) {
        cp_line_match(endpoint, wakes);
    }
    return is_earlier || is_to_be_swept;
}

bool cp_line_hand_over(struct connpool_connection *connection, struct cp_wakes *wakes)
{
    struct connpool_endpoint *own = cp_connection_endpoint(connection);
    struct connpool_pool *pool = own->pool;
    struct connpool_endpoint *hungry = pool->total < pool->policy.total_max_size ? NULL : first_hungry(pool);
    struct cp_waiter *first = first_taker(own);
    struct connpool_endpoint *to = own;

    if (hungry != NULL && hungry != own && (first == NULL || hungry->hungry_sequence < first->sequence)) {
        to = hungry;
        first = first_waiter(hungry);
    }
    if (first == NULL || !is_overdue(pool, first)) {
        return false;
    }
    cp_lock_take(&own->lock);
    if (to == own) {
        /* Should its new holder put it back, it is as if parked now. */
        connection->released = cp_clock_coarse(&pool->context->clock);
        connection->parked = ++own->parkings;
        connection->idle_is_named = false;
        connection->was_extra = false;
        connection->due = connection->expires;
        cp_connection_set_state(connection, CP_CHECKING);
    } else {
        cp_endpoint_doom(connection, CONNPOOL_REASON_EVICTED, true);
    }
    cp_lock_give(&own->lock);
    first->connection = to == own ? connection : NULL;
    first->victim = to == own ? NULL : connection;
    if (to != own) {
        take_slot(to);
    }
    grant(first, to, wakes);
    return true;
}

/* ---- What a reactor does not come for ---- */

/* All waiters of a lane leave the line; those that a wake is under way to, or that would have looked at a time, go to
 * `woken`. Nothing was to be had for the others, so nothing is for those behind them. */
static void empty_lane(struct connpool_pool *pool, struct cp_lane *lane, struct cp_lane_waiters *woken,
                       struct cp_wakes *wakes)
{
    struct cp_waiter *waiter;

    while ((waiter = TAILQ_FIRST(&lane->waiters)) != NULL) {
        bool was_woken = waiter->state == CP_WAITER_WOKEN || waiter->looks_at != 0;

        remove_places(pool, waiter, wakes);
        waiter->state = CP_WAITER_OUT;
        if (was_woken) {
            cp_lane_answer(pool, waiter);
            TAILQ_INSERT_TAIL(woken, waiter, in_lane);
        }
    }
}

/* The connection that a waiter was granted is idle again, or may not be used any more. */
static void park_granted(struct connpool_connection *connection, int64_t now, struct cp_connection_list *doomed,
                         struct cp_wakes *wakes)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    connpool_reason reason;
    int64_t due = CP_NEVER;
    bool is_spent;

    cp_lock_take(&endpoint->lock);
    is_spent = cp_endpoint_is_spent(connection, now, &reason);
    if (is_spent) {
        cp_endpoint_doom(connection, reason, true);
        TAILQ_INSERT_TAIL(doomed, connection, link);
    } else {
        due = cp_endpoint_put_back(connection);
    }
    cp_lock_give(&endpoint->lock);
    if (!is_spent) {
        (void)cp_line_parked(endpoint, due, wakes);
    }
}

static void undo_grant(struct cp_waiter *waiter, int64_t now, struct cp_connection_list *doomed, struct cp_wakes *wakes)
{
    struct connpool_connection *connection = waiter->connection;
    struct connpool_connection *victim = waiter->victim;

    waiter->state = CP_WAITER_OUT;
    waiter->connection = NULL;
    waiter->victim = NULL;
    if (connection != NULL) {
        park_granted(connection, now, doomed, wakes);
    } else if (victim != NULL) {
        drop_slot(waiter->endpoint); /* the victim has its own until it has ended */
        TAILQ_INSERT_TAIL(doomed, victim, link);
    } else {
        cp_line_unreserve(waiter->endpoint, wakes);
    }
}

/* The lane of this waiter does not come. */
static void pass_over(struct connpool_pool *pool, struct cp_waiter *waiter, int64_t now,
                      struct cp_connection_list *doomed, struct cp_wakes *wakes)
{
    struct cp_lane_waiters woken = TAILQ_HEAD_INITIALIZER(woken);
    struct cp_lane *lane = waiter->lane;
    const struct cp_waiter *other;

    atomic_store(lane->was_passed_over, true);
    cp_loop_kick(lane->loop);
    empty_lane(pool, lane, &woken, wakes);
    if (waiter->state == CP_WAITER_GRANTED) {
        cp_lane_answer(pool, waiter);
        undo_grant(waiter, now, doomed, wakes);
    }
    TAILQ_FOREACH (other, &woken, in_lane) {
        match_all(other, wakes);
    }
}

void cp_line_take_back(struct connpool_pool *pool, const struct cp_lane *by, struct cp_connection_list *doomed,
                       struct cp_wakes *wakes)
{
    int64_t now = pool->lanes.call_count == 0 ? 0 : cp_clock_precise(&pool->context->clock);
    struct cp_waiter *overdue;

    while ((overdue = cp_lane_overdue(pool, by, now)) != NULL) {
        pass_over(pool, overdue, now, doomed, wakes);
    }
}

void cp_line_return(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes)
{
    if (waiter->state != CP_WAITER_OUT || waiter->sequence == 0) {
        return;
    }
    if (pool->is_closing) {
        cp_wakes_add(wakes, waiter);
        return;
    }
    cp_line_enter(pool, waiter);
    match_all(waiter, wakes);
    cp_lane_returned(pool, wakes);
}

/* ---- Close ---- */

/* Take waiters out of line until the wakes are full; true: some are left. */
static bool close_some(struct connpool_pool *pool, struct cp_wakes *wakes)
{
    struct connpool_endpoint *endpoint;

    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        struct cp_waiter *waiter;

        while ((waiter = first_taker(endpoint)) != NULL) {
            if (wakes->count == CP_WAKES) {
                return true;
            }
            remove_places(pool, waiter, wakes);
            cp_lane_answer(pool, waiter);
            waiter->state = CP_WAITER_CLOSED;
            cp_wakes_add(wakes, waiter);
        }
    }
    return false;
}

void cp_line_close(struct connpool_pool *pool)
{
    struct cp_wakes wakes = {.count = 0};

    while (close_some(pool, &wakes)) {
        cp_lock_give(&pool->lock);
        cp_wakes_fire(&wakes);
        cp_lock_take(&pool->lock);
    }
    cp_lock_give(&pool->lock);
    cp_wakes_fire(&wakes);
    cp_lock_take(&pool->lock);
}
