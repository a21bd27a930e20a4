/* SPDX-License-Identifier: MIT */
/*
 * pool_collector: the background thread closes what is due, says goodbye off the caller's path, and drives on what its
 * caller left (semantics.md S25, D11, D24, D36; design.md, Semantics 9, 15, 16; failures.md B21, C6). Time is moved by
 * hand: the collector is told by connpool_clock_moved.
 */
#include <pthread.h>
#include <signal.h>

#include "pool_client.h"
#include "pool_fixture.h"

static void open_collected(struct pool_fixture *fixture, const char *keys)
{
    pool_fixture_open(fixture, "'background_collector': true, %s", keys);
    atomic_store(&fixture->clock.is_manual, true);
}

static void test_expiry_without_any_call_D11(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    open_collected(&fixture, "'min_idle': 1, 'idle_timeout': 10, 'max_lifetime': 100");
    pool_park(&fixture, "x", 4);
    assert_int_equal(test_manager_live(NULL), 4);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    await_live(1);
    virtual_clock_advance(&fixture.clock, SECONDS(90));
    await_live(0);
    pool_fixture_close(&fixture);
}

static void test_release_closes_nothing_itself_S25(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    open_collected(&fixture, "'min_idle': 0, 'idle_timeout': 0");
    test_manager_set(TEST_CLOSE, test_kind(TEST_SLOW_WAKE));
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    assert_int_equal(test_manager_live(NULL), 1);
    while (test_manager_live(NULL) > 0) {
        (void)test_manager_wake();
    }
    pool_fixture_close(&fixture);
}

/* D24: one silent goodbye stops nothing. */
static bool have_closed_seven(void *argument)
{
    (void)argument;
    return test_manager_live(NULL) == 1;
}

static void test_one_silent_goodbye_stops_nothing_D24(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    open_collected(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'dispose_timeout': 5");
    pool_park(&fixture, "x", 8);
    test_manager_set_connection(1, TEST_CLOSE, test_kind(TEST_NEVER));
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    await(have_closed_seven, NULL, "the others to be closed");
    virtual_clock_advance(&fixture.clock, SECONDS(5));
    await_live(0);
    pool_fixture_close(&fixture);
}

/* Rule 16: the rest of a reset runs in the collector; the caller goes on. */
static bool is_parked(void *argument)
{
    return pool_numbers(argument).idle_base == 1;
}

static void test_a_slow_reset_does_not_hold_the_caller(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    open_collected(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_RESET, test_slow(SECONDS(2)));
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    assert_int_equal(pool_numbers(&fixture).resetting, 1);
    virtual_clock_advance(&fixture.clock, SECONDS(2));
    await(is_parked, &fixture, "the reset to end");
    pool_fixture_close(&fixture);
}

static bool has_ended_by_its_reset(void *argument)
{
    return pool_numbers(argument).ended[CONNPOOL_REASON_RESET] == 1;
}

static void test_an_endless_reset_ends_by_its_limit(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    open_collected(&fixture, "'reset_timeout': 3");
    test_manager_set(TEST_RESET, test_kind(TEST_NEVER));
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    virtual_clock_advance(&fixture.clock, SECONDS(3));
    await(has_ended_by_its_reset, &fixture, "the reset to be given up");
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

/* C6: the caller leaves, the open goes on and feeds the pool. */
static void test_an_open_goes_on_without_its_caller_C6(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    open_collected(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    pool_client_start(&client, &fixture, "x", 100);
    await_live(1);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(101));
    pool_client_join(&client);
    assert_int_equal(client.status, CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_live(NULL), 1);
    while (!is_parked(&fixture)) {
        (void)test_manager_wake();
    }
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    assert_int_equal(test_manager_opened(), 1);
    pool_fixture_close(&fixture);
}

static void test_an_abandoned_open_still_ends_by_connect_timeout(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};

    (void)state;
    open_collected(&fixture, "'connect_timeout': 3");
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    pool_client_start(&client, &fixture, "x", 100);
    await_live(1);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(101));
    pool_client_join(&client);
    assert_int_equal(client.status, CONNPOOL_TIMED_OUT);
    virtual_clock_advance(&fixture.clock, SECONDS(3));
    await_live(0);
    pool_fixture_close(&fixture);
}

