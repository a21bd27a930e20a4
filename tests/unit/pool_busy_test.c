/* SPDX-License-Identifier: MIT */
/*
 * pool_busy: idle connections in the middle of an exchange of their own (CONNPOOL_WAIT_BUSY): they are skipped, and
 * driven where nothing else is to be had; meanwhile nothing is kept from anybody (design.md, Semantics 3).
 */
#include "stepped_acquire.h"

static struct test_behaviour busy_for(int64_t span)
{
    return (struct test_behaviour){.kind = TEST_BUSY, .delay = span};
}

static void test_who_drives_a_busy_one_takes_what_is_released_meanwhile(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire client;
    connpool_lease first, second;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2, 'max_size': 2");
    first = pool_take(&fixture, "x");
    second = pool_take(&fixture, "x");
    pool_give(&first);
    test_manager_set_connection(1, TEST_IDLE, busy_for(SECONDS(10)));
    stepped_acquire_start(&client, &fixture, "x", 2000);
    assert_false(client.is_done);
    pool_give(&second);
    stepped_acquire_run(&client, 1);
    stepped_acquire_give(&client, 2);
    assert_int_equal(pool_numbers(&fixture).idle_base, 2);
    assert_int_equal(test_manager_opened(), 2);
    pool_fixture_close(&fixture);
}

static void test_who_drives_a_busy_one_takes_a_slot_that_frees_meanwhile(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire client;
    connpool_lease first, second;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2, 'max_size': 2");
    first = pool_take(&fixture, "x");
    second = pool_take(&fixture, "x");
    pool_give(&first);
    test_manager_set_connection(1, TEST_IDLE, busy_for(SECONDS(10)));
    stepped_acquire_start(&client, &fixture, "x", 2000);
    assert_int_equal(connpool_discard(&second), CONNPOOL_OK);
    stepped_acquire_run(&client, 1);
    stepped_acquire_give(&client, 3);
    pool_fixture_close(&fixture);
}

static void test_a_busy_one_is_idle_for_others_while_its_skipper_opens(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire client;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 2");
    pool_park(&fixture, "x", 1);
    test_manager_set(TEST_IDLE, busy_for(MILLISECONDS(50)));
    test_manager_set(TEST_OPEN, test_slow(SECONDS(2)));
    stepped_acquire_start(&client, &fixture, "x", 5000);
    assert_int_equal(test_manager_opened(), 2);
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(100));
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    stepped_acquire_run_after(&client, 1, SECONDS(2));
    stepped_acquire_give(&client, 2);
    pool_fixture_close(&fixture);
}

/* Its own exchange is no check: what is due before the hand-out is due all the same. */
static void test_a_busy_one_that_needs_a_check_is_checked(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1, 'check_after': 0.5");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(30));
    test_manager_set(TEST_IDLE, busy_for(MILLISECONDS(50)));
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_drives_a_busy_one_takes_what_is_released_meanwhile),
        cmocka_unit_test(test_who_drives_a_busy_one_takes_a_slot_that_frees_meanwhile),
        cmocka_unit_test(test_a_busy_one_is_idle_for_others_while_its_skipper_opens),
        cmocka_unit_test(test_a_busy_one_that_needs_a_check_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
