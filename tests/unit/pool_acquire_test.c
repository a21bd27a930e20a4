/* SPDX-License-Identifier: MIT */
/* pool_acquire: which connection an acquire gets, what is asked of it first, and when it fails (semantics.md S4-S18;
 * design.md, Semantics 5, 7, 15). */
#include <string.h>

#include "pool_fixture.h"

static void test_nothing_is_connected_before_the_first_acquire_S4(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 3, 'endpoints': {'e': {'name': 'e'}}");
    assert_int_equal(test_manager_opened(), 0);
    pool_fixture_close(&fixture);
    assert_int_equal(test_manager_opened(), 0);
}

static void test_round_robin_among_base_S6(void **state)
{
    struct pool_fixture fixture = {0};
    static const uint32_t expected[] = {1, 2, 3, 1, 2, 3};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 3");
    pool_park(&fixture, "x", 3);
    for (size_t i = 0; i < 6; i++) {
        connpool_lease lease = pool_take(&fixture, "x");

        assert_int_equal(lease_number(&lease), expected[i]);
        pool_give(&lease);
    }
    pool_fixture_close(&fixture);
}

static void test_times_out_at_its_limit_S10(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    held = pool_take(&fixture, "x");
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 250, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(250));
    assert_int_equal(pool_numbers(&fixture).leased, 1);
    assert_int_equal(pool_numbers(&fixture).waiters, 0);
    assert_int_equal(pool_numbers(&fixture).timed_out, 1);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

static void test_order_of_steps_of_new_and_reused_S11_S16(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'check_after': 0");
    pool_park(&fixture, "x", 1);
    assert_string_equal(test_manager_log("okprcCd"), "o1 p1 r1");
    pool_park(&fixture, "x", 1);
    assert_string_equal(test_manager_log("okprcCd"), "o1 p1 r1 k1 p1 r1");
    assert_string_not_equal(test_manager_log("i"), "");
    pool_fixture_close(&fixture);
    assert_string_equal(test_manager_log("cCd"), "c1 d1");
}

static void test_check_only_after_check_after(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'check_after': 0.5");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(490));
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 0);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(510));
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_fixture_close(&fixture);
}

/* D1, D2: a connection that fails its check is destroyed without a goodbye, whatever the failure, and replaced. */
static void run_dead(enum test_operation operation, struct test_behaviour behaviour)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    pool_fixture_open(&fixture, "'check_after': 0");
    pool_park(&fixture, "x", 1);
    test_manager_set_connection(1, operation, behaviour);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    assert_string_equal(test_manager_log("cCd"), "d1");
    assert_int_equal(test_manager_live(NULL), 1);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD], 1);
    assert_int_equal(pool_numbers(&fixture).leased, 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_dead_when_found_is_destroyed_and_replaced_D1_S12(void **state)
{
    (void)state;
    run_dead(TEST_CHECK, test_fails(CONNPOOL_ERROR_CLOSED));
    run_dead(TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    run_dead(TEST_PREPARE, test_fails(CONNPOOL_ERROR_CLOSED));
}

static void test_check_that_errs_or_hangs_means_dead_D2_S13(void **state)
{
    (void)state;
    run_dead(TEST_CHECK, test_fails(CONNPOOL_ERROR_INTERNAL));
    run_dead(TEST_CHECK, test_kind(TEST_NEVER));
    run_dead(TEST_CHECK, test_kind(TEST_GARBAGE_NO_WAIT));
    run_dead(TEST_CHECK, test_garbage(77));
    run_dead(TEST_CHECK, test_garbage(-99));
}

static void test_failed_open_leaves_nothing_S14(void **state)
{
    struct pool_fixture fixture = {0};
    struct test_behaviour refused = test_fails(CONNPOOL_ERROR_REFUSED);
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    refused.text = "nobody listens there";
    test_manager_set(TEST_OPEN, refused);
    for (int i = 0; i < 3; i++) {
        struct connpool_statistics numbers;

        assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
        assert_int_equal(fixture.error.status, CONNPOOL_FAILED);
        assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_REFUSED);
        assert_non_null(strstr(fixture.error.text, "nobody listens there"));
        assert_non_null(strstr(fixture.error.text, "x"));
        numbers = pool_numbers(&fixture);
        assert_int_equal(numbers_size(&numbers), 0);
        assert_int_equal(test_manager_live(NULL), 0);
    }
    assert_string_equal(test_manager_log("cCd"), "d1 d2 d3");
    assert_int_equal(pool_numbers(&fixture).failed, 3);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_OPEN], 3);
    pool_fixture_close(&fixture);
}

