/* SPDX-License-Identifier: MIT */
/* endpoint: see endpoint.h. Taking, parking and dooming of connections. */
#include "pool/endpoint.h"

#include "pool/pool.h"

/* A replacement is opened when this part of max_lifetime is left, and no sooner before the end than an open may take:
 * time enough to replace many, a few at a time, and too little to matter. */
#define REPLACED_PART 20

static struct connpool_connection *first_idle(struct connpool_endpoint *endpoint)
{
    struct connpool_connection *base = TAILQ_FIRST(&endpoint->idle[CP_CLASS_BASE]);

    return base != NULL ? base : TAILQ_FIRST(&endpoint->idle[CP_CLASS_EXTRA]);
}

/* Connections that are out: a resetting one and one that is being checked count as leased. */
static uint64_t leased(const struct connpool_endpoint *endpoint)
{
    return (uint64_t)endpoint->count[CP_LEASED] + endpoint->count[CP_RESETTING] + endpoint->count[CP_CHECKING];
}

uint32_t cp_endpoint_needs(const struct connpool_connection *connection, int64_t now)
{
    const struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    uint32_t needs = endpoint->pool->needs;

    if ((needs & CP_NEEDS_CHECK) != 0 && connection->parked > endpoint->suspect &&
        now - connection->released < endpoint->policy.check_after) {
        needs &= ~CP_NEEDS_CHECK;
    }
    return needs;
}

/* Whether an idle connection is past use, and why. */
static bool is_past_use(const struct connpool_connection *connection, int64_t now, connpool_reason *reason)
{
    if (connection->parked <= cp_connection_endpoint(connection)->cut) {
        *reason = CONNPOOL_REASON_DEAD;
        return true;
    }
    if (connection->due <= now) {
        *reason = connection->expires <= now ? CONNPOOL_REASON_LIFETIME : CONNPOOL_REASON_IDLE;
        return true;
    }
    return false;
}

struct connpool_connection *cp_endpoint_take(struct connpool_endpoint *endpoint, int64_t now, connpool_lease *lease,
                                             uint32_t *needs, struct cp_connection_list *doomed)
{
    struct connpool_connection *connection;
    connpool_reason reason;

    cp_lock_take(&endpoint->lock);
    while ((connection = first_idle(endpoint)) != NULL && is_past_use(connection, now, &reason)) {
        cp_endpoint_doom(connection, reason, reason != CONNPOOL_REASON_DEAD);
        TAILQ_INSERT_TAIL(doomed, connection, link);
    }
    if (connection != NULL) {
        *needs = cp_endpoint_needs(connection, now);
        connection->was_extra = connection->state == CP_EXTRA;
        if (*needs == 0) {
            cp_endpoint_lease(connection, lease);
        } else {
            cp_connection_set_state(connection, CP_CHECKING);
        }
    }
    cp_lock_give(&endpoint->lock);
    return connection;
}

void cp_endpoint_lease(struct connpool_connection *connection, connpool_lease *lease)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    cp_connection_set_state(connection, CP_LEASED);
    endpoint->counters.acquired++;
    if (connection->uses++ != 0) {
        endpoint->counters.reused++;
    }
    lease->connection = connection;
    lease->generation = cp_connection_next_generation(connection);
}

static int64_t park(struct connpool_connection *connection, int64_t now, bool is_extra)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    int64_t idle_end = cp_time_add(now, endpoint->policy.idle_timeout);

    connection->released = now;
    connection->parked = ++endpoint->parkings;
    connection->idle_is_named = false;
    connection->due = is_extra && idle_end < connection->expires ? idle_end : connection->expires;
    cp_connection_set_state(connection, is_extra ? CP_EXTRA : CP_BASE);
    return connection->due < endpoint->gate ? connection->due : CP_NEVER;
}

int64_t cp_endpoint_park(struct connpool_connection *connection, int64_t now)
{
    const struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    return park(connection, now, leased(endpoint) - 1 + endpoint->count[CP_BASE] >= endpoint->policy.min_idle);
}

int64_t cp_endpoint_replace_until(const struct connpool_endpoint *endpoint, int64_t now)
{
    int64_t span = endpoint->policy.max_lifetime / REPLACED_PART;

    return cp_time_add(now, span < endpoint->policy.connect_timeout ? span : endpoint->policy.connect_timeout);
}

/* The base connection whose life ends soonest, if that is by this time. */
static struct connpool_connection *ending_base(struct connpool_endpoint *endpoint, int64_t until)
{
    struct connpool_connection *connection;
    struct connpool_connection *ending = NULL;

    TAILQ_FOREACH (connection, &endpoint->idle[CP_CLASS_BASE], link) {
        if (connection->expires <= until) {
            until = connection->expires;
            ending = connection;
        }
    }
    return ending;
}

int64_t cp_endpoint_park_ahead(struct connpool_connection *connection, int64_t now, struct cp_connection_list *doomed)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    bool is_full = endpoint->count[CP_BASE] >= endpoint->policy.min_idle;
    struct connpool_connection *ending =
        is_full ? ending_base(endpoint, cp_endpoint_replace_until(endpoint, now)) : NULL;

    if (ending != NULL) {
        cp_endpoint_doom(ending, CONNPOOL_REASON_LIFETIME, true);
        TAILQ_INSERT_TAIL(doomed, ending, link);
    }
    return park(connection, now, endpoint->count[CP_BASE] >= endpoint->policy.min_idle);
}

