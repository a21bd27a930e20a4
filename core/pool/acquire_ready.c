/* SPDX-License-Identifier: MIT */
/*
 * acquire_ready: the phases that make a connection ready: of an idle one, whether it is alive (LOCAL, IDLE, CHECK); of
 * a slot, a new one (EVICT, OPEN); of both, the hand-out (PREPARE).
 */
#include "base/error.h"
#include "pool/acquire_busy.h"
#include "pool/acquire_error.h"
#include "pool/acquire_phase.h"
#include "pool/carry.h"
#include "pool/dispose.h"
#include "pool/local_check.h"
#include "pool/release.h"
#include "pool/run.h"
#include "pool/verdict.h"

static enum cp_course start(struct cp_acquire *acquire, enum cp_acquire_phase phase, enum cp_kind kind,
                            const struct connpool_wait *wait)
{
    cp_run_start(phase == CP_ACQUIRE_OPEN ? acquire->opening : acquire->connection, kind, wait->now);
    return cp_acquire_go_on(acquire, phase);
}

/* ---- A connection's own operation that is not done ---- */

/* The caller's time is up. */
static enum cp_course leave(struct cp_acquire *acquire)
{
    cp_acquire_error_timed_out(acquire);
    cp_acquire_leave_connection(acquire);
    return cp_acquire_end(acquire, CONNPOOL_TIMED_OUT);
}

static enum cp_course leave_closed(struct cp_acquire *acquire)
{
    cp_acquire_leave_connection(acquire);
    return cp_acquire_end_closed(acquire);
}

