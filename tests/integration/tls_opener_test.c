/* SPDX-License-Identifier: MIT */
/*
 * Twenty callers come at once, and the server does not accept them for now: their handshakes hang. One connection that
 * is released over and over serves them all meanwhile; what they were opening feeds the pool once the server accepts
 * (semantics.md D26). By threads, with a collector, and by one reactor, without.
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
#include <stdatomic.h>

#include "server_proxy.h"
#include "tls_harness.h"

#define CALLERS 20

static struct server_proxy proxy;
static connpool *context;
static connpool_pool *pool;
static connpool_lease first;

static int begin_group(void **state)
{
    int result = tls_harness_begin(state);

    tls_harness_serve(NULL);
    server_proxy_start(&proxy, tls_harness.server.listener.endpoint);
    return result;
}

static int end_group(void **state)
{
    server_proxy_stop(&proxy);
    tls_harness_stop();
    return tls_harness_end(state);
}

/* One connection is there and leased; from now on none is accepted. */
static void begin(const char *keys)
{
    context = tls_harness_open_at(proxy.listener.port, "", keys);
    pool = harness_pool(context);
    first = harness_acquire(pool, "s");
    tls_harness_echo(&first, "before");
    server_proxy_hold(&proxy, true);
}

static uint64_t idle(void)
{
    struct connpool_statistics numbers = harness_statistics(pool);

    return numbers.idle_base + numbers.idle_extra;
}

/* All were served by the first connection. The server accepts again. */
static void accept_again(void)
{
    assert_int_equal(harness_statistics(pool).opened, 1);
    assert_int_equal(harness_statistics(pool).opening, CALLERS);
    server_proxy_hold(&proxy, false);
}

/* All that was opened works. */
static void end(void)
{
    connpool_lease leases[CALLERS + 1];

    for (int i = 0; i <= CALLERS; i++) {
        leases[i] = harness_acquire(pool, "s");
        tls_harness_echo(&leases[i], "after");
    }
    assert_int_equal(harness_statistics(pool).opened, CALLERS + 1);
    for (int i = 0; i <= CALLERS; i++) {
        harness_release(&leases[i]);
    }
    harness_close(context);
}

/* ---- Threads ---- */

struct caller {
    pthread_t thread;
    connpool_lease lease;
    connpool_status status;
    atomic_bool is_done;
};

static void *acquire(void *argument)
{
    struct caller *caller = argument;

    caller->status = connpool_acquire(pool, "s", HARNESS_LIMIT_MS, &caller->lease, NULL);
    atomic_store(&caller->is_done, true);
    return NULL;
}

static struct caller *next_done(struct caller *callers, const bool *was_served)
{
    for (int i = 0; i < CALLERS; i++) {
        if (!was_served[i] && atomic_load(&callers[i].is_done)) {
            return &callers[i];
        }
    }
    return NULL;
}

static void test_threads_D26(void **state)
{
    static struct caller callers[CALLERS];
    bool was_served[CALLERS] = {false};
    struct caller *served;

    (void)state;
    begin(", \"max_size\": 21, \"background_collector\": true");
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_create(&callers[i].thread, NULL, acquire, &callers[i]), 0);
    }
    while (harness_statistics(pool).opening < CALLERS) {
        (void)sched_yield();
    }
    for (int i = 0; i < CALLERS; i++) {
        harness_release(&first);
        while ((served = next_done(callers, was_served)) == NULL) {
            (void)sched_yield();
        }
        was_served[served - callers] = true;
        assert_int_equal(served->status, CONNPOOL_OK);
        first = served->lease;
        tls_harness_echo(&first, "shared");
    }
    harness_release(&first);
    accept_again();
    while (idle() < CALLERS + 1) {
        (void)sched_yield();
    }
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
    }
    end();
}

/* ---- A reactor ---- */

static int told;

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    (void)argument;
    (void)error;
    assert_int_equal(status, CONNPOOL_OK);
    told++;
    first = *lease;
    harness_release(&first);
}

static void turn(connpool_reactor *reactor)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(reactor), .events = POLLIN};

    assert_int_equal(poll(&polled, 1, HARNESS_LIMIT_MS), 1);
    assert_int_equal(connpool_reactor_dispatch(reactor), CONNPOOL_OK);
}

static void test_a_reactor_D26(void **state)
{
    connpool_reactor *reactor;
    connpool_endpoint *endpoint;

    (void)state;
    told = 0;
    begin(", \"max_size\": 21");
    reactor = connpool_reactor_new(context, NULL);
    assert_non_null(reactor);
    assert_int_equal(connpool_endpoint_get(pool, "s", &endpoint, NULL), CONNPOOL_OK);
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(connpool_acquire_async(reactor, endpoint, HARNESS_LIMIT_MS, tell, NULL, NULL, NULL),
                         CONNPOOL_OK);
    }
    while (harness_statistics(pool).opening < CALLERS) {
        turn(reactor);
    }
    harness_release(&first);
    while (told < CALLERS) {
        turn(reactor);
    }
    accept_again();
    while (idle() < CALLERS + 1) {
        turn(reactor);
    }
    connpool_endpoint_put(endpoint);
    assert_int_equal(connpool_reactor_close(reactor), CONNPOOL_OK);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_D26),
        cmocka_unit_test(test_a_reactor_D26),
    };

    return cmocka_run_group_tests_name("tls_opener", tests, begin_group, end_group);
}
