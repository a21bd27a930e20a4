/* SPDX-License-Identifier: MIT */
/*
 * A real server that goes away and comes back: 500 acquires of threads and a reactor that wait for it do not storm it
 * (failures.md C19), and a pool with `prewarm` is ready again without anybody asking (C9). Over TLS, where an open
 * takes long enough for several to be under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/async.h>
#include <connpool/tls.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "certificates.h"
#include "harness.h"
#include "server_folder.h"
#include "server_nginx.h"

#define THREADS     100
#define REQUESTS    400
#define CONNECTIONS 100
#define LIMIT_MS    30000

static struct server_folder folder;
static struct certificates certificates;
static struct server_nginx nginx;

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, 60, 100000, "server", NULL);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    return 0;
}

/* keys: of the pool, as JSON with a comma at the end. */
static connpool *open_pool(const char *keys)
{
    return harness_open("{\"pools\": {\"web\": {\"manager\": \"tls\", %s \"options\": {\"ca_file\": \"%s/ca.pem\"},"
                        " \"endpoints\": {\"main\": {\"host\": \"127.0.0.1\", \"port\": %u}}}}}",
                        keys, folder.path, nginx.port);
}

/* ---- 500 that wait ---- */

struct crowd {
    connpool *context;
    connpool_pool *pool;
    atomic_uint served, failed;
    atomic_bool is_over;
};

static void count(struct crowd *crowd, connpool_status status, connpool_lease *lease)
{
    if (status == CONNPOOL_OK) {
        atomic_fetch_add(&crowd->served, 1);
        (void)connpool_release(lease);
    } else {
        atomic_fetch_add(&crowd->failed, 1);
    }
}

static void *acquire_once(void *argument)
{
    struct crowd *crowd = argument;
    connpool_lease lease = CONNPOOL_LEASE_NONE;

    count(crowd, connpool_acquire(crowd->pool, "main", LIMIT_MS, &lease, NULL), &lease);
    return NULL;
}

static void told(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    connpool_lease mine = *lease;

    (void)error;
    count(argument, status, &mine);
}

/* An event loop with all the requests. */
static void *run_reactor(void *argument)
{
    struct crowd *crowd = argument;
    connpool_reactor *reactor = connpool_reactor_new(crowd->context, NULL);
    struct pollfd readable = {.fd = connpool_reactor_fd(reactor), .events = POLLIN};
    connpool_endpoint *endpoint = NULL;
    bool is_fine = connpool_endpoint_get(crowd->pool, "main", &endpoint, NULL) == CONNPOOL_OK;

    for (int i = 0; i < REQUESTS && is_fine; i++) {
        is_fine = connpool_acquire_async(reactor, endpoint, LIMIT_MS, told, crowd, NULL, NULL) == CONNPOOL_OK;
    }
    while (!atomic_load(&crowd->is_over) && is_fine) {
        (void)poll(&readable, 1, 100);
        is_fine = connpool_reactor_dispatch(reactor) == CONNPOOL_OK;
    }
    connpool_endpoint_put(endpoint);
    (void)connpool_reactor_close(reactor);
    return NULL;
}

/* The most opens at one time, and the most above what those that have succeeded allow. */
struct peaks {
    uint64_t opening, above;
};

static void look(const struct crowd *crowd, uint64_t opened_before, struct peaks *peaks)
{
    struct connpool_statistics now = harness_statistics(crowd->pool);
    uint64_t allowed = now.opened - opened_before + 1;

    peaks->opening = now.opening > peaks->opening ? now.opening : peaks->opening;
    if (now.opening > allowed && now.opening - allowed > peaks->above) {
        peaks->above = now.opening - allowed;
    }
}

static void await_crowd(struct crowd *crowd)
{
    int64_t limit = harness_now_ms() + LIMIT_MS;

    while (harness_statistics(crowd->pool).waiters < THREADS + REQUESTS - 1 && harness_now_ms() < limit) {
        (void)sched_yield();
    }
}

static void test_500_that_wait_do_not_storm_a_server_that_is_back_C19(void **state)
{
    static pthread_t threads[THREADS + 1];
    struct crowd crowd = {.context = open_pool("\"retry\": true, \"max_size\": 100,")};
    struct peaks down = {0}, back = {0};
    uint64_t opened;
    int64_t until;

    (void)state;
    crowd.pool = harness_pool(crowd.context);
    server_nginx_kill(&nginx);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, acquire_once, &crowd), 0);
    }
    assert_int_equal(pthread_create(&threads[THREADS], NULL, run_reactor, &crowd), 0);
    await_crowd(&crowd);
    opened = harness_statistics(crowd.pool).opened;
    for (until = harness_now_ms() + 300; harness_now_ms() < until;) {
        look(&crowd, opened, &down);
    }
    server_nginx_restart(&nginx);
    while (atomic_load(&crowd.served) + atomic_load(&crowd.failed) < THREADS + REQUESTS) {
        look(&crowd, opened, &back);
    }
    atomic_store(&crowd.is_over, true);
    for (size_t i = 0; i <= THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&crowd.failed), 0);
    assert_true(down.opening <= 1);
    assert_int_equal(down.above, 0);
    assert_int_equal(back.above, 0);
    assert_true(harness_statistics(crowd.pool).opened <= CONNECTIONS);
    harness_close(crowd.context);
}

/* ---- Ready again ---- */

static bool is_empty(const connpool_pool *pool)
{
    struct connpool_statistics now = harness_statistics(pool);

    return now.idle_base + now.idle_extra == 0;
}

static void test_a_warm_pool_is_ready_again_after_a_restart_C9(void **state)
{
    connpool *context =
        open_pool("\"background_collector\": true, \"prewarm\": true, \"min_idle\": 10, \"max_size\": 20,");
    connpool_pool *pool = harness_pool(context);
    unsigned connection, request;
    connpool_lease lease;
    connpool_error error;

    (void)state;
    assert_int_equal(connpool_wait_ready(context, HARNESS_LIMIT_MS, &error), CONNPOOL_OK);
    assert_int_equal(harness_statistics(pool).idle_base, 10);
    server_nginx_kill(&nginx);
    connpool_pool_drain(pool);
    assert_true(is_empty(pool));
    assert_int_equal(connpool_wait_ready(context, 200, &error), CONNPOOL_TIMED_OUT);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_non_null(strstr(error.text, "endpoint 'main'"));
    server_nginx_restart(&nginx);
    assert_int_equal(connpool_wait_ready(context, HARNESS_LIMIT_MS, &error), CONNPOOL_OK);
    lease = harness_acquire(pool, "main");
    assert_int_equal(server_nginx_request_tls(connpool_tls(&lease), &connection, &request), 0);
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).failed, 0);
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_500_that_wait_do_not_storm_a_server_that_is_back_C19),
        cmocka_unit_test(test_a_warm_pool_is_ready_again_after_a_restart_C9),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
