/* SPDX-License-Identifier: MIT */
/* adapter_loop for glib: see adapter_loop.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/adapters/glib.h>
#include <stdlib.h>

#include "adapter_loop.h"

struct adapter_loop {
    GMainContext *main_context;
    GMainLoop *main_loop;
    void (*call)(void *argument);
    void *argument;
    int closed, open, timers;
};

/* GLib has the adapter's memory. */
struct adapter {
    struct connpool_glib adapter;
};

bool adapter_loop_refuse(bool refuses)
{
    (void)refuses;
    return false;
}

struct adapter_loop *adapter_loop_new(void)
{
    struct adapter_loop *loop = calloc(1, sizeof(*loop));

    assert_non_null(loop);
    loop->main_context = g_main_context_new();
    loop->main_loop = g_main_loop_new(loop->main_context, FALSE);
    return loop;
}

void adapter_loop_free(struct adapter_loop *loop)
{
    assert_false(g_main_context_pending(loop->main_context));
    g_main_loop_unref(loop->main_loop);
    g_main_context_unref(loop->main_context);
    free(loop);
}

/* GLib itself knows no end. */
static void end_if_empty(struct adapter_loop *loop)
{
    if (loop->open == 0 && loop->timers == 0) {
        g_main_loop_quit(loop->main_loop);
    }
}

struct adapter *adapter_try_open(struct adapter_loop *loop, connpool *context, connpool_error *error)
{
    struct connpool_glib *adapter = connpool_glib_open(loop->main_context, context, error);

    if (adapter != NULL) {
        adapter->data = loop;
        loop->open++;
    }
    return (struct adapter *)adapter;
}

connpool_reactor *adapter_reactor(const struct adapter *adapter)
{
    return adapter->adapter.reactor;
}

static void closed(struct connpool_glib *adapter)
{
    struct adapter_loop *loop = adapter->data;

    assert_null(adapter->reactor);
    loop->closed++;
    loop->open--;
    end_if_empty(loop);
}

void adapter_close(struct adapter *adapter)
{
    connpool_glib_close(&adapter->adapter, closed);
}

int adapter_loop_closed(const struct adapter_loop *loop)
{
    return loop->closed;
}

static gboolean timer_rings(gpointer argument)
{
    struct adapter_loop *loop = argument;

    loop->timers--;
    loop->call(loop->argument);
    end_if_empty(loop);
    return G_SOURCE_REMOVE;
}

void adapter_loop_after(struct adapter_loop *loop, int ms, void (*call)(void *argument), void *argument)
{
    GSource *timer = g_timeout_source_new((guint)ms);

    loop->call = call;
    loop->argument = argument;
    loop->timers++;
    g_source_set_callback(timer, timer_rings, loop, NULL);
    (void)g_source_attach(timer, loop->main_context);
    g_source_unref(timer);
}

void adapter_loop_run(struct adapter_loop *loop)
{
    g_main_loop_run(loop->main_loop);
}

bool adapter_loop_drop(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)adapter;
    g_main_loop_unref(loop->main_loop);
    g_main_context_unref(loop->main_context);
    free(loop);
    return true;
}

void adapter_loop_forked(struct adapter_loop *loop)
{
    (void)loop;
}

bool adapter_loop_nest(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)adapter;
    for (int i = 0; i < 3; i++) {
        (void)g_main_context_iteration(loop->main_context, FALSE);
    }
    return true;
}
