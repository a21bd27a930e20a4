/* SPDX-License-Identifier: MIT */
/* pool_blocking: operations that are marked as blocking and run on workers: those that are not begun yet, and acquires
 * that must not wait for one. */
#include <sched.h>

#include "pool/context.h"
#include "pool_client.h"
#include "pool_fixture.h"

/* As many as context.c allows. */
#define WORKERS 16

struct workers {
    struct pool_fixture fixture;
    size_t busy; /* that are to be, before an acquire sleeps */
};

static bool are_blocked(void *argument)
{
    return test_manager_blocked() >= ((const struct workers *)argument)->busy;
}

static void await_blocked(void *argument, int64_t until)
{
    struct workers *workers = argument;

    (void)until;
    await(are_blocked, workers, "a worker to begin");
    virtual_clock_advance(&workers->fixture.clock, 0); /* sleep again */
}

/* The workers have left the plugin, and the last of them the pool. */
static bool are_gone(void *argument)
{
    const struct pool_fixture *fixture = argument;

    return test_manager_destroyed() == WORKERS && atomic_load(&fixture->context->connections) == 0;
}

/* Nothing was opened, so nothing is to be destroyed, and there are no descriptors to be asked for. */
static void test_a_blocking_open_that_was_still_queued_leaves_nothing_to_destroy(void **state)
{
    struct workers scene = {.busy = 0};
    struct pool_fixture *fixture = &scene.fixture;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(fixture, "'manager': 'test-blocking-open', 'min_idle': 0, 'max_size': %d", WORKERS + 1);
    test_manager_set(TEST_OPEN, test_kind(TEST_BLOCK));
    while (scene.busy++ < WORKERS) {
        virtual_clock_on_sleep(&fixture->clock, await_blocked, &scene);
        assert_int_equal(pool_try(fixture, "x", 800, &lease), CONNPOOL_TIMED_OUT);
    }
    assert_int_equal(pool_try(fixture, "x", 800, &lease), CONNPOOL_TIMED_OUT);
    test_manager_unblock();
    await(are_gone, fixture, "the late opens to end");
    assert_int_equal(test_manager_opened(), WORKERS);
    pool_fixture_close(fixture);
}

/* Every allocation of an acquire fails once: an open that no worker could begin is no connection to the manager. */
static void test_a_blocking_open_that_found_no_worker_leaves_nothing_to_destroy(void **state)
{
    bool has_failed = true;

    (void)state;
    for (uint64_t k = 1; has_failed; k++) {
        struct pool_fixture fixture = {0};
        connpool_endpoint *endpoint;
        connpool_lease lease;

        pool_fixture_open(&fixture, "'manager': 'test-blocking-open', 'min_idle': 1, 'max_size': 1");
        assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
        failing_allocator_fail(k, false);
        atomic_store(&fixture.clock.is_manual, true);
        if (connpool_endpoint_acquire(endpoint, CONNPOOL_WAIT_FOREVER, &lease, NULL) == CONNPOOL_OK) {
            pool_give(&lease);
        }
        has_failed = failing_allocator_has_failed();
        failing_allocator_fail(0, false);
        test_manager_assert_rules();
        connpool_endpoint_put(endpoint);
        pool_fixture_close(&fixture);
    }
}

/* It may wait for no worker, so it takes no connection that needs one. */
static void test_a_try_harms_no_connection_whose_prepare_blocks(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    uint64_t prepared;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-prepare', 'min_idle': 3, 'max_size': 3");
    atomic_store(&fixture.clock.is_manual, true);
    pool_park(&fixture, "x", 3);
    prepared = test_manager_calls(TEST_PREPARE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
        assert_int_equal(pool_numbers(&fixture).idle_base, 3);
    }
    assert_int_equal(test_manager_calls(TEST_PREPARE), prepared);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    assert_int_equal(test_manager_live(NULL), 3);
    pool_fixture_close(&fixture);
}

static bool is_idle(void *argument)
{
    return pool_numbers(argument).idle_base == 1;
}

