/* SPDX-License-Identifier: MIT */
/* due: see due.h. */
#include "pool/due.h"

#include "pool/pool.h"

static int compare(const struct connpool_endpoint *a, const struct connpool_endpoint *b)
{
    if (a->bound != b->bound) {
        return a->bound < b->bound ? -1 : 1;
    }
    return a < b ? -1 : a > b;
}

CP_TREE_GENERATE(cp_due_tree, connpool_endpoint, indexed, compare)

void cp_due_renew_gate(struct connpool_endpoint *endpoint)
{
    endpoint->gate = endpoint->is_watched && !endpoint->is_restless ? CP_NEVER : endpoint->bound;
}

/* Both locks are held. */
static void set_bound(struct connpool_endpoint *endpoint, int64_t bound)
{
    struct cp_due_tree *tree = &endpoint->pool->due;

    if (endpoint->bound == bound) {
        return;
    }
    if (endpoint->bound != CP_NEVER) {
        RB_REMOVE(cp_due_tree, tree, endpoint);
    }
    endpoint->bound = bound;
    if (bound != CP_NEVER) {
        RB_INSERT(cp_due_tree, tree, endpoint);
    }
    cp_due_renew_gate(endpoint);
}

/* The pool's lock is held. */
static void renew_next_due(struct connpool_pool *pool)
{
    const struct connpool_endpoint *first = RB_MIN(cp_due_tree, &pool->due);

    atomic_store_explicit(&pool->next_due, first == NULL ? CP_NEVER : first->bound, memory_order_relaxed);
}

bool cp_due_lower(struct connpool_endpoint *endpoint, int64_t due)
{
    struct connpool_pool *pool = endpoint->pool;
    int64_t before = atomic_load_explicit(&pool->next_due, memory_order_relaxed);

    cp_lock_take(&endpoint->lock);
    /* What was parked may be gone again, and the record a new endpoint's: it enters only with something idle. */
    if (due < endpoint->bound && endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA] != 0) {
        set_bound(endpoint, due);
    }
    cp_lock_give(&endpoint->lock);
    renew_next_due(pool);
    return atomic_load_explicit(&pool->next_due, memory_order_relaxed) < before;
}

/* The endpoint's idle connection of a class that is due soonest, of equals the one that stands last; its lock is held.
 */
static struct connpool_connection *soonest_of(struct connpool_endpoint *endpoint, enum cp_class class)
{
    struct connpool_connection *connection;
    struct connpool_connection *soonest = NULL;

    TAILQ_FOREACH (connection, &endpoint->idle[class], link) {
        if (soonest == NULL || connection->due < soonest->due ||
            (connection->due == soonest->due && connection->parked < soonest->parked)) {
            soonest = connection;
        }
    }
    return soonest;
}

static struct connpool_connection *sooner(struct connpool_connection *a, struct connpool_connection *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    return b->due < a->due ? b : a;
}

/* Make an endpoint's bound exact; both locks are held. */
static void correct_bound(struct connpool_endpoint *endpoint)
{
    const struct connpool_connection *soonest =
        sooner(soonest_of(endpoint, CP_CLASS_EXTRA), soonest_of(endpoint, CP_CLASS_BASE));

    set_bound(endpoint, soonest == NULL ? CP_NEVER : soonest->due);
}

/* The endpoint whose connection of a class is due soonest of all; bounds on the way are made exact. Only under the
 * pool's lock, so the answer is a good guess. */
static struct connpool_endpoint *endpoint_to_evict_from(struct connpool_pool *pool, enum cp_class class)
{
    struct connpool_endpoint *endpoint;
    struct connpool_endpoint *next;
    struct connpool_endpoint *best = NULL;
    int64_t best_due = CP_NEVER;

