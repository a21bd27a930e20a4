/* SPDX-License-Identifier: MIT */
/*
 * opener_leave: an acquire that leaves its open: it took a released connection, ran out of time, or was cancelled. The
 * open goes on in the collector, else in the reactor of the caller's thread, within connect_timeout; where there is
 * neither, an opener takes nothing meanwhile, and what it leaves is destroyed without a verdict on its endpoint
 * (semantics.md D26; plugin-abi.md, A step, rule 7; failures.md C6).
 */
#include "pool/pool.h"
#include "pool_client.h"
#include "reactor_client.h"
#include "stepped_acquire.h"

#define OPEN_TIME SECONDS(10)

/* Who can drive on what is left. */
enum carrier { CARRIER_COLLECTOR, CARRIER_REACTOR, CARRIER_NONE };

struct bench {
    struct pool_fixture fixture;
    connpool_reactor *reactor; /* NULL: there is none */
    connpool_lease lease;      /* connection 1, of "x" */
    uint64_t leased;           /* how many are, when the opens have ended */
};

static void begin(struct bench *bench, enum carrier carrier, const char *keys)
{
    pool_fixture_open(&bench->fixture, "%s, 'background_collector': %s", keys,
                      carrier == CARRIER_COLLECTOR ? "true, 'watch': false" : "false");
    atomic_store(&bench->fixture.clock.is_manual, true);
    bench->lease = pool_take(&bench->fixture, "x");
    bench->reactor = carrier == CARRIER_REACTOR ? reactor_begin(&bench->fixture) : NULL;
    test_manager_set(TEST_OPEN, test_slow(OPEN_TIME));
}

static void end(struct bench *bench)
{
    assert_int_equal(atomic_load(&bench->fixture.pool->waiters), 0);
    assert_int_equal(pool_openers(&bench->fixture), 0);
    if (bench->reactor != NULL) {
        reactor_end(bench->reactor);
    }
    pool_fixture_close(&bench->fixture);
}

/* Whoever drives the opens has ended them: what they made is idle, or gone. */
static bool have_ended(void *argument)
{
    struct bench *bench = argument;
    struct connpool_statistics numbers;

    if (bench->reactor != NULL) {
        reactor_run(bench->reactor);
    }
    numbers = pool_numbers(&bench->fixture);
    return numbers.opening + numbers.closing == 0 && numbers.leased == bench->leased;
}

/* Time goes on, and with it the opens to their end; so many connections are leased then. */
static void end_opens(struct bench *bench, int64_t nanoseconds, uint64_t leased)
{
    bench->leased = leased;
    virtual_clock_advance(&bench->fixture.clock, nanoseconds);
    await(have_ended, bench, "the opens to end");
}

/* ---- It takes what is released ---- */

static void run_taking(enum carrier carrier)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    begin(&bench, carrier, "'max_size': 2");
    stepped_acquire_start(&opener, &bench.fixture, "x", 60000);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    stepped_acquire_assert(&opener, CONNPOOL_OK);
    assert_int_equal(pool_numbers(&bench.fixture).opening, 1);
    end_opens(&bench, OPEN_TIME, 1);
    assert_int_equal(pool_numbers(&bench.fixture).opened, 2);
    stepped_acquire_give(&opener, 1);
    end(&bench);
}

static void test_the_collector_drives_on_what_it_leaves_D26(void **state)
{
    (void)state;
    run_taking(CARRIER_COLLECTOR);
}

static void test_the_reactor_drives_on_what_it_leaves_D26(void **state)
{
    (void)state;
    run_taking(CARRIER_REACTOR);
}

static void test_where_there_is_neither_it_keeps_to_its_open(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, CARRIER_NONE, "'max_size': 2");
    stepped_acquire_start(&opener, &bench.fixture, "x", 60000);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(2));
    pool_give(&bench.lease);
    assert_int_equal(opener.wakes, 0);
    stepped_acquire_run_after(&opener, 1, OPEN_TIME);
    stepped_acquire_give(&opener, 2);
    end(&bench);
}

