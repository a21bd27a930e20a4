/* SPDX-License-Identifier: MIT */
/* Dirty sessions, A29: whatever a borrower leaves behind, the next one gets a session that is as new, or a new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
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
    server_postgres_start(&server, &folder, "pg", NULL);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_postgres_stop(&server, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

/* What a borrower does to its session. */
typedef void spoil_fn(PGconn *pg);

/* Lend, spoil, release, lend again: whether it is the same session. */
static bool survives(const char *options, spoil_fn *spoil, connpool_lease *next, connpool **context)
{
    connpool_lease lease;
    int process;

    *context = postgres_harness_open(&server, "", options);
    lease = harness_acquire(harness_pool(*context), "main");
    process = postgres_harness_process(&lease);
    spoil(connpool_postgres(&lease));
    harness_release(&lease);
    *next = harness_acquire(harness_pool(*context), "main");
    return postgres_harness_process(next) == process;
}

static void run(PGconn *pg, const char *sql)
{
    PQclear(PQexec(pg, sql));
}

/* ---- Those that are mended ---- */

static void open_transaction(PGconn *pg)
{
    run(pg, "BEGIN; CREATE TABLE left_behind (n int)");
}

static void failed_transaction(PGconn *pg)
{
    run(pg, "BEGIN; SELECT 1/0");
}

static void a_transaction_is_rolled_back(void **state)
{
    static spoil_fn *const spoils[] = {open_transaction, failed_transaction};

    (void)state;
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        connpool_lease lease;
        connpool *context;

        assert_true(survives("", spoils[i], &lease, &context));
        assert_int_equal(PQtransactionStatus(connpool_postgres(&lease)), PQTRANS_IDLE);
        assert_string_equal(postgres_harness_ask(&lease, "SELECT count(*) FROM pg_class WHERE relname = 'left_behind'"),
                            "0");
        harness_release(&lease);
        harness_close(context);
    }
}

static void stranger(void *argument, const PGresult *result)
{
    (void)result;
    *(int *)argument = 1;
}

static int stranger_heard;

static void library_settings(PGconn *pg)
{
    (void)PQsetNoticeReceiver(pg, stranger, &stranger_heard);
    (void)PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
    (void)PQsetErrorContextVisibility(pg, PQSHOW_CONTEXT_ALWAYS);
    (void)PQsetnonblocking(pg, 1);
    run(pg, "LISTEN self; NOTIFY self");
}

/* Without a round trip: what the borrower set in libpq itself. */
static void what_was_set_in_the_library_is_set_back(void **state)
{
    connpool_lease lease;
    connpool *context;
    PGconn *pg;

    (void)state;
    assert_true(survives("", library_settings, &lease, &context));
    pg = connpool_postgres(&lease);
    assert_int_equal(PQisnonblocking(pg), 0);
    assert_null(PQnotifies(pg));
    assert_int_equal(PQsetErrorVerbosity(pg, PQERRORS_DEFAULT), PQERRORS_DEFAULT);
    assert_int_equal(PQsetErrorContextVisibility(pg, PQSHOW_CONTEXT_ERRORS), PQSHOW_CONTEXT_ERRORS);
    (void)postgres_harness_ask(&lease, "DROP TABLE IF EXISTS never_was");
    assert_int_equal(stranger_heard, 0);
    assert_true(postgres_harness_logged("never_was"));
    harness_release(&lease);
    harness_close(context);
}

/* ---- Those that are mended by an option ---- */

static void everything(PGconn *pg)
{
    run(pg, "SET search_path TO pg_temp");
    run(pg, "SET ROLE pg_monitor");
    run(pg, "SET statement_timeout TO 12345");
    run(pg, "LISTEN news");
    run(pg, "SELECT pg_catalog.pg_advisory_lock(42)");
    run(pg, "PREPARE question AS SELECT 1");
    run(pg, "CREATE TEMP TABLE scratch (n int)");
    run(pg, "BEGIN");
}

