/* SPDX-License-Identifier: MIT */
/* adapter_loop for libuv: see adapter_loop.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/adapters/libuv.h>
#include <stdlib.h>

#include "adapter_loop.h"

struct adapter_loop {
    uv_loop_t loop;
    uv_timer_t timer;
    void (*call)(void *argument);
    void *argument;
    int closed;
};

struct adapter {
    struct connpool_libuv adapter;
};

static bool is_refusing;

int __real_uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd);
int __wrap_uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd);

int __wrap_uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd)
{
    return is_refusing ? UV_ENOMEM : __real_uv_poll_init(loop, poll, fd);
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
    assert_int_equal(uv_loop_init(&loop->loop), 0);
    assert_int_equal(uv_timer_init(&loop->loop, &loop->timer), 0);
    return loop;
}

void adapter_loop_free(struct adapter_loop *loop)
{
    uv_close((uv_handle_t *)&loop->timer, NULL);
    assert_int_equal(uv_run(&loop->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop->loop), 0);
    free(loop);
}

struct adapter *adapter_try_open(struct adapter_loop *loop, connpool *context, connpool_error *error)
{
    struct adapter *adapter = malloc(sizeof(*adapter));

    assert_non_null(adapter);
    if (connpool_libuv_open(&adapter->adapter, &loop->loop, context, error) != CONNPOOL_OK) {
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

static void closed(struct connpool_libuv *adapter)
{
    struct adapter_loop *loop = adapter->data;

    assert_null(adapter->reactor);
    loop->closed++;
    free(adapter);
}

void adapter_close(struct adapter *adapter)
{
    connpool_libuv_close(&adapter->adapter, closed);
}

int adapter_loop_closed(const struct adapter_loop *loop)
{
    return loop->closed;
}

static void timer_rings(uv_timer_t *timer)
{
    struct adapter_loop *loop = timer->data;

    loop->call(loop->argument);
}

void adapter_loop_after(struct adapter_loop *loop, int ms, void (*call)(void *argument), void *argument)
{
    loop->call = call;
    loop->argument = argument;
    loop->timer.data = loop;
    uv_update_time(&loop->loop);
    assert_int_equal(uv_timer_start(&loop->timer, timer_rings, (uint64_t)ms, 0), 0);
}

void adapter_loop_run(struct adapter_loop *loop)
{
    assert_int_equal(uv_run(&loop->loop, UV_RUN_DEFAULT), 0);
}

bool adapter_loop_drop(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)adapter;
    assert_int_equal(uv_loop_close(&loop->loop), UV_EBUSY);
    return false;
}

void adapter_loop_forked(struct adapter_loop *loop)
{
    (void)uv_loop_fork(&loop->loop);
}

bool adapter_loop_nest(struct adapter_loop *loop, struct adapter *adapter)
{
    (void)loop;
    (void)adapter;
    return false;
}
