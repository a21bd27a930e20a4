/* SPDX-License-Identifier: MIT */
/* Each example does what it shows, on a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certificates.h"
#include "example_runner.h"
#include "server_folder.h"
#include "server_nginx.h"
#include "server_redis.h"

static struct server_folder folder;
static struct server_redis redis;

static int set_up(void **state)
{
    (void)state;
    server_folder_init(&folder);
    example_runner_init(&folder);
    server_redis_start(&redis, &folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_redis_kill(&redis);
    server_folder_fini(&folder);
    return 0;
}

static void a_manager_of_one_s_own(void **state)
{
    (void)state;
    example_runner_run(&folder, 1,
                       "visit 1: connection 1, use 1\nvisit 2: connection 1, use 2\nvisit 3: connection 1, use 3\n",
                       "custom_manager %s", redis.endpoint);
    example_runner_run(&folder, 0, "pool 'cache', endpoint '127.0.0.1:1', open: *refused*\n",
                       "custom_manager 127.0.0.1:1");
    example_runner_run(&folder, 0, "*port*1 to 65535*", "custom_manager 127.0.0.1:65536");
}

static void what_an_observer_sees(void **state)
{
    (void)state;
    example_runner_run(&folder, 1,
                       "*\nconnpool_opened_total{pool=\"web\"} [12]\n"
                       "connpool_acquired_total{pool=\"web\"} 1000\n"
                       "connpool_reused_total{pool=\"web\"} 99[89]\n"
                       "connpool_dead_total{pool=\"web\"} 0\n"
                       "connpool_timed_out_total{pool=\"web\"} 0\n"
                       "connpool_failed_total{pool=\"web\",class=\"refused\"} 1\n"
                       "connpool_closed_total{pool=\"web\",reason=\"*\"} [12]\n"
                       "*\nconnpool_acquire_seconds_count{pool=\"web\"} 1000\n"
                       "*\nconnpool_lease_seconds_count{pool=\"web\"} 1000\n*",
                       "observer_metrics %s", redis.endpoint);
}

static void pages_over_one_tls_connection(void **state)
{
    struct certificates certificates;
    struct server_nginx nginx;

    (void)state;
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, 60, 1000, "server", NULL);
    server_folder_write(&folder, "https.json",
                        "{\"pools\": {\"web\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"%s\"}}}}", "ca.pem");
    example_runner_run(&folder, 1,
                       "/: HTTP/1.1 200 OK; connection 1, use 1, full handshake\n"
                       "/index.html: HTTP/1.1 200 OK; connection 1, use 2, full handshake\n"
                       "/: HTTP/1.1 200 OK; connection 2, use 1, resumed handshake\n",
                       "https_fetch https.json localhost:%u", nginx.port);
    /* Without the authority it is nobody's certificate. */
    server_folder_write(&folder, "https.json", "{\"pools\": {\"web\": {\"manager\": \"%s\"}}}", "tls");
    example_runner_run(&folder, 0, "pool 'web', endpoint 'localhost:*', open: *certificate*\n",
                       "https_fetch https.json localhost:%u", nginx.port);
    server_nginx_kill(&nginx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manager_of_one_s_own),
        cmocka_unit_test(pages_over_one_tls_connection),
        cmocka_unit_test(what_an_observer_sees),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