/* ---- Its time is up ---- */

static void run_out_of_time(enum carrier carrier)
{
    struct bench bench = {0};
    struct stepped_acquire opener;
    connpool_lease lease;

    begin(&bench, carrier, "'max_size': 2");
    stepped_acquire_start(&opener, &bench.fixture, "x", 4000);
    stepped_acquire_run_after(&opener, 1, SECONDS(4));
    stepped_acquire_assert(&opener, CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&bench.fixture).opening, 1);
    end_opens(&bench, SECONDS(6), 1);
    lease = pool_take(&bench.fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_give(&bench.lease);
    end(&bench);
}

static void test_the_collector_finishes_it_for_the_next_one_C6(void **state)
{
    (void)state;
    run_out_of_time(CARRIER_COLLECTOR);
}

static void test_the_reactor_finishes_it_for_the_next_one_C6(void **state)
{
    (void)state;
    run_out_of_time(CARRIER_REACTOR);
}

/* No verdict: no fault is noted, connects are not held down. */
static void test_where_there_is_neither_it_is_destroyed_without_a_verdict(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;
    connpool_lease lease;

    (void)state;
    begin(&bench, CARRIER_NONE, "'max_size': 2, 'holddown': 100");
    stepped_acquire_start(&opener, &bench.fixture, "x", 4000);
    stepped_acquire_run_after(&opener, 1, SECONDS(4));
    stepped_acquire_assert(&opener, CONNPOOL_TIMED_OUT);
    assert_int_equal(opener.acquire.error.error_class, 0);
    assert_int_equal(test_manager_live("x"), 1);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    test_manager_set(TEST_OPEN, test_ok());
    lease = pool_take(&bench.fixture, "x");
    assert_int_equal(lease_number(&lease), 3);
    pool_give(&lease);
    pool_give(&bench.lease);
    end(&bench);
}

/* The limit that it was begun with, whoever drives it. */
static void run_endless(enum carrier carrier)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    begin(&bench, carrier, "'max_size': 2, 'connect_timeout': 5");
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    stepped_acquire_start(&opener, &bench.fixture, "x", 4000);
    stepped_acquire_run_after(&opener, 1, SECONDS(4));
    stepped_acquire_assert(&opener, CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&bench.fixture).opening, 1);
    end_opens(&bench, SECONDS(1), 1);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_OPEN], 1);
    pool_give(&bench.lease);
    end(&bench);
}

static void test_what_is_left_ends_by_connect_timeout(void **state)
{
    (void)state;
    run_endless(CARRIER_COLLECTOR);
    run_endless(CARRIER_REACTOR);
}

/* What is idle at its deadline is taken, woken or not. */
static void test_a_connection_that_comes_with_the_deadline(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire openers[2];

    (void)state;
    begin(&bench, CARRIER_REACTOR, "'max_size': 3");
    stepped_acquire_start(&openers[0], &bench.fixture, "x", 4000);
    stepped_acquire_start(&openers[1], &bench.fixture, "x", 4000);
    pool_give(&bench.lease);
    stepped_acquire_run_after(openers, 2, SECONDS(4));
    stepped_acquire_assert(&openers[1], CONNPOOL_TIMED_OUT);
    stepped_acquire_give(&openers[0], 1);
    end_opens(&bench, SECONDS(6), 0);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base + pool_numbers(&bench.fixture).idle_extra, 3);
    end(&bench);
}

