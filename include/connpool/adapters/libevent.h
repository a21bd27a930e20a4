/* SPDX-License-Identifier: MIT */
/*
 * connpool/adapters/libevent.h: a reactor in a libevent loop. Header only; wants <event2/event.h> and libevent_core.
 *
 *     struct connpool_libevent pools;
 *
 *     if (connpool_libevent_open(&pools, base, context, &error) == CONNPOOL_OK &&
 *         connpool_acquire_async(pools.reactor, endpoint, 2000, acquired, argument, NULL, &error) == CONNPOOL_OK) {
 *         event_base_dispatch(base);
 *     }
 *
 * Threads: all calls are made in the thread that runs the loop; none waits. The callbacks of requests are called while
 * the loop runs its events; they may close the adapter, and may not run the loop.
 *
 * As any persistent event the adapter keeps event_base_dispatch going until it is closed. It is closed before its base
 * is freed.
 *
 * In a fork's child event_reinit comes before anything else that touches the base, as libevent wants it.
 */
#ifndef CONNPOOL_ADAPTERS_LIBEVENT_H
#define CONNPOOL_ADAPTERS_LIBEVENT_H

#include <connpool/adapters/refusal.h>
#include <connpool/async.h>
#include <event2/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct connpool_libevent;

/* Told that an adapter is closed; its memory is the application's again, and may be freed here. */
typedef void connpool_libevent_closed_fn(struct connpool_libevent *adapter);

/* The application's memory, at one place until it is closed. */
struct connpool_libevent {
    connpool_reactor *reactor; /* to acquire from; neither dispatched nor closed by the application. NULL: closed */
    void *data;                /* the application's; NULL at first */
    struct event *event;       /* private, as all below */
    connpool_libevent_closed_fn *closed;
    int is_closing;
    int forked;
};

/* Private. */
static inline void connpool_libevent_end(struct connpool_libevent *adapter)
{
    event_free(adapter->event);
    (void)connpool_reactor_close(adapter->reactor);
    adapter->reactor = NULL;
    if (adapter->closed != NULL) {
        adapter->closed(adapter);
    }
}

/* Private. In a fork's child the parent's descriptor may stay readable for ever. It is let go at the second time: the
 * first may be in a callback that forked, and what a child does before event_reinit it does to the parent's base. */
static inline void connpool_libevent_on_ready(evutil_socket_t fd, short events, void *argument)
{
    struct connpool_libevent *adapter = (struct connpool_libevent *)argument;

    (void)fd;
    (void)events;
    if (adapter->is_closing) {
        connpool_libevent_end(adapter);
    } else if (connpool_reactor_dispatch(adapter->reactor) == CONNPOOL_FORKED && adapter->forked++ > 0) {
        (void)event_del(adapter->event);
    }
}

/*
 * Make a reactor of the context and have the loop dispatch it. CONNPOOL_OK: close it with connpool_libevent_close.
 * Every other status, with the error: nothing was made: those of connpool_reactor_new, and CONNPOOL_NO_MEMORY where
 * libevent refuses.
 */
static inline CONNPOOL_MUST_CHECK connpool_status connpool_libevent_open(struct connpool_libevent *adapter,
                                                                         struct event_base *base, connpool *context,
                                                                         connpool_error *error)
{
    connpool_error own;
    connpool_reactor *reactor;
    struct event *event;

    error = error == NULL ? &own : error;
    reactor = connpool_reactor_new(context, error);
    if (reactor == NULL) {
        return error->status;
    }
    event = event_new(base, connpool_reactor_fd(reactor), EV_READ | EV_PERSIST, connpool_libevent_on_ready, adapter);
    if (event == NULL || event_add(event, NULL) != 0) {
        if (event != NULL) {
            event_free(event);
        }
        (void)connpool_reactor_close(reactor);
        return connpool_adapter_refusal(error, CONNPOOL_NO_MEMORY, 0, "libevent", "out of memory");
    }
    adapter->reactor = reactor;
    adapter->data = NULL;
    adapter->event = event;
    adapter->closed = NULL;
    adapter->is_closing = 0;
    adapter->forked = 0;
    return CONNPOOL_OK;
}

/*
 * Close it: when the loop runs its events next the reactor is closed, which calls the callbacks of its requests with
 * CONNPOOL_CLOSED, and then closed (may be NULL), never from within this call. So it may be called anywhere in the
 * loop's thread, in a callback of a request too; where the loop has ended, event_base_dispatch is called once more. The
 * memory stays until closed is called, the base until then. Once more: no effect.
 */
static inline void connpool_libevent_close(struct connpool_libevent *adapter, connpool_libevent_closed_fn *closed)
{
    if (!adapter->is_closing) {
        adapter->is_closing = 1;
        adapter->closed = closed;
        event_active(adapter->event, EV_READ, 0);
    }
}

#ifdef __cplusplus
}
#endif

#endif
