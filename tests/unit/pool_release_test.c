/* SPDX-License-Identifier: MIT */
/* pool_release: where a released connection goes, what is reset, and what is closed when without a collector
 * (semantics.md S19-S29, D7, D11, D19-D21, D24, D30; design.md, Semantics 5, 10, 16). */
#include <string.h>

#include "pool_fixture.h"

/* S23: idle_timeout 0 closes at once, in the order of release. */
static void test_idle_timeout_of_zero_closes_at_once_S23_D30(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[3];

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 0");
    for (int i = 0; i < 3; i++) {
        leases[i] = pool_take(&fixture, "x");
    }
    for (int i = 2; i >= 0; i--) {
        pool_give(&leases[i]);
    }
    assert_string_equal(test_manager_log("cCd"), "c3 d3 c2 d2 c1 d1");
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_IDLE], 3);
    pool_fixture_close(&fixture);
}

static void test_min_idle_are_kept_from_idle_timeout_S26(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'idle_timeout': 0");
    pool_park(&fixture, "x", 3);
    assert_string_equal(test_manager_log("cCd"), "c1 d1 c2 d2");
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    pool_fixture_close(&fixture);
}

static void test_max_lifetime_ends_base_and_extra_S27(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease other;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_lifetime': 100, 'idle_timeout': 100, 'dispose_batch_size': 10");
    pool_park(&fixture, "x", 2);
    virtual_clock_advance(&fixture.clock, SECONDS(100));
    other = pool_take(&fixture, "y");
    pool_give(&other);
    assert_int_equal(test_manager_live("x"), 0);
    assert_int_equal(test_manager_live("y"), 1);
    assert_int_equal(pool_numbers(&fixture).endpoints, 1);
    pool_fixture_close(&fixture);
}

static void test_batch_size_is_obeyed_S24(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease other;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'dispose_batch_size': 2");
    pool_park(&fixture, "x", 5);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    for (size_t left = 5; left > 1; left -= 2) {
        other = pool_take(&fixture, "y");
        assert_int_equal(test_manager_live("x"), left);
        pool_give(&other);
        assert_int_equal(test_manager_live("x"), left - 2);
    }
    pool_fixture_close(&fixture);
}

/* S28: a goodbye that fails is logged, and the connection is gone all the same. */
static void test_failed_close_is_logged_and_over_S28(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 0");
    test_manager_set(TEST_CLOSE, test_fails(CONNPOOL_ERROR_PROTOCOL));
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_live(NULL), 0);
    assert_true(atomic_load(&fixture.lines) > 0);
    pool_fixture_close(&fixture);
}

/* Rule 10, D19: what could not be reset is destroyed without a goodbye, never handed out; the caller is not troubled.
 */
static void run_bad_reset(struct test_behaviour behaviour, int64_t takes)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    pool_fixture_open(&fixture, "'reset_timeout': 3");
    test_manager_set_connection(1, TEST_RESET, behaviour);
    lease = pool_take(&fixture, "x");
    begun = virtual_clock_now(&fixture.clock);
    pool_give(&lease);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, takes);
    assert_string_equal(test_manager_log("rcCd"), "r1 d1");
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_RESET], 1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_bad_reset_is_destroyed_D19(void **state)
{
    (void)state;
    run_bad_reset(test_fails(CONNPOOL_ERROR_PROTOCOL), 0);
    run_bad_reset(test_garbage(1234), 0);
    run_bad_reset(test_garbage(INT32_MIN), 0);
    run_bad_reset(test_kind(TEST_GARBAGE_NO_WAIT), 0);
    run_bad_reset(test_kind(TEST_NEVER), SECONDS(3));
    run_bad_reset((struct test_behaviour){.kind = TEST_TRICKLE, .delay = MILLISECONDS(7)}, SECONDS(3));
}

static void test_slow_reset_is_driven_to_its_end_here(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_RESET, test_slow(MILLISECONDS(40)));
    lease = pool_take(&fixture, "x");
    begun = virtual_clock_now(&fixture.clock);
    pool_give(&lease);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(40));
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    pool_fixture_close(&fixture);
}

/* Rule 5: a resetting connection counts as leased; its class is decided when the reset ends. */
static struct pool_fixture *resetting_fixture;
static struct connpool_statistics while_resetting;

static struct test_behaviour look_while_resetting(enum test_operation operation,
                                                  const struct test_connection *connection)
{
    (void)connection;
    if (operation == TEST_RESET) {
        while_resetting = pool_numbers(resetting_fixture);
    }
    return test_ok();
}

