/* SPDX-License-Identifier: MIT */
/* run: see run.h. */
#include "pool/run.h"

#include <stdio.h>

#include "base/error.h"
#include "engine/token.h"
#include "pool/blocking.h"
#include "pool/endpoint.h"
#include "pool/pool.h"

static const char *const names[CP_KIND_COUNT] = {"open", "check", "prepare", "reset", "idle", "close"};

const char *cp_run_name(enum cp_kind kind)
{
    return names[kind];
}

connpool_step_fn *cp_run_function(const struct connpool_connection *connection, enum cp_kind kind)
{
    const struct connpool_manager *manager = connection->pool->manager;
    connpool_step_fn *const functions[CP_KIND_COUNT] = {manager->open,  manager->check, manager->prepare,
                                                        manager->reset, manager->idle,  manager->close};

    return functions[kind];
}

/* prepare and idle have no limit of their own: one never waits, the other is never waited for long. */
static int64_t span_of(const struct cp_policy *policy, enum cp_kind kind)
{
    switch (kind) {
    case CP_OPEN:
        return policy->connect_timeout;
    case CP_CHECK:
        return policy->check_timeout;
    case CP_RESET:
        return policy->reset_timeout;
    case CP_CLOSE:
        return policy->dispose_timeout;
    default:
        return CP_NEVER;
    }
}

/* What is parked while a check runs is no older than it: should the check get no answer, it is not condemned. */
static void remember_parkings(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    cp_lock_take(&endpoint->lock);
    connection->checked_at = endpoint->parkings;
    cp_lock_give(&endpoint->lock);
}

void cp_run_start(struct connpool_connection *connection, enum cp_kind kind, int64_t now)
{
    connection->kind = kind;
    connection->is_first_step = true;
    connection->limit_span = span_of(&cp_connection_endpoint(connection)->policy, kind);
    connection->limit = cp_time_add(now, connection->limit_span);
    connection->is_cut = false;
    cp_fault_init(&connection->fault);
    if (kind == CP_CHECK) {
        remember_parkings(connection);
    }
}

bool cp_run_is_blocking(const struct connpool_connection *connection, enum cp_kind kind)
{
    return (connection->pool->manager->blocking_operations & (1u << kind)) != 0;
}

static int32_t misbehaving(struct connpool_connection *connection, const char *what, int32_t result)
{
    cp_fault_init(&connection->fault);
    return cp_fault_set(&connection->fault, CONNPOOL_ERROR_MISBEHAVING, 0, "manager '%s': %s answered %d%s",
                        connection->pool->manager->name, names[connection->kind], (int)result, what);
}

/* What a step answered, made sound (failures.md E16). */
static int32_t checked(struct connpool_connection *connection, const struct connpool_wait *wait, int32_t result)
{
    bool names_nothing = wait->fd < 0 && wait->at == 0 && (wait->flags & CONNPOOL_WAIT_WAKE) == 0;

    if (result == CONNPOOL_STEP_DONE) {
        return result;
    }
    if (result == CONNPOOL_STEP_AGAIN) {
        if (connection->kind == CP_PREPARE && !cp_run_is_blocking(connection, CP_PREPARE)) {
            return misbehaving(connection, " (again), which it must never", result);
        }
        if (names_nothing || (wait->fd >= 0 && wait->events == 0)) {
            return misbehaving(connection, " (again) without saying what ends the wait", result);
        }
        return result;
    }
    if (result > 0 || result < -CONNPOOL_ERROR_INTERNAL) {
        return misbehaving(connection, ", which means nothing", result);
    }
    connection->fault.text[sizeof(connection->fault.text) - 1] = '\0';
    if (connection->fault.error_class < 1 || connection->fault.error_class > CONNPOOL_ERROR_INTERNAL) {
        connection->fault.error_class = -result;
    }
    if (connection->fault.text[0] == '\0') {
        (void)snprintf(connection->fault.text, sizeof(connection->fault.text), "%s (the manager gave no reason)",
                       connpool_error_class_text(-result));
    }
    return result;
}

static int32_t call(struct connpool_connection *connection, struct connpool_wait *wait)
{
    cp_lock_assert_none();
    if (cp_run_is_blocking(connection, connection->kind)) {
        return cp_blocking_step(connection, wait);
    }
    connection->is_open_started = true;
    return cp_run_function(connection, connection->kind)(connection->plugin_state, wait, &connection->fault);
}

/* The operation goes on: see that its wait can end, and ends by its limit. */
static int32_t stand(struct connpool_connection *connection, struct connpool_wait *wait, struct cp_operation *driven)
{
    struct cp_waker *waker;

    if (connection->limit <= wait->now) {
        connection->is_cut = true;
        cp_fault_init(&connection->fault);
        return cp_fault_set(&connection->fault, CONNPOOL_ERROR_TIMEOUT, 0, "%s did not end within %.3g s",
                            names[connection->kind], (double)connection->limit_span / (double)CP_SECOND);
    }
    if (connection->limit != CP_NEVER) {
        wait->at = cp_time_earlier(wait->at, connection->limit);
    }
    if ((wait->flags & CONNPOOL_WAIT_WAKE) != 0 && driven != NULL) {
        waker = cp_operation_waker(driven);
        if (waker == NULL) {
            return cp_fault_set(&connection->fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "out of memory");
        }
        cp_token_arm(connection->token, waker);
        connection->is_armed = true;
    }
    return CONNPOOL_STEP_AGAIN;
}

/* A parked connection holds no driver's waker. */
static void disarm(struct connpool_connection *connection)
{
    if (connection->is_armed) {
        cp_token_arm(connection->token, NULL);
        connection->is_armed = false;
    }
}

int32_t cp_run_step(struct connpool_connection *connection, struct connpool_wait *wait, struct cp_operation *driven)
{
    uint32_t flags = wait->flags & (CONNPOOL_WAIT_FOR_LOOP | CONNPOOL_WAIT_CUT);
    int64_t now = wait->now;
    int32_t result;

    if (cp_run_function(connection, connection->kind) == NULL) {
        return CONNPOOL_STEP_DONE;
    }
    cp_wait_init(wait, now, connection->is_first_step ? 0 : wait->ready, flags);
    wait->deadline = connection->limit == CP_NEVER ? 0 : connection->limit;
    wait->token = connection->token;
    connection->is_first_step = false;
    result = checked(connection, wait, call(connection, wait));
    wait->now = now;
    if (connection->kind == CP_OPEN && connection->blocking == NULL && connection->is_open_started) {
        cp_connection_record_descriptors(connection);
    }
    if (result == CONNPOOL_STEP_AGAIN) {
        return stand(connection, wait, driven);
    }
    disarm(connection);
    return result;
}

bool cp_run_abandon(struct connpool_connection *connection)
{
    if (connection->blocking == NULL) {
        return true;
    }
    cp_blocking_abandon(connection);
    return false;
}
