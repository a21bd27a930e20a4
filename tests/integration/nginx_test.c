/* SPDX-License-Identifier: MIT */
/* HTTP over pooled TCP connections to a real nginx, which numbers its connections and their requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <connpool/unix.h>
#include <string.h>

#include "harness.h"
#include "server_folder.h"
#include "server_nginx.h"
#include "server_peer.h"

#define MANY                50
#define REQUESTS_UNLIMITED  100000
#define IDLE_TIMEOUT_LONG   60
#define REQUESTS_OF_A_SHORT 3

static struct server_folder folder;
static struct server_nginx nginx;

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_nginx_start(&nginx, &folder, IDLE_TIMEOUT_LONG, REQUESTS_UNLIMITED);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    return 0;
}

static connpool *open_web(void)
{
    return harness_open("{\"pools\": {\"web\": {\"manager\": \"tcp\", \"max_size\": 50, \"min_idle\": 50,"
                        " \"endpoints\": {\"front\": {\"host\": \"localhost\", \"port\": %u}}}}}",
                        nginx.port);
}

/* Acquire, make one request, release: the connection's number and the request's number on it. */
static void request_once(connpool_pool *pool, const char *endpoint, unsigned *connection, unsigned *request)
{
    connpool_lease lease = harness_acquire(pool, endpoint);

    assert_int_equal(server_nginx_request(connpool_tcp(&lease), connection, request), 0);
    harness_release(&lease);
}

static void one_connection_serves_many_requests(void **state)
{
    connpool *context = open_web();
    connpool_pool *pool = harness_pool(context);
    unsigned first;

    (void)state;
    for (unsigned i = 1; i <= 5; i++) {
        unsigned connection;
        unsigned request;

        request_once(pool, "front", &connection, &request);
        first = i == 1 ? connection : first;
        assert_int_equal(connection, first);
        assert_int_equal(request, i);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    assert_int_equal(harness_statistics(pool).reused, 4);
    harness_close(context);
}

static void endpoints_given_at_run_time(void **state)
{
    const char *const texts[] = {nginx.endpoint_ipv4, nginx.endpoint_ipv6};
    connpool *context = open_web();
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (unsigned use = 1; use <= 2; use++) {
            unsigned connection;
            unsigned request;

            request_once(pool, texts[i], &connection, &request);
            assert_int_equal(request, use);
        }
    }
    assert_int_equal(harness_statistics(pool).opened, 2);
    harness_close(context);
}

/* D17: the host bounds the port, the manager the form. */
static void texts_that_are_no_endpoint_are_refused(void **state)
{
    static const char *const texts[] = {"127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:http", "::1:80", "nothing", ""};
    connpool *context = open_web();
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        connpool_error error = harness_acquire_fails(pool, texts[i], HARNESS_LIMIT_MS, CONNPOOL_NOT_FOUND);

        assert_true(error.text[0] != '\0');
    }
    assert_int_equal(harness_statistics(pool).opened, 0);
    harness_close(context);
}

static void the_typed_header_refuses_another_managers_lease(void **state)
{
    connpool *context = open_web();
    connpool_lease lease = harness_acquire(harness_pool(context), "front");
    const connpool_lease none = CONNPOOL_LEASE_NONE;

    (void)state;
    assert_true(connpool_tcp(&lease) >= 0);
    assert_int_equal(connpool_unix(&lease), -1);
    assert_int_equal(*(int32_t *)connpool_lease_native(&lease, "fd"), connpool_tcp(&lease));
    assert_int_equal(connpool_tcp(&none), -1);
    harness_release(&lease);
    assert_int_equal(connpool_tcp(&lease), -1);
    harness_close(context);
}

static void acquire_many(connpool_pool *pool, connpool_lease leases[MANY])
{
    for (size_t i = 0; i < MANY; i++) {
        unsigned connection;
        unsigned request;

        leases[i] = harness_acquire(pool, "front");
        assert_int_equal(server_nginx_request(connpool_tcp(&leases[i]), &connection, &request), 0);
    }
}

