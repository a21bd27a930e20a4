/* SPDX-License-Identifier: MIT */
/* Sessions of a real PostgreSQL through the pool: opened, reused, checked, watched, and each way to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_harness.h"
#include "server_peer.h"

static struct server_folder folder;
static struct server_postgres server;

static int start_server(void **state)
{
    (void)state;
    postgres_harness_init();
    server_folder_init(&folder);
    server_postgres_start(&server, &folder, "pg", "max_connections = 20\n");
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_postgres_stop(&server, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

static void queries_over_one_session(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");
    connpool_pool *pool = harness_pool(context);
    int process = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        connpool_lease lease = harness_acquire(pool, "main");

        assert_int_equal(harness_info(&lease).uses, i + 1);
        assert_string_equal(postgres_harness_ask(&lease, "SELECT current_user || current_database()"), "appapp");
        assert_true(i == 0 || process == postgres_harness_process(&lease));
        process = postgres_harness_process(&lease);
        assert_int_equal(PQisnonblocking(connpool_postgres(&lease)), 0);
        harness_release(&lease);
    }
    harness_close(context);
    postgres_harness_await_no_session(&server);
}

/* The typed headers are checked: another manager's lease gives nothing. */
static void the_handle_is_a_session_and_nothing_else(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");
    connpool_lease none = CONNPOOL_LEASE_NONE;

    (void)state;
    assert_int_equal(connpool_tcp(&lease), -1);
    assert_null(connpool_lease_native(&lease, "libpq.PGconn/6"));
    assert_null(connpool_postgres(&none));
    harness_release(&lease);
    harness_close(context);
}

static void over_a_unix_socket(void **state)
{
    connpool *context = postgres_harness_open_json(
        "{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {'host': '%s', 'port': %u, 'user': 'app',"
        "'password': {'env': '%s'}}}}}}",
        server.path, server.port, POSTGRES_HARNESS_SECRET);
    connpool_lease lease = harness_acquire(harness_pool(context), "main");

    (void)state;
    assert_string_equal(postgres_harness_ask(&lease, "SELECT inet_client_addr() IS NULL"), "t");
    harness_release(&lease);
    harness_close(context);
}

static void the_address_given_at_run_time(void **state)
{
    connpool *context = postgres_harness_open_json(
        "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app', 'password': {'env': '%s'},"
        "'sslmode': 'disable'}}}}",
        POSTGRES_HARNESS_SECRET);
    connpool_lease lease;
    char text[32];

    (void)state;
    (void)snprintf(text, sizeof(text), "[::1]:%u", server.port);
    lease = harness_acquire(harness_pool(context), text);
    assert_string_equal(postgres_harness_ask(&lease, "SELECT host(inet_client_addr())"), "::1");
    harness_release(&lease);
    harness_close(context);
}

/* Names are resolved by the host: libpq is given numbers, and the name beside them. */
static void a_name_is_resolved(void **state)
{
    connpool *context = postgres_harness_open_json(
        "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app', 'password': {'env': '%s'},"
        "'sslmode': 'disable'}, 'endpoints': {'main': {'host': 'localhost', 'port': %u}}}}}",
        POSTGRES_HARNESS_SECRET, server.port);
    connpool_lease lease = harness_acquire(harness_pool(context), "main");

    (void)state;
    assert_string_equal(PQhost(connpool_postgres(&lease)), "localhost");
    assert_non_null(strpbrk(PQhostaddr(connpool_postgres(&lease)), ".:"));
    harness_release(&lease);
    harness_close(context);
}

/* D40: the check asks an empty query, which begins no transaction and is counted as none. */
static void the_check_opens_no_transaction(void **state)
{
    connpool *context = postgres_harness_open(&server, "'check_after': 0,", "");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "main");
    int process = postgres_harness_process(&lease);

    (void)state;
    harness_release(&lease);
    for (int i = 0; i < 3; i++) {
        lease = harness_acquire(pool, "main");
        assert_int_equal(PQtransactionStatus(connpool_postgres(&lease)), PQTRANS_IDLE);
        harness_release(&lease);
    }
    lease = harness_acquire(pool, "main");
    assert_int_equal(postgres_harness_process(&lease), process);
    harness_release(&lease);
    harness_close(context);
}

