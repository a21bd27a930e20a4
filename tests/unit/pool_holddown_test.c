/* SPDX-License-Identifier: MIT */
/*
 * pool_holddown: after a failed connect nobody connects to that endpoint for a while, whoever waits and whatever frees;
 * what is no failed connect starts none; and an endpoint that is only held down is gone when that is over.
 */
#include <string.h>

#include "pool_client.h"
#include "stepped_acquire.h"

static struct test_behaviour refused_when_woken(void)
{
    return (struct test_behaviour){.kind = TEST_SLOW_WAKE, .error_class = CONNPOOL_ERROR_REFUSED};
}

static void assert_refused(const struct stepped_acquire *client)
{
    stepped_acquire_assert(client, CONNPOOL_FAILED);
    assert_int_equal(client->acquire.error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_non_null(strstr(client->acquire.error.text, "as told"));
}

/* One connect fails; those that have waited so long for its slot fail with it, at once. */
static void fail_together(int64_t waited)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire clients[5];
    int64_t begun;

    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 1, 'holddown': 60");
    test_manager_set(TEST_OPEN, refused_when_woken());
    for (size_t i = 0; i < 5; i++) {
        stepped_acquire_start(&clients[i], &fixture, "x", 5000);
    }
    virtual_clock_advance(&fixture.clock, waited);
    begun = virtual_clock_now(&fixture.clock);
    (void)test_manager_wake();
    stepped_acquire_run(clients, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_refused(&clients[i]);
    }
    assert_int_equal(virtual_clock_now(&fixture.clock), begun);
    assert_int_equal(test_manager_calls(TEST_OPEN), 1);
    pool_fixture_close(&fixture);
}

static void test_all_that_wait_fail_by_one_connect(void **state)
{
    (void)state;
    fail_together(0);
}

static void test_all_that_waited_long_fail_by_one_connect(void **state)
{
    (void)state;
    fail_together(MILLISECONDS(2));
}

static void test_nothing_is_evicted_for_an_endpoint_that_is_held_down(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire clients[3];
    connpool_lease other;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 2, 'total_max_size': 2, 'holddown': 60");
    other = pool_take(&fixture, "other");
    test_manager_set(TEST_OPEN, refused_when_woken());
    for (size_t i = 0; i < 3; i++) {
        stepped_acquire_start(&clients[i], &fixture, "x", 5000);
    }
    virtual_clock_advance(&fixture.clock, MILLISECONDS(2));
    (void)test_manager_wake();
    stepped_acquire_run(&clients[0], 1);
    assert_refused(&clients[0]);
    pool_give(&other); /* before the others have looked */
    stepped_acquire_run(clients, 3);
    assert_refused(&clients[1]);
    assert_refused(&clients[2]);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_EVICTED], 0);
    assert_int_equal(pool_numbers(&fixture).idle_extra, 1);
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    pool_fixture_close(&fixture);
}

/* ---- With a collector ---- */

static void open_collected(struct pool_fixture *fixture, const char *keys)
{
    pool_fixture_open(fixture, "'background_collector': true, %s", keys);
    atomic_store(&fixture->clock.is_manual, true);
}

static bool is_parked(void *argument)
{
    return pool_numbers(argument).idle_base == 1;
}

/* It was opened for somebody who left. */
static void test_a_donated_connection_whose_prepare_fails_is_dead_and_no_failed_open(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    open_collected(&fixture, "'min_idle': 1, 'max_size': 2, 'holddown': 60");
    test_manager_set_nth(1, TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    pool_client_start(&client, &fixture, "x", 30);
    await_live(1);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(31));
    pool_client_join(&client);
    assert_int_equal(client.status, CONNPOOL_TIMED_OUT);
    while (!is_parked(&fixture)) {
        (void)test_manager_wake();
    }
    test_manager_set_connection(1, TEST_PREPARE, test_fails(CONNPOOL_ERROR_CLOSED));
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD], 1);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_OPEN], 0);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static bool are_endpoints_gone(void *argument)
{
    return pool_numbers(argument).endpoints == 0 && test_manager_endpoints() == 0;
}

static void test_an_unused_endpoint_goes_when_its_holddown_is_over(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    open_collected(&fixture, "'min_idle': 1, 'max_size': 2, 'holddown': 0.3");
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_FAILED);
    assert_int_equal(test_manager_endpoints(), 1);
    virtual_clock_advance(&fixture.clock, SECONDS(2));
    await(are_endpoints_gone, &fixture, "the endpoint to be gone");
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_wait_fail_by_one_connect),
        cmocka_unit_test(test_all_that_waited_long_fail_by_one_connect),
        cmocka_unit_test(test_nothing_is_evicted_for_an_endpoint_that_is_held_down),
        cmocka_unit_test(test_a_donated_connection_whose_prepare_fails_is_dead_and_no_failed_open),
        cmocka_unit_test(test_an_unused_endpoint_goes_when_its_holddown_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