static void test_prepare_that_fails_on_a_new_one_is_a_failed_open(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_PREPARE, test_fails(CONNPOOL_ERROR_PROTOCOL));
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_PROTOCOL);
    assert_string_equal(test_manager_log("oprcCd"), "o1 p1 d1");
    pool_fixture_close(&fixture);
}

static void test_pool_default_limit_S17(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'acquire_timeout': 0.75");
    held = pool_take(&fixture, "x");
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", CONNPOOL_WAIT_DEFAULT, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(750));
    pool_give(&held);
    pool_fixture_close(&fixture);
}

/* D9: a limit of 0 takes what is idle; it opens nothing and waits for nothing. */
static void test_limit_of_zero_takes_what_is_idle_D9(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_opened(), 0);
    pool_park(&fixture, "x", 1);
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_limit_of_zero_skips_what_needs_a_check_unharmed(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'check_after': 0.5");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_calls(TEST_CHECK), 0);
    assert_int_equal(test_manager_live(NULL), 1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* D10, rule 15: none is handed out beyond its lifetime, also where nothing collects. */
static void test_over_age_is_not_handed_out_D10(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_lifetime': 100, 'idle_timeout': 60, 'check_after': 1000");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(100));
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    assert_int_equal(test_manager_live(NULL), 1);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_LIFETIME], 1);
    assert_string_equal(test_manager_log("cCd"), "C1 d1");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_over_age_is_not_handed_out_by_a_limit_of_zero(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_lifetime': 100, 'idle_timeout': 60, 'check_after': 1000");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(101));
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    pool_fixture_close(&fixture);
}

/* A step is told the limit of its operation, not that of the acquire. */
static void test_the_deadline_of_open_is_its_own(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'connect_timeout': 30, 'check_timeout': 2, 'check_after': 0");
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_OK);
    assert_int_equal(test_manager_deadline(TEST_OPEN), begun + SECONDS(30));
    pool_give(&lease);
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_OK);
    assert_int_equal(test_manager_deadline(TEST_CHECK), begun + SECONDS(2));
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_slow_operations_take_their_time(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'check_after': 0");
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(300)));
    test_manager_set(TEST_CHECK, test_slow(MILLISECONDS(200)));
    begun = virtual_clock_now(&fixture.clock);
    lease = pool_take(&fixture, "x");
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(300));
    pool_give(&lease);
    lease = pool_take(&fixture, "x");
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(500));
    assert_int_equal(test_manager_opened(), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_the_last_place_of_max_size_and_total_S31(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[4], lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 2, 'total_max_size': 3");
    leases[0] = pool_take(&fixture, "x");
    leases[1] = pool_take(&fixture, "x");
    assert_int_equal(pool_try(&fixture, "x", 10, &lease), CONNPOOL_TIMED_OUT);
    leases[2] = pool_take(&fixture, "y");
    assert_int_equal(pool_try(&fixture, "y", 10, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_try(&fixture, "z", 10, &lease), CONNPOOL_TIMED_OUT);
    for (int i = 0; i < 3; i++) {
        pool_give(&leases[i]);
    }
    assert_int_equal(test_manager_most("x"), 2);
    assert_int_equal(test_manager_most(NULL), 3);
    pool_fixture_close(&fixture);
}

static void test_limits_are_readable_S1_S31(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_limits limits = {.size = sizeof(limits)};

    (void)state;
    pool_fixture_open_json(&fixture, "{'pools': {'p': {'manager': 'test'}}}");
    connpool_pool_limits(fixture.pool, &limits);
    assert_true(limits.idle_timeout == 60.0 && limits.max_lifetime == 3600.0 && limits.lifetime_jitter == 0.1);
    assert_int_equal(limits.min_idle, 1);
    assert_int_equal(limits.max_size, 10);
    assert_int_equal(limits.total_max_size, 100);
    assert_int_equal(limits.max_endpoints, 10000);
    assert_int_equal(limits.dispose_batch_size, 0);
    assert_int_equal(limits.background_collector, 0);
    assert_int_equal(limits.max_uses, 0);
    assert_int_equal(limits.max_waiters, 0);
    assert_true(limits.acquire_timeout == -1.0 && limits.connect_timeout == 30.0 && limits.check_timeout == 1.0);
    assert_true(limits.reset_timeout == 5.0 && limits.dispose_timeout == 5.0 && limits.check_after == 0.5);
    assert_true(limits.holddown == 0.0);
    assert_string_equal(connpool_pool_name(fixture.pool), "p");
    assert_string_equal(connpool_pool_manager(fixture.pool), "test");
    pool_fixture_close(&fixture);
}

/* S2, D27 */
static void test_wrong_relations_are_refused_S2_D27(void **state)
{
    static const char *const refused[] = {
        "{\"pools\": {\"p\": {\"manager\": \"test\", \"min_idle\": 11}}}",
        "{\"pools\": {\"p\": {\"manager\": \"test\", \"max_size\": 101}}}",
        "{\"pools\": {\"p\": {\"manager\": \"test\", \"idle_timeout\": 3601}}}",
        "{\"pools\": {\"p\": {\"manager\": \"test\", \"max_size\": 0, \"min_idle\": 0}}}",
        "{\"pools\": {\"p\": {\"manager\": \"test\", \"idle_timeout\": -1}}}",
        "{\"pools\": {\"p\": {\"manager\": \"test\", \"total_max_size\": 0}}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct pool_fixture fixture = {0};

        if (pool_fixture_try_open(&fixture, refused[i]) != CONNPOOL_INVALID) {
            fail_msg("not refused: %s", refused[i]);
        }
    }
}

static void test_max_uses(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'max_uses': 2");
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_live(NULL), 1);
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_live(NULL), 0);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_USES], 1);
    assert_string_equal(test_manager_log("rcCd"), "r1 c1 d1");
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_connected_before_the_first_acquire_S4),
        cmocka_unit_test(test_round_robin_among_base_S6),
        cmocka_unit_test(test_times_out_at_its_limit_S10),
        cmocka_unit_test(test_order_of_steps_of_new_and_reused_S11_S16),
        cmocka_unit_test(test_check_only_after_check_after),
        cmocka_unit_test(test_dead_when_found_is_destroyed_and_replaced_D1_S12),
        cmocka_unit_test(test_check_that_errs_or_hangs_means_dead_D2_S13),
        cmocka_unit_test(test_failed_open_leaves_nothing_S14),
        cmocka_unit_test(test_prepare_that_fails_on_a_new_one_is_a_failed_open),
        cmocka_unit_test(test_pool_default_limit_S17),
        cmocka_unit_test(test_limit_of_zero_takes_what_is_idle_D9),
        cmocka_unit_test(test_limit_of_zero_skips_what_needs_a_check_unharmed),
        cmocka_unit_test(test_over_age_is_not_handed_out_D10),
        cmocka_unit_test(test_over_age_is_not_handed_out_by_a_limit_of_zero),
        cmocka_unit_test(test_the_deadline_of_open_is_its_own),
        cmocka_unit_test(test_slow_operations_take_their_time),
        cmocka_unit_test(test_the_last_place_of_max_size_and_total_S31),
        cmocka_unit_test(test_limits_are_readable_S1_S31),
        cmocka_unit_test(test_wrong_relations_are_refused_S2_D27),
        cmocka_unit_test(test_max_uses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