/* A10, D38: a parked session that the server ended is noticed, its last words are the event's, another one serves. */
static connpool_error dead_error;

static void keep_error(void *argument, const struct connpool_event *event)
{
    (void)argument;
    dead_error = *event->error;
}

static void a_terminated_session_is_replaced(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");
    connpool_pool *pool = harness_pool(context);
    struct connpool_observer observer = {.size = sizeof(observer), .dead = keep_error};
    connpool_lease lease = harness_acquire(pool, "main");
    int process = postgres_harness_process(&lease);
    char sqlstate[6];

    (void)state;
    assert_int_equal(connpool_pool_observe(pool, &observer), CONNPOOL_OK);
    harness_release(&lease);
    server_postgres_run(&server, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'",
                        NULL, 0);
    lease = harness_acquire(pool, "main");
    assert_int_equal(harness_info(&lease).is_new, 1);
    assert_int_not_equal(postgres_harness_process(&lease), process);
    assert_int_equal(dead_error.error_class, CONNPOOL_ERROR_CLOSED);
    assert_string_equal(connpool_postgres_sqlstate(&dead_error, sqlstate), "57P01");
    harness_release(&lease);
    harness_close(context);
}

/* A session that is ended while it is lent: the borrower sees it, the next one does not, D42. */
static void a_session_terminated_while_lent_is_not_handed_on(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "main");

    (void)state;
    (void)postgres_harness_ask(&lease, "BEGIN");
    server_postgres_run(&server, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'",
                        NULL, 0);
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_RESET], 1);
    lease = harness_acquire(pool, "main");
    assert_string_equal(postgres_harness_ask(&lease, "SELECT 1"), "1");
    harness_release(&lease);
    harness_close(context);
}

/* A20: notices and notifications of a parked session are taken in, and it stays alive. */
static void a_notification_while_parked_harms_nothing(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "main");
    int process = postgres_harness_process(&lease);
    int fd = PQsocket(connpool_postgres(&lease));

    (void)state;
    (void)postgres_harness_ask(&lease, "LISTEN news");
    harness_release(&lease);
    server_postgres_run(&server, "NOTIFY news, 'old'", NULL, 0);
    server_peer_await(fd);
    lease = harness_acquire(pool, "main");
    assert_int_equal(postgres_harness_process(&lease), process);
    assert_null(PQnotifies(connpool_postgres(&lease)));
    harness_release(&lease);
    harness_close(context);
}

/* A10, A20, A42: the same where the collector watches it, without a call. */
static void a_watched_session_takes_in_what_comes_and_ends_with_its_server(void **state)
{
    connpool *context = postgres_harness_open(&server, "'background_collector': true,", "");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "main");
    int fd = PQsocket(connpool_postgres(&lease));
    int64_t limit = harness_now_ms() + HARNESS_LIMIT_MS;
    uint64_t received;

    (void)state;
    (void)postgres_harness_ask(&lease, "LISTEN news");
    harness_release(&lease);
    received = harness_received(fd);
    server_postgres_run(&server, "NOTIFY news, 'old'", NULL, 0);
    harness_await_taken_in(fd, received);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 0);
    server_postgres_run(&server, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'",
                        NULL, 0);
    while (harness_statistics(pool).ended[CONNPOOL_REASON_DEAD] == 0) {
        assert_true(harness_now_ms() < limit);
        (void)sched_yield();
    }
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    harness_close(context);
}

