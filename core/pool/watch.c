/* SPDX-License-Identifier: MIT */
/* watch: see watch.h. */
#include "pool/watch.h"

#include "base/memory.h"
#include "pool/dispose.h"
#include "pool/local_check.h"
#include "pool/release.h"
#include "pool/run.h"
#include "pool/verdict.h"

/* Two of these, and the steps, are less than the 50 ms that design.md promises. */
#define SWEEP_EVERY (20 * CP_MILLISECOND)
/* Watches that are started with one holding of an endpoint's lock. */
#define BATCH 64

/* One connection, or one of several descriptors of it where its manager has no idle. In the loop from its start until
 * the connection ends, asleep while that is leased. */
struct cp_watch {
    struct cp_operation operation;
    struct cp_task task;
    struct connpool_pool *pool;             /* constant */
    struct connpool_endpoint *endpoint;     /* constant; its record may be another's once the connection has ended */
    struct connpool_connection *connection; /* guarded by the endpoint's lock; NULL: it has ended */
    LIST_ENTRY(cp_watch) entry;             /* of the connection's, or of those to be buried */
    int32_t index;                          /* which of its descriptors */
    bool is_started;                        /* the collector's thread only, as the next */
    uint64_t named;                         /* the parking since which its idle was called */
};

struct batch {
    struct cp_watch *watches[BATCH];
    size_t count;
};

static struct cp_watch *watch_of(struct cp_operation *operation)
{
    return (struct cp_watch *)((char *)operation - offsetof(struct cp_watch, operation));
}

bool cp_watch_is_wanted(const struct connpool_manager *manager, const struct cp_policy *policy)
{
    bool can_be = manager->idle != NULL ? (manager->blocking_operations & CONNPOOL_BLOCKING_IDLE) == 0
                                        : manager->descriptors != NULL;

    return policy->background_collector && policy->watch && can_be;
}

/* ---- The life of a watch ---- */

static int32_t step(struct cp_operation *operation, struct connpool_wait *wait);

/* Out of the list that it is in: the loop gives it up. */
static void abandon(struct cp_operation *operation)
{
    struct cp_watch *watch = watch_of(operation);

    cp_lock_take(&watch->pool->lock);
    cp_lock_take(&watch->endpoint->lock);
    LIST_REMOVE(watch, entry);
    watch->connection = NULL;
    cp_lock_give(&watch->endpoint->lock);
    cp_lock_give(&watch->pool->lock);
}

static void done(struct cp_task *task)
{
    (void)task;
}

static void dispose(struct cp_task *task)
{
    cp_free((char *)task - offsetof(struct cp_watch, task));
}

/* NULL: no memory. The endpoint's lock is held. */
static struct cp_watch *new_watch(struct connpool_connection *connection, int32_t index)
{
    struct cp_watch *watch = cp_alloc(sizeof(*watch));

    if (watch != NULL) {
        watch->operation = (struct cp_operation){.step = step, .abandon = abandon};
        watch->pool = connection->pool;
        watch->endpoint = cp_connection_endpoint(connection);
        watch->connection = connection;
        watch->index = index;
        LIST_INSERT_HEAD(&connection->watches, watch, entry);
    }
    return watch;
}

/* Have it stepped. */
static void start(struct cp_watch *watch, struct cp_loop *loop)
{
    if (watch->is_started) {
        cp_waker_fire(cp_waker_ref(&watch->task.waker));
        return;
    }
    watch->is_started = true;
    cp_loop_start(loop, &watch->task, &watch->operation, done, dispose);
}

void cp_watch_connection_ended(struct connpool_connection *connection)
{
    struct cp_watch *watch;

    while ((watch = LIST_FIRST(&connection->watches)) != NULL) {
        LIST_REMOVE(watch, entry);
        watch->connection = NULL;
        LIST_INSERT_HEAD(&connection->pool->watches_to_bury, watch, entry);
    }
}

/* The watches of connections that have ended. */
static void bury(struct connpool_pool *pool, struct cp_loop *loop)
{
    struct cp_watch *watch;

    do {
        cp_lock_take(&pool->lock);
        watch = LIST_FIRST(&pool->watches_to_bury);
        cp_lock_give(&pool->lock);
        if (watch != NULL) {
            cp_loop_abandon(loop, &watch->task);
        }
    } while (watch != NULL);
}

/* ---- A step ---- */

/* The connection, CHECKING, if it is still parked as it was when its watch began; else nothing but the watch is
 * touched. */
static struct connpool_connection *take(const struct cp_watch *watch)
{
    struct connpool_endpoint *endpoint = watch->endpoint;
    struct connpool_connection *connection;

