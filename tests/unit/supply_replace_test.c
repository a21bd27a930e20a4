/* SPDX-License-Identifier: MIT */
/*
 * supply_replace: with `prewarm` an idle connection near the end of its life is closed when its replacement is there: a
 * few at a time, spread by `lifetime_jitter`, and never fewer than min_idle are idle (failures.md C18, A39). Time is
 * moved by hand.
 */
#include "pool_fixture.h"

static int open_one(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_close(&fixture);
    return 0;
}

static void open_supplied(struct pool_fixture *fixture, const char *keys)
{
    fixture->keeps_settings = true;
    pool_fixture_open(fixture, "'background_collector': true, 'prewarm': true, %s, 'endpoints': {'a': {'name': 'a'}}",
                      keys);
    atomic_store(&fixture->clock.is_manual, true);
}

/* Looks at the pool whenever a connection has been closed. */
struct watcher {
    struct pool_fixture *fixture;
    _Atomic uint64_t fewest;
};

static void look(void *argument, const struct connpool_event *event)
{
    struct watcher *watcher = argument;
    uint64_t idle = pool_numbers(watcher->fixture).idle_base;

    (void)event;
    if (idle < atomic_load(&watcher->fewest)) {
        atomic_store(&watcher->fewest, idle);
    }
}

static void watch(struct watcher *watcher, struct pool_fixture *fixture)
{
    struct connpool_observer observer = {.size = sizeof(observer), .argument = watcher, .closed = look};

    watcher->fixture = fixture;
    atomic_store(&watcher->fewest, UINT64_MAX);
    assert_int_equal(connpool_pool_observe(fixture->pool, &observer), CONNPOOL_OK);
}

static uint64_t ended_by_life(const struct pool_fixture *fixture)
{
    return pool_numbers(fixture).ended[CONNPOOL_REASON_LIFETIME];
}

static void await_idle(struct pool_fixture *fixture, uint64_t count)
{
    await_live(count);
    while (pool_numbers(fixture).idle_base != count) {
        await_collector(fixture);
    }
}

/* A hundred that were opened at once end over a tenth of their life. */
static void test_those_opened_together_do_not_end_together_C18(void **state)
{
    struct pool_fixture fixture = {0};
    struct watcher watcher;
    uint64_t buckets[10], before;
    int64_t begun;

    (void)state;
    test_manager_reset();
    open_supplied(&fixture, "'min_idle': 100, 'max_size': 110, 'total_max_size': 200, 'max_lifetime': 1000, "
                            "'lifetime_jitter': 0.1, 'idle_timeout': 1000");
    begun = virtual_clock_now(&fixture.clock);
    await_idle(&fixture, 100);
    watch(&watcher, &fixture);
    await_collector_after(&fixture, SECONDS(869)); /* the earliest end, and the 30 s (connect_timeout) before it */
    assert_int_equal(ended_by_life(&fixture), 0);
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    for (size_t i = 0; i < 10; i++) {
        before = ended_by_life(&fixture);
        for (int second = 0; second < 10; second++) {
            await_collector_after(&fixture, SECONDS(1));
            assert_in_range(pool_numbers(&fixture).idle_base, 100, 104);
        }
        buckets[i] = ended_by_life(&fixture) - before;
    }
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, SECONDS(970));
    await_collector_after(&fixture, MILLISECONDS(100));
    assert_int_equal(ended_by_life(&fixture), 100);
    for (size_t i = 0; i < 10; i++) {
        assert_in_range(buckets[i], 2, 25); /* of a tenth each */
    }
    assert_int_equal(pool_numbers(&fixture).idle_base, 100);
    assert_int_equal(atomic_load(&watcher.fewest), 100);
    assert_in_range(test_manager_most(NULL), 101, 104);
    pool_fixture_close(&fixture);
}

