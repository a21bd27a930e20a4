/* SPDX-License-Identifier: MIT */
/*
 * connpool/adapters/epoll.h: a reactor in an epoll(7) loop of the application's own. Header only.
 *
 *     struct connpool_epoll pools;
 *     epoll_data_t data = {.ptr = &pools};
 *
 *     if (connpool_epoll_open(&pools, epoll, data, context, &error) == CONNPOOL_OK &&
 *         connpool_acquire_async(pools.reactor, endpoint, 2000, acquired, argument, NULL, &error) == CONNPOOL_OK) {
 *         count = epoll_wait(epoll, events, 64, -1);
 *         …
 *         if (events[i].data.ptr == &pools) {
 *             connpool_epoll_dispatch(&pools);
 *         }
 *     }
 *
 * Threads: all calls are made in the thread that waits; none waits itself. The callbacks of requests are called inside
 * connpool_epoll_dispatch, or as the adapter closes. There is no time to be asked for: the descriptor is readable when
 * a time limit has run out, too.
 *
 * A fork's child makes an epoll instance of its own: what it does to the one that it inherited it does to the parent's.
 */
#ifndef CONNPOOL_ADAPTERS_EPOLL_H
#define CONNPOOL_ADAPTERS_EPOLL_H

#include <connpool/adapters/refusal.h>
#include <connpool/async.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The application's memory, at one place until it is closed. */
struct connpool_epoll {
    connpool_reactor *reactor; /* to acquire from; neither dispatched nor closed by the application. NULL: closed */
    int epoll;                 /* private, as all below */
    struct epoll_event event;
    int is_dispatching;
    int is_closing;
};

/*
 * Make a reactor of the context and have the epoll instance watch it, level-triggered: what epoll_wait gives then is
 * data. CONNPOOL_OK: close it with connpool_epoll_close. Every other status, with the error: nothing was made: those of
 * connpool_reactor_new, CONNPOOL_INVALID (epoll is none), CONNPOOL_NO_MEMORY (also: no watches).
 */
static inline CONNPOOL_MUST_CHECK connpool_status connpool_epoll_open(struct connpool_epoll *adapter, int epoll,
                                                                      epoll_data_t data, connpool *context,
                                                                      connpool_error *error)
{
    connpool_error own;
    connpool_reactor *reactor;

    error = error == NULL ? &own : error;
    reactor = connpool_reactor_new(context, error);
    if (reactor == NULL) {
        return error->status;
    }
    adapter->event.events = EPOLLIN;
    adapter->event.data = data;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connpool_reactor_fd(reactor), &adapter->event) != 0) {
        int os_error = errno;
        connpool_status status = os_error == EBADF || os_error == EINVAL ? CONNPOOL_INVALID : CONNPOOL_NO_MEMORY;

        (void)connpool_reactor_close(reactor);
        return connpool_adapter_refusal(error, status, os_error, "epoll", strerror(os_error));
    }
    adapter->reactor = reactor;
    adapter->epoll = epoll;
    adapter->is_dispatching = 0;
    adapter->is_closing = 0;
    return CONNPOOL_OK;
}

/* Private. */
static inline connpool_status connpool_epoll_end(struct connpool_epoll *adapter)
{
    connpool_reactor *reactor = adapter->reactor;
    int fd = connpool_reactor_fd(reactor);
    connpool_status status;

    adapter->is_closing = 1;
    adapter->is_dispatching = 1; /* as far as the callbacks that are called here can tell */
    (void)epoll_ctl(adapter->epoll, EPOLL_CTL_DEL, fd, &adapter->event); /* first: the number may be another's then */
    status = connpool_reactor_close(reactor);
    if (status == CONNPOOL_INVALID) {
        (void)epoll_ctl(adapter->epoll, EPOLL_CTL_ADD, fd, &adapter->event);
        adapter->is_closing = 0;
        adapter->is_dispatching = 0;
        return status;
    }
    adapter->reactor = NULL;
    return CONNPOOL_OK;
}

/*
 * To be called when epoll_wait has given the adapter's data; may be called at any other time. CONNPOOL_CLOSED: the
 * adapter is closed, now or earlier, and the memory is the application's again. Else as connpool_reactor_dispatch.
 * Never waits.
 */
static inline connpool_status connpool_epoll_dispatch(struct connpool_epoll *adapter)
{
    connpool_status status;

    if (adapter->reactor == NULL) {
        return CONNPOOL_CLOSED;
    }
    if (adapter->is_dispatching) {
        return CONNPOOL_INVALID;
    }
    adapter->is_dispatching = 1;
    status = connpool_reactor_dispatch(adapter->reactor);
    adapter->is_dispatching = 0;
    if (adapter->is_closing && connpool_epoll_end(adapter) == CONNPOOL_OK) {
        return CONNPOOL_CLOSED;
    }
    return status;
}

/*
 * Close it, which calls the callbacks of its requests with CONNPOOL_CLOSED. CONNPOOL_OK: it is closed, and the memory
 * is the application's again; but in a callback inside connpool_epoll_dispatch of this adapter: it will be closed as
 * that returns, with CONNPOOL_CLOSED. CONNPOOL_INVALID, and nothing was done: in a callback of another reactor: to be
 * called after it. Events that epoll_wait gave before may still name it: they are the application's to pass over.
 * Once more: no effect. Never waits.
 */
static inline connpool_status connpool_epoll_close(struct connpool_epoll *adapter)
{
    if (adapter->reactor == NULL || adapter->is_closing) {
        return CONNPOOL_OK;
    }
    if (adapter->is_dispatching) {
        adapter->is_closing = 1;
        return CONNPOOL_OK;
    }
    return connpool_epoll_end(adapter);
}

#ifdef __cplusplus
}
#endif

#endif
