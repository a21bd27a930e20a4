/* SPDX-License-Identifier: MIT */
/* carry: see carry.h. */
#include "pool/carry.h"

#include "base/memory.h"
#include "pool/collector.h"
#include "pool/pool.h"
#include "pool/reactor.h"
#include "pool/release.h"
#include "pool/run.h"
#include "pool/verdict.h"

/* One drive. The connection may be somebody else's as soon as its operation has ended, so this is not in its record. */
struct cp_carry {
    struct cp_operation operation;
    struct cp_task task;
    struct connpool_connection *connection;
    bool is_listed; /* in the context's list; the loop's thread only, once it was started */
    LIST_ENTRY(cp_carry) entry;
};

static bool hand_on(struct connpool_connection *connection);

static struct cp_carry *carry_of(struct cp_operation *operation)
{
    return (struct cp_carry *)((char *)operation - offsetof(struct cp_carry, operation));
}

static void reset_failed(struct connpool_connection *connection)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);

    cp_lock_take(&endpoint->lock);
    cp_endpoint_doom(connection, CONNPOOL_REASON_RESET, false);
    cp_lock_give(&endpoint->lock);
    cp_connection_end(connection);
}

static void close_ended(struct connpool_connection *connection, int32_t result)
{
    if (result < 0 && !atomic_load(&connection->pool->context->is_closing)) {
        cp_log_write(&connection->pool->context->log, CONNPOOL_LOG_INFO, "pool '%s', endpoint '%s': close: %s",
                     connection->pool->name, cp_connection_endpoint(connection)->name, connection->fault.text);
    }
    cp_connection_end(connection);
}

/* The open of a connection, or its first prepare, which belongs to that: it was never parked. */
static void new_ended(struct connpool_connection *connection, bool is_ok)
{
    if (!is_ok) {
        (void)cp_verdict_open_failed(connection);
        return;
    }
    if (connection->kind == CP_OPEN) {
        cp_verdict_opened(connection);
    }
    cp_release_settle(connection);
}

static void idle_ended(struct connpool_connection *connection, bool is_ok)
{
    is_ok ? cp_release_put_back(connection) : cp_verdict_dead(connection);
}

static void ended(struct connpool_connection *connection, int32_t result)
{
    bool is_ok = result == CONNPOOL_STEP_DONE;

    switch (connection->kind) {
    case CP_OPEN:
        new_ended(connection, is_ok);
        break;
    case CP_PREPARE: /* these two of a blocking manager; the next hand-out does them again */
    case CP_IDLE:
        connection->parked == 0 ? new_ended(connection, is_ok) : idle_ended(connection, is_ok);
        break;
    case CP_CHECK:
        is_ok ? cp_release_settle(connection) : cp_verdict_dead(connection);
        break;
    case CP_RESET:
        is_ok ? cp_release_settle(connection) : reset_failed(connection);
        break;
    default:
        close_ended(connection, result);
        break;
    }
}

/* It would make a connection ready that nobody wants once the context closes: its close does not wait for that. */
static bool is_for_use(const struct connpool_connection *connection)
{
    return connection->kind != CP_RESET && connection->kind != CP_CLOSE;
}

static bool is_unwanted(const struct connpool_connection *connection)
{
    return is_for_use(connection) && atomic_load(&connection->pool->context->is_closing);
}

/* Before the connection ends or goes on its way, and the context with it. */
static void leave_list(struct cp_carry *carry)
{
    struct connpool *context = carry->connection->pool->context;

    if (!carry->is_listed) {
        return;
    }
    cp_lock_take(&context->lock);
    LIST_REMOVE(carry, entry);
    cp_lock_give(&context->lock);
    carry->is_listed = false;
}

static int32_t step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct cp_carry *carry = carry_of(operation);
    struct connpool_connection *connection = carry->connection;
    int32_t result;

    if (is_unwanted(connection)) {
        leave_list(carry);
        cp_verdict_abandoned(connection);
        return CONNPOOL_STEP_DONE;
    }
    result = cp_run_step(connection, wait, operation);
    if (result == CONNPOOL_STEP_AGAIN) {
        return result;
    }
    leave_list(carry);
    ended(connection, result);
    return CONNPOOL_STEP_DONE;
}

/* The loop stops. A reactor's may do so while there is another that goes on with the operation; else it ends. */
static void abandon(struct cp_operation *operation)
{
    struct cp_carry *carry = carry_of(operation);
    struct connpool_connection *connection = carry->connection;

    leave_list(carry);
    if (!is_unwanted(connection) && hand_on(connection)) {
        return;
    }
    if (connection->state == CP_CLOSING) {
        cp_connection_end(connection);
    } else {
        cp_verdict_abandoned(connection);
    }
}

