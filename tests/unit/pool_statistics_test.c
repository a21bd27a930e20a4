/* SPDX-License-Identifier: MIT */
/*
 * pool_statistics: a snapshot adds up at any instant: connections that were opened are idle, leased, being reset or
 * closed, or have ended. Of those that ended, `unopened` never were open.
 */
#include "pool_fixture.h"

static struct pool_fixture fixture;

static void assert_adds_up(uint64_t unopened)
{
    struct connpool_statistics numbers = pool_numbers(&fixture);
    uint64_t ended = 0;

    for (int i = 0; i < CONNPOOL_REASON_COUNT; i++) {
        ended += numbers.ended[i];
    }
    assert_int_equal(numbers.unopened, unopened);
    assert_int_equal(numbers.opened - (ended - numbers.unopened),
                     numbers.idle_base + numbers.idle_extra + numbers.leased + numbers.resetting + numbers.closing);
}

static void assert_adds_up_while_it_sleeps(void *argument, int64_t until)
{
    (void)until;
    assert_adds_up(*(const uint64_t *)argument);
    virtual_clock_advance(&fixture.clock, 0); /* sleep again */
}

static void open_fixture(const char *keys)
{
    fixture = (struct pool_fixture){0};
    pool_fixture_open(&fixture, "%s", keys);
}

static void test_with_opens_that_fail(void **state)
{
    connpool_lease lease, held;

    (void)state;
    open_fixture(POOL_DEFAULTS);
    held = pool_take(&fixture, "x");
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_adds_up(1);
    pool_give(&held);
    assert_adds_up(1);
    pool_fixture_close(&fixture);
}

static void test_with_an_open_whose_caller_left(void **state)
{
    uint64_t none = 0;
    connpool_lease lease, held;

    (void)state;
    open_fixture(POOL_DEFAULTS);
    held = pool_take(&fixture, "x");
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    virtual_clock_on_sleep(&fixture.clock, assert_adds_up_while_it_sleeps, &none);
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    assert_adds_up(1);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

static void test_with_a_check_whose_caller_left(void **state)
{
    uint64_t none = 0;
    connpool_lease lease;

    (void)state;
    open_fixture("'min_idle': 1, 'check_after': 0");
    pool_park(&fixture, "x", 1);
    test_manager_set(TEST_CHECK, test_kind(TEST_NEVER));
    virtual_clock_on_sleep(&fixture.clock, assert_adds_up_while_it_sleeps, &none);
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    assert_adds_up(0);
    pool_fixture_close(&fixture);
}

static connpool_status refuse(void *argument, const connpool_lease *lease, connpool_error *error)
{
    (void)argument;
    (void)lease;
    (void)error;
    return CONNPOOL_FAILED;
}

/* It was open. */
static void test_with_a_connection_that_the_hook_refused(void **state)
{
    connpool_lease lease;

    (void)state;
    open_fixture(POOL_DEFAULTS);
    connpool_pool_on_configure(fixture.pool, refuse, NULL);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(pool_numbers(&fixture).opened, 1);
    assert_adds_up(0);
    pool_fixture_close(&fixture);
}

static void test_with_a_reset_a_close_and_a_discard(void **state)
{
    uint64_t none = 0;
    connpool_lease lease;

    (void)state;
    open_fixture("'min_idle': 1, 'max_uses': 2");
    lease = pool_take(&fixture, "x");
    test_manager_set(TEST_RESET, test_slow(SECONDS(1)));
    virtual_clock_on_sleep(&fixture.clock, assert_adds_up_while_it_sleeps, &none);
    pool_give(&lease);
    assert_adds_up(0);
    lease = pool_take(&fixture, "x");
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    virtual_clock_on_sleep(&fixture.clock, assert_adds_up_while_it_sleeps, &none);
    pool_give(&lease);
    assert_adds_up(0);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    assert_adds_up(0);
    assert_int_equal(pool_numbers(&fixture).opened, 2);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_opens_that_fail),
        cmocka_unit_test(test_with_an_open_whose_caller_left),
        cmocka_unit_test(test_with_a_check_whose_caller_left),
        cmocka_unit_test(test_with_a_connection_that_the_hook_refused),
        cmocka_unit_test(test_with_a_reset_a_close_and_a_discard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
