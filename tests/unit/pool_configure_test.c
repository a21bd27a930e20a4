/* SPDX-License-Identifier: MIT */
/* pool_configure: the application's hook refuses a new connection: its lease is over, once, whoever ended it. */
#include "pool_fixture.h"

static connpool_status refuse(void *argument, const connpool_lease *lease, connpool_error *error)
{
    (void)argument;
    (void)lease;
    (void)error;
    return CONNPOOL_FAILED;
}

static connpool_status release_and_refuse(void *argument, const connpool_lease *lease, connpool_error *error)
{
    connpool_lease copy = *lease;

    (void)connpool_release(&copy);
    return refuse(argument, lease, error);
}

static connpool_status discard_and_refuse(void *argument, const connpool_lease *lease, connpool_error *error)
{
    connpool_lease copy = *lease;

    (void)connpool_discard(&copy);
    return refuse(argument, lease, error);
}

static void assert_refused(struct pool_fixture *fixture, uint64_t times)
{
    struct connpool_statistics numbers;
    connpool_lease lease;

    assert_int_equal(pool_try(fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    numbers = pool_numbers(fixture);
    assert_int_equal(numbers.leased, 0);
    assert_int_equal(numbers.closing, 0);
    assert_int_equal(numbers.acquired, times);
    assert_int_equal(numbers.released, times);
    assert_int_equal(numbers.failed, times);
}

/* Refused once by this hook; then without one the pool is as good as new. */
static void run(connpool_configure_fn *hook)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1");
    connpool_pool_on_configure(fixture.pool, hook, NULL);
    assert_refused(&fixture, 1);
    connpool_pool_on_configure(fixture.pool, NULL, NULL);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    assert_int_equal(test_manager_most(NULL), 1);
    pool_fixture_close(&fixture);
}

static void test_a_refused_connection_counts_as_released(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1");
    connpool_pool_on_configure(fixture.pool, refuse, NULL);
    for (uint64_t times = 1; times <= 3; times++) {
        assert_refused(&fixture, times);
    }
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
    run(refuse);
}

static void test_a_hook_may_release_what_it_refuses(void **state)
{
    (void)state;
    run(release_and_refuse);
}

static void test_a_hook_may_discard_what_it_refuses(void **state)
{
    (void)state;
    run(discard_and_refuse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refused_connection_counts_as_released),
        cmocka_unit_test(test_a_hook_may_release_what_it_refuses),
        cmocka_unit_test(test_a_hook_may_discard_what_it_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
