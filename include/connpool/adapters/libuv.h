/* SPDX-License-Identifier: MIT */
/*
 * connpool/adapters/libuv.h: a reactor in a libuv loop. Header only; wants <uv.h> and libuv.
 *
 *     struct connpool_libuv pools;
 *
 *     if (connpool_libuv_open(&pools, loop, context, &error) == CONNPOOL_OK &&
 *         connpool_acquire_async(pools.reactor, endpoint, 2000, acquired, argument, NULL, &error) == CONNPOOL_OK) {
 *         uv_run(loop, UV_RUN_DEFAULT);
 *     }
 *
 * Threads: all calls are made in the thread that runs the loop; none waits. The callbacks of requests are called while
 * the loop polls, or as the adapter closes; they may close it, and may not run the loop.
 *
 * As any handle of libuv the adapter keeps uv_run going until it is closed. With uv_unref((uv_handle_t *)&pools.poll)
 * it does not, and uv_run may return with requests under way, which go on when it is called again.
 *
 * In a fork's child uv_loop_fork comes before anything else that touches the loop, as libuv wants it.
 */
#ifndef CONNPOOL_ADAPTERS_LIBUV_H
#define CONNPOOL_ADAPTERS_LIBUV_H

#include <connpool/adapters/refusal.h>
#include <connpool/async.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

struct connpool_libuv;

/* Told that an adapter is closed; its memory is the application's again, and may be freed here. */
typedef void connpool_libuv_closed_fn(struct connpool_libuv *adapter);

/* The application's memory, at one place until it is closed. */
struct connpool_libuv {
    connpool_reactor *reactor; /* to acquire from; neither dispatched nor closed by the application. NULL: closed */
    void *data;                /* the application's; NULL at first */
    uv_poll_t poll;            /* private, but for uv_ref and uv_unref */
    connpool_libuv_closed_fn *closed; /* private, as all below */
    int forked;
};

/* Private. In a fork's child the parent's descriptor may stay readable for ever. It is let go at the second time: the
 * first may be in a callback that forked, and what a child does before uv_loop_fork it does to the parent's loop. */
static inline void connpool_libuv_on_ready(uv_poll_t *poll, int status, int events)
{
    struct connpool_libuv *adapter = (struct connpool_libuv *)poll->data;

    (void)status;
    (void)events;
    if (connpool_reactor_dispatch(adapter->reactor) == CONNPOOL_FORKED && adapter->forked++ > 0) {
        (void)uv_poll_stop(poll);
    }
}

/* Private. */
static inline void connpool_libuv_on_close(uv_handle_t *handle)
{
    struct connpool_libuv *adapter = (struct connpool_libuv *)handle->data;

    (void)connpool_reactor_close(adapter->reactor);
    adapter->reactor = NULL;
    if (adapter->closed != NULL) {
        adapter->closed(adapter);
    }
}

/*
 * Make a reactor of the context and have the loop dispatch it. CONNPOOL_OK: close it with connpool_libuv_close. Every
 * other status, with the error: nothing was made: those of connpool_reactor_new, and CONNPOOL_NO_MEMORY where libuv
 * refuses.
 */
static inline CONNPOOL_MUST_CHECK connpool_status connpool_libuv_open(struct connpool_libuv *adapter, uv_loop_t *loop,
                                                                      connpool *context, connpool_error *error)
{
    connpool_error own;
    connpool_reactor *reactor;
    int result;

    error = error == NULL ? &own : error;
    reactor = connpool_reactor_new(context, error);
    if (reactor == NULL) {
        return error->status;
    }
    result = uv_poll_init(loop, &adapter->poll, connpool_reactor_fd(reactor));
    if (result != 0) {
        (void)connpool_reactor_close(reactor);
        return connpool_adapter_refusal(error, CONNPOOL_NO_MEMORY, -result, "libuv", uv_strerror(result));
    }
    adapter->reactor = reactor;
    adapter->data = NULL;
    adapter->closed = NULL;
    adapter->forked = 0;
    adapter->poll.data = adapter;
    /* It fails for a descriptor that the loop has already, which uv_poll_init has looked at. */
    (void)uv_poll_start(&adapter->poll, UV_READABLE, connpool_libuv_on_ready);
    return CONNPOOL_OK;
}

/*
 * Close it: in the loop's next turn the reactor is closed, which calls the callbacks of its requests with
 * CONNPOOL_CLOSED, and then closed (may be NULL), never from within this call. So it may be called anywhere in the
 * loop's thread, in a callback of a request too. The memory stays until closed is called; the loop until then. Once
 * more: no effect.
 */
static inline void connpool_libuv_close(struct connpool_libuv *adapter, connpool_libuv_closed_fn *closed)
{
    uv_handle_t *handle = (uv_handle_t *)&adapter->poll;

    if (uv_is_closing(handle) == 0) {
        adapter->closed = closed;
        uv_close(handle, connpool_libuv_on_close);
    }
}

#ifdef __cplusplus
}
#endif

#endif