struct trace {
    const char *question, *clean, *left;
};
static const struct trace traces[] = {
    {"SELECT count(*) FROM pg_listening_channels()", "0", "1"},
    {"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", "0", "1"},
    {"SHOW statement_timeout", "0", "12345ms"},
    {"SHOW search_path", "\"$user\", public", "pg_temp"},
    {"SELECT current_user", "app", "pg_monitor"},
    {"SELECT count(*) FROM pg_prepared_statements", "0", "1"},
    {"SELECT count(*) FROM pg_class WHERE relname = 'scratch' AND pg_table_is_visible(oid)", "0", "1"},
};
enum { LISTENS, LOCKS, TIMEOUT, PATH, ROLE, PREPARED, TEMPORARY, TRACES };

/* mended: a bit for each trace that must be gone. */
static void expect_traces(const char *options, unsigned mended)
{
    connpool_lease lease;
    connpool *context;

    assert_true(survives(options, everything, &lease, &context));
    for (size_t i = 0; i < TRACES; i++) {
        assert_string_equal(postgres_harness_ask(&lease, traces[i].question),
                            (mended & 1u << i) != 0 ? traces[i].clean : traces[i].left);
    }
    harness_discard(&lease);
    harness_close(context);
}

static void each_option_mends_its_part(void **state)
{
    (void)state;
    server_postgres_run(&server, "GRANT pg_monitor TO app", NULL, 0);
    expect_traces("", 0);
    expect_traces("'unlisten': true,", 1u << LISTENS);
    expect_traces("'unlock': true,", 1u << LOCKS);
    expect_traces("'reset_settings': true,", 1u << TIMEOUT | 1u << PATH | 1u << ROLE);
    expect_traces("'unlisten': true, 'unlock': true, 'reset_settings': true,",
                  1u << LISTENS | 1u << LOCKS | 1u << TIMEOUT | 1u << PATH | 1u << ROLE);
    expect_traces("'discard_all': true,", (1u << TRACES) - 1);
    expect_traces("'discard_all': true, 'unlisten': true, 'unlock': true, 'reset_settings': true,", (1u << TRACES) - 1);
}

/* ---- Those that end their session ---- */

static void running_query(PGconn *pg)
{
    assert_int_equal(PQsendQuery(pg, "SELECT pg_sleep(60)"), 1);
}

static void unread_result(PGconn *pg)
{
    assert_int_equal(PQsendQuery(pg, "SELECT 1"), 1);
    server_peer_await(PQsocket(pg));
}

static void unread_rows(PGconn *pg)
{
    assert_int_equal(PQsendQuery(pg, "SELECT generate_series(1, 100000)"), 1);
    assert_int_equal(PQsetSingleRowMode(pg), 1);
    PQclear(PQgetResult(pg));
}

static void copy_in(PGconn *pg)
{
    run(pg, "CREATE TEMP TABLE copied (n int)");
    run(pg, "COPY copied FROM STDIN");
}

static void copy_out(PGconn *pg)
{
    run(pg, "COPY pg_class TO STDOUT");
}

static void pipeline(PGconn *pg)
{
    assert_int_equal(PQenterPipelineMode(pg), 1);
}

