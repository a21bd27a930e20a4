/* SPDX-License-Identifier: MIT */
/*
 * reactor_cancel: a cancel is synchronous, idempotent and says whether it was in time, whatever the request was doing
 * (failures.md B29, C2): nothing that it had is lost.
 */
#include "reactor_client.h"

struct bench {
    struct pool_fixture fixture;
    connpool_reactor *reactor;
    struct reactor_client client;
};

static void begin(struct bench *bench, const char *keys)
{
    pool_fixture_open(&bench->fixture, "%s", keys);
    bench->reactor = reactor_begin(&bench->fixture);
}

static void submit(struct bench *bench)
{
    reactor_submit(bench->reactor, &bench->client, &bench->fixture, "x", CONNPOOL_WAIT_FOREVER);
}

/* The request was cancelled in time: it is never told, and whoever comes next gets connection `number`. */
static void end(struct bench *bench, uint32_t number)
{
    connpool_lease lease;

    reactor_run(bench->reactor);
    assert_int_equal(bench->client.told, 0);
    assert_int_equal(pool_numbers(&bench->fixture).waiters, 0);
    lease = pool_take(&bench->fixture, "x");
    assert_int_equal(lease_number(&lease), number);
    pool_give(&lease);
    reactor_end(bench->reactor);
    assert_int_equal(bench->client.told, 0);
    pool_fixture_close(&bench->fixture);
}

static void test_before_its_first_dispatch_B29(void **state)
{
    struct bench bench = {0};

    (void)state;
    begin(&bench, POOL_DEFAULTS);
    submit(&bench);
    reactor_cancel(&bench.client);
    assert_int_equal(test_manager_opened(), 0);
    end(&bench, 1);
}

static void test_a_second_cancel_has_no_effect_B29(void **state)
{
    struct bench bench = {0};
    connpool_request copy;

    (void)state;
    begin(&bench, POOL_DEFAULTS);
    submit(&bench);
    copy = bench.client.request;
    reactor_cancel(&bench.client);
    assert_int_equal(connpool_request_cancel(&bench.client.request), CONNPOOL_STALE);
    assert_int_equal(connpool_request_cancel(&copy), CONNPOOL_STALE);
    end(&bench, 1);
}

/* The record is another request's by now: that one is not touched. */
static void test_a_stale_request_names_no_later_one_B29(void **state)
{
    struct bench bench = {0};
    struct reactor_client later = {0};
    connpool_request stale;

    (void)state;
    begin(&bench, POOL_DEFAULTS);
    submit(&bench);
    stale = bench.client.request;
    reactor_cancel(&bench.client);
    reactor_submit(bench.reactor, &later, &bench.fixture, "x", 1000);
    assert_ptr_equal(later.request.record, stale.record);
    assert_int_equal(connpool_request_cancel(&stale), CONNPOOL_STALE);
    reactor_run(bench.reactor);
    assert_int_equal(connpool_request_cancel(&later.request), CONNPOOL_STALE);
    reactor_give(&later, 1);
    end(&bench, 1);
}

static void test_in_line(void **state)
{
    struct bench bench = {0};
    connpool_lease lease;

    (void)state;
    begin(&bench, "'max_size': 1");
    lease = pool_take(&bench.fixture, "x");
    submit(&bench);
    reactor_run(bench.reactor);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 1);
    reactor_cancel(&bench.client);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 0);
    pool_give(&lease);
    end(&bench, 1);
}

/* The wake for an idle connection is under way to it: it goes to the next in line. */
static void test_woken_passes_the_wake_on_C2(void **state)
{
    struct bench bench = {0};
    struct reactor_client next = {0};
    connpool_lease lease;

    (void)state;
    begin(&bench, "'max_size': 1");
    lease = pool_take(&bench.fixture, "x");
    submit(&bench);
    reactor_submit(bench.reactor, &next, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(bench.reactor);
    pool_give(&lease);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base, 1);
    reactor_cancel(&bench.client);
    reactor_run(bench.reactor);
    reactor_give(&next, 1);
    end(&bench, 1);
}

