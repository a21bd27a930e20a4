/* SPDX-License-Identifier: MIT */
/*
 * connpool/adapters/libev.h: a reactor in a libev loop. Header only; wants <ev.h> (with EV_MULTIPLICITY, as usual) and
 * libev.
 *
 *     struct connpool_libev pools;
 *
 *     if (connpool_libev_open(&pools, loop, context, &error) == CONNPOOL_OK &&
 *         connpool_acquire_async(pools.reactor, endpoint, 2000, acquired, argument, NULL, &error) == CONNPOOL_OK) {
 *         ev_run(loop, 0);
 *     }
 *
 * Threads: all calls are made in the thread that runs the loop; none waits. The callbacks of requests are called while
 * the loop invokes its watchers; they may close the adapter, and may not run the loop.
 *
 * As any watcher of libev the adapter keeps ev_run going until it is closed. After ev_unref(loop) it does not, and
 * ev_run may return with requests under way, which go on when it is called again; then ev_ref(loop) comes before
 * connpool_libev_close. A loop that is destroyed with the adapter open leaves the reactor to connpool_reactor_close.
 *
 * In a fork's child ev_loop_fork comes before anything else that touches the loop, as libev wants it.
 */
#ifndef CONNPOOL_ADAPTERS_LIBEV_H
#define CONNPOOL_ADAPTERS_LIBEV_H

#include <connpool/async.h>
#include <ev.h>

#ifdef __cplusplus
extern "C" {
#endif

struct connpool_libev;

/* Told that an adapter is closed; its memory is the application's again, and may be freed here. */
typedef void connpool_libev_closed_fn(struct connpool_libev *adapter);

/* The application's memory, at one place until it is closed. */
struct connpool_libev {
    connpool_reactor *reactor; /* to acquire from; neither dispatched nor closed by the application. NULL: closed */
    void *data;                /* the application's; NULL at first */
    struct ev_loop *loop;      /* private, as all below */
    ev_io io;
    connpool_libev_closed_fn *closed;
    int is_closing;
};

/* Private. */
static inline void connpool_libev_end(struct connpool_libev *adapter)
{
    ev_io_stop(adapter->loop, &adapter->io);
    (void)connpool_reactor_close(adapter->reactor);
    adapter->reactor = NULL;
    if (adapter->closed != NULL) {
        adapter->closed(adapter);
    }
}

/* Private. */
static inline void connpool_libev_on_ready(struct ev_loop *loop, ev_io *io, int events)
{
    struct connpool_libev *adapter = (struct connpool_libev *)io->data;

    (void)events;
    if (adapter->is_closing) {
        connpool_libev_end(adapter);
    } else if (connpool_reactor_dispatch(adapter->reactor) == CONNPOOL_FORKED) {
        ev_io_stop(loop, io); /* the parent's descriptor may stay readable for ever */
    }
}

/*
 * Make a reactor of the context and have the loop dispatch it. CONNPOOL_OK: close it with connpool_libev_close. Every
 * other status, with the error: nothing was made: those of connpool_reactor_new.
 */
static inline CONNPOOL_MUST_CHECK connpool_status connpool_libev_open(struct connpool_libev *adapter,
                                                                      struct ev_loop *loop, connpool *context,
                                                                      connpool_error *error)
{
    connpool_error own;

    error = error == NULL ? &own : error;
    adapter->reactor = connpool_reactor_new(context, error);
    if (adapter->reactor == NULL) {
        return error->status;
    }
    adapter->data = NULL;
    adapter->loop = loop;
    adapter->closed = NULL;
    adapter->is_closing = 0;
    ev_io_init(&adapter->io, connpool_libev_on_ready, connpool_reactor_fd(adapter->reactor), EV_READ);
    adapter->io.data = adapter;
    ev_io_start(loop, &adapter->io);
    return CONNPOOL_OK;
}

/*
 * Close it: when the loop invokes its watchers next the reactor is closed, which calls the callbacks of its requests
 * with CONNPOOL_CLOSED, and then closed (may be NULL), never from within this call. So it may be called anywhere in the
 * loop's thread, in a callback of a request too; where the loop has ended, ev_run is called once more. The memory stays
 * until closed is called, the loop until then. Once more: no effect.
 */
static inline void connpool_libev_close(struct connpool_libev *adapter, connpool_libev_closed_fn *closed)
{
    if (!adapter->is_closing) {
        adapter->is_closing = 1;
        adapter->closed = closed;
        ev_feed_event(adapter->loop, &adapter->io, EV_READ);
    }
}

#ifdef __cplusplus
}
#endif

#endif
