/* SPDX-License-Identifier: MIT */
/*
 * pool_full_peer: the peer takes no more connections (class RESOURCE_REMOTE) while the endpoint has others: nobody
 * opens for a second, and waits; nobody is forgotten when it is over (plugin-abi.md, Errors).
 */
#include "stepped_acquire.h"

static struct test_behaviour full_when_woken(void)
{
    return (struct test_behaviour){.kind = TEST_SLOW_WAKE, .error_class = CONNPOOL_ERROR_RESOURCE_REMOTE};
}

static void test_who_came_before_the_block_opens_when_it_is_over_though_the_first_left(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire clients[2];
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 2");
    held = pool_take(&fixture, "x");
    test_manager_set_nth(2, TEST_OPEN, full_when_woken());
    stepped_acquire_start(&clients[0], &fixture, "x", 150);
    stepped_acquire_start(&clients[1], &fixture, "x", 6000);
    (void)test_manager_wake();
    stepped_acquire_run(clients, 2);
    assert_false(clients[0].is_done);
    assert_false(clients[1].is_done);
    stepped_acquire_run_after(clients, 2, MILLISECONDS(150));
    stepped_acquire_assert(&clients[0], CONNPOOL_TIMED_OUT);
    assert_false(clients[1].is_done);
    assert_int_equal(test_manager_opened(), 2);
    stepped_acquire_run_after(clients, 2, MILLISECONDS(850));
    stepped_acquire_give(&clients[1], 3);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

static void test_all_that_came_before_the_block_get_the_slots_when_it_is_over(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire clients[3];
    connpool_lease held, other;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 3");
    held = pool_take(&fixture, "x");
    other = pool_take(&fixture, "x");
    test_manager_set_nth(3, TEST_OPEN, full_when_woken());
    for (size_t i = 0; i < 3; i++) {
        stepped_acquire_start(&clients[i], &fixture, "x", 6000);
    }
    (void)test_manager_wake();
    stepped_acquire_run(clients, 3);
    assert_int_equal(connpool_discard(&other), CONNPOOL_OK);
    stepped_acquire_run(clients, 3);
    assert_int_equal(test_manager_opened(), 3);
    stepped_acquire_run_after(clients, 3, SECONDS(1));
    stepped_acquire_assert(&clients[0], CONNPOOL_OK);
    stepped_acquire_assert(&clients[1], CONNPOOL_OK);
    assert_false(clients[2].is_done);
    pool_give(&clients[0].acquire.lease);
    pool_give(&clients[1].acquire.lease);
    stepped_acquire_run(clients, 3);
    stepped_acquire_assert(&clients[2], CONNPOOL_OK);
    pool_give(&clients[2].acquire.lease);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

static void test_the_block_ends_with_the_last_connection(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire client;
    connpool_lease held;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 2");
    begun = virtual_clock_now(&fixture.clock);
    held = pool_take(&fixture, "x");
    test_manager_set_nth(2, TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    stepped_acquire_start(&client, &fixture, "x", 6000);
    assert_false(client.is_done);
    assert_int_equal(connpool_discard(&held), CONNPOOL_OK);
    stepped_acquire_run(&client, 1);
    stepped_acquire_give(&client, 3);
    assert_int_equal(virtual_clock_now(&fixture.clock), begun);
    pool_fixture_close(&fixture);
}

static void test_a_connection_that_is_opening_keeps_no_block(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire clients[2];
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 3");
    held = pool_take(&fixture, "x");
    test_manager_set_nth(2, TEST_OPEN, test_slow(SECONDS(5)));
    test_manager_set_nth(3, TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    stepped_acquire_start(&clients[0], &fixture, "x", 60000);
    stepped_acquire_start(&clients[1], &fixture, "x", 60000);
    assert_false(clients[1].is_done);
    assert_int_equal(connpool_discard(&held), CONNPOOL_OK);
    stepped_acquire_run(clients, 2);
    stepped_acquire_give(&clients[1], 4);
    stepped_acquire_run_after(clients, 2, SECONDS(5));
    stepped_acquire_give(&clients[0], 2);
    pool_fixture_close(&fixture);
}

static void run_while_it_closes(void *argument, int64_t until)
{
    struct stepped_acquire *client = argument;

    (void)until;
    assert_int_equal(pool_numbers(client->fixture).closing, 1);
    stepped_acquire_run(client, 1);
    stepped_acquire_give(client, 3);
    virtual_clock_advance(&client->fixture->clock, 0); /* sleep again */
}

static void test_a_connection_that_is_closing_keeps_no_block(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire client;
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 3, 'max_lifetime': 10, 'idle_timeout': 10");
    held = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(11));
    test_manager_set_nth(2, TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    stepped_acquire_start(&client, &fixture, "x", 60000);
    assert_false(client.is_done);
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    virtual_clock_on_sleep(&fixture.clock, run_while_it_closes, &client);
    pool_give(&held);
    assert_true(client.is_done);
    pool_fixture_close(&fixture);
}

/* It stood there before, so it is none too many. */
static void test_who_returns_to_its_place_is_not_refused_as_one_too_many(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire clients[2];
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 2, 'max_waiters': 1");
    held = pool_take(&fixture, "x");
    test_manager_set_nth(2, TEST_OPEN, full_when_woken());
    stepped_acquire_start(&clients[0], &fixture, "x", 3000);
    stepped_acquire_start(&clients[1], &fixture, "x", 3000);
    assert_int_equal(pool_numbers(&fixture).waiters, 1);
    (void)test_manager_wake();
    stepped_acquire_run(clients, 2);
    assert_false(clients[0].is_done);
    assert_int_equal(pool_numbers(&fixture).waiters, 2);
    pool_give(&held);
    stepped_acquire_run(clients, 2);
    for (size_t i = 0; i < 2; i++) {
        stepped_acquire_run_after(clients, 2, SECONDS(1));
        assert_true(clients[0].is_done || clients[1].is_done);
    }
    stepped_acquire_assert(&clients[0], CONNPOOL_OK);
    stepped_acquire_assert(&clients[1], CONNPOOL_OK);
    pool_give(&clients[0].acquire.lease);
    pool_give(&clients[1].acquire.lease);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_came_before_the_block_opens_when_it_is_over_though_the_first_left),
        cmocka_unit_test(test_all_that_came_before_the_block_get_the_slots_when_it_is_over),
        cmocka_unit_test(test_the_block_ends_with_the_last_connection),
        cmocka_unit_test(test_a_connection_that_is_opening_keeps_no_block),
        cmocka_unit_test(test_a_connection_that_is_closing_keeps_no_block),
        cmocka_unit_test(test_who_returns_to_its_place_is_not_refused_as_one_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