static void test_a_resetting_connection_is_neither_leased_nor_idle(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    resetting_fixture = &fixture;
    test_manager_choose_by(look_while_resetting);
    pool_park(&fixture, "x", 1);
    assert_int_equal(while_resetting.resetting, 1);
    assert_int_equal(while_resetting.leased, 0);
    assert_int_equal(numbers_idle(&while_resetting), 0);
    pool_fixture_close(&fixture);
}

/* Rule 16: all closes of one release share one dispose_timeout. */
static void test_silent_goodbyes_share_one_dispose_timeout_D24(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease other;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'dispose_timeout': 4, 'dispose_batch_size': 9");
    pool_park(&fixture, "x", 3);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    test_manager_set_endpoint("x", TEST_CLOSE, test_kind(TEST_NEVER));
    other = pool_take(&fixture, "y");
    begun = virtual_clock_now(&fixture.clock);
    pool_give(&other);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, SECONDS(4));
    assert_int_equal(test_manager_live("x"), 0);
    pool_fixture_close(&fixture);
}

/* Rule 16: within reset_timeout + dispose_timeout, whatever peers do. */
static void test_release_ends_within_its_two_limits(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease other;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'reset_timeout': 2, 'dispose_timeout': 4");
    pool_park(&fixture, "x", 3);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    test_manager_set(TEST_RESET, test_kind(TEST_NEVER));
    other = pool_take(&fixture, "y");
    begun = virtual_clock_now(&fixture.clock);
    pool_give(&other);
    assert_true(virtual_clock_now(&fixture.clock) - begun <= SECONDS(6));
    test_manager_set(TEST_CLOSE, test_ok());
    pool_fixture_close(&fixture);
}

/* Rule 10: over age or uses: no reset, closed. */
static void test_over_age_on_release_is_closed_without_reset(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_lifetime': 100, 'idle_timeout': 60");
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(500));
    assert_true(connpool_lease_valid(&lease));
    pool_give(&lease);
    assert_string_equal(test_manager_log("rcCd"), "c1 d1");
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_LIFETIME], 1);
    pool_fixture_close(&fixture);
}

/* D21, rule 5: when base ones end, the extra parked last is promoted, to the tail of the base line. */
static void test_extra_is_promoted_when_base_ends_D21(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    /* 1, 2 become extra, 3, 4 base. */
    pool_fixture_open(&fixture, "'min_idle': 2");
    pool_park(&fixture, "x", 4);
    assert_int_equal(pool_numbers(&fixture).idle_base, 2);
    test_manager_set_connection(3, TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 4);
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    assert_int_equal(pool_numbers(&fixture).idle_extra, 1);
    pool_give(&lease);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* D11: an application that went quiet: maintain closes what is due, whatever its number. */
static void test_maintain_closes_all_that_is_due_D11(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'idle_timeout': 10, 'max_lifetime': 100, 'dispose_batch_size': 1");
    pool_park(&fixture, "x", 8);
    assert_int_equal(connpool_maintain(fixture.context), 0);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    assert_int_equal(connpool_maintain(fixture.context), 7);
    assert_int_equal(test_manager_live(NULL), 1);
    virtual_clock_advance(&fixture.clock, SECONDS(90));
    assert_int_equal(connpool_maintain(fixture.context), 1);
    assert_int_equal(test_manager_live(NULL), 0);
    assert_int_equal(connpool_maintain(fixture.context), 0);
    pool_fixture_close(&fixture);
}

static void test_maintain_with_silent_goodbyes_takes_one_dispose_timeout(void **state)
{
    struct pool_fixture fixture = {0};
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'dispose_timeout': 4");
    pool_park(&fixture, "x", 8);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(connpool_maintain(fixture.context), 8);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, SECONDS(4));
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

/* S22, D14: a leased connection never expires, however old its last parking. */
static void test_a_leased_connection_never_expires_D14(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease, other;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'max_lifetime': 100");
    pool_park(&fixture, "x", 1);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(1000));
    assert_int_equal(connpool_maintain(fixture.context), 0);
    other = pool_take(&fixture, "y");
    pool_give(&other);
    assert_int_equal(test_manager_live("x"), 1);
    assert_true(connpool_lease_valid(&lease));
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* D14 (b): released anew, its time begins anew. */
static void test_idle_time_begins_at_the_last_release_D14(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'check_after': 100");
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(9));
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(9));
    assert_int_equal(connpool_maintain(fixture.context), 0);
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    assert_int_equal(connpool_maintain(fixture.context), 1);
    pool_fixture_close(&fixture);
}

