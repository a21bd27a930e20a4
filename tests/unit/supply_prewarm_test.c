/* SPDX-License-Identifier: MIT */
/*
 * supply: with `prewarm` the collector opens and keeps min_idle connections at every named endpoint ahead of use
 * (semantics.md S4; design.md, Semantics 1, 3, 14). Time is moved by hand.
 */
#include <stdio.h>
#include <string.h>

#include "pool_client.h"
#include "pool_fixture.h"
#include "stepped_acquire.h"

/* How late the collector sees that an idle connection was taken. */
#define LOOK MILLISECONDS(100)

/* The manager's settings were made before: the collector begins at once. */
static void open_supplied(struct pool_fixture *fixture, const char *keys)
{
    fixture->keeps_settings = true;
    pool_fixture_open(fixture, "'background_collector': true, 'prewarm': true, %s", keys);
    atomic_store(&fixture->clock.is_manual, true);
}

#define ONE "'endpoints': {'a': {'name': 'a'}}"
#define TWO "'endpoints': {'a': {'name': 'a'}, 'b': {'name': 'b', 'pool': {'prewarm': false}}}"

/* The first context of the process resets the manager in any case. */
static int open_one(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_close(&fixture);
    return 0;
}

static void set_up(void)
{
    test_manager_reset();
}

static void test_min_idle_is_open_ahead_of_use_S4(void **state)
{
    struct connpool_limits limits = {.size = sizeof(limits)};
    struct pool_fixture fixture = {0};
    struct connpool_statistics numbers;

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 3, " ONE);
    await_live(3);
    await_collector_after(&fixture, 10 * LOOK);
    numbers = endpoint_numbers(&fixture, "a");
    assert_int_equal(numbers.idle_base, 3);
    assert_int_equal(numbers.idle_extra, 0);
    assert_int_equal(test_manager_calls(TEST_OPEN), 3);
    connpool_pool_limits(fixture.pool, &limits);
    assert_int_equal(limits.prewarm, 1);
    assert_int_equal(limits.watch, 1);
    assert_int_equal(limits.retry, 0);
    pool_fixture_close(&fixture);
}

static bool are_three_idle(void *argument)
{
    return pool_numbers(argument).idle_base == 3;
}

static void test_what_is_taken_is_made_up_for_as_base(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[3];
    struct connpool_statistics numbers;

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 3, " ONE);
    await(are_three_idle, &fixture, "the first three");
    for (size_t i = 0; i < 3; i++) {
        leases[i] = pool_take(&fixture, "a");
    }
    virtual_clock_advance(&fixture.clock, LOOK);
    await(are_three_idle, &fixture, "three more");
    for (size_t i = 0; i < 3; i++) {
        pool_give(&leases[i]);
    }
    numbers = pool_numbers(&fixture);
    assert_int_equal(numbers.idle_base, 3);
    assert_int_equal(numbers.idle_extra, 3);
    await_collector_after(&fixture, SECONDS(60)); /* idle_timeout */
    await_live(3);
    assert_int_equal(test_manager_calls(TEST_OPEN), 6);
    pool_fixture_close(&fixture);
}

/* Rule 5: only what was opened ahead of use is base though others are leased. */
static void test_what_comes_back_is_classed_as_without_it(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[2];

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 1, " ONE);
    await_live(1);
    await_collector(&fixture);
    leases[0] = pool_take(&fixture, "a");
    leases[1] = pool_take(&fixture, "a");
    pool_give(&leases[0]);
    assert_int_equal(pool_numbers(&fixture).idle_extra, 1);
    pool_give(&leases[1]);
    pool_fixture_close(&fixture);
}

static void test_an_endpoint_given_at_run_time_is_not_supplied(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 2, " ONE);
    await_live(2);
    pool_park(&fixture, "x", 1);
    await_collector_after(&fixture, 10 * LOOK);
    assert_int_equal(test_manager_live("x"), 1);
    assert_int_equal(test_manager_live("a"), 2);
    pool_fixture_close(&fixture);
}

static void test_nothing_is_evicted_for_it(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease one, other;

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 1, 'max_size': 2, 'total_max_size': 2, " TWO);
    await_live(1);
    one = pool_take(&fixture, "b");
    other = pool_take(&fixture, "b");
    assert_int_equal(test_manager_live("a"), 0); /* evicted: who is there comes before who may come */
    await_collector_after(&fixture, LOOK);
    pool_give(&one);
    pool_give(&other);
    await_collector_after(&fixture, LOOK);
    assert_int_equal(test_manager_live("b"), 2);
    assert_int_equal(test_manager_live("a"), 0);
    await_collector_after(&fixture, SECONDS(60)); /* idle_timeout of b's extra one */
    await_collector_after(&fixture, LOOK);
    await_live(2);
    assert_int_equal(test_manager_live("a"), 1);
    assert_int_equal(test_manager_most(NULL), 2);
    pool_fixture_close(&fixture);
}

static bool have_opened(void *argument)
{
    return test_manager_calls(TEST_OPEN) >= *(const size_t *)argument;
}

