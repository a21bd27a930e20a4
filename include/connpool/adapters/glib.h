/* SPDX-License-Identifier: MIT */
/*
 * connpool/adapters/glib.h: a reactor in a GLib main context, as a GSource. Header only; wants <glib.h> and GLib.
 *
 *     struct connpool_glib *pools = connpool_glib_open(NULL, context, &error);
 *
 *     if (pools != NULL &&
 *         connpool_acquire_async(pools->reactor, endpoint, 2000, acquired, argument, NULL, &error) == CONNPOOL_OK) {
 *         g_main_loop_run(loop);
 *     }
 *
 * Threads: all calls are made in the thread that runs the main context; none waits. The callbacks of requests are
 * called while it dispatches its sources; they may close the adapter. One that runs a main loop of its own holds up
 * every reactor of the thread until that returns, and if another one than its own has something to do meanwhile, that
 * main loop does not sleep.
 *
 * A GMainLoop runs until g_main_loop_quit, whatever sources it has.
 */
#ifndef CONNPOOL_ADAPTERS_GLIB_H
#define CONNPOOL_ADAPTERS_GLIB_H

#include <connpool/async.h>
#include <glib.h>

#ifdef __cplusplus
extern "C" {
#endif

struct connpool_glib;

/* Told that an adapter is closed; the pointer is not used again. */
typedef void connpool_glib_closed_fn(struct connpool_glib *adapter);

/* The main context's memory, until it is closed. */
struct connpool_glib {
    GSource source;            /* for g_source_set_priority and the like */
    connpool_reactor *reactor; /* to acquire from; neither dispatched nor closed by the application. NULL: closed */
    void *data;                /* the application's; NULL at first */
    gpointer tag;              /* private, as all below */
    connpool_glib_closed_fn *closed;
    int is_closing;
};

/* Private. 0: a callback of another reactor runs the loop: it cannot be closed before that returns. */
static inline int connpool_glib_end(struct connpool_glib *adapter)
{
    if (connpool_reactor_close(adapter->reactor) == CONNPOOL_INVALID) {
        return 0;
    }
    adapter->reactor = NULL;
    if (adapter->closed != NULL) {
        adapter->closed(adapter);
    }
    return 1;
}

/* Private. */
static inline gboolean connpool_glib_on_ready(GSource *source, GSourceFunc callback, gpointer data)
{
    struct connpool_glib *adapter = (struct connpool_glib *)source;

    (void)callback;
    (void)data;
    if (adapter->is_closing) {
        return connpool_glib_end(adapter) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
    }
    if (connpool_reactor_dispatch(adapter->reactor) == CONNPOOL_FORKED && adapter->tag != NULL) {
        g_source_remove_unix_fd(source, adapter->tag); /* the parent's descriptor may stay readable for ever */
        adapter->tag = NULL;
    }
    return G_SOURCE_CONTINUE;
}

/* Private. */
static inline void connpool_glib_on_finalize(GSource *source)
{
    struct connpool_glib *adapter = (struct connpool_glib *)source;

    if (adapter->reactor != NULL) {
        (void)connpool_glib_end(adapter);
    }
}

/*
 * Make a reactor of the context and a source of the main context (NULL: the default one) that dispatches it. Close it
 * with connpool_glib_close. NULL, with the error: nothing was made: that of connpool_reactor_new. Ends the process
 * where GLib has no memory, as GLib does.
 */
static inline CONNPOOL_MUST_CHECK struct connpool_glib *connpool_glib_open(GMainContext *main_context,
                                                                           connpool *context, connpool_error *error)
{
    static GSourceFuncs functions = {NULL, NULL, connpool_glib_on_ready, connpool_glib_on_finalize, NULL, NULL};
    connpool_reactor *reactor = connpool_reactor_new(context, error);
    struct connpool_glib *adapter;

    if (reactor == NULL) {
        return NULL;
    }
    adapter = (struct connpool_glib *)g_source_new(&functions, sizeof(*adapter));
    adapter->reactor = reactor;
    adapter->data = NULL;
    adapter->closed = NULL;
    adapter->is_closing = 0;
    adapter->tag = g_source_add_unix_fd(&adapter->source, connpool_reactor_fd(reactor), G_IO_IN);
    (void)g_source_attach(&adapter->source, main_context);
    g_source_unref(&adapter->source);
    return adapter;
}

/*
 * Close it: when the main context dispatches its sources next the reactor is closed, which calls the callbacks of its
 * requests with CONNPOOL_CLOSED, and then closed (may be NULL), never from within this call. So it may be called
 * anywhere in the main context's thread, in a callback of a request too; where the main loop has ended,
 * g_main_context_iteration is called once more. The pointer is good until closed has returned. Once more: no effect.
 * The end of the main context closes it as well, and so does g_source_destroy, which is not to be called in a callback
 * of a request, whichever reactor's.
 */
static inline void connpool_glib_close(struct connpool_glib *adapter, connpool_glib_closed_fn *closed)
{
    if (!adapter->is_closing) {
        adapter->is_closing = 1;
        adapter->closed = closed;
        g_source_set_ready_time(&adapter->source, 0);
    }
}

#ifdef __cplusplus
}
#endif

#endif