/* C18: those opened together do not end together: each life is shortened by up to lifetime_jitter of it. */
static void test_jitter_spreads_the_ends_C18(void **state)
{
    struct pool_fixture fixture = {0};
    size_t ended = 0, moments = 0;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 50, 'max_size': 50, 'max_lifetime': 1000, 'lifetime_jitter': 0.1");
    pool_park(&fixture, "x", 50);
    virtual_clock_advance(&fixture.clock, SECONDS(899));
    assert_int_equal(connpool_maintain(fixture.context), 0);
    for (int second = 899; second < 1000; second++) {
        size_t now_ended;

        virtual_clock_advance(&fixture.clock, SECONDS(1));
        now_ended = connpool_maintain(fixture.context);
        ended += now_ended;
        moments += now_ended > 0;
    }
    assert_int_equal(ended, 50);
    assert_true(moments > 20);
    pool_fixture_close(&fixture);
}

/* D20 */
static void test_discard_destroys_without_a_goodbye_D20(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease, again;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    assert_false(connpool_lease_valid(&lease));
    assert_string_equal(test_manager_log("rcCd"), "d1");
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DISCARDED], 1);
    again = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&again), 2);
    pool_give(&again);
    pool_fixture_close(&fixture);
}

/* Drain closes idle ones now, leased ones on release; what is opened later is not touched. */
static void test_drain(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease old, fresh;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2");
    old = pool_take(&fixture, "x");
    pool_park(&fixture, "x", 2);
    pool_park(&fixture, "y", 1);
    connpool_pool_drain(fixture.pool);
    assert_int_equal(test_manager_live(NULL), 1);
    fresh = pool_take(&fixture, "x");
    pool_give(&old);
    assert_int_equal(test_manager_live(NULL), 1);
    pool_give(&fresh);
    assert_int_equal(test_manager_live(NULL), 1);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DRAINED], 4);
    pool_fixture_close(&fixture);
}

static void test_drain_of_one_endpoint(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *x;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2");
    pool_park(&fixture, "x", 2);
    pool_park(&fixture, "y", 2);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &x, NULL), CONNPOOL_OK);
    connpool_endpoint_drain(x);
    connpool_endpoint_put(x);
    assert_int_equal(test_manager_live("x"), 0);
    assert_int_equal(test_manager_live("y"), 2);
    pool_fixture_close(&fixture);
}

/* The goodbye of what is released and those of what is due are said together. */
static void test_a_release_and_what_is_due_share_one_dispose_timeout(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease used, other;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 3, 'idle_timeout': 1, 'max_uses': 2, 'dispose_timeout': 5");
    pool_park(&fixture, "x", 1);
    used = pool_take(&fixture, "x");
    other = pool_take(&fixture, "x");
    pool_give(&other);
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    virtual_clock_advance(&fixture.clock, SECONDS(2));
    begun = virtual_clock_now(&fixture.clock);
    pool_give(&used);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, SECONDS(5));
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_timeout_of_zero_closes_at_once_S23_D30),
        cmocka_unit_test(test_min_idle_are_kept_from_idle_timeout_S26),
        cmocka_unit_test(test_max_lifetime_ends_base_and_extra_S27),
        cmocka_unit_test(test_batch_size_is_obeyed_S24),
        cmocka_unit_test(test_failed_close_is_logged_and_over_S28),
        cmocka_unit_test(test_bad_reset_is_destroyed_D19),
        cmocka_unit_test(test_slow_reset_is_driven_to_its_end_here),
        cmocka_unit_test(test_a_resetting_connection_is_neither_leased_nor_idle),
        cmocka_unit_test(test_silent_goodbyes_share_one_dispose_timeout_D24),
        cmocka_unit_test(test_release_ends_within_its_two_limits),
        cmocka_unit_test(test_over_age_on_release_is_closed_without_reset),
        cmocka_unit_test(test_extra_is_promoted_when_base_ends_D21),
        cmocka_unit_test(test_maintain_closes_all_that_is_due_D11),
        cmocka_unit_test(test_maintain_with_silent_goodbyes_takes_one_dispose_timeout),
        cmocka_unit_test(test_a_leased_connection_never_expires_D14),
        cmocka_unit_test(test_idle_time_begins_at_the_last_release_D14),
        cmocka_unit_test(test_jitter_spreads_the_ends_C18),
        cmocka_unit_test(test_discard_destroys_without_a_goodbye_D20),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_of_one_endpoint),
        cmocka_unit_test(test_a_release_and_what_is_due_share_one_dispose_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