/* Rule 15, B21, D36: the machine slept; parked connections are suspect and are checked before they are handed out. */
static uint64_t wanted;

/* The second look begins when the first one's work is done. */
static bool has_looked_twice(void *argument)
{
    struct pool_fixture *fixture = argument;

    virtual_clock_advance(&fixture->clock, MILLISECONDS(100));
    return atomic_load(&fixture->clock.reads[CONNPOOL_CLOCK_BOOT]) >= wanted;
}

static void test_after_a_sleep_of_the_machine_all_are_checked_B21_D36(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    open_collected(&fixture, "'min_idle': 2, 'check_after': 1000000, 'idle_timeout': 100, 'max_lifetime': 100000");
    pool_park(&fixture, "x", 2);
    atomic_store(&fixture.clock.boot_lead, SECONDS(3600));
    wanted = atomic_load(&fixture.clock.reads[CONNPOOL_CLOCK_BOOT]) + 2;
    await(has_looked_twice, &fixture, "the collector to look at the boot-time clock");
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_fixture_close(&fixture);
}

/* D24: no thread is left behind. */
static size_t threads_before;

static bool threads_are_gone(void *argument)
{
    (void)argument;
    return process_threads() <= threads_before;
}

static void test_one_thread_serves_all_pools_and_ends_D24(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    threads_before = process_threads();
    pool_fixture_open_json(&fixture, "{'pools': {'p': {'manager': 'test', 'background_collector': true}, "
                                     "'q': {'manager': 'test', 'background_collector': true}, "
                                     "'r': {'manager': 'test', 'background_collector': true}}}");
    pool_park(&fixture, "x", 2);
    assert_int_equal(process_threads(), threads_before + 1);
    pool_fixture_close(&fixture);
    await(threads_are_gone, NULL, "the collector's thread to end");
}

/* What a plugin's step in the collector finds blocked: 1 for the application's signals, 2 for its own thread's faults.
 */
static atomic_int blocked = -1;

static struct test_behaviour look_at_signals(enum test_operation operation, const struct test_connection *connection)
{
    sigset_t signals;

    (void)connection;
    if (operation == TEST_CLOSE) {
        (void)pthread_sigmask(SIG_BLOCK, NULL, &signals);
        atomic_store(&blocked,
                     (sigismember(&signals, SIGTERM) == 1 && sigismember(&signals, SIGALRM) == 1 ? 1 : 0) +
                         (sigismember(&signals, SIGSEGV) == 1 || sigismember(&signals, SIGABRT) == 1 ? 2 : 0));
    }
    return test_ok();
}

static void test_its_thread_takes_no_signal_but_its_own_faults(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    open_collected(&fixture, "'min_idle': 0, 'idle_timeout': 10");
    test_manager_choose_by(look_at_signals);
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    await_live(0);
    assert_int_equal(atomic_load(&blocked), 1);
    pool_fixture_close(&fixture);
}

static void test_close_with_a_collector_and_leases(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    open_collected(&fixture, POOL_DEFAULTS);
    pool_park(&fixture, "x", 3);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_close(fixture.context, 0, NULL), CONNPOOL_STILL_LEASED);
    fixture.clock.context = NULL;
    assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
    pool_fixture_assert_nothing_left(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expiry_without_any_call_D11),
        cmocka_unit_test(test_release_closes_nothing_itself_S25),
        cmocka_unit_test(test_one_silent_goodbye_stops_nothing_D24),
        cmocka_unit_test(test_a_slow_reset_does_not_hold_the_caller),
        cmocka_unit_test(test_an_endless_reset_ends_by_its_limit),
        cmocka_unit_test(test_an_open_goes_on_without_its_caller_C6),
        cmocka_unit_test(test_an_abandoned_open_still_ends_by_connect_timeout),
        cmocka_unit_test(test_after_a_sleep_of_the_machine_all_are_checked_B21_D36),
        cmocka_unit_test(test_one_thread_serves_all_pools_and_ends_D24),
        cmocka_unit_test(test_its_thread_takes_no_signal_but_its_own_faults),
        cmocka_unit_test(test_close_with_a_collector_and_leases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
