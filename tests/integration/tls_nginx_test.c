/* SPDX-License-Identifier: MIT */
/* HTTPS over pooled TLS connections to a real nginx, which numbers its connections and their requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <connpool/tls.h>
#include <fcntl.h>
#include <string.h>

#include "certificates.h"
#include "harness.h"
#include "server_folder.h"
#include "server_nginx.h"
#include "server_peer.h"

#define MANY               20
#define REQUESTS_UNLIMITED 100000
#define IDLE_TIMEOUT       60

static struct server_folder folder;
static struct certificates certificates;
static struct server_nginx nginx;

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, IDLE_TIMEOUT, REQUESTS_UNLIMITED, "server", NULL);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    return 0;
}

static connpool *open_web(const char *options)
{
    return harness_open("{\"pools\": {\"web\": {\"manager\": \"tls\", \"max_size\": 20, \"min_idle\": 20,"
                        " \"options\": {\"ca_file\": \"%s/ca.pem\"%s},"
                        " \"endpoints\": {\"front\": {\"host\": \"localhost\", \"port\": %u}}}}}",
                        folder.path, options, nginx.port);
}

/* Acquire, make one request, release: the request's number on its connection. */
static unsigned request_once(connpool_pool *pool, const char *endpoint)
{
    connpool_lease lease = harness_acquire(pool, endpoint);
    unsigned connection;
    unsigned request;

    assert_int_equal(server_nginx_request_tls(connpool_tls(&lease), &connection, &request), 0);
    harness_release(&lease);
    return request;
}

static void one_connection_serves_many_requests(void **state)
{
    connpool *context = open_web("");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(request_once(pool, "front"), i);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    assert_int_equal(harness_statistics(pool).reused, 4);
    harness_close(context);
}

/* The certificate has both addresses. */
static void endpoints_given_at_run_time(void **state)
{
    const char *const texts[] = {nginx.endpoint_ipv4, nginx.endpoint_ipv6};
    connpool *context = open_web("");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(request_once(pool, texts[i]), 1);
        assert_int_equal(request_once(pool, texts[i]), 2);
    }
    assert_int_equal(harness_statistics(pool).opened, 2);
    harness_close(context);
}

static void texts_that_are_no_endpoint_are_refused(void **state)
{
    static const char *const texts[] = {"127.0.0.1:0", "127.0.0.1:https", "::1:443", ":443", ""};
    connpool *context = open_web("");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        connpool_error error = harness_acquire_fails(pool, texts[i], HARNESS_LIMIT_MS, CONNPOOL_NOT_FOUND);

        assert_true(error.text[0] != '\0');
    }
    harness_close(context);
}

static void the_typed_header_refuses_another_managers_lease(void **state)
{
    connpool *web = open_web("");
    connpool *plain = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\"}}}");
    connpool_lease lease = harness_acquire(harness_pool(web), "front");
    connpool_lease other = harness_acquire(harness_pool(plain), nginx.endpoint_ipv4);
    const connpool_lease none = CONNPOOL_LEASE_NONE;

    (void)state;
    assert_non_null(connpool_tls(&lease));
    assert_int_equal(SSL_get_fd(connpool_tls(&lease)), *(int32_t *)connpool_lease_native(&lease, "fd"));
    assert_int_equal(connpool_tcp(&lease), -1);
    assert_null(connpool_tls(&other));
    assert_null(connpool_tls_information(&other));
    assert_null(connpool_tls(&none));
    harness_release(&lease);
    assert_null(connpool_tls(&lease));
    harness_release(&other);
    harness_close(plain);
    harness_close(web);
}

static void acquire_many(connpool_pool *pool, connpool_lease leases[MANY])
{
    for (size_t i = 0; i < MANY; i++) {
        unsigned connection;
        unsigned request;

        leases[i] = harness_acquire(pool, "front");
        assert_int_equal(server_nginx_request_tls(connpool_tls(&leases[i]), &connection, &request), 0);
    }
}

/* A10, A11, A21, A22: many idle connections, all of them dead after a restart; none is handed out. */
static void a_restart_with_many_idle_connections(void **state)
{
    connpool *context = open_web("");
    connpool_pool *pool = harness_pool(context);
    connpool_lease leases[MANY];
    struct connpool_statistics statistics;

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        acquire_many(pool, leases);
        for (size_t i = 0; i < MANY; i++) {
            harness_release(&leases[i]);
        }
        if (round == 0) {
            server_nginx_restart(&nginx);
        }
    }
    statistics = harness_statistics(pool);
    assert_int_equal(statistics.opened, 2 * MANY);
    assert_int_equal(statistics.reused, 0);
    assert_int_equal(statistics.ended[CONNPOOL_REASON_DEAD], MANY);
    assert_int_equal(statistics.failed, 0);
    harness_close(context);
}

/* A21 */
static void a_server_that_dies_under_a_lease(void **state)
{
    connpool *context = open_web("");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "front");
    unsigned connection;
    unsigned request;

    (void)state;
    server_nginx_kill(&nginx);
    assert_int_equal(server_nginx_request_tls(connpool_tls(&lease), &connection, &request), -1);
    harness_discard(&lease);
    (void)harness_acquire_fails(pool, "front", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    server_nginx_restart(&nginx);
    assert_int_equal(request_once(pool, "front"), 1);
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

    return cmocka_run_group_tests(tests, start_server, end_server);
}