/* Without jitter all end at one time, and are replaced a few at a time before. */
static void test_few_replacements_at_one_time_C18(void **state)
{
    struct pool_fixture fixture = {0};
    struct watcher watcher;

    (void)state;
    test_manager_reset();
    open_supplied(&fixture, "'min_idle': 20, 'max_size': 40, 'max_lifetime': 1000, 'idle_timeout': 1000");
    await_idle(&fixture, 20);
    watch(&watcher, &fixture);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    await_collector_after(&fixture, SECONDS(970));
    for (uint64_t opened = 24; opened <= 40; opened += 4) {
        await_collector_after(&fixture, SECONDS(1));
        assert_int_equal(test_manager_calls(TEST_OPEN), opened);
        assert_int_equal(ended_by_life(&fixture), opened - 24);
        assert_int_equal(pool_numbers(&fixture).idle_base, 20);
        (void)test_manager_wake();
        await_collector(&fixture);
    }
    await_collector_after(&fixture, SECONDS(30));
    assert_int_equal(test_manager_calls(TEST_OPEN), 40);
    assert_int_equal(ended_by_life(&fixture), 20);
    assert_int_equal(atomic_load(&watcher.fewest), 20);
    pool_fixture_close(&fixture);
}

/* A server that is away when the life ends: the old ones serve to their end. */
static void test_the_old_ones_stay_until_their_end_if_no_new_ones_come(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    test_manager_reset();
    open_supplied(&fixture, "'min_idle': 3, 'max_lifetime': 1000");
    await_idle(&fixture, 3);
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    await_collector_after(&fixture, SECONDS(999));
    assert_int_equal(pool_numbers(&fixture).idle_base, 3);
    await_collector_after(&fixture, SECONDS(1));
    await_live(0);
    test_manager_set(TEST_OPEN, test_ok());
    await_collector_after(&fixture, SECONDS(5));
    await_idle(&fixture, 3);
    pool_fixture_close(&fixture);
}

static void test_without_a_free_slot_the_old_one_goes_first(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    test_manager_reset();
    open_supplied(&fixture, "'min_idle': 3, 'max_size': 3, 'max_lifetime': 1000");
    await_idle(&fixture, 3);
    await_collector_after(&fixture, SECONDS(999));
    assert_int_equal(test_manager_calls(TEST_OPEN), 3);
    await_collector_after(&fixture, SECONDS(1));
    await_collector_after(&fixture, MILLISECONDS(100));
    await_idle(&fixture, 3);
    assert_int_equal(test_manager_calls(TEST_OPEN), 6);
    assert_int_equal(test_manager_most(NULL), 3);
    pool_fixture_close(&fixture);
}

/* One that is leased at the end of its life is nobody's to replace. */
static void test_a_leased_one_is_closed_when_it_comes_back(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    test_manager_reset();
    open_supplied(&fixture, "'min_idle': 1, 'max_lifetime': 1000, 'idle_timeout': 1000");
    await_idle(&fixture, 1);
    lease = pool_take(&fixture, "a");
    await_collector_after(&fixture, MILLISECONDS(100));
    await_live(2);
    await_collector_after(&fixture, SECONDS(985)); /* the second is replaced, ahead of its end */
    await_collector_after(&fixture, SECONDS(20));
    pool_give(&lease);
    await_idle(&fixture, 1);
    assert_int_equal(test_manager_calls(TEST_OPEN), 3);
    pool_fixture_close(&fixture);
}

static void test_without_prewarm_nothing_is_replaced(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'background_collector': true, 'min_idle': 3, 'max_lifetime': 1000, "
                                "'endpoints': {'a': {'name': 'a'}}");
    atomic_store(&fixture.clock.is_manual, true);
    pool_park(&fixture, "a", 3);
    await_collector_after(&fixture, SECONDS(999));
    await_collector_after(&fixture, SECONDS(1));
    await_live(0);
    assert_int_equal(test_manager_calls(TEST_OPEN), 3);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_those_opened_together_do_not_end_together_C18),
        cmocka_unit_test(test_few_replacements_at_one_time_C18),
        cmocka_unit_test(test_the_old_ones_stay_until_their_end_if_no_new_ones_come),
        cmocka_unit_test(test_without_a_free_slot_the_old_one_goes_first),
        cmocka_unit_test(test_a_leased_one_is_closed_when_it_comes_back),
        cmocka_unit_test(test_without_prewarm_nothing_is_replaced),
    };

    return cmocka_run_group_tests(tests, open_one, NULL);
}