/* Its endpoint was given at run time: the open that it left is the last that keeps it. */
static void test_the_endpoint_lives_as_long_as_what_is_left(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;
    struct test_behaviour fails = test_slow(OPEN_TIME);

    (void)state;
    begin(&bench, CARRIER_REACTOR, "'max_size': 2");
    fails.error_class = CONNPOOL_ERROR_REFUSED;
    test_manager_set_endpoint("y", TEST_OPEN, fails);
    stepped_acquire_start(&opener, &bench.fixture, "y", 4000);
    stepped_acquire_run_after(&opener, 1, SECONDS(4));
    stepped_acquire_assert(&opener, CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_endpoints(), 2);
    end_opens(&bench, SECONDS(6), 1);
    assert_int_equal(test_manager_endpoints(), 1);
    pool_give(&bench.lease);
    end(&bench);
}

static void close_reactor(void *argument, const struct connpool_event *event)
{
    struct bench *bench = argument;

    (void)event;
    reactor_end(bench->reactor);
    bench->reactor = NULL;
}

/* The reactor that could drive it on is closed by an observer, while the opener stands in line. */
static void test_its_reactor_goes_while_it_stands(void **state)
{
    struct bench bench = {0};
    struct connpool_observer observer = {.size = sizeof(observer), .dead = close_reactor, .argument = &bench};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, CARRIER_REACTOR, "'max_size': 2");
    assert_int_equal(connpool_pool_observe(bench.fixture.pool, &observer), CONNPOOL_OK);
    test_manager_set_connection(1, TEST_IDLE, (struct test_behaviour){.kind = TEST_BUSY, .delay = SECONDS(3600)});
    stepped_acquire_start(&opener, &bench.fixture, "x", 4000);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    test_manager_set_connection(1, TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    stepped_acquire_run_after(&opener, 1, MILLISECONDS(50));
    assert_null(bench.reactor);
    assert_false(opener.is_done);
    stepped_acquire_run_after(&opener, 1, SECONDS(4));
    stepped_acquire_assert(&opener, CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    assert_int_equal(pool_try(&bench.fixture, "x", 0, &bench.lease), CONNPOOL_TIMED_OUT); /* the line is sound */
    end(&bench);
}

/* ---- It is cancelled ---- */

/* A request stands as an opener, and somebody behind it without a slot. */
static void begin_cancel(struct bench *bench, struct reactor_client *client, struct stepped_acquire *behind)
{
    begin(bench, CARRIER_REACTOR, "'max_size': 2");
    reactor_submit(bench->reactor, client, &bench->fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(bench->reactor);
    stepped_acquire_start(behind, &bench->fixture, "x", CONNPOOL_WAIT_FOREVER);
    assert_int_equal(pool_numbers(&bench->fixture).opening, 1);
    assert_int_equal(pool_numbers(&bench->fixture).waiters, 1);
}

/* Nothing is lost: who is behind has connection 1, and the open goes on. */
static void end_cancel(struct bench *bench, struct reactor_client *client, struct stepped_acquire *behind)
{
    stepped_acquire_run(behind, 1);
    stepped_acquire_give(behind, 1);
    assert_int_equal(pool_numbers(&bench->fixture).opening, 1);
    end_opens(bench, OPEN_TIME, 0);
    assert_int_equal(pool_numbers(&bench->fixture).opened, 2);
    assert_int_equal(pool_numbers(&bench->fixture).ended[CONNPOOL_REASON_ABANDONED], 0);
    assert_int_equal(client->told, 0);
    end(bench);
}

static void test_cancelled_in_line(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire behind;

    (void)state;
    begin_cancel(&bench, &client, &behind);
    reactor_cancel(&client);
    pool_give(&bench.lease);
    end_cancel(&bench, &client, &behind);
}

static void test_cancelled_when_it_was_woken(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire behind;

    (void)state;
    begin_cancel(&bench, &client, &behind);
    pool_give(&bench.lease);
    assert_int_equal(behind.wakes, 1); /* the watch */
    stepped_acquire_run(&behind, 1);
    assert_false(behind.is_done);
    reactor_cancel(&client);
    end_cancel(&bench, &client, &behind);
}

static void test_cancelled_when_it_was_granted_a_connection(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire behind;

    (void)state;
    begin_cancel(&bench, &client, &behind);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(2));
    pool_give(&bench.lease);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base, 0);
    stepped_acquire_run(&behind, 1);
    assert_false(behind.is_done);
    reactor_cancel(&client);
    end_cancel(&bench, &client, &behind);
}

