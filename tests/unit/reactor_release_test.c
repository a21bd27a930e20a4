/* SPDX-License-Identifier: MIT */
/*
 * reactor_release: what else goes on in a reactor: in its thread no release waits; resets and closes, and opens that
 * their acquirer left, end in the reactor where there is no collector.
 */
#include "pool_client.h"
#include "reactor_client.h"

static void test_a_reset_goes_on_in_the_reactor(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;
    connpool_lease lease;
    uint64_t sleeps;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_RESET, test_slow(MILLISECONDS(3)));
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    sleeps = atomic_load(&fixture.clock.sleeps);
    pool_give(&lease);
    assert_int_equal(atomic_load(&fixture.clock.sleeps), sleeps);
    assert_int_equal(pool_numbers(&fixture).resetting, 1);
    reactor_run(reactor);
    assert_int_equal(pool_numbers(&fixture).resetting, 1);
    reactor_run_after(reactor, &fixture, MILLISECONDS(3));
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* A reset that does not end is cut by its own limit, also there. */
static void test_a_reset_ends_by_its_limit(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'reset_timeout': 0.5");
    test_manager_set(TEST_RESET, test_kind(TEST_NEVER));
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(499));
    assert_int_equal(pool_numbers(&fixture).resetting, 1);
    reactor_run_after(reactor, &fixture, MILLISECONDS(1));
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_RESET], 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* What is due on a release, of several connections at once. */
static void test_closes_go_on_in_the_reactor(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;
    connpool_lease lease;
    uint64_t sleeps;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 1");
    test_manager_set(TEST_CLOSE, test_slow(MILLISECONDS(3)));
    pool_park(&fixture, "x", 4);
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "y");
    virtual_clock_advance(&fixture.clock, SECONDS(2));
    sleeps = atomic_load(&fixture.clock.sleeps);
    pool_give(&lease);
    assert_int_equal(atomic_load(&fixture.clock.sleeps), sleeps);
    assert_true(pool_numbers(&fixture).closing >= 2);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(3));
    assert_int_equal(pool_numbers(&fixture).closing, 0);
    connpool_pool_drain(fixture.pool);
    assert_int_equal(atomic_load(&fixture.clock.sleeps), sleeps);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(3));
    assert_int_equal(test_manager_live(NULL), 0);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* Without memory nothing can go on there; still nobody waits. */
static void test_without_memory_it_does_not_wait_either(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;
    connpool_lease lease;
    uint64_t sleeps;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 3");
    pool_park(&fixture, "x", 3);
    test_manager_set(TEST_RESET, test_kind(TEST_NEVER));
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    sleeps = atomic_load(&fixture.clock.sleeps);
    failing_allocator_fail(1, true);
    pool_give(&lease);
    connpool_pool_drain(fixture.pool);
    failing_allocator_fail(0, false);
    assert_int_equal(atomic_load(&fixture.clock.sleeps), sleeps);
    assert_int_equal(test_manager_live(NULL), 0);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* A reactor serves its own context and thread only. */
static void test_another_context_is_not_served(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_fixture other = {.keeps_settings = true};
    connpool_reactor *reactor;
    connpool_lease lease;
    uint64_t sleeps;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_open(&other, POOL_DEFAULTS);
    test_manager_set(TEST_RESET, test_slow(MILLISECONDS(3)));
    reactor = reactor_begin(&fixture);
    lease = pool_take(&other, "x");
    sleeps = atomic_load(&other.clock.sleeps);
    pool_give(&lease);
    assert_true(atomic_load(&other.clock.sleeps) > sleeps);
    assert_int_equal(pool_numbers(&other).idle_base, 1);
    reactor_end(reactor);
    assert_int_equal(connpool_close(other.context, 0, NULL), CONNPOOL_OK);
    pool_fixture_close(&fixture);
}

static void *release(void *lease)
{
    pool_give(lease);
    return NULL;
}

/* A lease may be released in any thread; there it is as without a reactor. */
static void test_another_thread_may_release(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct reactor_client clients[2] = {0};
    connpool_reactor *reactor;
    pthread_t thread;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_set(TEST_RESET, test_slow(MILLISECONDS(3)));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_submit(reactor, &clients[1], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run_until_told(reactor, &clients[0]);
    assert_int_equal(pthread_create(&thread, NULL, release, &clients[0].lease), 0);
    reactor_run_until_told(reactor, &clients[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    reactor_assert_told(&clients[0], CONNPOOL_OK);
    reactor_give(&clients[1], 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* ---- Opens whose acquirer left ---- */

static void test_an_open_that_took_too_long_feeds_the_pool(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client clients[2] = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(300)));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &clients[0], &fixture, "x", 100);
    reactor_submit(reactor, &clients[1], &fixture, "x", 1000);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(100));
    reactor_assert_told(&clients[0], CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&fixture).opening, 1);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(200));
    reactor_give(&clients[1], 1);
    assert_int_equal(test_manager_opened(), 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* The limit of the open itself still holds, and its failure is the endpoint's. */
static void test_an_open_that_was_left_ends_by_connect_timeout(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, "'connect_timeout': 2");
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", 100);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(100));
    reactor_assert_told(&client, CONNPOOL_TIMED_OUT);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(1899));
    assert_int_equal(pool_numbers(&fixture).opening, 1);
    reactor_run_after(reactor, &fixture, MILLISECONDS(1));
    assert_int_equal(pool_numbers(&fixture).opening, 0);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_OPEN], 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_a_blocking_acquire_of_the_thread_leaves_its_open_to_the_reactor(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    reactor = reactor_begin(&fixture);
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&fixture).opening, 1);
    reactor_run(reactor);
    assert_int_equal(test_manager_wake(), 1);
    reactor_run(reactor);
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reset_goes_on_in_the_reactor),
        cmocka_unit_test(test_a_reset_ends_by_its_limit),
        cmocka_unit_test(test_closes_go_on_in_the_reactor),
        cmocka_unit_test(test_without_memory_it_does_not_wait_either),
        cmocka_unit_test(test_another_context_is_not_served),
        cmocka_unit_test(test_another_thread_may_release),
        cmocka_unit_test(test_an_open_that_took_too_long_feeds_the_pool),
        cmocka_unit_test(test_an_open_that_was_left_ends_by_connect_timeout),
        cmocka_unit_test(test_a_blocking_acquire_of_the_thread_leaves_its_open_to_the_reactor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
