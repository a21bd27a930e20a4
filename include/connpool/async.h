/* SPDX-License-Identifier: MIT */
/*
 * connpool/async.h: the same pools from event loops.
 *
 * A reactor belongs to the thread that makes it. It is one descriptor, to be watched for reading by any event loop, and
 * one call, connpool_reactor_dispatch, to be made when the descriptor is readable; connpool/adapters/ has both for
 * libuv, libev, libevent, GLib and epoll. A request is an acquire that goes on inside those calls, and ends in a
 * callback inside one of them. Any number of reactors and threads share a context; those that wait stand in one line,
 * whichever they are.
 *
 * Threads. Every call here is made in the reactor's own thread; connpool_reactor_fd may be called in any. Leases are
 * released in any thread (connpool_release). In a thread that has a reactor of the same context connpool_release and
 * connpool_discard never wait: where there is no collector, resets and closes go on in the reactor. A reactor is closed
 * before its thread ends.
 *
 * Callbacks run only inside connpool_reactor_dispatch and connpool_reactor_close. They may acquire (the request begins
 * in the next dispatch), cancel any other request, release, and make any other call of connpool.h; but
 *   - connpool_reactor_dispatch and connpool_reactor_close, of any reactor, answer CONNPOOL_INVALID in them,
 *   - connpool_close and connpool_wait_ready answer CONNPOOL_INVALID in them unless their limit is 0,
 *   - other calls that may wait (connpool_acquire …) do wait, and hold up all that the reactor does.
 * The pool's configure hook and observers run inside a dispatch as well, or inside connpool_request_cancel, and are
 * held to the same.
 *
 * While a thread waits in a call of connpool.h, what its own reactors drive stands still: a blocking acquire may then
 * wait for a connection whose reset, begun by a release in the same thread, only the reactor would end.
 *
 * A callback of a request may fork. In the child it returns, and so does the call it ran in, with CONNPOOL_FORKED, or
 * the child execs or exits; the child may make a reactor of a context of its own meanwhile. Hooks, observers and log
 * functions must not return in a child.
 *
 * A connection is granted to a request provisionally until the request's callback starts. A reactor that is not
 * dispatched for a millisecond though something was granted to one of its requests may find that a thread or another
 * reactor, which would have had to wait, has taken it back; its requests then return to their places in line.
 *
 * With a replaced clock the descriptor does not become readable for time, but connpool_clock_moved makes it readable.
 */
#ifndef CONNPOOL_ASYNC_H
#define CONNPOOL_ASYNC_H

#include <connpool/connpool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct connpool_reactor connpool_reactor;

/*
 * A reactor of the calling thread, which keeps the context's memory until it is closed. NULL: the error:
 * CONNPOOL_NO_MEMORY (also: no descriptors), CONNPOOL_CLOSED, CONNPOOL_FORKED, CONNPOOL_NOT_FOUND (the context is
 * NULL).
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_reactor *connpool_reactor_new(connpool *context, connpool_error *error);

/* The descriptor to watch for reading (POLLIN, level-triggered), the same for the reactor's life; it is the reactor's:
 * neither read nor closed by the application. -1: NULL, or the process is a fork of the reactor's. */
CONNPOOL_API int connpool_reactor_fd(const connpool_reactor *reactor);

/*
 * Do what can be done now, and call the callbacks of requests that have ended. Never waits; may be called when the
 * descriptor is not readable. What callbacks begin is done in the next call, for which the descriptor stays readable.
 * CONNPOOL_INVALID, and nothing was done: in another thread than the reactor's, inside a dispatch, or NULL.
 * CONNPOOL_FORKED, also after a callback that forked, in the child.
 */
CONNPOOL_API connpool_status connpool_reactor_dispatch(connpool_reactor *reactor);

/*
 * End a reactor. Its requests end with CONNPOOL_CLOSED: their callbacks are called in here, as inside a dispatch; they
 * can cancel other requests, but submit none. Resets, closes and opens that it drives for connections go on in the
 * collector, or another reactor of the thread; where there is neither, those connections are destroyed without a
 * verdict on their endpoint. Leases stay valid. Never waits. CONNPOOL_INVALID, and nothing was done: in another thread,
 * or inside a dispatch or a close of a reactor. CONNPOOL_FORKED: nothing was done; the memory stays. NULL is accepted.
 */
CONNPOOL_API connpool_status connpool_reactor_close(connpool_reactor *reactor);

/*
 * Told once of a request's end, in the reactor's thread, without locks. CONNPOOL_OK: *lease is the application's from
 * here on, a plain value to be copied; error is NULL. Else what connpool_endpoint_acquire would answer, and *error;
 * *lease holds nothing. Both pointers live for the call. The connection's handle is in non-blocking mode; what the
 * application's loop watches of it, it stops watching before it releases it.
 */
typedef void connpool_acquired_fn(void *argument, connpool_status status, const connpool_lease *lease,
                                  const connpool_error *error);

/* A request that was accepted: a plain value; a copy is the same request. Members are private. Good for
 * connpool_request_cancel until its reactor is closed. */
typedef struct connpool_request {
    struct connpool_request_record *record;
    uint64_t generation;
} connpool_request;

/* A request that is none; cancelling it is CONNPOOL_STALE without effect. */
#define CONNPOOL_REQUEST_NONE                                                                                          \
    {                                                                                                                  \
        NULL, 0                                                                                                        \
    }

/*
 * Acquire a connection from an endpoint of the reactor's context. timeout_ms as for connpool_acquire, counted from this
 * call. CONNPOOL_OK: the request is accepted, *request (may be NULL) names it, and callback will be called exactly
 * once, unless it is cancelled; never from within this call. Every other status: it is not accepted, callback will not
 * be called: CONNPOOL_NOT_FOUND (the endpoint is NULL), CONNPOOL_INVALID (the timeout, another thread than the
 * reactor's, an endpoint of another context, the reactor or the callback is NULL), CONNPOOL_CLOSED (the context or the
 * reactor is closing), CONNPOOL_NO_MEMORY, CONNPOOL_FORKED. The endpoint's handle may be put back as soon as this
 * returns. Never waits.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_acquire_async(connpool_reactor *reactor,
                                                                        connpool_endpoint *endpoint, int timeout_ms,
                                                                        connpool_acquired_fn *callback, void *argument,
                                                                        connpool_request *request,
                                                                        connpool_error *error);

/* The same from whichever of several endpoints of one pool can serve first, as connpool_acquire_any says; the list is
 * not used after this returns. CONNPOOL_INVALID also: count is not 1 … 64, or the endpoints are of several pools. */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_acquire_any_async(
    connpool_reactor *reactor, connpool_endpoint *const *endpoints, size_t count, int timeout_ms,
    connpool_acquired_fn *callback, void *argument, connpool_request *request, connpool_error *error);

/*
 * Cancel a request. CONNPOOL_OK: in time; its callback will not be called, *request is emptied; a connection that was
 * granted to it is idle again, an open that it began goes on for the pool. CONNPOOL_STALE: too late, its callback was
 * called (or is being called now), or it was cancelled before; nothing happened. CONNPOOL_INVALID, and nothing
 * happened: in another thread than the reactor's, or from an observer or hook that this very request's progress called.
 * Counted in no statistics. CONNPOOL_FORKED. Never waits.
 */
CONNPOOL_API connpool_status connpool_request_cancel(connpool_request *request);

#ifdef __cplusplus
}
#endif

#endif