/* ---- A reactor that does not come ---- */

/* What it was woken for is taken back by a waiter behind it; it returns to its place and its open goes on. */
static void test_a_request_that_does_not_come_is_passed_over(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire behind;

    (void)state;
    begin_cancel(&bench, &client, &behind);
    pool_give(&bench.lease);
    stepped_acquire_run(&behind, 1);
    stepped_acquire_run_after(&behind, 1, MILLISECONDS(1) + 1);
    stepped_acquire_assert(&behind, CONNPOOL_OK);
    reactor_run(bench.reactor);
    assert_int_equal(client.told, 0);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 0);
    stepped_acquire_give(&behind, 1);
    reactor_run(bench.reactor);
    reactor_give(&client, 1);
    assert_int_equal(pool_numbers(&bench.fixture).opening, 1);
    end_opens(&bench, OPEN_TIME, 0);
    end(&bench);
}

/* The same, and its open is done meanwhile: nobody has to return it. */
static void test_a_request_that_was_passed_over_opens_on(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire behind;

    (void)state;
    begin_cancel(&bench, &client, &behind);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(2));
    stepped_acquire_run(&behind, 1);
    pool_give(&bench.lease);
    stepped_acquire_run(&behind, 1);
    stepped_acquire_run_after(&behind, 1, MILLISECONDS(1) + 1);
    stepped_acquire_assert(&behind, CONNPOOL_OK);
    end_opens(&bench, OPEN_TIME, 2);
    reactor_give(&client, 2);
    stepped_acquire_give(&behind, 1);
    end(&bench);
}

/* An opener sleeps in line as others do: while a request before it does not come, it is the watch. */
static void test_an_opener_keeps_watch(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, CARRIER_REACTOR, "'max_size': 3");
    reactor_submit(bench.reactor, &client, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(bench.reactor);
    stepped_acquire_start(&opener, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    assert_false(opener.is_done);
    stepped_acquire_run_after(&opener, 1, MILLISECONDS(1) + 1);
    stepped_acquire_give(&opener, 1);
    reactor_run(bench.reactor);
    reactor_give(&client, 1);
    end_opens(&bench, OPEN_TIME, 0);
    assert_int_equal(test_manager_opened(), 3);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_collector_drives_on_what_it_leaves_D26),
        cmocka_unit_test(test_the_reactor_drives_on_what_it_leaves_D26),
        cmocka_unit_test(test_where_there_is_neither_it_keeps_to_its_open),
        cmocka_unit_test(test_the_collector_finishes_it_for_the_next_one_C6),
        cmocka_unit_test(test_the_reactor_finishes_it_for_the_next_one_C6),
        cmocka_unit_test(test_where_there_is_neither_it_is_destroyed_without_a_verdict),
        cmocka_unit_test(test_what_is_left_ends_by_connect_timeout),
        cmocka_unit_test(test_a_connection_that_comes_with_the_deadline),
        cmocka_unit_test(test_the_endpoint_lives_as_long_as_what_is_left),
        cmocka_unit_test(test_its_reactor_goes_while_it_stands),
        cmocka_unit_test(test_cancelled_in_line),
        cmocka_unit_test(test_cancelled_when_it_was_woken),
        cmocka_unit_test(test_cancelled_when_it_was_granted_a_connection),
        cmocka_unit_test(test_a_request_that_does_not_come_is_passed_over),
        cmocka_unit_test(test_a_request_that_was_passed_over_opens_on),
        cmocka_unit_test(test_an_opener_keeps_watch),
    };

    return cmocka_run_group_tests_name("opener_leave", tests, NULL, NULL);
}
