/* SPDX-License-Identifier: MIT */
/* A primary and its standby: named endpoints over shared defaults, restarts under load, too many sessions, failover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_harness.h"

static struct server_folder folder;
static struct server_postgres primary, standby;

static int start_servers(void **state)
{
    (void)state;
    postgres_harness_init();
    server_folder_init(&folder);
    server_postgres_start(&primary, &folder, "primary", "max_connections = 30\n");
    server_postgres_start_standby(&standby, &primary, "standby");
    return 0;
}

static int end_servers(void **state)
{
    (void)state;
    server_postgres_stop(&standby, SERVER_POSTGRES_IMMEDIATE);
    server_postgres_stop(&primary, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

/* One endpoint of both servers, the standby first, with a wish for one of them. */
static connpool *open_both(const char *wish)
{
    return postgres_harness_open_json(
        "{'pools': {'db': {'manager': 'postgres', 'check_after': 0, 'endpoints': {'main': {"
        "'host': '127.0.0.1:%u,127.0.0.1:%u', 'target_session_attrs': '%s', 'user': 'app', 'dbname': 'app',"
        "'sslmode': 'disable', 'password': {'env': '%s'}}}}}}",
        standby.port, primary.port, wish, POSTGRES_HARNESS_SECRET);
}

static unsigned port_of(const connpool_lease *lease)
{
    return (unsigned)strtoul(PQport(connpool_postgres(lease)), NULL, 10);
}

static void named_endpoints_share_their_defaults(void **state)
{
    connpool *context = postgres_harness_open_json(
        "{'pools': {'db': {'manager': 'postgres', 'options': {'host': '127.0.0.1', 'user': 'app', 'dbname': 'app',"
        "'sslmode': 'disable', 'application_name': 'shared', 'password': {'env': '%s'}},"
        "'endpoints': {'master': {'port': %u, 'pool': {'max_size': 5}},"
        "'replica-1': {'port': %u, 'application_name': 'own'}}}}}",
        POSTGRES_HARNESS_SECRET, primary.port, standby.port);
    connpool_pool *pool = harness_pool(context);
    connpool_lease master = harness_acquire(pool, "master"), replica = harness_acquire(pool, "replica-1");

    (void)state;
    assert_string_equal(postgres_harness_ask(&master, "SELECT pg_is_in_recovery()"), "f");
    assert_string_equal(postgres_harness_ask(&master, "SHOW application_name"), "shared");
    assert_string_equal(postgres_harness_ask(&replica, "SELECT pg_is_in_recovery()"), "t");
    assert_string_equal(postgres_harness_ask(&replica, "SHOW application_name"), "own");
    assert_string_equal(postgres_harness_fails(&replica, "CREATE TABLE written (n int)"), "25006");
    harness_release(&master);
    harness_release(&replica);
    harness_close(context);
}

static void the_wished_server_of_several_is_found(void **state)
{
    static const char *const for_primary[] = {"read-write", "primary"};
    static const char *const for_standby[] = {"read-only", "standby", "prefer-standby", "any"};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        connpool *context = open_both(i < 2 ? for_primary[i] : for_standby[i - 2]);
        connpool_lease lease = harness_acquire(harness_pool(context), "main");

        assert_int_equal(port_of(&lease), i < 2 ? primary.port : standby.port);
        harness_release(&lease);
        harness_close(context);
    }
}

/* ---- Restarts ---- */

#define PARKED 10

/* A22: many parked sessions, all dead, cost one acquire no more than one limit. */
static void parked_sessions_of_a_restarted_server(void **state)
{
    (void)state;
    for (int how = SERVER_POSTGRES_FAST; how <= SERVER_POSTGRES_IMMEDIATE; how++) {
        connpool *context = postgres_harness_open(&primary, "'min_idle': 10, 'check_timeout': 0.2,", "");
        connpool_pool *pool = harness_pool(context);
        connpool_lease leases[PARKED];
        int64_t began;

        for (size_t i = 0; i < PARKED; i++) {
            leases[i] = harness_acquire(pool, "main");
        }
        for (size_t i = 0; i < PARKED; i++) {
            harness_release(&leases[i]);
        }
        server_postgres_restart(&primary, (enum server_postgres_stop)how);
        began = harness_now_ms();
        leases[0] = harness_acquire(pool, "main");
        assert_string_equal(postgres_harness_ask(&leases[0], "SELECT 1"), "1");
        assert_true(harness_now_ms() - began < 2000);
        assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], PARKED);
        harness_release(&leases[0]);
        harness_close(context);
    }
}

struct load {
    connpool_pool *pool;
    atomic_bool is_ending;
    atomic_uint served, failed;
};

static void *work(void *argument)
{
    struct load *load = argument;

    while (!atomic_load(&load->is_ending)) {
        connpool_lease lease = CONNPOOL_LEASE_NONE;
        PGresult *result;

        if (connpool_acquire(load->pool, "main", HARNESS_LIMIT_MS, &lease, NULL) != CONNPOOL_OK) {
            atomic_fetch_add(&load->failed, 1);
            continue;
        }
        result = PQexec(connpool_postgres(&lease), "SELECT 1");
        if (PQresultStatus(result) == PGRES_TUPLES_OK) {
            atomic_fetch_add(&load->served, 1);
        } else {
            atomic_fetch_add(&load->failed, 1);
        }
        PQclear(result);
        assert_int_equal(connpool_release(&lease), CONNPOOL_OK); /* the pool sees for itself what is broken */
    }
    return NULL;
}