/* And their first steps have ended, so that they can be woken. */
static void await_opens(struct pool_fixture *fixture, size_t count)
{
    await(have_opened, &count, "so many opens");
    await_collector(fixture);
}

/* A36 */
static void test_few_opens_at_one_time_at_an_endpoint(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    set_up();
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    open_supplied(&fixture, "'min_idle': 10, " ONE);
    for (size_t opened = 4; opened <= 8; opened += 4) {
        await_opens(&fixture, opened);
        await_collector_after(&fixture, 10 * LOOK);
        assert_int_equal(test_manager_calls(TEST_OPEN), opened);
        (void)test_manager_wake();
    }
    await_opens(&fixture, 10);
    (void)test_manager_wake();
    await_collector(&fixture);
    assert_int_equal(test_manager_live(NULL), 10);
    pool_fixture_close(&fixture);
}

static void test_few_opens_at_one_time_in_a_pool(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    set_up();
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    open_supplied(&fixture, "'min_idle': 4, 'endpoints': {'a': {'name': 'a'}, 'b': {'name': 'b'}, 'c': {'name': 'c'}, "
                            "'d': {'name': 'd'}, 'e': {'name': 'e'}}");
    await_opens(&fixture, 16);
    await_collector_after(&fixture, 10 * LOOK);
    assert_int_equal(test_manager_calls(TEST_OPEN), 16);
    (void)test_manager_wake();
    await_opens(&fixture, 20);
    (void)test_manager_wake();
    await_collector(&fixture);
    assert_int_equal(pool_numbers(&fixture).idle_base, 20);
    pool_fixture_close(&fixture);
}

static bool has_one(void *endpoint)
{
    return test_manager_live(endpoint) != 0;
}

/* Servers that say nothing hold their opens for connect_timeout; the others' are not put off for that. */
static void test_silent_servers_hold_nobody_up(void **state)
{
    struct pool_fixture fixture = {0};
    static const char *const silent[] = {"a", "b", "c", "d"};

    (void)state;
    set_up();
    for (size_t i = 0; i < 4; i++) {
        test_manager_set_endpoint(silent[i], TEST_OPEN, test_kind(TEST_NEVER));
    }
    open_supplied(&fixture, "'min_idle': 4, 'endpoints': {'a': {'name': 'a'}, 'b': {'name': 'b'}, 'c': {'name': 'c'}, "
                            "'d': {'name': 'd'}, 'e': {'name': 'e'}}");
    await(has_one, (void *)(uintptr_t) "e", "the fifth's");
    pool_fixture_close(&fixture);
}

/* More of them than opens at one time: when one of these ends, it is another's turn. */
static void test_each_has_its_turn(void **state)
{
    struct pool_fixture fixture = {0};
    char keys[2048] = "'min_idle': 1, 'connect_timeout': 10, 'endpoints': {";
    size_t length = strlen(keys);

    (void)state;
    set_up();
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    test_manager_set_endpoint("last", TEST_OPEN, test_ok());
    for (int i = 0; i < 33; i++) {
        length += (size_t)snprintf(keys + length, sizeof(keys) - length, "'e%d': {'name': 'e%d'}, ", i, i);
    }
    (void)snprintf(keys + length, sizeof(keys) - length, "'last': {'name': 'last'}}");
    open_supplied(&fixture, keys);
    await_opens(&fixture, 16);
    await_collector_after(&fixture, SECONDS(10));
    await_opens(&fixture, 32);
    await_collector_after(&fixture, SECONDS(10));
    await(has_one, (void *)(uintptr_t) "last", "the last's");
    pool_fixture_close(&fixture);
}

static void test_none_is_none(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 0, " ONE);
    virtual_clock_settle(&fixture.clock);
    assert_int_equal(atomic_load(&fixture.clock.until) - virtual_clock_now(&fixture.clock), SECONDS(1));
    assert_int_equal(connpool_wait_ready(fixture.context, 0, NULL), CONNPOOL_OK);
    assert_int_equal(test_manager_calls(TEST_OPEN), 0);
    pool_fixture_close(&fixture);
}

/* An open that is under way goes to who came meanwhile; it holds no slot that a waiter could have had before. */
static void test_its_opens_feed_who_waits(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};

    (void)state;
    set_up();
    test_manager_set_connection(1, TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    open_supplied(&fixture, "'min_idle': 1, 'max_size': 1, " ONE);
    await_opens(&fixture, 1);
    pool_client_start(&client, &fixture, "a", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    (void)test_manager_wake();
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 1);
    pool_give(&client.lease);
    pool_fixture_close(&fixture);
}

/* A slot that somebody waits for is not taken, though it was woken and has not come yet. */
static void test_a_slot_for_a_waiter_is_left_alone(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire waiter;
    connpool_lease lease;

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 1, 'max_size': 1, 'total_max_size': 1, " TWO);
    await_live(1);
    lease = pool_take(&fixture, "b");
    stepped_acquire_start(&waiter, &fixture, "b", CONNPOOL_WAIT_FOREVER);
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    await_collector_after(&fixture, LOOK);
    assert_int_equal(test_manager_live(NULL), 0);
    stepped_acquire_run(&waiter, 1);
    stepped_acquire_give(&waiter, 3);
    pool_fixture_close(&fixture);
}