static void init(struct cp_carry *carry, struct connpool_connection *connection)
{
    carry->operation = (struct cp_operation){.step = step, .abandon = abandon};
    carry->connection = connection;
    carry->is_listed = false;
}

static void done(struct cp_task *task)
{
    (void)task;
}

static void dispose(struct cp_task *task)
{
    cp_free((char *)task - offsetof(struct cp_carry, task));
}

/* NULL: no memory. */
static struct cp_carry *new_carry(struct connpool_connection *connection)
{
    struct cp_carry *carry = cp_alloc(sizeof(*carry));

    if (carry != NULL) {
        init(carry, connection);
    }
    return carry;
}

bool cp_carry_in_loop(struct connpool_connection *connection, struct cp_loop *loop)
{
    struct cp_carry *carry = new_carry(connection);

    if (carry == NULL) {
        return false;
    }
    cp_loop_start(loop, &carry->task, &carry->operation, done, dispose);
    return true;
}

/* The context's lock is held. */
static bool start_listed(struct connpool_connection *connection, struct cp_loop *loop)
{
    struct cp_carry *carry = new_carry(connection);

    if (carry == NULL) {
        return false;
    }
    LIST_INSERT_HEAD(&connection->pool->context->carried, carry, entry);
    carry->is_listed = true;
    cp_loop_start(loop, &carry->task, &carry->operation, done, dispose);
    return true;
}

void cp_carry_end_all(struct connpool *context)
{
    struct cp_carry *carry;

    cp_lock_take(&context->lock);
    LIST_FOREACH (carry, &context->carried, entry) {
        cp_waker_fire(cp_waker_ref(&carry->task.waker));
    }
    cp_lock_give(&context->lock);
}

/* The context's lock is held. */
static struct cp_loop *loop_for(const struct connpool_connection *connection)
{
    struct connpool *context = connection->pool->context;

    if (context->is_closing_driven) {
        return context->closing_loop;
    }
    if (context->collector != NULL && connection->pool->policy.background_collector) {
        return cp_collector_loop(context->collector);
    }
    return cp_reactor_loop_of_thread(context);
}

bool cp_carry_elsewhere(struct connpool_connection *connection)
{
    struct connpool *context = connection->pool->context;
    struct cp_loop *loop;
    bool is_carried;

    cp_lock_take(&context->lock);
    loop = loop_for(connection);
    is_carried =
        loop != NULL && (is_for_use(connection) ? start_listed(connection, loop) : cp_carry_in_loop(connection, loop));
    cp_lock_give(&context->lock);
    return is_carried;
}

bool cp_carry_is_there(const struct connpool_pool *pool)
{
    return pool->policy.background_collector || cp_reactor_loop_of_thread(pool->context) != NULL;
}

/* What connpool_close abandons at its end is not taken over. */
static bool hand_on(struct connpool_connection *connection)
{
    struct connpool *context = connection->pool->context;
    bool has_ended;

    cp_lock_take(&context->lock);
    has_ended = atomic_load(&context->is_closing) && !context->is_closing_driven;
    cp_lock_give(&context->lock);
    return !has_ended && cp_carry_elsewhere(connection);
}

void cp_carry_here(struct connpool_connection *connection)
{
    struct connpool *context = connection->pool->context;
    struct cp_carry carry;

    init(&carry, connection);
    if (cp_reactor_loop_of_thread(context) != NULL) {
        abandon(&carry.operation); /* without memory nothing can go on there, and it may not wait */
        return;
    }
    (void)cp_drive(&carry.operation, context->sleepers, &context->clock, 0);
}

/* Most resets and closes are done with their first step: only of those that are not is the limit looked at closely. */
void cp_carry_start(struct connpool_connection *connection, enum cp_kind kind)
{
    const struct cp_clock *clock = &connection->pool->context->clock;
    struct connpool_wait wait;
    int32_t result;

    cp_wait_init(&wait, cp_clock_coarse(clock), 0, 0);
    cp_run_start(connection, kind, wait.now);
    result = cp_run_step(connection, &wait, NULL);
    if (result != CONNPOOL_STEP_AGAIN) {
        ended(connection, result);
        return;
    }
    connection->limit = cp_time_add(cp_clock_precise(clock), connection->limit_span);
    if (!cp_carry_elsewhere(connection)) {
        cp_carry_here(connection);
    }
}
