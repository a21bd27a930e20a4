/* SPDX-License-Identifier: MIT */
/*
 * pool_cancel: pthread_cancel is pending while a call destroys connections, whose close(2) is a cancellation point: the
 * call is not ended half-way (failures.md B12).
 */
#include <pthread.h>

#include "pool_fixture.h"

static void run_in_thread(void *(*start)(void *), struct pool_fixture *fixture)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, start, fixture), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *close_cancelled(void *argument)
{
    struct pool_fixture *fixture = argument;

    (void)pthread_cancel(pthread_self());
    (void)connpool_close(fixture->context, 0, NULL);
    return NULL;
}

static void test_a_close_is_not_ended_half_way_B12(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-sockets', 'min_idle': 3, 'max_size': 3");
    pool_park(&fixture, "x", 3);
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    fixture.clock.context = NULL;
    run_in_thread(close_cancelled, &fixture);
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_assert_nothing_left(&fixture);
}

static connpool_status refuse_cancelled(void *argument, const connpool_lease *lease, connpool_error *error)
{
    (void)argument;
    (void)lease;
    (void)error;
    (void)pthread_cancel(pthread_self());
    return CONNPOOL_FAILED;
}

static void *acquire_refused(void *argument)
{
    connpool_lease lease;

    (void)pool_try(argument, "x", 1000, &lease);
    return NULL;
}

static void test_a_refused_configuration_is_not_ended_half_way_B12(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-sockets', 'min_idle': 0, 'max_size': 1");
    connpool_pool_on_configure(fixture.pool, refuse_cancelled, NULL);
    run_in_thread(acquire_refused, &fixture);
    assert_int_equal(pool_numbers(&fixture).closing, 0);
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_close_is_not_ended_half_way_B12),
        cmocka_unit_test(test_a_refused_configuration_is_not_ended_half_way_B12),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
