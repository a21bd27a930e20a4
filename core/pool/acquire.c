/* SPDX-License-Identifier: MIT */
/* acquire: see acquire.h. The operation: its phases are in acquire_search.c and acquire_ready.c. */
#include "pool/acquire.h"

#include <string.h>

#include "base/error.h"
#include "pool/acquire_busy.h"
#include "pool/acquire_error.h"
#include "pool/acquire_phase.h"
#include "pool/carry.h"
#include "pool/dispose.h"
#include "pool/release.h"
#include "pool/run.h"
#include "pool/verdict.h"

static struct cp_acquire *acquire_of(struct cp_operation *operation)
{
    return (struct cp_acquire *)((char *)operation - offsetof(struct cp_acquire, operation));
}

enum cp_course cp_acquire_stand(const struct cp_acquire *acquire, struct connpool_wait *wait)
{
    if (acquire->deadline != CP_NEVER) {
        wait->at = cp_time_earlier(wait->at, acquire->deadline);
    }
    return CP_STAND;
}

/* Once the context closes nobody wants the connection any more. */
static void leave(struct connpool_connection **place)
{
    struct connpool_connection *connection = *place;

    *place = NULL;
    if (connection != NULL &&
        (atomic_load(&connection->pool->context->is_closing) || !cp_carry_elsewhere(connection))) {
        cp_verdict_abandoned(connection);
    }
}

void cp_acquire_leave_connection(struct cp_acquire *acquire)
{
    leave(&acquire->connection);
}

void cp_acquire_leave_open(struct cp_acquire *acquire)
{
    leave(&acquire->opening);
}

enum cp_course cp_acquire_resume(struct cp_acquire *acquire)
{
    return cp_acquire_go_on(acquire, acquire->opening != NULL ? CP_ACQUIRE_OPEN : CP_ACQUIRE_SEARCH);
}

enum cp_course cp_acquire_end(struct cp_acquire *acquire, connpool_status status)
{
    acquire->connection = NULL;
    cp_acquire_leave_open(acquire);
    cp_acquire_busy_leave(acquire);
    cp_acquire_put_back_skipped(acquire);
    acquire->status = status;
    return CP_END;
}

enum cp_course cp_acquire_end_with_time(struct cp_acquire *acquire)
{
    cp_acquire_error_timed_out(acquire);
    return cp_acquire_end(acquire, CONNPOOL_TIMED_OUT);
}

enum cp_course cp_acquire_end_closed(struct cp_acquire *acquire)
{
    (void)cp_error_set(&acquire->error, CONNPOOL_CLOSED, 0, "pool '%s' is closed", acquire->pool->name);
    return cp_acquire_end(acquire, CONNPOOL_CLOSED);
}

enum cp_course cp_acquire_skip(struct cp_acquire *acquire)
{
    TAILQ_INSERT_TAIL(&acquire->skipped, acquire->connection, link);
    acquire->connection = NULL;
    return cp_acquire_resume(acquire);
}

void cp_acquire_put_back_skipped(struct cp_acquire *acquire)
{
    struct connpool_connection *connection;

    /* The last first: each goes back to the head of the line that it was taken from. */
    while ((connection = TAILQ_LAST(&acquire->skipped, cp_connection_list)) != NULL) {
        TAILQ_REMOVE(&acquire->skipped, connection, link);
        cp_release_put_back(connection);
    }
}

bool cp_acquire_is_excluded(const struct cp_acquire *acquire, size_t index)
{
    return (acquire->excluded >> index & 1) != 0;
}

void cp_acquire_exclude(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint)
{
    for (size_t i = 0; i < acquire->count; i++) {
        if (acquire->endpoints[i] == endpoint) {
            acquire->excluded |= UINT64_C(1) << i;
        }
    }
}

bool cp_acquire_is_all_excluded(const struct cp_acquire *acquire)
{
    for (size_t i = 0; i < acquire->count; i++) {
        if (!cp_acquire_is_excluded(acquire, i)) {
            return false;
        }
    }
    return true;
}

bool cp_acquire_has_no_hope(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint, int64_t now)
{
    if (cp_recovery_is_held(endpoint, now)) {
        cp_acquire_error_held(acquire, endpoint, now);
        return true;
    }
    if (cp_line_is_refused(endpoint, &acquire->waiter)) {
        cp_acquire_error_refused(acquire, endpoint);
        return true;
    }
    return false;
}

void cp_acquire_give_slot_back(struct cp_acquire *acquire)
{
    cp_line_give_back(acquire->reserved);
    acquire->reserved = NULL;
}

static cp_acquire_phase_fn *const phases[CP_ACQUIRE_PHASE_COUNT] = {
    [CP_ACQUIRE_SEARCH] = cp_acquire_search,   [CP_ACQUIRE_LOCAL] = cp_acquire_check_locally,
    [CP_ACQUIRE_IDLE] = cp_acquire_drive_idle, [CP_ACQUIRE_CHECK] = cp_acquire_check,
    [CP_ACQUIRE_EVICT] = cp_acquire_evict,     [CP_ACQUIRE_OPEN] = cp_acquire_open,
    [CP_ACQUIRE_PREPARE] = cp_acquire_prepare,
};

static int32_t step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct cp_acquire *acquire = acquire_of(operation);
    enum cp_course course = CP_GO_ON;

    while (course == CP_GO_ON) {
        course = phases[acquire->phase](acquire, wait);
    }
    return course == CP_END ? CONNPOOL_STEP_DONE : CONNPOOL_STEP_AGAIN;
}

static void abandon(struct cp_operation *operation)
{
    struct cp_acquire *acquire = acquire_of(operation);

    cp_acquire_leave_connection(acquire);
    if (acquire->is_in_line) {
        cp_acquire_leave_line(acquire);
    }
    if (acquire->victim != NULL) {
        cp_dispose_cut_keep_slot(acquire->victim);
        acquire->victim = NULL;
    }
    if (acquire->reserved != NULL) {
        cp_acquire_give_slot_back(acquire);
    }
    if (acquire->connection != NULL) {
        cp_release_put_back(acquire->connection); /* it was granted just now */
    }
    (void)cp_acquire_end(acquire,
                         cp_error_set(&acquire->error, CONNPOOL_NO_MEMORY, CONNPOOL_ERROR_RESOURCE_LOCAL,
                                      "pool '%s': out of memory or descriptors for a wait", acquire->pool->name));
}

/* A look at the precise clock is a tenth of what an idle connection's acquire takes without system calls. */
static int64_t deadline_after(const struct cp_clock *clock, int64_t timeout)
{
    return timeout == 0 || timeout == CP_NEVER ? timeout : cp_time_add(cp_clock_precise(clock), timeout);
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
    acquire->deadline = deadline_after(&acquire->pool->context->clock, timeout);
    acquire->waiter.places = places;
    TAILQ_INIT(&acquire->skipped);
}

void cp_acquire_begin_with(struct cp_acquire *acquire, struct connpool_connection *connection, uint32_t needs)
{
    acquire->connection = connection;
    acquire->needs = needs;
    acquire->phase = CP_ACQUIRE_LOCAL;
}
