/* SPDX-License-Identifier: MIT */
/* verdict: see verdict.h. */
#include "pool/verdict.h"

#include "base/cancel.h"
#include "base/error.h"
#include "pool/dispose.h"
#include "pool/observe.h"
#include "pool/pool.h"
#include "pool/run.h"

/* plugin-abi.md, Errors: after RESOURCE_REMOTE no open is started at an endpoint that has another connection. */
#define BLOCKED_FOR CP_SECOND

/* The part of its life that a connection gets: lives are shortened at random, so that those opened together do not end
 * together. */
static int64_t life_of(struct connpool_pool *pool, const struct cp_policy *policy)
{
    double part;

    cp_lock_take(&pool->lock);
    part = 1.0 - policy->lifetime_jitter * cp_pool_random(pool);
    cp_lock_give(&pool->lock);
    return policy->lifetime_jitter == 0.0 ? policy->max_lifetime : (int64_t)((double)policy->max_lifetime * part);
}

/* The endpoint is in order: whoever waited for that may open. */
static void clear_faults(struct connpool_endpoint *endpoint, int64_t now)
{
    struct connpool_pool *pool = endpoint->pool;
    struct cp_wakes wakes = {.count = 0};
    bool was_stopped;

    cp_lock_take(&pool->lock);
    was_stopped = cp_recovery_succeeded(endpoint, now) || endpoint->held_until != 0 || endpoint->blocked_until != 0;
    endpoint->held_until = 0;
    endpoint->blocked_until = 0;
    endpoint->last_fault.error_class = 0;
    if (was_stopped) {
        cp_line_match(endpoint, &wakes);
    }
    cp_lock_give(&pool->lock);
    cp_wakes_fire(&wakes);
}

void cp_verdict_opened(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct connpool_pool *pool = connection->pool;
    int64_t now = cp_clock_precise(&pool->context->clock);
    int64_t life = life_of(pool, &endpoint->policy);

    cp_lock_take(&endpoint->lock);
    connection->created = now;
    connection->released = now;
    connection->expires = cp_time_add(now, life);
    endpoint->counters.opened++;
    cp_connection_set_state(connection, CP_CHECKING);
    cp_lock_give(&endpoint->lock);
    clear_faults(endpoint, now);
    if (pool->is_observed) {
        cp_observe_opened(connection, connection->opened_at == 0 ? 0 : now - connection->opened_at);
    }
}

bool cp_verdict_open_failed(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct connpool_pool *pool = connection->pool;
    int64_t now = cp_clock_precise(&pool->context->clock);
    bool may_wait;

    cp_lock_take(&pool->lock);
    endpoint->last_fault = connection->fault;
    cp_recovery_failed(endpoint, &connection->fault, now);
    cp_lock_take(&endpoint->lock);
    cp_endpoint_doom(connection, CONNPOOL_REASON_OPEN, false);
    cp_lock_give(&endpoint->lock);
    may_wait = connection->fault.error_class == CONNPOOL_ERROR_RESOURCE_REMOTE && cp_line_has_live(endpoint);
    if (may_wait) {
        endpoint->blocked_until = cp_time_add(now, BLOCKED_FOR);
    } else if (endpoint->policy.holddown != 0) {
        endpoint->held_until = cp_time_add(now, endpoint->policy.holddown);
    }
    cp_lock_give(&pool->lock);
    cp_connection_end(connection);
    return may_wait;
}

static void tell_dead(struct connpool_connection *connection)
{
    struct connpool_pool *pool = connection->pool;
    connpool_error error;

    if (pool->is_observed) {
        (void)cp_error_set_fault(&error, CONNPOOL_FAILED, &connection->fault, "pool '%s', endpoint '%s': %s",
                                 pool->name, cp_connection_endpoint(connection)->name, cp_run_name(connection->kind));
        cp_observe_dead(connection, &error);
    }
}

void cp_verdict_dead(struct connpool_connection *connection)
{
    bool by_timeout = connection->kind == CP_CHECK && connection->is_cut;

    cp_endpoint_found_dead(connection, by_timeout);
    tell_dead(connection);
    cp_connection_end(connection);
}

void cp_verdict_doomed(struct cp_connection_list *doomed)
{
    struct connpool_connection *connection;
    int cancel_state;

    if (TAILQ_EMPTY(doomed)) {
        return;
    }
    cancel_state = cp_cancel_disable();
    while ((connection = TAILQ_FIRST(doomed)) != NULL) {
        TAILQ_REMOVE(doomed, connection, link);
        if (connection->reason == CONNPOOL_REASON_DEAD) {
            connection->kind = CP_CHECK;
            cp_fault_init(&connection->fault);
            (void)cp_fault_set(&connection->fault, CONNPOOL_ERROR_TIMEOUT, 0,
                               "parked before another one that gave no answer to its check");
            tell_dead(connection);
        }
        cp_dispose_cut(connection);
    }
    cp_cancel_restore(cancel_state);
}

void cp_verdict_abandoned(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    cp_lock_take(&endpoint->lock);
    cp_endpoint_doom(connection, CONNPOOL_REASON_ABANDONED, false);
    cp_lock_give(&endpoint->lock);
    cp_connection_end(connection);
}
