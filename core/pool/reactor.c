/* SPDX-License-Identifier: MIT */
/* reactor: see reactor.h; connpool_reactor_…. */
#include "pool/reactor.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/memory.h"
#include "pool/pool.h"

/* What the calling thread has. */
static _Thread_local LIST_HEAD(, connpool_reactor) reactors;
static _Thread_local struct connpool_reactor *dispatching;

struct cp_reactor_visit cp_reactor_enter(struct connpool_reactor *reactor)
{
    struct cp_reactor_visit visit = {.outer = dispatching, .cancel_state = cp_cancel_disable()};

    dispatching = reactor;
    return visit;
}

void cp_reactor_exit(struct cp_reactor_visit visit)
{
    dispatching = visit.outer;
    cp_cancel_restore(visit.cancel_state);
}

bool cp_reactor_is_dispatching(void)
{
    /* A callback may have forked: in the child, the parent's dispatch is nobody's. */
    return dispatching != NULL && !cp_reactor_is_forked(dispatching);
}

struct cp_loop *cp_reactor_loop_of_thread(const struct connpool *context)
{
    const struct connpool_reactor *reactor;

    if (dispatching != NULL && dispatching->context == context && !dispatching->has_left) {
        return dispatching->loop;
    }
    LIST_FOREACH (reactor, &reactors, of_thread) {
        if (reactor->context == context) {
            return reactor->loop;
        }
    }
    return NULL;
}

/* ---- Making ---- */

static connpool_status refuse_new(const struct connpool *context, connpool_error *error)
{
    if (context == NULL) {
        return cp_error_set(error, CONNPOOL_NOT_FOUND, 0, "reactor: the context is NULL");
    }
    if (context->fork_generation != cp_fork_generation) {
        return cp_error_set(error, CONNPOOL_FORKED, 0, "reactor: the context belongs to the parent process");
    }
    if (atomic_load(&context->is_closing)) {
        return cp_error_set(error, CONNPOOL_CLOSED, 0, "reactor: the context is closed");
    }
    return CONNPOOL_OK;
}

/* Let the context know of it. */
static void join(struct connpool_reactor *reactor)
{
    struct connpool *context = reactor->context;

    cp_context_ref(context);
    for (size_t i = 0; i < context->pool_count; i++) {
        cp_lane_init(&reactor->lanes[i], context->pools[i], reactor->loop, &reactor->was_passed_over);
    }
    reactor->driven.loop = reactor->loop;
    cp_lock_take(&context->lock);
    LIST_INSERT_HEAD(&context->driven_loops, &reactor->driven, entry);
    cp_lock_give(&context->lock);
    LIST_INSERT_HEAD(&reactors, reactor, of_thread);
}

connpool_reactor *connpool_reactor_new(connpool *context, connpool_error *error)
{
    struct connpool_reactor *reactor;
    struct connpool_fault fault;

    if (refuse_new(context, error) != CONNPOOL_OK) {
        return NULL;
    }
    reactor = cp_alloc(sizeof(*reactor) + context->pool_count * sizeof(struct cp_lane));
    if (reactor == NULL) {
        (void)cp_error_no_memory(error, "reactor");
        return NULL;
    }
    cp_fault_init(&fault);
    reactor->loop = cp_loop_new(&context->clock, &fault);
    if (reactor->loop == NULL) {
        (void)cp_error_set_fault(error, CONNPOOL_NO_MEMORY, &fault, "reactor");
        cp_free(reactor);
        return NULL;
    }
    reactor->context = context;
    reactor->owner = pthread_self();
    cp_requests_init(&reactor->requests);
    join(reactor);
    return reactor;
}

int connpool_reactor_fd(const connpool_reactor *reactor)
{
    return reactor == NULL || cp_reactor_is_forked(reactor) ? -1 : cp_loop_fd(reactor->loop);
}

/* ---- Dispatch ---- */

static connpool_status refuse_dispatch(const struct connpool_reactor *reactor)
{
    if (cp_reactor_is_forked(reactor)) {
        return CONNPOOL_FORKED;
    }
    return cp_reactor_is_mine(reactor) && !cp_reactor_is_dispatching() ? CONNPOOL_OK : CONNPOOL_INVALID;
}

/* Its waiters left the line because it did not come. */
static void return_to_line(struct connpool_reactor *reactor)
{
    if (atomic_exchange(&reactor->was_passed_over, false)) {
        cp_requests_return_to_line(&reactor->requests);
    }
}

connpool_status connpool_reactor_dispatch(connpool_reactor *reactor)
{
    connpool_status status = reactor == NULL ? CONNPOOL_INVALID : refuse_dispatch(reactor);
    struct cp_reactor_visit visit;

    if (status != CONNPOOL_OK) {
        return status;
    }
    visit = cp_reactor_enter(reactor);
    return_to_line(reactor);
    if (cp_requests_tell(&reactor->requests)) {
        cp_loop_dispatch(reactor->loop);
    }
    if (!cp_reactor_is_forked(reactor)) {
        return_to_line(reactor); /* the loop may have seen the kick of who passed it over meanwhile */
    }
    cp_reactor_exit(visit);
    return cp_reactor_is_forked(reactor) ? CONNPOOL_FORKED : CONNPOOL_OK;
}

/* ---- Close ---- */

static void retire(struct connpool_reactor *reactor)
{
    struct cp_reactor_visit visit = cp_reactor_enter(reactor);

    reactor->is_retiring = true;
    (void)cp_requests_close(&reactor->requests); /* calls nobody back */
    cp_loop_abandon_all(reactor->loop);
    reactor->is_retiring = false;
    cp_reactor_exit(visit);
}

void cp_reactor_retire_of_thread(const struct connpool *context)
{
    struct connpool_reactor *reactor;

    if (cp_reactor_is_dispatching()) {
        return;
    }
    LIST_FOREACH (reactor, &reactors, of_thread) {
        if (reactor->context == context) {
            retire(reactor);
        }
    }
}

/* The context forgets it. */
static void leave(struct connpool_reactor *reactor)
{
    struct connpool *context = reactor->context;

    reactor->has_left = true;
    LIST_REMOVE(reactor, of_thread);
    cp_lock_take(&context->lock);
    LIST_REMOVE(&reactor->driven, entry);
    cp_lock_give(&context->lock);
    for (size_t i = 0; i < context->pool_count; i++) {
        cp_lane_fini(&reactor->lanes[i], context->pools[i]);
    }
}

static void free_reactor(struct connpool_reactor *reactor)
{
    cp_loop_abandon_all(reactor->loop);
    cp_requests_fini(&reactor->requests);
    cp_loop_free(reactor->loop);
    cp_free(reactor);
}

connpool_status connpool_reactor_close(connpool_reactor *reactor)
{
    connpool_status status = reactor == NULL ? CONNPOOL_OK : refuse_dispatch(reactor);
    struct cp_reactor_visit visit;
    struct connpool *context;

    if (reactor == NULL || status != CONNPOOL_OK) {
        return status;
    }
    visit = cp_reactor_enter(reactor);
    context = reactor->context;
    reactor->is_closing = true;
    if (cp_requests_tell(&reactor->requests) && cp_requests_close(&reactor->requests)) {
        leave(reactor);
        free_reactor(reactor);
        dispatching = NULL;
        cp_context_unref(context);
    } else {
        status = CONNPOOL_FORKED;
    }
    cp_reactor_exit(visit);
    return status;
}