/* A31. */
static void wrong_passwords_users_and_databases_are_told(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "'x-nothing': 0,");

    (void)state;
    harness_close(context);
    assert_int_equal(setenv(POSTGRES_HARNESS_SECRET, "wrong", 1), 0);
    context = postgres_harness_open(&server, "", "");
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_AUTHENTICATION, "28P01");
    harness_close(context);
    postgres_harness_init();

    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {"
                                         "'host': '127.0.0.1', 'port': %u, 'user': 'nobody', 'sslmode': 'disable',"
                                         "'password': {'env': '%s'}}}}}}",
                                         server.port, POSTGRES_HARNESS_SECRET);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_AUTHENTICATION, "28P01");
    harness_close(context);

    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {"
                                         "'host': '127.0.0.1', 'port': %u, 'user': 'app', 'sslmode': 'disable',"
                                         "'dbname': 'none', 'password': {'env': '%s'}}}}}}",
                                         server.port, POSTGRES_HARNESS_SECRET);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_CONFIGURATION, "3D000");
    harness_close(context);

    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {"
                                         "'host': '127.0.0.1', 'port': %u, 'user': 'app', 'sslmode': 'disable'}}}}}",
                                         server.port);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_AUTHENTICATION, "");
    harness_close(context);
}

/* A1. */
static void a_server_that_is_down_refuses(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");

    (void)state;
    server_postgres_stop(&server, SERVER_POSTGRES_FAST);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_REFUSED, "");
    server_postgres_restart(&server, SERVER_POSTGRES_FAST);
    harness_close(context);
}

static void statements_run_once_on_each_new_session(void **state)
{
    connpool *context = postgres_harness_open(
        &server, "",
        "'statements': ['SET application_name TO \\u0027first\\u0027', 'CREATE TEMP TABLE mine (n int)'],");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (int i = 0; i < 2; i++) {
        connpool_lease lease = harness_acquire(pool, "main");

        assert_string_equal(postgres_harness_ask(&lease, "SHOW application_name"), "first");
        assert_string_equal(postgres_harness_ask(&lease, "SELECT count(*) FROM mine"), "0");
        harness_release(&lease);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    harness_close(context);
}

static void a_wrong_statement_fails_the_open(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "'statements': ['SELECT 1', 'SELEC 2'],");
    connpool_error error = postgres_harness_acquire_fails(context, CONNPOOL_ERROR_CONFIGURATION, "42601");

    (void)state;
    assert_non_null(strstr(error.text, "statement 2"));
    harness_close(context);
    context = postgres_harness_open(&server, "", "'statements': ['BEGIN'],");
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_CONFIGURATION, "");
    harness_close(context);
    context = postgres_harness_open(&server, "", "'statements': ['COPY pg_class TO STDOUT'],");
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_CONFIGURATION, "");
    harness_close(context);
}

/* A26: notices of open, of the borrower's own queries; standard error stays silent, which is the application's. */
static void notices_go_to_the_log(void **state)
{
    static const char raise[] = "DO $$BEGIN RAISE WARNING 'from the borrower'; END$$";
    connpool *context = postgres_harness_open(&server, "", "'statements': ['DROP TABLE IF EXISTS never_was'],");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");

    (void)state;
    assert_true(postgres_harness_logged("NOTICE: table \"never_was\" does not exist, skipping (SQLSTATE 00000)"));
    (void)postgres_harness_ask(&lease, raise);
    assert_true(postgres_harness_logged("WARNING: from the borrower (SQLSTATE 01000)"));
    harness_release(&lease);
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_over_one_session),
        cmocka_unit_test(the_handle_is_a_session_and_nothing_else),
        cmocka_unit_test(over_a_unix_socket),
        cmocka_unit_test(the_address_given_at_run_time),
        cmocka_unit_test(a_name_is_resolved),
        cmocka_unit_test(the_check_opens_no_transaction),
        cmocka_unit_test(a_terminated_session_is_replaced),
        cmocka_unit_test(a_session_terminated_while_lent_is_not_handed_on),
        cmocka_unit_test(a_notification_while_parked_harms_nothing),
        cmocka_unit_test(a_watched_session_takes_in_what_comes_and_ends_with_its_server),
        cmocka_unit_test(wrong_passwords_users_and_databases_are_told),
        cmocka_unit_test(a_server_that_is_down_refuses),
        cmocka_unit_test(statements_run_once_on_each_new_session),
        cmocka_unit_test(a_wrong_statement_fails_the_open),
        cmocka_unit_test(notices_go_to_the_log),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
