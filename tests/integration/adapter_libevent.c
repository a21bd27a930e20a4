/* SPDX-License-Identifier: MIT */
/* adapter_loop for libevent: see adapter_loop.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/adapters/libevent.h>
#include <stdlib.h>

#include "adapter_loop.h"

struct adapter_loop {
    struct event_base *base;
    void (*call)(void *argument);
    void *argument;
    int closed;
};

struct adapter {
    struct connpool_libevent adapter;
};

static bool is_refusing;

int __real_event_add(struct event *event, const struct timeval *timeout);
int __wrap_event_add(struct event *event, const struct timeval *timeout);

int __wrap_event_add(struct event *event, const struct timeval *timeout)
{
    return is_refusing ? -1 : __real_event_add(event, timeout);
}

bool adapter_loop_refuse(bool refuses)
{
    is_refusing = refuses;
    return true;
}

struct adapter_loop *adapter_loop_new(void)
{
    struct adapter_loop *loop = calloc(1, sizeof(*loop));

    assert_non_null(loop);
    loop->base = event_base_new();
    assert_non_null(loop->base);
    return loop;
}

void adapter_loop_free(struct adapter_loop *loop)
{
    assert_int_equal(event_base_loop(loop->base, EVLOOP_NONBLOCK), 1); /* no events */
    event_base_free(loop->base);
    free(loop);
}

struct adapter *adapter_try_open(struct adapter_loop *loop, connpool *context, connpool_error *error)
{
    struct adapter *adapter = malloc(sizeof(*adapter));

    assert_non_null(adapter);
    if (connpool_libevent_open(&adapter->adapter, loop->base, context, error) != CONNPOOL_OK) {
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

static void closed(struct connpool_libevent *adapter)
{
    struct adapter_loop *loop = adapter->data;

    assert_null(adapter->reactor);
    loop->closed++;
    free(adapter);
}

void adapter_close(struct adapter *adapter)
{
    connpool_libevent_close(&adapter->adapter, closed);
}

int adapter_loop_closed(const struct adapter_loop *loop)
{
    return loop->closed;
}

static void timer_rings(evutil_socket_t fd, short events, void *argument)
{
    struct adapter_loop *loop = argument;

    (void)fd;
    (void)events;
    loop->call(loop->argument);
}

void adapter_loop_after(struct adapter_loop *loop, int ms, void (*call)(void *argument), void *argument)
{
    struct timeval time = {.tv_usec = ms * 1000L};

    loop->call = call;
    loop->argument = argument;
    assert_int_equal(event_base_once(loop->base, -1, EV_TIMEOUT, timer_rings, loop, &time), 0);
}

void adapter_loop_run(struct adapter_loop *loop)
{
    assert_int_equal(event_base_dispatch(loop->base), 1); /* no events any more */
}

bool adapter_loop_drop(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)loop;
    (void)adapter;
    return false;
}

void adapter_loop_forked(struct adapter_loop *loop)
{
    (void)event_reinit(loop->base);
}

bool adapter_loop_nest(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)loop;
    (void)adapter;
    return false;
}
