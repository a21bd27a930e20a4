/* SPDX-License-Identifier: MIT */
/* pool_evict: room for one endpoint is made at the expense of another (design.md, Semantics 1 and 6; semantics.md S8,
 * S9, D4, D17, D33). The order itself is in golden_test.c. */
#include "pool_client.h"
#include "pool_fixture.h"

static void test_the_victim_gets_one_step_that_is_cut(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'total_max_size': 1, 'max_size': 1");
    pool_park(&fixture, "x", 1);
    test_manager_set_endpoint("x", TEST_CLOSE, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    lease = pool_take(&fixture, "y");
    assert_int_equal(virtual_clock_now(&fixture.clock), begun);
    assert_string_equal(test_manager_log("ocCd"), "o1 C1 d1 o2");
    assert_int_equal(test_manager_most(NULL), 1);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_EVICTED], 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_the_goodbye_of_a_blocking_manager_is_skipped(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-close', 'total_max_size': 1, 'max_size': 1");
    pool_park(&fixture, "x", 1);
    lease = pool_take(&fixture, "y");
    assert_string_equal(test_manager_log("ocCd"), "o1 d1 o2");
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    pool_fixture_close(&fixture);
}

static void test_own_idle_one_before_any_eviction(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'total_max_size': 2, 'max_size': 2");
    pool_park(&fixture, "x", 1);
    pool_park(&fixture, "y", 1);
    lease = pool_take(&fixture, "y");
    assert_int_equal(lease_number(&lease), 2);
    assert_int_equal(test_manager_live("x"), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* Due soonest: by its lifetime where that ends before its idle time. */
static void test_due_soonest_may_be_the_end_of_a_life(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease a, b, lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'total_max_size': 2, 'idle_timeout': 60, 'max_lifetime': 100, "
                                "'max_size': 2, 'check_after': 1000");
    a = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(50));
    b = pool_take(&fixture, "y");
    pool_give(&b);
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    pool_give(&a);
    /* x is due at 100 by its life, y at 110 by idle time. */
    lease = pool_take(&fixture, "z");
    assert_int_equal(test_manager_live("x"), 0);
    assert_int_equal(test_manager_live("y"), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_extra_goes_before_base_whatever_is_due(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease a, b, lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'total_max_size': 3, 'idle_timeout': 100, 'max_lifetime': 100, "
                                "'max_size': 3, 'check_after': 1000");
    pool_park(&fixture, "old", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(50));
    a = pool_take(&fixture, "x");
    b = pool_take(&fixture, "x");
    pool_give(&a);
    pool_give(&b);
    lease = pool_take(&fixture, "z");
    assert_string_equal(test_manager_log("C"), "C2");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_nothing_idle_anywhere_waits(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;

    (void)state;
    pool_fixture_open(&fixture, "'total_max_size': 1, 'max_size': 1");
    held = pool_take(&fixture, "x");
    assert_int_equal(pool_try(&fixture, "y", 300, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_live("x"), 1);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

static void test_a_limit_of_zero_evicts_nothing(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'total_max_size': 1, 'max_size': 1");
    pool_park(&fixture, "x", 1);
    assert_int_equal(pool_try(&fixture, "y", 0, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_live("x"), 1);
    pool_fixture_close(&fixture);
}

/* Many endpoints take turns on few slots: at no instant are there more. */
static void test_turns_on_few_slots_hold_the_total(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'total_max_size': 3, 'max_size': 2");
    for (int i = 0; i < 200; i++) {
        connpool_lease first = pool_take(&fixture, names[i % 5]);
        connpool_lease second = pool_take(&fixture, names[(i * 3 + 1) % 5]);

        virtual_clock_advance(&fixture.clock, MILLISECONDS(10));
        pool_give(&first);
        pool_give(&second);
    }
    assert_int_equal(test_manager_most(NULL), 3);
    pool_fixture_close(&fixture);
}

/* D4: the slot of the victim is the evictor's by name: one that comes in the middle of the goodbye does not get it. */
static struct pool_fixture *evicting;
static struct pool_client latecomer;

static struct test_behaviour come_late(enum test_operation operation, const struct test_connection *connection)
{
    (void)connection;
    if (operation == TEST_CLOSE && evicting != NULL) {
        struct pool_fixture *fixture = evicting;

        evicting = NULL;
        pool_client_start(&latecomer, fixture, "z", CONNPOOL_WAIT_FOREVER);
        await_waiters(fixture, 1);
    }
    return test_ok();
}

static void test_the_slot_passes_to_the_evictor_by_name_D4(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'total_max_size': 1, 'max_size': 1");
    pool_park(&fixture, "x", 1);
    evicting = &fixture;
    test_manager_choose_by(come_late);
    lease = pool_take(&fixture, "y");
    assert_int_equal(lease_number(&lease), 2);
    assert_false(pool_client_is_done(&latecomer));
    pool_give(&lease);
    pool_client_join_ok(&latecomer);
    pool_give(&latecomer.lease);
    assert_int_equal(test_manager_most(NULL), 1);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_victim_gets_one_step_that_is_cut),
        cmocka_unit_test(test_the_goodbye_of_a_blocking_manager_is_skipped),
        cmocka_unit_test(test_own_idle_one_before_any_eviction),
        cmocka_unit_test(test_due_soonest_may_be_the_end_of_a_life),
        cmocka_unit_test(test_extra_goes_before_base_whatever_is_due),
        cmocka_unit_test(test_nothing_idle_anywhere_waits),
        cmocka_unit_test(test_a_limit_of_zero_evicts_nothing),
        cmocka_unit_test(test_turns_on_few_slots_hold_the_total),
        cmocka_unit_test(test_the_slot_passes_to_the_evictor_by_name_D4),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