    cp_lock_take(&endpoint->lock);
    connection = watch->connection;
    if (connection != NULL && (connection->state == CP_BASE || connection->state == CP_EXTRA) &&
        connection->watched == connection->parked) {
        cp_endpoint_look_at(connection);
    } else if (connection != NULL) {
        /* An acquirer that looks at it may put it back, and what its watch waited for is over. */
        connection->watched = 0;
        connection = NULL;
    }
    cp_lock_give(&endpoint->lock);
    return connection;
}

/* The first step since it was parked names what to wait for; a later one is told what became ready. */
static enum cp_local_check step_idle(struct cp_watch *watch, struct connpool_connection *connection,
                                     struct connpool_wait *wait)
{
    if (watch->named != connection->parked) {
        watch->named = connection->parked;
        wait->ready = 0;
    } else if (wait->ready == 0) {
        wait->ready = cp_local_check_ready(connection);
    }
    return cp_local_check_step(connection, wait, &watch->operation);
}

/* The other descriptors have watches of their own. Where there is no memory for one, the local check of an acquire sees
 * what it would have seen. */
static void watch_others(const struct cp_watch *watch, struct connpool_connection *connection, int32_t count)
{
    for (int32_t i = 1; i < count; i++) {
        struct cp_watch *other;

        cp_lock_take(&watch->endpoint->lock);
        LIST_FOREACH (other, &connection->watches, entry) {
            if (other->index == i) {
                break;
            }
        }
        other = other != NULL ? other : new_watch(connection, i);
        cp_lock_give(&watch->endpoint->lock);
        if (other != NULL) {
            start(other, watch->task.loop);
        }
    }
}

static enum cp_local_check look_at_descriptors(struct cp_watch *watch, struct connpool_connection *connection,
                                               struct connpool_wait *wait)
{
    int32_t descriptors[CP_CONNECTION_DESCRIPTORS];
    int32_t count;
    enum cp_local_check found = cp_local_check_descriptors(connection, descriptors, &count);

    cp_wait_init(wait, wait->now, 0, 0);
    if (watch->index < count) {
        wait->fd = descriptors[watch->index];
        wait->events = CONNPOOL_EVENT_READ;
    }
    if (found != CP_LOCAL_DEAD && watch->index == 0 && watch->named != connection->parked) {
        watch->named = connection->parked;
        watch_others(watch, connection, count);
    }
    return found;
}

/* Back to its place, or what it came to meanwhile. */
static void give_back(struct connpool_connection *connection, struct cp_loop *loop)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);

    if (!cp_release_put_back_or_doom(connection)) {
        TAILQ_INSERT_TAIL(&doomed, connection, link);
        cp_dispose_in_loop(loop, &doomed);
    }
}

/* Never done: it is buried when its connection has ended. */
static int32_t step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct cp_watch *watch = watch_of(operation);
    struct connpool_connection *connection = take(watch);
    enum cp_local_check found;

    if (connection == NULL) {
        cp_wait_init(wait, wait->now, 0, 0);
        return CONNPOOL_STEP_AGAIN;
    }
    found = connection->pool->manager->idle != NULL ? step_idle(watch, connection, wait)
                                                    : look_at_descriptors(watch, connection, wait);
    if (found == CP_LOCAL_DEAD) {
        cp_wait_init(wait, wait->now, 0, 0);
        cp_verdict_dead(connection);
    } else {
        /* Whoever takes it then may close the descriptor. */
        cp_loop_stand(watch->task.loop, &watch->task, wait);
        give_back(connection, watch->task.loop);
    }
    return CONNPOOL_STEP_AGAIN;
}

/* ---- Sweeps ---- */

/* Put the watch of a connection into the batch. False: no memory. */
static bool add(struct batch *batch, struct connpool_connection *connection)
{
    struct cp_watch *watch = LIST_FIRST(&connection->watches);

    while (watch != NULL && watch->index != 0) {
        watch = LIST_NEXT(watch, entry);
    }
    watch = watch != NULL ? watch : new_watch(connection, 0);
    if (watch != NULL) {
        connection->watched = connection->parked;
        batch->watches[batch->count++] = watch;
    }
    return watch != NULL;
}

/* Gather those of a class that are to be watched, the ones parked last first. False: the batch is full, or there is no
 * memory. */
static bool gather(struct connpool_endpoint *endpoint, enum cp_class class, struct batch *batch)
{
    struct cp_connection_list *list = &endpoint->idle[class];
    struct connpool_connection *connection =
        class == CP_CLASS_BASE ? TAILQ_LAST(list, cp_connection_list) : TAILQ_FIRST(list);

    while (connection != NULL && (connection->parked > endpoint->settled || endpoint->untidy != 0)) {
        if (connection->parked <= endpoint->seen && connection->watched != connection->parked &&
            (batch->count == BATCH || !add(batch, connection))) {
            return false;
        }
        connection =
            class == CP_CLASS_BASE ? TAILQ_PREV(connection, cp_connection_list, link) : TAILQ_NEXT(connection, link);
    }
    return true;
}

