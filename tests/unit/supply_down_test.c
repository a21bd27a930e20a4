/* SPDX-License-Identifier: MIT */
/*
 * supply_down: an endpoint that is down is asked by one open at a time, after pauses that grow; when it is back the
 * opens double with each round (failures.md A1, A31, C9, C19). Time is moved by hand.
 */
#include "pool/backoff.h"
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

static bool has_begun(void *argument)
{
    return test_manager_calls(TEST_OPEN) >= *(const size_t *)argument;
}

/* And their first steps have ended, so that they can be woken. */
static void await_opens(struct pool_fixture *fixture, size_t count)
{
    await(has_begun, &count, "so many opens");
    await_collector(fixture);
}

/* How long it takes, in steps, until there is one open more. */
static int64_t pause_until_next(struct pool_fixture *fixture, int64_t step, int64_t most)
{
    uint64_t opens = test_manager_calls(TEST_OPEN);
    int64_t waited = 0;

    while (test_manager_calls(TEST_OPEN) == opens && waited <= most) {
        await_collector_after(fixture, step);
        waited += step;
    }
    assert_int_equal(test_manager_calls(TEST_OPEN), opens + 1); /* one prober */
    return waited;
}

static void test_pauses_grow_while_it_is_down_A1(void **state)
{
    struct pool_fixture fixture = {0};
    int64_t longest = 0;

    (void)state;
    test_manager_reset();
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    open_supplied(&fixture, "'min_idle': 4");
    await_opens(&fixture, 4); /* nobody knew */
    await_collector(&fixture);
    assert_int_equal(test_manager_calls(TEST_OPEN), 4);
    for (int i = 0; i < 20; i++) {
        int64_t waited = pause_until_next(&fixture, CP_BACKOFF_FIRST / 2, CP_BACKOFF_MOST * 2);

        assert_in_range(waited, CP_BACKOFF_FIRST / 2, CP_BACKOFF_MOST + CP_BACKOFF_FIRST);
        longest = waited > longest ? waited : longest;
    }
    assert_true(longest > CP_BACKOFF_MOST / 2);
    assert_int_equal(atomic_load(&fixture.lines), 1); /* the log is not flooded */
    pool_fixture_close(&fixture);
}

static void test_what_somebody_must_mend_is_tried_at_the_longest_interval_A31(void **state)
{
    static const int32_t classes[] = {CONNPOOL_ERROR_AUTHENTICATION, CONNPOOL_ERROR_TRUST, CONNPOOL_ERROR_CONFIGURATION,
                                      CONNPOOL_ERROR_UNSUPPORTED};

    (void)state;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        struct pool_fixture fixture = {0};

        test_manager_reset();
        test_manager_set(TEST_OPEN, test_fails(classes[i]));
        open_supplied(&fixture, "'min_idle': 1");
        await_opens(&fixture, 1);
        await_collector(&fixture);
        await_collector_after(&fixture, CP_BACKOFF_LONGEST - CP_SECOND);
        assert_int_equal(test_manager_calls(TEST_OPEN), 1);
        await_collector_after(&fixture, CP_BACKOFF_LONGEST / 10 + CP_SECOND + MILLISECONDS(100));
        assert_int_equal(test_manager_calls(TEST_OPEN), 2);
        pool_fixture_close(&fixture);
    }
}

/* C9: refilled without anybody asking; C19: one, then two, three and four at a time. */
static void test_what_comes_back_is_not_stormed_C9_C19(void **state)
{
    struct pool_fixture fixture = {0};
    uint64_t opens;

    (void)state;
    test_manager_reset();
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    open_supplied(&fixture, "'min_idle': 12, 'max_size': 20");
    await_opens(&fixture, 4);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    opens = test_manager_calls(TEST_OPEN);
    await_collector_after(&fixture, CP_BACKOFF_MOST);
    for (uint64_t at_once = 1; at_once <= 4; at_once *= 2) {
        await_opens(&fixture, opens + at_once);
        await_collector_after(&fixture, SECONDS(1));
        assert_int_equal(test_manager_calls(TEST_OPEN), opens + at_once);
        opens += at_once;
        (void)test_manager_wake();
        await_collector(&fixture);
    }
    await_opens(&fixture, opens + 4); /* no more at one time in any case */
    (void)test_manager_wake();
    await_opens(&fixture, opens + 5);
    (void)test_manager_wake();
    await_collector(&fixture);
    assert_int_equal(pool_numbers(&fixture).idle_base, 12);
    pool_fixture_close(&fixture);
}

/* A probe that hangs is the only one until its own limit. */
static void test_a_probe_that_hangs_stands_alone(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    test_manager_reset();
    test_manager_set_nth(1, TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    test_manager_set_nth(2, TEST_OPEN, test_kind(TEST_NEVER));
    open_supplied(&fixture, "'min_idle': 1, 'connect_timeout': 30");
    await_opens(&fixture, 1);
    await_collector_after(&fixture, CP_BACKOFF_MOST);
    await_opens(&fixture, 2);
    await_collector_after(&fixture, SECONDS(29));
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    await_collector_after(&fixture, SECONDS(1));
    await_collector_after(&fixture, CP_BACKOFF_MOST);
    await_opens(&fixture, 3);
    await_live(1);
    pool_fixture_close(&fixture);
}

/* An acquire's success tells that it is back. */
static void test_an_acquire_that_succeeds_ends_the_pause(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    test_manager_reset();
    test_manager_set_nth(1, TEST_OPEN, test_fails(CONNPOOL_ERROR_AUTHENTICATION));
    open_supplied(&fixture, "'min_idle': 1");
    await_opens(&fixture, 1);
    lease = pool_take(&fixture, "a");
    virtual_clock_advance(&fixture.clock, MILLISECONDS(100));
    await_live(2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* plugin-abi.md, Errors: after class 11 nothing is opened for a second where there is another connection. */
static void test_a_full_peer_is_left_alone(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    test_manager_reset();
    test_manager_set_nth(2, TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    open_supplied(&fixture, "'min_idle': 2");
    await_opens(&fixture, 2);
    await_collector_after(&fixture, MILLISECONDS(900));
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    await_collector_after(&fixture, MILLISECONDS(100));
    await_live(2);
    pool_fixture_close(&fixture);
}

static void test_holddown_holds_it_too(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    test_manager_reset();
    test_manager_set_nth(1, TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    open_supplied(&fixture, "'min_idle': 1, 'holddown': 60");
    await_opens(&fixture, 1);
    await_collector_after(&fixture, SECONDS(59));
    assert_int_equal(test_manager_calls(TEST_OPEN), 1);
    await_collector_after(&fixture, SECONDS(1));
    await_live(1);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_grow_while_it_is_down_A1),
        cmocka_unit_test(test_what_somebody_must_mend_is_tried_at_the_longest_interval_A31),
        cmocka_unit_test(test_what_comes_back_is_not_stormed_C9_C19),
        cmocka_unit_test(test_a_probe_that_hangs_stands_alone),
        cmocka_unit_test(test_an_acquire_that_succeeds_ends_the_pause),
        cmocka_unit_test(test_a_full_peer_is_left_alone),
        cmocka_unit_test(test_holddown_holds_it_too),
    };

    return cmocka_run_group_tests(tests, open_one, NULL);
}
