/* SPDX-License-Identifier: MIT */
/*
 * pool_put_back: an acquire looks at an idle connection and does not take it: it is what it was, with its last use, its
 * due time, its suspicion and its place; if it has to end, the acquire's own limit holds all the same.
 */
#include "stepped_acquire.h"

static void test_a_try_that_finds_a_check_necessary_finds_so_again(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1, 'check_after': 0.5");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(30));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    }
    assert_int_equal(test_manager_calls(TEST_CHECK), 0);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_a_suspect_one_that_a_try_put_back_is_checked(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2, 'max_size': 2, 'check_after': 1000");
    pool_park(&fixture, "x", 2);
    test_manager_set_connection(1, TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* While a try looks at the only connection another acquire comes, and waits long enough to be handed it. */
static struct pool_fixture overtaken;
static struct stepped_acquire waiter;

static struct test_behaviour wait_meanwhile(enum test_operation operation, const struct test_connection *connection)
{
    (void)connection;
    if (operation == TEST_IDLE) {
        test_manager_choose_by(NULL);
        stepped_acquire_start(&waiter, &overtaken, "x", 5000);
        assert_false(waiter.is_done);
        virtual_clock_advance(&overtaken.clock, MILLISECONDS(2));
    }
    return test_ok();
}

static void test_a_suspect_one_that_is_handed_over_is_checked(void **state)
{
    connpool_lease lease;

    (void)state;
    overtaken = (struct pool_fixture){0};
    pool_fixture_open(&overtaken, "'min_idle': 1, 'max_size': 1, 'check_after': 0.5");
    pool_park(&overtaken, "x", 1);
    virtual_clock_advance(&overtaken.clock, SECONDS(30));
    test_manager_choose_by(wait_meanwhile);
    assert_int_equal(pool_try(&overtaken, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    stepped_acquire_run(&waiter, 1);
    stepped_acquire_give(&waiter, 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_fixture_close(&overtaken);
}

static void test_a_look_does_not_put_off_the_idle_timeout(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 1, 'check_after': 0.5, 'idle_timeout': 5");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(3));
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    virtual_clock_advance(&fixture.clock, SECONDS(2) - 1);
    assert_int_equal(connpool_maintain(fixture.context), 0);
    virtual_clock_advance(&fixture.clock, 1);
    assert_int_equal(connpool_maintain(fixture.context), 1);
    pool_fixture_close(&fixture);
}

/* Extra connections are reused youngest first. */
static void test_extra_ones_that_a_try_put_back_stand_as_they_stood(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 3, 'check_after': 0.5, 'idle_timeout': 1000");
    pool_park(&fixture, "x", 3);
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 3);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* Base connections are reused oldest first. */
static void test_a_base_one_that_was_busy_stands_where_it_stood(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease, next;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 3, 'max_size': 3");
    pool_park(&fixture, "x", 3);
    test_manager_set_connection(1, TEST_IDLE, (struct test_behaviour){.kind = TEST_BUSY, .delay = MILLISECONDS(50)});
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(100));
    next = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&next), 1);
    pool_give(&next);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_an_acquire_keeps_its_limit_though_what_it_looked_at_must_be_closed(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1, 'max_lifetime': 1, 'idle_timeout': 1");
    pool_park(&fixture, "x", 1);
    test_manager_set(TEST_IDLE, (struct test_behaviour){.kind = TEST_BUSY, .delay = SECONDS(100)});
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 2000, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(2000));
    assert_string_equal(test_manager_log("cCd"), "C1 d1");
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_try_that_finds_a_check_necessary_finds_so_again),
        cmocka_unit_test(test_a_suspect_one_that_a_try_put_back_is_checked),
        cmocka_unit_test(test_a_suspect_one_that_is_handed_over_is_checked),
        cmocka_unit_test(test_a_look_does_not_put_off_the_idle_timeout),
        cmocka_unit_test(test_extra_ones_that_a_try_put_back_stand_as_they_stood),
        cmocka_unit_test(test_a_base_one_that_was_busy_stands_where_it_stood),
        cmocka_unit_test(test_an_acquire_keeps_its_limit_though_what_it_looked_at_must_be_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
