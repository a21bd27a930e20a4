/* SPDX-License-Identifier: MIT */
/*
 * What each manager lends to a loop does not wait, and what it lends to a thread does, whoever had the connection
 * before and however it came from one to the other: parked, handed over, or taken back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/async.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "five_servers.h"
#include "harness.h"

/* No check by a round trip, which a reactor that is not dispatched would leave in the middle. */
#define ONE_CONNECTION ", \"max_size\": 1, \"check_after\": 600"

static struct {
    enum five_manager manager;
    connpool *context;
    connpool_pool *pool;
    connpool_endpoint *endpoint;
    connpool_reactor *reactor;
} stage;

/* A request of the reactor, and what came of it. */
struct asked {
    int told;
    connpool_lease lease;
};

static void open_stage(enum five_manager manager)
{
    connpool_error error = {.text = ""};

    stage.manager = manager;
    stage.context = five_servers_open(manager, "", ONE_CONNECTION);
    stage.pool = harness_pool(stage.context);
    assert_int_equal(connpool_endpoint_get(stage.pool, "good", &stage.endpoint, &error), CONNPOOL_OK);
    stage.reactor = connpool_reactor_new(stage.context, &error);
    assert_non_null(stage.reactor);
}

static void close_stage(void)
{
    connpool_endpoint_put(stage.endpoint);
    assert_int_equal(connpool_reactor_close(stage.reactor), CONNPOOL_OK);
    assert_int_equal(harness_statistics(stage.pool).opened, 1);
    harness_close(stage.context);
}

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct asked *asked = argument;

    if (status != CONNPOOL_OK) {
        fail_msg("%s: %s", five_names[stage.manager], error->text);
    }
    asked->told++;
    asked->lease = *lease;
}

static void ask_for_one(struct asked *asked)
{
    asked->told = 0;
    assert_int_equal(connpool_acquire_async(stage.reactor, stage.endpoint, HARNESS_LIMIT_MS, tell, asked, NULL, NULL),
                     CONNPOOL_OK);
}

/* At most for limit_ms. */
static void dispatch_when_ready(int limit_ms)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(stage.reactor), .events = POLLIN};

    if (poll(&polled, 1, limit_ms) == 1) {
        assert_int_equal(connpool_reactor_dispatch(stage.reactor), CONNPOOL_OK);
    }
}

/* A reset that takes a round trip goes on in the reactor. */
static void release(connpool_lease *lease)
{
    harness_release(lease);
    while (harness_statistics(stage.pool).resetting > 0) {
        dispatch_when_ready(HARNESS_LIMIT_MS);
    }
}

/* What is lent does not wait. */
static void expect_for_loop(struct asked *asked)
{
    while (asked->told == 0) {
        dispatch_when_ready(HARNESS_LIMIT_MS);
    }
    assert_int_equal(asked->told, 1);
    assert_true(five_servers_is_nonblocking(stage.manager, &asked->lease));
}

/* It waits, and its calls do. */
static void expect_for_thread(const connpool_lease *lease)
{
    assert_false(five_servers_is_nonblocking(stage.manager, lease));
    five_servers_ask(stage.manager, lease);
}

/* Until its request waits for the connection. */
static void stand_in_line(void)
{
    while (harness_statistics(stage.pool).waiters == 0) {
        dispatch_when_ready(HARNESS_LIMIT_MS);
    }
}

/* A thread that waits for the connection while this one has it. */
struct waiter {
    pthread_t thread;
    connpool_lease lease;
    connpool_status status;
    connpool_error error;
};

static void *wait_for_lease(void *argument)
{
    struct waiter *waiter = argument;

    waiter->status = connpool_acquire(stage.pool, "good", HARNESS_LIMIT_MS, &waiter->lease, &waiter->error);
    return NULL;
}

static void start_waiter(struct waiter *waiter)
{
    uint64_t before = harness_statistics(stage.pool).waiters;

    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_for_lease, waiter), 0);
    while (harness_statistics(stage.pool).waiters == before) {
        (void)sched_yield();
    }
}

static void expect_waiter(struct waiter *waiter)
{
    assert_int_equal(pthread_join(waiter->thread, NULL), 0);
    if (waiter->status != CONNPOOL_OK) {
        fail_msg("%s: %s", five_names[stage.manager], waiter->error.text);
    }
    expect_for_thread(&waiter->lease);
}

static void parked_between(void)
{
    connpool_lease lease = harness_acquire(stage.pool, "good");
    struct asked asked;

    expect_for_thread(&lease);
    for (int i = 0; i < 2; i++) {
        release(&lease);
        ask_for_one(&asked);
        expect_for_loop(&asked);
        release(&asked.lease);
        lease = harness_acquire(stage.pool, "good");
        expect_for_thread(&lease);
    }
    release(&lease);
}

static void from_thread_to_loop(void)
{
    connpool_lease lease = harness_acquire(stage.pool, "good");
    struct asked asked;

    ask_for_one(&asked);
    stand_in_line();
    assert_int_equal(asked.told, 0);
    release(&lease);
    expect_for_loop(&asked);
    release(&asked.lease);
}

static void from_loop_to_thread(void)
{
    struct waiter waiter;
    struct asked asked;

    ask_for_one(&asked);
    expect_for_loop(&asked);
    start_waiter(&waiter);
    release(&asked.lease);
    expect_waiter(&waiter);
    release(&waiter.lease);
}

/* The reactor was given the connection, but is not dispatched: the thread takes it, and gives it back later. */
static void taken_back(void)
{
    connpool_lease lease = harness_acquire(stage.pool, "good");
    struct waiter waiter;
    struct asked asked;

    ask_for_one(&asked);
    stand_in_line();
    start_waiter(&waiter);
    release(&lease);
    expect_waiter(&waiter);
    assert_int_equal(asked.told, 0);
    release(&waiter.lease);
    expect_for_loop(&asked);
    release(&asked.lease);
}

static void in_all_ways(enum five_manager manager)
{
    open_stage(manager);
    parked_between();
    from_thread_to_loop();
    from_loop_to_thread();
    taken_back();
    close_stage();
}

static void tcp(void **state)
{
    (void)state;
    in_all_ways(FIVE_TCP);
}

static void unix_sockets(void **state)
{
    (void)state;
    in_all_ways(FIVE_UNIX);
}

static void tls(void **state)
{
    (void)state;
    in_all_ways(FIVE_TLS);
}

static void postgres(void **state)
{
    (void)state;
    in_all_ways(FIVE_POSTGRES);
}

static void ssh(void **state)
{
    (void)state;
    in_all_ways(FIVE_SSH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp),      cmocka_unit_test(unix_sockets), cmocka_unit_test(tls),
        cmocka_unit_test(postgres), cmocka_unit_test(ssh),
    };

    return cmocka_run_group_tests(tests, five_servers_begin, five_servers_end);
}
