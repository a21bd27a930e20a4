/* SPDX-License-Identifier: MIT */
/* supply: see supply.h. */
#include "pool/supply.h"

#include "base/memory.h"
#include "pool/backoff.h"
#include "pool/carry.h"
#include "pool/pool.h"
#include "pool/ready.h"
#include "pool/release.h"
#include "pool/run.h"
#include "pool/verdict.h"

/* See supply.h; also how late an idle connection is replaced whose acquirer found it dead. */
#define SUPPLY_LOOK_EVERY (100 * CP_MILLISECOND)

/* Opens at one time. At an endpoint: sshd drops connects at random from ten that have not logged in (MaxStartups
 * 10:30:100), and this process is not its only client; a PostgreSQL starts a process for each. In a pool: as many as an
 * application's threads would make, not as many as it has endpoints. */
#define OPENS_AT_ENDPOINT 4
#define OPENS_IN_POOL     16

/* One open. The connection may be somebody else's as soon as it has ended, so this is not in its record. */
struct cp_supply_open {
    struct cp_operation operation;
    struct cp_task task;
    struct connpool_connection *connection;
    struct connpool_endpoint *endpoint; /* named, so it stays */
    TAILQ_ENTRY(cp_supply_open) entry;
};

void cp_supply_init(struct cp_supply *supply)
{
    TAILQ_INIT(&supply->opens);
}

/* ---- An open ---- */

static struct cp_supply_open *open_of_operation(struct cp_operation *operation)
{
    return (struct cp_supply_open *)((char *)operation - offsetof(struct cp_supply_open, operation));
}

static struct cp_supply_open *open_of_task(struct cp_task *task)
{
    return (struct cp_supply_open *)((char *)task - offsetof(struct cp_supply_open, task));
}

/* The first failure in a row, and one that somebody must mend. */
static void log_failure(struct connpool_endpoint *endpoint, const struct connpool_fault *fault)
{
    struct connpool_pool *pool = endpoint->pool;
    bool may_pass = cp_recovery_may_pass(fault->error_class);
    bool is_first;

    cp_lock_take(&pool->lock);
    is_first = !cp_recovery_is_on(&endpoint->recovery);
    cp_lock_give(&pool->lock);
    if (is_first || !may_pass) {
        cp_log_write(&pool->context->log, CONNPOOL_LOG_WARNING,
                     "pool '%s', endpoint '%s', prewarm: open failed: %.*s; tried again at intervals of %d s%s",
                     pool->name, endpoint->name, (int)sizeof(fault->text), fault->text,
                     (int)((may_pass ? CP_BACKOFF_MOST : CP_BACKOFF_LONGEST) / CP_SECOND), may_pass ? " at most" : "");
    }
}

static int32_t step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct cp_supply_open *open = open_of_operation(operation);
    int32_t result = cp_run_step(open->connection, wait, operation);

    if (result == CONNPOOL_STEP_AGAIN) {
        return result;
    }
    if (result == CONNPOOL_STEP_DONE) {
        cp_verdict_opened(open->connection);
        cp_release_settle(open->connection);
    } else {
        log_failure(open->endpoint, &open->connection->fault);
        (void)cp_verdict_open_failed(open->connection);
    }
    return CONNPOOL_STEP_DONE;
}

static void abandon(struct cp_operation *operation)
{
    cp_verdict_abandoned(open_of_operation(operation)->connection);
}

static void done(struct cp_task *task)
{
    struct cp_supply_open *open = open_of_task(task);
    struct cp_supply *supply = &open->endpoint->pool->supply;

    TAILQ_REMOVE(&supply->opens, open, entry);
    supply->count--;
    open->endpoint->supply_opens--;
}

static void dispose(struct cp_task *task)
{
    cp_free(open_of_task(task));
}

/* In the slot that was reserved. False: no memory, or the pool is closing; the slot was given back. */
static bool start_open(struct connpool_endpoint *endpoint, struct cp_loop *loop, int64_t now)
{
    struct cp_supply *supply = &endpoint->pool->supply;
    struct cp_supply_open *open = cp_alloc(sizeof(*open));
    struct connpool_connection *connection = open == NULL ? NULL : cp_connection_start(endpoint);

    if (connection == NULL) {
        cp_free(open);
        cp_line_give_back(endpoint);
        return false;
    }
    cp_run_start(connection, CP_OPEN, now);
    open->operation = (struct cp_operation){.step = step, .abandon = abandon};
    open->connection = connection;
    open->endpoint = endpoint;
    TAILQ_INSERT_TAIL(&supply->opens, open, entry);
    supply->count++;
    endpoint->supply_opens++;
    cp_loop_start(loop, &open->task, &open->operation, done, dispose);
    return true;
}