/* Sleep on the operation, or leave it. */
static enum cp_course stand_by(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (acquire->connection != NULL) {
        cp_acquire_leave_open(acquire);
    }
    if (cp_acquire_is_late(acquire, wait)) {
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
    return cp_acquire_stand(acquire, wait);
}

/* ---- LOCAL, IDLE, CHECK ---- */

enum cp_course cp_acquire_dead(struct cp_acquire *acquire)
{
    struct connpool_connection *connection = acquire->connection;

    acquire->connection = NULL;
    cp_verdict_dead(connection);
    return cp_acquire_resume(acquire);
}

enum cp_course cp_acquire_alive(struct cp_acquire *acquire, const struct connpool_wait *wait)
{
    bool needs_check = (acquire->needs & CP_NEEDS_CHECK) != 0;

    /* There is no time for a round trip, nor for a worker's call. */
    if (cp_acquire_is_try(acquire) && (needs_check || cp_run_is_blocking(acquire->connection, CP_PREPARE))) {
        return cp_acquire_skip(acquire);
    }
    if (!needs_check) {
        return start(acquire, CP_ACQUIRE_PREPARE, CP_PREPARE, wait);
    }
    cp_acquire_put_back_skipped(acquire);
    return start(acquire, CP_ACQUIRE_CHECK, CP_CHECK, wait);
}

enum cp_course cp_acquire_check_locally(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (cp_run_is_blocking(acquire->connection, CP_IDLE)) {
        return cp_acquire_is_try(acquire) ? cp_acquire_skip(acquire) : start(acquire, CP_ACQUIRE_IDLE, CP_IDLE, wait);
    }
    switch (cp_local_check(acquire->connection, wait->now)) {
    case CP_LOCAL_DEAD:
        return cp_acquire_dead(acquire);
    case CP_LOCAL_BUSY:
        return cp_acquire_skip(acquire);
    default:
        return cp_acquire_alive(acquire, wait);
    }
}

enum cp_course cp_acquire_drive_idle(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    int32_t result = cp_run_step(acquire->connection, wait, &acquire->operation);

    if (result == CONNPOOL_STEP_AGAIN) {
        return stand_by(acquire, wait);
    }
    return result < 0 ? cp_acquire_dead(acquire) : cp_acquire_alive(acquire, wait);
}

enum cp_course cp_acquire_check(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    int32_t result = cp_run_step(acquire->connection, wait, &acquire->operation);

    if (result == CONNPOOL_STEP_AGAIN) {
        return stand_by(acquire, wait);
    }
    return result < 0 ? cp_acquire_dead(acquire) : start(acquire, CP_ACQUIRE_PREPARE, CP_PREPARE, wait);
}

/* ---- EVICT, OPEN ---- */

/* A failure at one endpoint: the next one, if there is another. */
static enum cp_course fail_at(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint)
{
    cp_acquire_exclude(acquire, endpoint);
    return cp_acquire_is_all_excluded(acquire) ? cp_acquire_end(acquire, CONNPOOL_FAILED)
                                               : cp_acquire_go_on(acquire, CP_ACQUIRE_SEARCH);
}

/* A slot that was granted may have come after a connect that failed: nothing is opened in it. *fails: nor is anything
 * to be waited for there, the error is set. */
static bool is_stopped(struct cp_acquire *acquire, int64_t now, bool *fails)
{
    const struct connpool_endpoint *endpoint = acquire->reserved;
    bool has_to_wait;

    cp_lock_take(&acquire->pool->lock);
    *fails = cp_acquire_has_no_hope(acquire, endpoint, now);
    has_to_wait = endpoint->policy.retry && cp_recovery_stopped_until(endpoint) > now;
    cp_lock_give(&acquire->pool->lock);
    return *fails || has_to_wait;
}

static enum cp_course begin_open(struct cp_acquire *acquire, const struct connpool_wait *wait)
{
    struct connpool_endpoint *endpoint = acquire->reserved;
    struct connpool_connection *opening = cp_connection_start(endpoint);

    if (opening == NULL) {
        cp_acquire_give_slot_back(acquire);
        return atomic_load(&acquire->pool->context->is_closing)
                   ? cp_acquire_end_closed(acquire)
                   : cp_acquire_end(acquire, cp_error_no_memory(&acquire->error, acquire->pool->name));
    }
    acquire->reserved = NULL;
    acquire->opening = opening;
    return start(acquire, CP_ACQUIRE_OPEN, CP_OPEN, wait);
}

enum cp_course cp_acquire_evict(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct connpool_endpoint *endpoint = acquire->reserved;
    struct connpool_connection *victim = acquire->victim;
    bool fails;

    acquire->victim = NULL;
    if (victim != NULL) {
        cp_dispose_cut_keep_slot(victim);
    }
    cp_acquire_put_back_skipped(acquire);
    if (is_stopped(acquire, wait->now, &fails)) {
        cp_acquire_give_slot_back(acquire);
        return fails ? fail_at(acquire, endpoint) : cp_acquire_go_on(acquire, CP_ACQUIRE_SEARCH);
    }
    if (cp_acquire_is_late(acquire, wait)) {
        cp_acquire_give_slot_back(acquire);
        return cp_acquire_end_with_time(acquire);
    }
    return begin_open(acquire, wait);
}

/* The open, or the first prepare, of a new connection failed. An opener is served all the same by what came for it
 * meanwhile, which is in hand. */
static enum cp_course open_failed(struct cp_acquire *acquire, struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    bool may_wait;

    cp_acquire_error_failed(acquire, connection);
    may_wait = endpoint->policy.retry && cp_recovery_may_pass(connection->fault.error_class);
    may_wait |= cp_verdict_open_failed(connection);
    if (acquire->connection == NULL) {
        return may_wait ? cp_acquire_go_on(acquire, CP_ACQUIRE_SEARCH) : fail_at(acquire, endpoint);
    }
    if (!may_wait) {
        cp_acquire_exclude(acquire, endpoint);
    }
    return cp_acquire_use_idle(acquire);
}

static enum cp_course opened(struct cp_acquire *acquire, struct connpool_connection *connection,
                             const struct connpool_wait *wait)
{
    if (acquire->connection != NULL) {
        cp_release_put_back(acquire->connection); /* granted meanwhile */
    }
    acquire->connection = connection;
    acquire->is_new = true;
    cp_verdict_opened(connection);
    return start(acquire, CP_ACQUIRE_PREPARE, CP_PREPARE, wait);
}

enum cp_course cp_acquire_open(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct connpool_connection *opening = acquire->opening;
    int32_t result = cp_run_step(opening, wait, &acquire->operation);

    if (result == CONNPOOL_STEP_AGAIN) {
        wait->ready = 0; /* it was told; should it be stepped again at once, nothing is new */
        return acquire->is_in_line || cp_carry_is_there(acquire->pool) ? cp_acquire_seek(acquire, wait)
                                                                       : stand_by(acquire, wait);
    }
    acquire->opening = NULL;
    if (acquire->is_in_line) {
        cp_acquire_leave_line(acquire);
        (void)(result < 0 && acquire->connection == NULL && cp_acquire_take_idle(acquire, wait->now));
    }
    return result < 0 ? open_failed(acquire, opening) : opened(acquire, opening, wait);
}

/* ---- PREPARE ---- */

static enum cp_course hand_out(struct cp_acquire *acquire)
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
        return cp_acquire_end(acquire, CONNPOOL_OK);
    }
    cp_dispose_cut(connection);
    return cp_acquire_end_closed(acquire);
}

enum cp_course cp_acquire_prepare(struct cp_acquire *acquire, struct connpool_wait *wait)
{
    struct connpool_connection *connection;
    int32_t result;

    wait->flags = acquire->flags;
    result = cp_run_step(acquire->connection, wait, &acquire->operation);
    if (result == CONNPOOL_STEP_AGAIN) {
        return stand_by(acquire, wait);
    }
    wait->flags = 0; /* what comes next in this step is not told who asks */
    if (result == CONNPOOL_STEP_DONE) {
        return hand_out(acquire);
    }
    if (!acquire->is_new) {
        return cp_acquire_dead(acquire);
    }
    connection = acquire->connection;
    acquire->connection = NULL;
    return open_failed(acquire, connection);
}
