/* SPDX-License-Identifier: MIT */
/* dispose: see dispose.h. */
#include "pool/dispose.h"

#include "base/cancel.h"
#include "base/error.h"
#include "pool/carry.h"
#include "pool/pool.h"
#include "pool/reactor.h"
#include "pool/run.h"

static bool has_goodbye(const struct connpool_connection *connection)
{
    return connection->is_polite && connection->pool->manager->close != NULL;
}

/* The one step of a close that gets no other. */
static void say_goodbye(struct connpool_connection *connection)
{
    struct connpool_wait wait;

    if (!has_goodbye(connection) || cp_run_is_blocking(connection, CP_CLOSE)) {
        return;
    }
    cp_wait_init(&wait, cp_clock_precise(&connection->pool->context->clock), 0, CONNPOOL_WAIT_CUT);
    cp_run_start(connection, CP_CLOSE, wait.now);
    (void)cp_run_step(connection, &wait, NULL);
}

void cp_dispose_cut(struct connpool_connection *connection)
{
    say_goodbye(connection);
    cp_connection_end(connection);
}

void cp_dispose_cut_keep_slot(struct connpool_connection *connection)
{
    say_goodbye(connection);
    cp_connection_end_keep_slot(connection);
}

/* End those that have nothing to say; start the close of the others, all at one time, so that they share its limit. */
static void start_closes(struct connpool_pool *pool, struct cp_connection_list *doomed)
{
    int64_t now = TAILQ_EMPTY(doomed) ? 0 : cp_clock_precise(&pool->context->clock);
    struct connpool_connection *connection;
    struct connpool_connection *next;

    TAILQ_FOREACH_SAFE (connection, doomed, link, next) {
        if (has_goodbye(connection)) {
            cp_line_closing(cp_connection_endpoint(connection));
            cp_run_start(connection, CP_CLOSE, now);
        } else {
            TAILQ_REMOVE(doomed, connection, link);
            cp_connection_end(connection);
        }
    }
}

/* Several closes at once in the calling thread: one silent peer stops nothing. */
static void drive_together(struct connpool *context, struct cp_connection_list *closes)
{
    struct connpool_fault fault;
    struct cp_loop *loop = NULL;
    struct connpool_connection *connection;

    if (TAILQ_NEXT(TAILQ_FIRST(closes), link) != NULL && cp_reactor_loop_of_thread(context) == NULL) {
        cp_fault_init(&fault);
        loop = cp_loop_new(&context->clock, &fault);
    }
    while ((connection = TAILQ_FIRST(closes)) != NULL) {
        TAILQ_REMOVE(closes, connection, link);
        if (loop == NULL || !cp_carry_in_loop(connection, loop)) {
            cp_carry_here(connection);
        }
    }
    if (loop != NULL) {
        cp_context_drive(context, loop);
    }
    cp_loop_free(loop);
}

void cp_dispose_all(struct connpool_pool *pool, struct cp_connection_list *doomed)
{
    struct connpool *context = pool->context;
    struct cp_connection_list rest = TAILQ_HEAD_INITIALIZER(rest);
    struct connpool_connection *connection;
    int cancel_state;

    if (TAILQ_EMPTY(doomed)) {
        return;
    }
    cancel_state = cp_cancel_disable();
    /* The last connection of a closed context may end in here, and the context with it. */
    cp_context_ref(context);
    start_closes(pool, doomed);
    while ((connection = TAILQ_FIRST(doomed)) != NULL) {
        TAILQ_REMOVE(doomed, connection, link);
        if (!cp_carry_elsewhere(connection)) {
            TAILQ_INSERT_TAIL(&rest, connection, link);
        }
    }
    if (!TAILQ_EMPTY(&rest)) {
        drive_together(context, &rest);
    }
    cp_context_unref(context);
    cp_cancel_restore(cancel_state);
}

void cp_dispose_in_loop(struct cp_loop *loop, struct cp_connection_list *doomed)
{
    struct connpool_connection *connection = TAILQ_FIRST(doomed);

    if (connection != NULL) {
        start_closes(connection->pool, doomed);
    }
    while ((connection = TAILQ_FIRST(doomed)) != NULL) {
        TAILQ_REMOVE(doomed, connection, link);
        if (!cp_carry_in_loop(connection, loop)) {
            cp_carry_here(connection);
        }
    }
}