/* ---- How many ---- */

/* Base connections that are to be replaced. The bound of the index says cheaply that there is none. The endpoint's lock
 * is held. */
static uint64_t count_ending(const struct connpool_endpoint *endpoint, int64_t now)
{
    int64_t until = cp_endpoint_replace_until(endpoint, now);
    const struct connpool_connection *connection;
    uint64_t ending = 0;

    if (endpoint->bound <= until) {
        TAILQ_FOREACH (connection, &endpoint->idle[CP_CLASS_BASE], link) {
            ending += connection->expires <= until;
        }
    }
    return ending;
}

/* The pool's lock is held; takes the endpoint's. */
static bool lacks(struct connpool_endpoint *endpoint, int64_t now)
{
    uint64_t lasting;

    cp_lock_take(&endpoint->lock);
    lasting = (uint64_t)endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA] - count_ending(endpoint, now);
    cp_lock_give(&endpoint->lock);
    return lasting + endpoint->supply_opens < endpoint->policy.min_idle;
}

/* No open is to be made there before; 0: at once. The pool's lock is held. */
static int64_t stopped_until(const struct connpool_endpoint *endpoint)
{
    const int64_t times[] = {endpoint->recovery.until, endpoint->recovery.refused_until, endpoint->held_until,
                             endpoint->blocked_until};
    int64_t latest = 0;

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        latest = times[i] > latest ? times[i] : latest;
    }
    return latest;
}

/* A slot for an open that is wanted now. A time at which it may be is noted in *again. */
static bool reserve(struct connpool_endpoint *endpoint, int64_t now, int64_t *again)
{
    struct connpool_pool *pool = endpoint->pool;
    bool is_reserved = false;
    int64_t until;

    if (endpoint->supply_opens >= OPENS_AT_ENDPOINT) {
        return false;
    }
    cp_lock_take(&pool->lock);
    if (lacks(endpoint, now)) {
        until = stopped_until(endpoint);
        if (until > now) {
            *again = until < *again ? until : *again;
        } else {
            is_reserved = cp_recovery_may_open(endpoint, now) && cp_line_reserve_spare(endpoint);
        }
    }
    cp_lock_give(&pool->lock);
    return is_reserved;
}

static void give_up(struct cp_supply *supply, struct cp_loop *loop)
{
    struct cp_supply_open *open;

    while ((open = TAILQ_FIRST(&supply->opens)) != NULL) {
        cp_loop_abandon(loop, &open->task);
    }
}

/* There is something to be kept open ahead of use. */
static bool is_supplied(const struct connpool_endpoint *endpoint)
{
    return endpoint->policy.prewarm && endpoint->policy.min_idle != 0;
}

/* One open at each endpoint that wants one, in turns: silent servers hold their opens for long, and are not to take all
 * there may be from the others. False: none was wanted, or is possible. */
static bool open_at_each(struct connpool_pool *pool, struct cp_loop *loop, int64_t now, int64_t *again)
{
    struct cp_supply *supply = &pool->supply;
    size_t first = supply->turn;
    bool is_any = false;

    for (size_t i = 0; i < pool->named_count && supply->count < OPENS_IN_POOL; i++) {
        size_t index = (first + i) % pool->named_count;
        struct connpool_endpoint *endpoint = pool->named[index];

        if (is_supplied(endpoint) && reserve(endpoint, now, again) && start_open(endpoint, loop, now)) {
            supply->turn = index + 1;
            is_any = true;
        }
    }
    return is_any;
}

int64_t cp_supply_top_up(struct connpool_pool *pool, struct cp_loop *loop, int64_t now)
{
    int64_t again = CP_NEVER;

    if (atomic_load(&pool->context->is_closing)) {
        give_up(&pool->supply, loop);
        return CP_NEVER;
    }
    for (size_t i = 0; i < pool->named_count; i++) {
        if (is_supplied(pool->named[i])) {
            again = now + SUPPLY_LOOK_EVERY;
            cp_ready_look(pool->named[i], now);
        }
    }
    while (open_at_each(pool, loop, now, &again)) {
    }
    return again;
}
