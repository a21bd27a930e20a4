/* SPDX-License-Identifier: MIT */
/* adapter_loop for epoll: see adapter_loop.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/adapters/epoll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "adapter_loop.h"

#define ADAPTERS 4

/* The data of an event is a place in adapters. */
struct adapter_loop {
    int epoll;
    int64_t due; /* when the timer rings */
    void (*call)(void *argument);
    void *argument;
    struct adapter *adapters[ADAPTERS];
    int closed, open, timers;
};

struct adapter {
    struct connpool_epoll adapter;
    struct adapter_loop *loop;
    uint32_t place;
    bool is_to_be_closed;
};

static bool is_refusing;

bool adapter_loop_refuse(bool refuses)
{
    is_refusing = refuses;
    return true;
}

struct adapter_loop *adapter_loop_new(void)
{
    struct adapter_loop *loop = calloc(1, sizeof(*loop));

    assert_non_null(loop);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_true(loop->epoll >= 0);
    return loop;
}

void adapter_loop_free(struct adapter_loop *loop)
{
    struct epoll_event event;

    assert_int_equal(epoll_wait(loop->epoll, &event, 1, 0), 0);
    assert_int_equal(close(loop->epoll), 0);
    free(loop);
}

struct adapter *adapter_try_open(struct adapter_loop *loop, connpool *context, connpool_error *error)
{
    struct adapter *adapter = calloc(1, sizeof(*adapter));

    assert_non_null(adapter);
    while (adapter->place < ADAPTERS && loop->adapters[adapter->place] != NULL) {
        adapter->place++;
    }
    assert_true(adapter->place < ADAPTERS);
    if (connpool_epoll_open(&adapter->adapter, is_refusing ? -1 : loop->epoll, (epoll_data_t){.u32 = adapter->place},
                            context, error) != CONNPOOL_OK) {
        free(adapter);
        return NULL;
    }
    adapter->loop = loop;
    loop->adapters[adapter->place] = adapter;
    loop->open++;
    return adapter;
}

connpool_reactor *adapter_reactor(const struct adapter *adapter)
{
    return adapter->adapter.reactor;
}

static void closed(struct adapter *adapter)
{
    adapter->loop->closed++;
    adapter->loop->open--;
    adapter->loop->adapters[adapter->place] = NULL;
    free(adapter);
}

/* In a callback of another adapter it is refused; the application comes back to it. */
void adapter_close(struct adapter *adapter)
{
    adapter->is_to_be_closed = connpool_epoll_close(&adapter->adapter) != CONNPOOL_OK;
}

int adapter_loop_closed(const struct adapter_loop *loop)
{
    return loop->closed;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void adapter_loop_after(struct adapter_loop *loop, int ms, void (*call)(void *argument), void *argument)
{
    loop->call = call;
    loop->argument = argument;
    loop->timers++;
    loop->due = now_ms() + ms;
}

static void ring_if_due(struct adapter_loop *loop)
{
    if (loop->timers > 0 && now_ms() >= loop->due) {
        loop->timers--;
        loop->call(loop->argument);
    }
}

/* Milliseconds to wait; -1: no limit. */
static int span(const struct adapter_loop *loop)
{
    int64_t left = loop->due - now_ms();

    if (loop->timers == 0) {
        return -1;
    }
    return left < 0 ? 0 : (int)left;
}

static void dispatch(struct adapter *adapter)
{
    connpool_status status = connpool_epoll_dispatch(&adapter->adapter);

    if (status != CONNPOOL_FORKED) {
        assert_true(status == (adapter->adapter.reactor == NULL ? CONNPOOL_CLOSED : CONNPOOL_OK));
    }
}

static void sweep(struct adapter_loop *loop)
{
    for (int i = 0; i < ADAPTERS; i++) {
        struct adapter *adapter = loop->adapters[i];

        if (adapter != NULL && adapter->is_to_be_closed) {
            adapter_close(adapter);
            assert_false(adapter->is_to_be_closed);
        }
        if (adapter != NULL && adapter->adapter.reactor == NULL) {
            closed(adapter);
        }
    }
}

void adapter_loop_run(struct adapter_loop *loop)
{
    struct epoll_event events[ADAPTERS];

    for (sweep(loop); loop->open > 0 || loop->timers > 0; sweep(loop)) {
        int count = epoll_wait(loop->epoll, events, ADAPTERS, span(loop));

        for (int i = 0; i < count; i++) {
            dispatch(loop->adapters[events[i].data.u32]);
        }
        ring_if_due(loop);
    }
}

bool adapter_loop_drop(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)loop;
    (void)adapter;
    return false;
}

void adapter_loop_forked(struct adapter_loop *loop)
{
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
}

bool adapter_loop_nest(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)loop;
    assert_int_equal(connpool_epoll_dispatch(&adapter->adapter), CONNPOOL_INVALID);
    return false;
}