static void release_many(connpool_lease leases[MANY])
{
    for (size_t i = 0; i < MANY; i++) {
        harness_release(&leases[i]);
    }
}

/* A10, A11, A21, A22: fifty idle connections, all of them dead after a restart; none is handed out. */
static void a_restart_with_many_idle_connections(void **state)
{
    connpool *context = open_web();
    connpool_pool *pool = harness_pool(context);
    connpool_lease leases[MANY];
    struct connpool_statistics statistics;
    int64_t begin;

    (void)state;
    acquire_many(pool, leases);
    release_many(leases);
    assert_int_equal(harness_statistics(pool).idle_base, MANY);
    server_nginx_restart(&nginx);
    begin = harness_now_ms();
    acquire_many(pool, leases);
    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS);
    statistics = harness_statistics(pool);
    assert_int_equal(statistics.opened, 2 * MANY);
    assert_int_equal(statistics.reused, 0);
    assert_int_equal(statistics.ended[CONNPOOL_REASON_DEAD], MANY);
    assert_int_equal(statistics.failed, 0);
    release_many(leases);
    harness_close(context);
}

/* A21 */
static void a_server_that_dies_under_a_lease(void **state)
{
    connpool *context = open_web();
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "front");
    unsigned connection;
    unsigned request;

    (void)state;
    server_nginx_kill(&nginx);
    assert_int_equal(server_nginx_request(connpool_tcp(&lease), &connection, &request), -1);
    harness_discard(&lease);
    (void)harness_acquire_fails(pool, "front", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    server_nginx_restart(&nginx);
    request_once(pool, "front", &connection, &request);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DISCARDED], 1);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_OPEN], 1);
    harness_close(context);
}

/* A39: a server of its own that closes a connection soon: after a second unused, and after three requests. */
static int start_impatient_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_nginx_start(&nginx, &folder, 1, REQUESTS_OF_A_SHORT);
    return 0;
}

/* A11: nginx's own timer runs for a second here, there is no other way to see it end a connection. */
static void a_server_that_closes_what_is_idle(void **state)
{
    connpool *context = open_web();
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "front");
    int fd = connpool_tcp(&lease);
    unsigned connection;
    unsigned request;

    (void)state;
    assert_int_equal(server_nginx_request(fd, &connection, &request), 0);
    harness_release(&lease);
    server_peer_await(fd);
    request_once(pool, "front", &connection, &request);
    assert_int_equal(request, 1);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    harness_close(context);
}

static void a_server_that_closes_after_some_requests(void **state)
{
    connpool *context = open_web();
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (unsigned i = 0; i < 2 * REQUESTS_OF_A_SHORT; i++) {
        connpool_lease lease = harness_acquire(pool, "front");
        int fd = connpool_tcp(&lease);
        unsigned connection;
        unsigned request;

        assert_int_equal(server_nginx_request(fd, &connection, &request), 0);
        assert_int_equal(request, i % REQUESTS_OF_A_SHORT + 1);
        if (request == REQUESTS_OF_A_SHORT) {
            server_peer_await(fd);
        }
        harness_release(&lease);
    }
    assert_int_equal(harness_statistics(pool).opened, 2);
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_serves_many_requests),
        cmocka_unit_test(endpoints_given_at_run_time),
        cmocka_unit_test(texts_that_are_no_endpoint_are_refused),
        cmocka_unit_test(the_typed_header_refuses_another_managers_lease),
        cmocka_unit_test(a_restart_with_many_idle_connections),
        cmocka_unit_test(a_server_that_dies_under_a_lease),
    };
    const struct CMUnitTest impatient[] = {
        cmocka_unit_test(a_server_that_closes_what_is_idle),
        cmocka_unit_test(a_server_that_closes_after_some_requests),
    };
    int failed = cmocka_run_group_tests(tests, start_server, end_server);

    return failed + cmocka_run_group_tests(impatient, start_impatient_server, end_server);
}