    RB_FOREACH_SAFE (endpoint, cp_due_tree, &pool->due, next) {
        const struct connpool_connection *soonest;

        if (endpoint->bound >= best_due) {
            break;
        }
        cp_lock_take(&endpoint->lock);
        soonest = soonest_of(endpoint, class);
        if (soonest != NULL && soonest->due < best_due) {
            best = endpoint;
            best_due = soonest->due;
        }
        correct_bound(endpoint);
        cp_lock_give(&endpoint->lock);
    }
    return best;
}

static struct connpool_connection *evict(struct connpool_pool *pool, enum cp_class class)
{
    struct connpool_connection *connection = NULL;
    struct connpool_endpoint *endpoint;

    /* The chosen connection may be acquired before its endpoint is locked again; then another is looked for. */
    while (connection == NULL && (endpoint = endpoint_to_evict_from(pool, class)) != NULL) {
        cp_lock_take(&endpoint->lock);
        connection = soonest_of(endpoint, class);
        if (connection != NULL) {
            cp_endpoint_doom(connection, CONNPOOL_REASON_EVICTED, true);
        }
        correct_bound(endpoint);
        cp_lock_give(&endpoint->lock);
    }
    renew_next_due(pool);
    return connection;
}

struct connpool_connection *cp_due_evict(struct connpool_pool *pool)
{
    struct connpool_connection *connection = evict(pool, CP_CLASS_EXTRA);

    return connection != NULL ? connection : evict(pool, CP_CLASS_BASE);
}

static void doom_due(struct connpool_connection *connection, int64_t now, struct cp_connection_list *doomed)
{
    cp_endpoint_doom(connection, connection->expires <= now ? CONNPOOL_REASON_LIFETIME : CONNPOOL_REASON_IDLE, true);
    TAILQ_INSERT_TAIL(doomed, connection, link);
}

/* Doom the due connection of an endpoint that is due soonest, if there is one; both locks are held. */
static bool collect_one(struct connpool_endpoint *endpoint, int64_t now, struct cp_connection_list *doomed)
{
    struct connpool_connection *connection =
        sooner(soonest_of(endpoint, CP_CLASS_EXTRA), soonest_of(endpoint, CP_CLASS_BASE));

    if (connection == NULL || connection->due > now) {
        return false;
    }
    doom_due(connection, now, doomed);
    return true;
}

/* The extra connections that were parked first are due first, but for lifetimes: thousands go without a search for
 * each. Both locks are held. */
static size_t collect_oldest_extra(struct connpool_endpoint *endpoint, int64_t now, struct cp_connection_list *doomed)
{
    struct connpool_connection *oldest;
    size_t count = 0;

    while ((oldest = TAILQ_LAST(&endpoint->idle[CP_CLASS_EXTRA], cp_connection_list)) != NULL && oldest->due <= now) {
        doom_due(oldest, now, doomed);
        count++;
    }
    return count;
}

size_t cp_due_collect(struct connpool_pool *pool, int64_t now, size_t most, struct cp_connection_list *doomed)
{
    struct connpool_endpoint *endpoint;
    size_t count = 0;

    while (count < most && (endpoint = RB_MIN(cp_due_tree, &pool->due)) != NULL && endpoint->bound <= now) {
        cp_lock_take(&endpoint->lock);
        correct_bound(endpoint);
        if (endpoint->bound <= now) {
            count += most == SIZE_MAX ? collect_oldest_extra(endpoint, now, doomed) : 0;
            count += collect_one(endpoint, now, doomed);
            correct_bound(endpoint);
        }
        cp_lock_give(&endpoint->lock);
    }
    renew_next_due(pool);
    return count;
}

bool cp_due_is_empty(const struct connpool_pool *pool)
{
    return RB_EMPTY(&pool->due);
}

void cp_due_forget(struct connpool_endpoint *endpoint)
{
    cp_lock_take(&endpoint->lock);
    set_bound(endpoint, CP_NEVER);
    cp_lock_give(&endpoint->lock);
    renew_next_due(endpoint->pool);
}
