/* SPDX-License-Identifier: MIT */
/* adapter_loop for libev: see adapter_loop.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/adapters/libev.h>
#include <stdlib.h>

#include "adapter_loop.h"

struct adapter_loop {
    struct ev_loop *loop;
    ev_timer timer;
    void (*call)(void *argument);
    void *argument;
    int closed;
};

struct adapter {
    struct connpool_libev adapter;
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
    loop->loop = ev_loop_new(0);
    assert_non_null(loop->loop);
    return loop;
}

void adapter_loop_free(struct adapter_loop *loop)
{
    assert_int_equal(ev_run(loop->loop, EVRUN_NOWAIT), 0);
    ev_loop_destroy(loop->loop);
    free(loop);
}

struct adapter *adapter_try_open(struct adapter_loop *loop, connpool *context, connpool_error *error)
{
    struct adapter *adapter = malloc(sizeof(*adapter));

    assert_non_null(adapter);
    if (connpool_libev_open(&adapter->adapter, loop->loop, context, error) != CONNPOOL_OK) {
        free(adapter);
        return NULL;
    }
    adapter->adapter.data = loop;
    return adapter;
}

connpool_reactor *adapter_reactor(const struct adapter *adapter)
{
    return adapter->adapter.reactor;
}

static void closed(struct connpool_libev *adapter)
{
    struct adapter_loop *loop = adapter->data;

    assert_null(adapter->reactor);
    loop->closed++;
    free(adapter);
}

void adapter_close(struct adapter *adapter)
{
    connpool_libev_close(&adapter->adapter, closed);
}

int adapter_loop_closed(const struct adapter_loop *loop)
{
    return loop->closed;
}

static void timer_rings(struct ev_loop *its_loop, ev_timer *timer, int events)
{
    struct adapter_loop *loop = timer->data;

    (void)its_loop;
    (void)events;
    loop->call(loop->argument);
}

void adapter_loop_after(struct adapter_loop *loop, int ms, void (*call)(void *argument), void *argument)
{
    loop->call = call;
    loop->argument = argument;
    ev_now_update(loop->loop);
    ev_timer_init(&loop->timer, timer_rings, ms / 1000.0, 0);
    loop->timer.data = loop;
    ev_timer_start(loop->loop, &loop->timer);
}

void adapter_loop_run(struct adapter_loop *loop)
{
    assert_int_equal(ev_run(loop->loop, 0), 0);
}

bool adapter_loop_drop(struct adapter_loop *loop, struct adapter *adapter)
{
    ev_loop_destroy(loop->loop);
    assert_int_equal(connpool_reactor_close(adapter->adapter.reactor), CONNPOOL_OK);
    free(adapter);
    free(loop);
    return true;
}

void adapter_loop_forked(struct adapter_loop *loop)
{
    ev_loop_fork(loop->loop);
}

bool adapter_loop_nest(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)loop;
    (void)adapter;
    return false;
}