/* It was granted a connection, and not dispatched yet. */
static void test_granted_gives_the_connection_back_C2(void **state)
{
    struct bench bench = {0};
    struct reactor_client next = {0};
    connpool_lease lease;

    (void)state;
    begin(&bench, "'max_size': 1");
    lease = pool_take(&bench.fixture, "x");
    submit(&bench);
    reactor_submit(bench.reactor, &next, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(bench.reactor);
    reactor_run_after(bench.reactor, &bench.fixture, MILLISECONDS(2));
    pool_give(&lease);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base, 0);
    reactor_cancel(&bench.client);
    reactor_run(bench.reactor);
    reactor_give(&next, 1);
    end(&bench, 1);
}

/* It was granted a slot that freed. */
static void test_granted_gives_the_slot_back_C2(void **state)
{
    struct bench bench = {0};
    connpool_lease lease;

    (void)state;
    begin(&bench, "'max_size': 1");
    lease = pool_take(&bench.fixture, "x");
    submit(&bench);
    reactor_run(bench.reactor);
    reactor_run_after(bench.reactor, &bench.fixture, MILLISECONDS(2));
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    reactor_cancel(&bench.client);
    end(&bench, 2);
}

/* It was granted the slot of another endpoint's connection, which is to be closed for it. */
static void test_granted_gives_the_victims_slot_back_C2(void **state)
{
    struct bench bench = {0};
    connpool_lease lease;

    (void)state;
    begin(&bench, "'max_size': 1, 'total_max_size': 1");
    lease = pool_take(&bench.fixture, "other");
    submit(&bench);
    reactor_run(bench.reactor);
    reactor_run_after(bench.reactor, &bench.fixture, MILLISECONDS(2));
    pool_give(&lease);
    assert_int_equal(pool_numbers(&bench.fixture).closing, 1);
    reactor_cancel(&bench.client);
    assert_int_equal(pool_numbers(&bench.fixture).closing, 0);
    end(&bench, 2);
}

/* design.md: the open goes on in the reactor, and its connection feeds the pool. */
static void test_while_it_opens_feeds_the_pool(void **state)
{
    struct bench bench = {0};

    (void)state;
    begin(&bench, POOL_DEFAULTS);
    test_manager_set_nth(1, TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    submit(&bench);
    reactor_run(bench.reactor);
    reactor_cancel(&bench.client);
    assert_int_equal(pool_numbers(&bench.fixture).opening, 1);
    reactor_run(bench.reactor);
    assert_int_equal(test_manager_wake(), 1);
    reactor_run(bench.reactor);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base, 1);
    end(&bench, 1);
}

static void test_while_it_checks_gives_the_connection_back(void **state)
{
    struct bench bench = {0};

    (void)state;
    begin(&bench, "'check_after': 0");
    pool_park(&bench.fixture, "x", 1);
    test_manager_set_nth(1, TEST_CHECK, test_kind(TEST_SLOW_WAKE));
    submit(&bench);
    reactor_run(bench.reactor);
    reactor_cancel(&bench.client);
    reactor_run(bench.reactor);
    assert_int_equal(test_manager_wake(), 1);
    reactor_run(bench.reactor);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base, 1);
    end(&bench, 1);
}

static bool is_parked(void *argument)
{
    struct bench *bench = argument;

    reactor_run(bench->reactor);
    return pool_numbers(&bench->fixture).idle_base == 1;
}

/* An operation that a worker is inside of goes on too. */
static void test_while_a_worker_opens(void **state)
{
    struct bench bench = {.fixture = {.real_clock = true}};

    (void)state;
    begin(&bench, "'manager': 'test-blocking-open'");
    test_manager_set_nth(1, TEST_OPEN, test_kind(TEST_BLOCK));
    submit(&bench);
    reactor_run(bench.reactor);
    reactor_cancel(&bench.client);
    test_manager_unblock();
    await(is_parked, &bench, "the open to end");
    end(&bench, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_its_first_dispatch_B29),
        cmocka_unit_test(test_a_second_cancel_has_no_effect_B29),
        cmocka_unit_test(test_a_stale_request_names_no_later_one_B29),
        cmocka_unit_test(test_in_line),
        cmocka_unit_test(test_woken_passes_the_wake_on_C2),
        cmocka_unit_test(test_granted_gives_the_connection_back_C2),
        cmocka_unit_test(test_granted_gives_the_slot_back_C2),
        cmocka_unit_test(test_granted_gives_the_victims_slot_back_C2),
        cmocka_unit_test(test_while_it_opens_feeds_the_pool),
        cmocka_unit_test(test_while_it_checks_gives_the_connection_back),
        cmocka_unit_test(test_while_a_worker_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