static void pipeline_with_queries(PGconn *pg)
{
    assert_int_equal(PQenterPipelineMode(pg), 1);
    assert_int_equal(PQsendQueryParams(pg, "SELECT 1", 0, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(PQpipelineSync(pg), 1);
}

static void its_own_end(PGconn *pg)
{
    run(pg, "SELECT pg_terminate_backend(pg_backend_pid())");
}

static void a_session_in_the_middle_of_something_is_closed(void **state)
{
    static spoil_fn *const spoils[] = {running_query, unread_result, unread_rows,           copy_in,
                                       copy_out,      pipeline,      pipeline_with_queries, its_own_end};

    (void)state;
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        int64_t start = harness_now_ms();
        connpool_lease lease;
        connpool *context;

        assert_false(survives("", spoils[i], &lease, &context));
        assert_string_equal(postgres_harness_ask(&lease, "SELECT 7"), "7");
        assert_int_equal(harness_statistics(harness_pool(context)).ended[CONNPOOL_REASON_RESET], 1);
        harness_release(&lease);
        harness_close(context);
        assert_true(harness_now_ms() - start < 1000); /* nobody waited for the query */
    }
}

/* A28: a transaction that the server has given up while it was lent. */
static void an_idle_transaction_that_the_server_ended(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");

    (void)state;
    (void)postgres_harness_ask(&lease, "SET idle_in_transaction_session_timeout TO 20");
    (void)postgres_harness_ask(&lease, "BEGIN");
    server_peer_await(PQsocket(connpool_postgres(&lease)));
    assert_int_equal(PQtransactionStatus(connpool_postgres(&lease)), PQTRANS_INTRANS); /* libpq does not know yet */
    harness_release(&lease);
    lease = harness_acquire(harness_pool(context), "main");
    assert_int_equal(harness_info(&lease).is_new, 1);
    assert_string_equal(postgres_harness_ask(&lease, "SELECT 1"), "1");
    harness_release(&lease);
    harness_close(context);
}

/* A11: the same for a session that is parked too long for the server. */
static void an_idle_session_that_the_server_ended(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "'libpq': {'options': '-c idle_session_timeout=20'},");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");
    int fd = PQsocket(connpool_postgres(&lease));

    (void)state;
    harness_release(&lease);
    server_peer_await(fd);
    lease = harness_acquire(harness_pool(context), "main");
    assert_int_equal(harness_info(&lease).is_new, 1);
    assert_int_equal(harness_statistics(harness_pool(context)).ended[CONNPOOL_REASON_DEAD], 1);
    harness_release(&lease);
    harness_close(context);
}

/* ---- A30: cancelling ---- */

#define CANCELS 50

struct canceller {
    PGcancel *cancel;
    pthread_t thread;
};

static void *cancel_query(void *argument)
{
    char text[256];

    (void)PQcancel(((struct canceller *)argument)->cancel, text, sizeof(text));
    return NULL;
}

/*
 * A30: the server has acted on a request before PQcancel returns, so a borrower that waits for it hands on no cancel.
 * The query may end before or by it.
 */
static void a_cancel_that_has_returned_hits_nobody_else(void **state)
{
    connpool *context = postgres_harness_open(&server, "'max_size': 1,", "");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (int i = 0; i < CANCELS; i++) {
        connpool_lease lease = harness_acquire(pool, "main");
        PGconn *pg = connpool_postgres(&lease);
        struct canceller canceller = {.cancel = PQgetCancel(pg)};

        assert_int_equal(pthread_create(&canceller.thread, NULL, cancel_query, &canceller), 0);
        PQclear(PQexec(pg, "SELECT pg_sleep(0.001)"));
        assert_int_equal(pthread_join(canceller.thread, NULL), 0);
        PQfreeCancel(canceller.cancel);
        harness_release(&lease);
        lease = harness_acquire(pool, "main");
        assert_string_equal(postgres_harness_ask(&lease, "SELECT 1"), "1");
        harness_release(&lease);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    harness_close(context);
}

/* A result may outlive its connection; what libpq then says of it touches nothing that is gone. */
static void a_result_outlives_its_connection(void **state)
{
    connpool *context = postgres_harness_open(&server, "", "");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");
    PGresult *result = PQexec(connpool_postgres(&lease), "SELECT 1");

    (void)state;
    harness_discard(&lease);
    harness_close(context);
    assert_null(PQgetvalue(result, 7, 7)); /* out of range, of which libpq gives notice */
    PQclear(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_is_rolled_back),
        cmocka_unit_test(what_was_set_in_the_library_is_set_back),
        cmocka_unit_test(each_option_mends_its_part),
        cmocka_unit_test(a_session_in_the_middle_of_something_is_closed),
        cmocka_unit_test(an_idle_transaction_that_the_server_ended),
        cmocka_unit_test(an_idle_session_that_the_server_ended),
        cmocka_unit_test(a_cancel_that_has_returned_hits_nobody_else),
        cmocka_unit_test(a_result_outlives_its_connection),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