/* All of them were parked after the last sweep. */
static bool is_all_new(const struct connpool_endpoint *endpoint)
{
    const struct connpool_connection *base = TAILQ_FIRST(&endpoint->idle[CP_CLASS_BASE]);
    const struct connpool_connection *extra = TAILQ_LAST(&endpoint->idle[CP_CLASS_EXTRA], cp_connection_list);

    return endpoint->untidy == 0 && (base == NULL || base->parked > endpoint->seen) &&
           (extra == NULL || extra->parked > endpoint->seen);
}

/* A pass over an endpoint has ended. Whether it is quiet: all that is parked there is watched. */
static bool settle(struct connpool_endpoint *endpoint)
{
    bool is_new = endpoint->parkings != endpoint->seen;

    endpoint->settled = endpoint->seen;
    endpoint->seen = endpoint->parkings;
    endpoint->untidy -= endpoint->untidy != 0;
    return !is_new && endpoint->untidy == 0;
}

/* Both locks are held. */
static void set_restless(struct connpool_endpoint *endpoint, bool is_restless)
{
    endpoint->is_restless = is_restless;
    cp_due_renew_gate(endpoint);
}

/* One pass over an endpoint, or a part of one. The pool's lock is held. */
static void visit(struct connpool_endpoint *endpoint, struct batch *batch)
{
    struct connpool_pool *pool = endpoint->pool;
    bool is_over, is_quiet = false;

    batch->count = 0;
    cp_lock_take(&endpoint->lock);
    is_over =
        is_all_new(endpoint) || (gather(endpoint, CP_CLASS_BASE, batch) && gather(endpoint, CP_CLASS_EXTRA, batch));
    if (!is_over && batch->count < BATCH) {
        endpoint->untidy = CP_UNTIDY + 1; /* no memory: another time */
        is_over = true;
    }
    if (is_over) {
        is_quiet = settle(endpoint);
        if (is_quiet) {
            set_restless(endpoint, false);
        }
    }
    cp_lock_give(&endpoint->lock);
    if (is_over) {
        TAILQ_REMOVE(&pool->restless, endpoint, restless);
        endpoint->sweep = pool->sweep;
        if (!is_quiet) {
            TAILQ_INSERT_TAIL(&pool->restless, endpoint, restless);
        }
    }
}

/* The restless endpoint that this sweep has not been at, NULL: none. The pool's lock is held. */
static struct connpool_endpoint *next_of(struct connpool_pool *pool)
{
    struct connpool_endpoint *first = TAILQ_FIRST(&pool->restless);

    return first == NULL || first->sweep == pool->sweep || pool->is_closing ? NULL : first;
}

/* Whether there is to be another. */
static bool sweep(struct connpool_pool *pool, struct cp_loop *loop)
{
    struct connpool_endpoint *endpoint;
    struct batch batch;
    bool is_restless;

    cp_lock_take(&pool->lock);
    pool->sweep++;
    while ((endpoint = next_of(pool)) != NULL) {
        visit(endpoint, &batch);
        cp_lock_give(&pool->lock);
        for (size_t i = 0; i < batch.count; i++) {
            start(batch.watches[i], loop);
        }
        cp_lock_take(&pool->lock);
    }
    is_restless = !TAILQ_EMPTY(&pool->restless) && !pool->is_closing;
    cp_lock_give(&pool->lock);
    return is_restless;
}

int64_t cp_watch_sweep(struct connpool_pool *pool, struct cp_loop *loop, int64_t now)
{
    bury(pool, loop);
    if (pool->sweep_at <= now) {
        pool->sweep_at = sweep(pool, loop) ? now + SWEEP_EVERY : 0;
    }
    return pool->sweep_at != 0 ? pool->sweep_at : CP_NEVER;
}

bool cp_watch_parked(struct connpool_endpoint *endpoint)
{
    struct connpool_pool *pool = endpoint->pool;
    bool is_first = TAILQ_EMPTY(&pool->restless);
    bool must_sweep;

    cp_lock_take(&endpoint->lock);
    must_sweep =
        endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA] != 0 && endpoint->is_watched && !endpoint->is_restless;
    if (must_sweep) {
        set_restless(endpoint, true);
    }
    cp_lock_give(&endpoint->lock);
    if (must_sweep) {
        endpoint->sweep = 0;
        TAILQ_INSERT_TAIL(&pool->restless, endpoint, restless);
    }
    return must_sweep && is_first;
}

void cp_watch_forget(struct connpool_endpoint *endpoint)
{
    if (endpoint->is_restless) {
        TAILQ_REMOVE(&endpoint->pool->restless, endpoint, restless);
    }
}