static enum cp_class former_class(const struct connpool_connection *connection)
{
    return connection->was_extra ? CP_CLASS_EXTRA : CP_CLASS_BASE;
}

void cp_endpoint_look_at(struct connpool_connection *connection)
{
    connection->was_extra = connection->state == CP_EXTRA;
    connection->is_looked_at = true;
    cp_connection_endpoint(connection)->looked_at[former_class(connection)]++;
    cp_connection_set_state(connection, CP_CHECKING);
}

static void end_look(struct connpool_connection *connection)
{
    if (connection->is_looked_at) {
        connection->is_looked_at = false;
        cp_connection_endpoint(connection)->looked_at[former_class(connection)]--;
    }
}

/* The endpoint's lock is not needed: whoever had it to look for an idle connection sees that one was taken before, and
 * it is put back under the pool's. */
bool cp_endpoint_is_looked_at(const struct connpool_endpoint *endpoint)
{
    return atomic_load_explicit(&endpoint->looked_at[CP_CLASS_BASE], memory_order_relaxed) +
               atomic_load_explicit(&endpoint->looked_at[CP_CLASS_EXTRA], memory_order_relaxed) !=
           0;
}

/* Whether of two idle connections of a class a stands before b in its list: the base ones in the order in which they
 * were parked, the extra ones the other way round. */
static bool is_before(const struct connpool_connection *a, const struct connpool_connection *b, enum cp_class class)
{
    return class == CP_CLASS_BASE ? a->parked < b->parked : a->parked > b->parked;
}

/* Into its place, which is looked for from both ends: acquirers take from the head, and what the watch looks at was
 * mostly parked last, or first. */
static void insert_in_order(struct cp_connection_list *list, struct connpool_connection *connection,
                            enum cp_class class)
{
    struct connpool_connection *front = TAILQ_FIRST(list);
    struct connpool_connection *back = TAILQ_LAST(list, cp_connection_list);

    while (front != NULL && is_before(front, connection, class) && !is_before(back, connection, class)) {
        front = TAILQ_NEXT(front, link);
        back = TAILQ_PREV(back, cp_connection_list, link);
    }
    if (front == NULL) {
        TAILQ_INSERT_HEAD(list, connection, link);
    } else if (!is_before(front, connection, class)) {
        TAILQ_INSERT_BEFORE(front, connection, link);
    } else {
        TAILQ_INSERT_AFTER(list, back, connection, link);
    }
}

/* The bound of the index stays right: a base connection is due no earlier than the same one as extra. */
static void promote(struct connpool_endpoint *endpoint)
{
    struct connpool_connection *youngest = TAILQ_FIRST(&endpoint->idle[CP_CLASS_EXTRA]);

    if (youngest != NULL && leased(endpoint) + endpoint->count[CP_BASE] < endpoint->policy.min_idle) {
        youngest->due = youngest->expires;
        cp_connection_set_state(youngest, CP_BASE);
        endpoint->untidy = CP_UNTIDY;
    }
}

int64_t cp_endpoint_put_back(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    enum cp_class class = former_class(connection);

    cp_connection_set_state(connection, connection->was_extra ? CP_EXTRA : CP_BASE);
    TAILQ_REMOVE(&endpoint->idle[class], connection, link);
    insert_in_order(&endpoint->idle[class], connection, class);
    end_look(connection);
    promote(endpoint); /* what was released meanwhile found one more that was not idle */
    if (connection->watched == connection->parked) {
        return connection->due < endpoint->bound ? connection->due : CP_NEVER;
    }
    endpoint->untidy = CP_UNTIDY;
    return connection->due < endpoint->gate ? connection->due : CP_NEVER;
}

void cp_endpoint_doom(struct connpool_connection *connection, connpool_reason reason, bool is_polite)
{
    connection->reason = reason;
    connection->is_polite = is_polite;
    end_look(connection);
    cp_connection_set_state(connection, CP_CLOSING);
    promote(cp_connection_endpoint(connection));
}

void cp_endpoint_found_dead(struct connpool_connection *connection, bool by_timeout)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    cp_lock_take(&endpoint->lock);
    if (!by_timeout) {
        endpoint->suspect = endpoint->parkings;
    } else if (connection->checked_at > endpoint->cut) {
        endpoint->cut = connection->checked_at;
    }
    cp_endpoint_doom(connection, CONNPOOL_REASON_DEAD, false);
    cp_lock_give(&endpoint->lock);
}

bool cp_endpoint_is_spent(const struct connpool_connection *connection, int64_t now, connpool_reason *reason)
{
    const struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    if (endpoint->is_closing) {
        *reason = CONNPOOL_REASON_CLOSED;
    } else if (connection->id <= endpoint->drained) {
        *reason = CONNPOOL_REASON_DRAINED;
    } else if (connection->expires <= now) {
        *reason = CONNPOOL_REASON_LIFETIME;
    } else if (endpoint->policy.max_uses != 0 && connection->uses >= endpoint->policy.max_uses) {
        *reason = CONNPOOL_REASON_USES;
    } else {
        return false;
    }
    return true;
}
