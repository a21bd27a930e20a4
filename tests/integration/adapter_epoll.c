/* SPDX-License-Identifier: MIT */
/* adapter_loop for epoll: see adapter_loop.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/adapters/epoll.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "adapter_loop.h"

#define ADAPTERS 4

/* The data of an event is a place in adapters, or that behind the last. */
struct adapter_loop {
    int epoll, timer;
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
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = ADAPTERS}};
    struct adapter_loop *loop = calloc(1, sizeof(*loop));

    assert_non_null(loop);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    assert_int_equal(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->timer, &event), 0);
    return loop;
}

void adapter_loop_free(struct adapter_loop *loop)
{
    struct epoll_event event;

    assert_int_equal(epoll_wait(loop->epoll, &event, 1, 0), 0);
    assert_int_equal(close(loop->timer), 0);
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

void adapter_loop_after(struct adapter_loop *loop, int ms, void (*call)(void *argument), void *argument)
{
    struct itimerspec time = {.it_value = {.tv_nsec = ms * 1000000L}};

    loop->call = call;
    loop->argument = argument;
    loop->timers++;
    assert_int_equal(timerfd_settime(loop->timer, 0, &time, NULL), 0);
}

static void ring(struct adapter_loop *loop)
{
    uint64_t count;

    assert_int_equal(read(loop->timer, &count, sizeof(count)), sizeof(count));
    loop->timers--;
    loop->call(loop->argument);
}

static void dispatch(struct adapter *adapter)
{
    connpool_status status = connpool_epoll_dispatch(&adapter->adapter);

    assert_true(status == (adapter->adapter.reactor == NULL ? CONNPOOL_CLOSED : CONNPOOL_OK));
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
    struct epoll_event events[ADAPTERS + 1];

    for (sweep(loop); loop->open > 0 || loop->timers > 0; sweep(loop)) {
        int count = epoll_wait(loop->epoll, events, ADAPTERS + 1, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == ADAPTERS) {
                ring(loop);
            } else {
                dispatch(loop->adapters[events[i].data.u32]);
            }
        }
    }
}

bool adapter_loop_drop(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)loop;
    (void)adapter;
    return false;
}

/* The parent's epoll is the child's too: it makes another. */
void adapter_loop_forked(struct adapter_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = ADAPTERS}};

    for (int i = 0; i < ADAPTERS; i++) {
        if (loop->adapters[i] != NULL && connpool_epoll_dispatch(&loop->adapters[i]->adapter) != CONNPOOL_FORKED) {
            _exit(2);
        }
    }
    loop->open = 0;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->timer, &event);
}
