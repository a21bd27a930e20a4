/* SPDX-License-Identifier: MIT */
/*
 * pool_reentry: the core holds no lock while it calls a plugin or the application, so that every callback may call the
 * whole API (design.md, The contract with a plugin; failures.md B8, C15, E18; semantics.md S18). Calls that wait are
 * made with a limit of 0 where the callback must not wait.
 */
#include "pool_fixture.h"

static struct pool_fixture *fixture_of_all;
static connpool_endpoint *handle;
static _Thread_local int depth;
static unsigned entered;

/* Every call of the API that is legal in a callback. */
static void call_everything(void)
{
    struct connpool_limits limits = {.size = sizeof(limits)};
    struct connpool_statistics numbers = {.size = sizeof(numbers)};
    struct connpool_histograms histograms = {.size = sizeof(histograms)};
    struct connpool_lease_info info = {.size = sizeof(info)};
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_endpoint *other;
    connpool_pool *pool = fixture_of_all->pool;

    if (depth > 0) {
        return;
    }
    depth++;
    entered++;
    connpool_pool_limits(pool, &limits);
    connpool_pool_statistics(pool, &numbers);
    connpool_pool_histograms(pool, &histograms);
    connpool_endpoint_statistics(handle, &numbers);
    connpool_endpoint_limits(handle, &limits);
    assert_ptr_equal(connpool_pool_get(fixture_of_all->context, "p"), pool);
    assert_string_equal(connpool_endpoint_name(handle), "x");
    if (connpool_try_acquire(handle, &lease, NULL) == CONNPOOL_OK) {
        assert_int_equal(connpool_lease_info(&lease, &info), CONNPOOL_OK);
        assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
    }
    if (connpool_acquire(pool, "y", 0, &lease, NULL) == CONNPOOL_OK) {
        assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    }
    if (connpool_acquire_any(&handle, 1, 0, &lease, NULL) == CONNPOOL_OK) {
        assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
    }
    if (connpool_endpoint_get(pool, "z", &other, NULL) == CONNPOOL_OK) {
        connpool_endpoint_drain(other);
        connpool_endpoint_put(other);
    }
    (void)connpool_maintain(fixture_of_all->context);
    connpool_clock_moved(fixture_of_all->context);
    depth--;
}

/* All that makes a pool call its callbacks. */
static void run_life(struct pool_fixture *fixture)
{
    connpool_lease first, second, lease;

    for (int i = 0; i < 3; i++) {
        first = pool_take(fixture, "x");
        second = pool_take(fixture, "x");
        assert_int_equal(pool_try(fixture, "x", 20, &lease), CONNPOOL_TIMED_OUT);
        pool_give(&first);
        assert_int_equal(connpool_discard(&second), CONNPOOL_OK);
        pool_park(fixture, "y", 1);
        virtual_clock_advance(&fixture->clock, SECONDS(20));
        (void)connpool_maintain(fixture->context);
    }
    test_manager_set_nth(test_manager_calls(TEST_OPEN) + 1, TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    if (pool_try(fixture, "w", 100, &lease) == CONNPOOL_OK) {
        pool_give(&lease);
    }
    connpool_pool_drain(fixture->pool);
}

static void open_scene(struct pool_fixture *fixture)
{
    pool_fixture_open(fixture, "'min_idle': 1, 'max_size': 2, 'total_max_size': 3, 'idle_timeout': 10, "
                               "'max_lifetime': 30, 'check_after': 0.5");
    assert_int_equal(connpool_endpoint_get(fixture->pool, "x", &handle, NULL), CONNPOOL_OK);
    fixture_of_all = fixture;
    entered = 0;
}

static void close_scene(struct pool_fixture *fixture)
{
    assert_true(entered > 0);
    connpool_endpoint_put(handle);
    depth = 1;
    pool_fixture_close(fixture);
    depth = 0;
}

static struct test_behaviour call_from_plugin(enum test_operation operation, const struct test_connection *connection)
{
    (void)operation;
    (void)connection;
    call_everything();
    return test_ok();
}

static void test_plugin_operations_may_call_the_api_E18_C15(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    open_scene(&fixture);
    test_manager_choose_by(call_from_plugin);
    run_life(&fixture);
    close_scene(&fixture);
}

static void call_from_observer(void *argument, const struct connpool_event *event)
{
    (void)argument;
    (void)event;
    call_everything();
}

static void test_observers_may_call_the_api_B8(void **state)
{
    struct pool_fixture fixture = {0};
    const struct connpool_observer observer = {.size = sizeof(observer),
                                               .opened = call_from_observer,
                                               .acquired = call_from_observer,
                                               .released = call_from_observer,
                                               .dead = call_from_observer,
                                               .closed = call_from_observer,
                                               .timed_out = call_from_observer,
                                               .failed = call_from_observer};

    (void)state;
    open_scene(&fixture);
    assert_int_equal(connpool_pool_observe(fixture.pool, &observer), CONNPOOL_OK);
    run_life(&fixture);
    close_scene(&fixture);
}

static connpool_status call_from_configure(void *argument, const connpool_lease *lease, connpool_error *error)
{
    (void)argument;
    (void)lease;
    (void)error;
    call_everything();
    return CONNPOOL_OK;
}

static void test_the_configure_hook_may_call_the_api_B8(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    open_scene(&fixture);
    connpool_pool_on_configure(fixture.pool, call_from_configure, NULL);
    run_life(&fixture);
    close_scene(&fixture);
}

/* The hook may wait: it acquires another connection. */
static connpool_status acquire_in_configure(void *argument, const connpool_lease *lease, connpool_error *error)
{
    struct pool_fixture *fixture = argument;
    connpool_lease inner;

    (void)lease;
    if (depth == 0) {
        depth++;
        assert_int_equal(connpool_acquire(fixture->pool, "y", 1000, &inner, error), CONNPOOL_OK);
        pool_give(&inner);
        assert_int_equal(connpool_acquire(fixture->pool, "x", 50, &inner, NULL), CONNPOOL_TIMED_OUT);
        depth--;
    }
    return CONNPOOL_OK;
}

static void test_the_configure_hook_may_wait_B8(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(10)));
    connpool_pool_on_configure(fixture.pool, acquire_in_configure, &fixture);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void call_from_data(void *data)
{
    (void)data;
    call_everything();
}

static void test_the_destructor_of_user_data_may_call_the_api_B8(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int data = 0;

    (void)state;
    open_scene(&fixture);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_lease_set_data(&lease, &data, call_from_data), CONNPOOL_OK);
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    assert_int_equal(entered, 1);
    close_scene(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plugin_operations_may_call_the_api_E18_C15),
        cmocka_unit_test(test_observers_may_call_the_api_B8),
        cmocka_unit_test(test_the_configure_hook_may_call_the_api_B8),
        cmocka_unit_test(test_the_configure_hook_may_wait_B8),
        cmocka_unit_test(test_the_destructor_of_user_data_may_call_the_api_B8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