static void test_what_was_drained_is_opened_anew(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 3, " ONE);
    await(are_three_idle, &fixture, "the first three");
    connpool_pool_drain(fixture.pool);
    virtual_clock_advance(&fixture.clock, LOOK);
    await_opens(&fixture, 6);
    await(are_three_idle, &fixture, "three new ones");
    await_live(3);
    pool_fixture_close(&fixture);
}

/* A close does not wait for opens that nobody wants any more: time stands still here. */
static void test_a_close_in_the_middle(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    set_up();
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    open_supplied(&fixture, "'min_idle': 3, " ONE);
    await_opens(&fixture, 3);
    assert_int_equal(connpool_close(fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    fixture.clock.context = NULL;
    pool_fixture_assert_nothing_left(&fixture);
}

static void test_without_memory_it_tries_again(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 1, 'max_size': 4, " ONE);
    await_live(1);
    for (uint64_t k = 1; k <= 4; k++) {
        lease = pool_take(&fixture, "a");
        assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
        failing_allocator_fail(k, false);
        await_collector_after(&fixture, LOOK);
        failing_allocator_fail(0, false);
        await_collector_after(&fixture, LOOK);
        await_live(1);
        await_collector(&fixture);
    }
    pool_fixture_close(&fixture);
}

static void test_a_blocking_manager_is_supplied_too(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    set_up();
    open_supplied(&fixture, "'manager': 'test-blocking-open', 'min_idle': 3, " ONE);
    await_live(3);
    await(are_three_idle, &fixture, "three to be idle");
    pool_fixture_close(&fixture);
}

/* The collector tells of what it opens while the application sets who is told. */
static void count_one(void *argument, const struct connpool_event *event)
{
    (void)event;
    atomic_fetch_add((atomic_int *)argument, 1);
}

static void test_an_observer_may_be_set_meanwhile(void **state)
{
    struct pool_fixture fixture = {0};
    atomic_int opened = 0;
    struct connpool_observer observer = {.size = sizeof(observer), .argument = &opened, .opened = count_one};

    (void)state;
    set_up();
    open_supplied(&fixture, "'min_idle': 8, " ONE);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(connpool_pool_observe(fixture.pool, i % 2 == 0 ? NULL : &observer), CONNPOOL_OK);
    }
    await_live(8);
    await_collector(&fixture);
    atomic_store(&opened, 0);
    connpool_pool_drain(fixture.pool);
    virtual_clock_advance(&fixture.clock, LOOK);
    await_opens(&fixture, 16);
    await_live(8);
    await_collector(&fixture);
    assert_int_equal(atomic_load(&opened), 8);
    pool_fixture_close(&fixture);
}

static void test_a_check_of_a_configuration_connects_nothing(void **state)
{
    struct connpool_options options = {
        .size = sizeof(options),
        .json = "{\"pools\": {\"p\": {\"manager\": \"test\", \"background_collector\": true, \"prewarm\": true, "
                "\"endpoints\": {\"a\": {\"name\": \"a\"}}}}}"};

    (void)state;
    set_up();
    options.managers = test_manager_tables(&options.manager_count);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(connpool_check(&options, NULL, NULL, NULL, NULL), CONNPOOL_OK);
    }
    assert_int_equal(test_manager_calls(TEST_OPEN), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_min_idle_is_open_ahead_of_use_S4),
        cmocka_unit_test(test_what_is_taken_is_made_up_for_as_base),
        cmocka_unit_test(test_what_comes_back_is_classed_as_without_it),
        cmocka_unit_test(test_an_endpoint_given_at_run_time_is_not_supplied),
        cmocka_unit_test(test_nothing_is_evicted_for_it),
        cmocka_unit_test(test_few_opens_at_one_time_at_an_endpoint),
        cmocka_unit_test(test_few_opens_at_one_time_in_a_pool),
        cmocka_unit_test(test_silent_servers_hold_nobody_up),
        cmocka_unit_test(test_each_has_its_turn),
        cmocka_unit_test(test_none_is_none),
        cmocka_unit_test(test_its_opens_feed_who_waits),
        cmocka_unit_test(test_a_slot_for_a_waiter_is_left_alone),
        cmocka_unit_test(test_what_was_drained_is_opened_anew),
        cmocka_unit_test(test_a_close_in_the_middle),
        cmocka_unit_test(test_without_memory_it_tries_again),
        cmocka_unit_test(test_a_blocking_manager_is_supplied_too),
        cmocka_unit_test(test_an_observer_may_be_set_meanwhile),
        cmocka_unit_test(test_a_check_of_a_configuration_connects_nothing),
    };

    return cmocka_run_group_tests(tests, open_one, NULL);
}