static bool is_one_blocked(void *argument)
{
    (void)argument;
    return test_manager_blocked() == 1;
}

/* An acquire began a blocking idle and left; the collector ended it. That was no use of the connection. */
static void test_an_idle_that_was_left_to_the_collector_is_no_use(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-idle', 'min_idle': 1, 'max_size': 1, 'check_after': 0.5, "
                                "'background_collector': true");
    atomic_store(&fixture.clock.is_manual, true);
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(30));
    test_manager_set(TEST_IDLE, test_kind(TEST_BLOCK));
    pool_client_start(&client, &fixture, "x", 100);
    await(is_one_blocked, NULL, "idle to begin");
    virtual_clock_advance(&fixture.clock, MILLISECONDS(101));
    pool_client_join(&client);
    assert_int_equal(client.status, CONNPOOL_TIMED_OUT);
    test_manager_unblock();
    await(is_idle, &fixture, "idle to end");
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* A new connection whose acquire ran out of time while it was prepared serves the next one. */
static void test_a_new_one_whose_prepare_was_left_is_idle_afterwards(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-prepare', 'background_collector': true, 'min_idle': 1");
    atomic_store(&fixture.clock.is_manual, true);
    test_manager_set_nth(1, TEST_PREPARE, test_kind(TEST_BLOCK));
    pool_client_start(&client, &fixture, "x", 100);
    await(is_one_blocked, NULL, "the prepare to begin");
    virtual_clock_advance(&fixture.clock, MILLISECONDS(100));
    pool_client_join(&client);
    assert_int_equal(client.status, CONNPOOL_TIMED_OUT);
    test_manager_unblock();
    await(is_idle, &fixture, "it to be idle");
    await_collector(&fixture);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_IDLE], 0);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static atomic_bool is_inside_prepare;
static atomic_bool may_fail;

/* The only connection cannot be prepared, as turns out when it may. */
static struct test_behaviour fail_when_told(enum test_operation operation, const struct test_connection *connection)
{
    (void)connection;
    if (operation != TEST_PREPARE) {
        return test_ok();
    }
    atomic_store(&is_inside_prepare, true);
    while (!atomic_load(&may_fail)) {
        (void)sched_yield();
    }
    return test_fails(CONNPOOL_ERROR_PROTOCOL);
}

static bool is_preparing(void *argument)
{
    (void)argument;
    return atomic_load(&is_inside_prepare);
}

static bool has_ended(void *argument)
{
    struct connpool_statistics numbers = pool_numbers(argument);

    return numbers_size(&numbers) == 0;
}

/* As with an acquire that stays, its open has failed: nothing is said about connections that stood idle. */
static void test_a_new_one_whose_prepare_was_left_and_fails(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-prepare', 'holddown': 10, 'background_collector': true");
    atomic_store(&fixture.clock.is_manual, true);
    test_manager_choose_by(fail_when_told);
    pool_client_start(&client, &fixture, "x", 100);
    await(is_preparing, NULL, "the prepare to begin");
    virtual_clock_advance(&fixture.clock, MILLISECONDS(100));
    pool_client_join(&client);
    assert_int_equal(client.status, CONNPOOL_TIMED_OUT);
    atomic_store(&may_fail, true);
    await(has_ended, &fixture, "the connection to end");
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_OPEN], 1);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED); /* held down */
    test_manager_choose_by(NULL);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_blocking_open_that_was_still_queued_leaves_nothing_to_destroy),
        cmocka_unit_test(test_a_blocking_open_that_found_no_worker_leaves_nothing_to_destroy),
        cmocka_unit_test(test_a_try_harms_no_connection_whose_prepare_blocks),
        cmocka_unit_test(test_a_new_one_whose_prepare_was_left_is_idle_afterwards),
        cmocka_unit_test(test_an_idle_that_was_left_to_the_collector_is_no_use),
        cmocka_unit_test(test_a_new_one_whose_prepare_was_left_and_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