static void await_served(struct load *load, unsigned more)
{
    unsigned wanted = atomic_load(&load->served) + more;
    int64_t began = harness_now_ms();

    while (atomic_load(&load->served) < wanted) {
        assert_true(harness_now_ms() - began < HARNESS_LIMIT_MS);
        sched_yield();
    }
}

#define THREADS 8

/* A21: restarts while sessions are lent; with a hold-down, so that nobody storms a server that is not there. */
static void a_restart_under_load(void **state)
{
    connpool *context = postgres_harness_open(&primary, "'max_size': 4, 'holddown': 0.02,", "");
    struct load load = {.pool = harness_pool(context)};
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &load), 0);
    }
    for (int how = SERVER_POSTGRES_FAST; how <= SERVER_POSTGRES_IMMEDIATE; how++) {
        await_served(&load, 100);
        server_postgres_restart(&primary, (enum server_postgres_stop)how);
        await_served(&load, 100);
    }
    atomic_store(&load.is_ending, true);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(harness_statistics(load.pool).leased, 0);
    harness_close(context);
    postgres_harness_await_no_session(&primary);
}

/* ---- Too many sessions, A25 ---- */

static void alter(const char *setting)
{
    char sql[64];

    (void)snprintf(sql, sizeof(sql), "ALTER SYSTEM SET %s", setting);
    server_postgres_run(&primary, sql, NULL, 0);
    server_postgres_restart(&primary, SERVER_POSTGRES_FAST);
}

static void *work_once(void *argument)
{
    struct load *load = argument;
    connpool_lease lease = CONNPOOL_LEASE_NONE;

    if (connpool_acquire(load->pool, "main", HARNESS_LIMIT_MS, &lease, NULL) == CONNPOOL_OK) {
        PQclear(PQexec(connpool_postgres(&lease), "SELECT pg_sleep(0.02)"));
        (void)connpool_release(&lease);
        atomic_fetch_add(&load->served, 1);
    }
    return NULL;
}

#define MANY 16

/* A pool of 20 against a server of 6, of which the superuser keeps some: those who find no place wait for those who
 * have one. */
static void a_server_of_fewer_sessions_than_the_pool(void **state)
{
    connpool *context;
    struct load load = {.served = 0};
    pthread_t threads[MANY];

    (void)state;
    server_postgres_stop(&standby, SERVER_POSTGRES_FAST); /* it refuses to have less room than its primary */
    alter("max_connections = 6");
    context = postgres_harness_open(&primary, "'max_size': 20,", "");
    load.pool = harness_pool(context);
    (void)work_once(&load); /* so that there is one to wait for */
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work_once, &load), 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&load.served), MANY + 1);
    assert_true(harness_statistics(load.pool).opened <= 3);
    harness_close(context);
    postgres_harness_await_no_session(&primary);
}

/* Where others have all places there is nobody to wait for. */
static void a_server_that_is_full_is_told(void **state)
{
    connpool *holder = postgres_harness_open(&primary, "'max_size': 20,", "");
    connpool *context = postgres_harness_open(&primary, "", "");
    connpool_lease leases[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        leases[i] = harness_acquire(harness_pool(holder), "main");
    }
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_RESOURCE_REMOTE, "53300");
    for (size_t i = 0; i < 3; i++) {
        harness_release(&leases[i]);
    }
    harness_close(context);
    harness_close(holder);
    alter("max_connections = 30");
    server_postgres_restart(&standby, SERVER_POSTGRES_FAST);
}

/* ---- Failover, A27 ---- */

static void await_replay(const char *table)
{
    int64_t began = harness_now_ms();
    char sql[96];

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM pg_class WHERE relname = '%s'", table);
    while (server_postgres_number(&standby, sql) == 0) {
        assert_true(harness_now_ms() - began < HARNESS_LIMIT_MS);
    }
}

static void the_next_session_is_with_the_new_primary(void **state)
{
    connpool *context = open_both("read-write");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "main");
    connpool_error error;

    (void)state;
    assert_int_equal(port_of(&lease), primary.port);
    (void)postgres_harness_ask(&lease, "CREATE TABLE moved (n int)");
    harness_release(&lease);
    await_replay("moved");
    server_postgres_stop(&primary, SERVER_POSTGRES_FAST);
    error = postgres_harness_acquire_fails(context, CONNPOOL_ERROR_REFUSED, "");
    assert_non_null(strstr(error.text, "127.0.0.1"));
    server_postgres_promote(&standby);
    lease = harness_acquire(pool, "main");
    assert_int_equal(port_of(&lease), standby.port);
    (void)postgres_harness_ask(&lease, "INSERT INTO moved VALUES (1)");
    harness_release(&lease);
    harness_close(context);
}

/* No server is as wished. */
static void nobody_takes_what_nobody_wished(void **state)
{
    connpool *context = open_both("standby");

    (void)state;
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_REFUSED, "");
    harness_close(context);
    server_postgres_restart(&primary, SERVER_POSTGRES_FAST);
    context = open_both("standby");
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_TRANSIENT, "");
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_endpoints_share_their_defaults),
        cmocka_unit_test(the_wished_server_of_several_is_found),
        cmocka_unit_test(parked_sessions_of_a_restarted_server),
        cmocka_unit_test(a_restart_under_load),
        cmocka_unit_test(a_server_of_fewer_sessions_than_the_pool),
        cmocka_unit_test(a_server_that_is_full_is_told),
        cmocka_unit_test(the_next_session_is_with_the_new_primary),
        cmocka_unit_test(nobody_takes_what_nobody_wished),
    };

    return cmocka_run_group_tests(tests, start_servers, end_servers);
}
