/* SPDX-License-Identifier: MIT */
/* pool_dead: what one dead connection says about the others of its endpoint (design.md, Semantics 7; semantics.md D1,
 * D25; failures.md A10, A20-A22). */
#include <string.h>

#include "pool_fixture.h"

static void test_dead_by_an_event_makes_those_parked_earlier_be_checked_A22_D25(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 5, 'check_after': 1000");
    pool_park(&fixture, "x", 5);
    test_manager_set_connection(1, TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    pool_park(&fixture, "x", 1);
    assert_string_equal(test_manager_log("kd"), "d1 k2");
    for (int i = 0; i < 3; i++) {
        pool_park(&fixture, "x", 1);
    }
    assert_string_equal(test_manager_log("kd"), "d1 k2 k3 k4 k5");
    for (int i = 0; i < 4; i++) {
        pool_park(&fixture, "x", 1);
    }
    assert_string_equal(test_manager_log("kd"), "d1 k2 k3 k4 k5");
    pool_fixture_close(&fixture);
}

static void test_suspicion_does_not_reach_other_endpoints(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'check_after': 1000");
    pool_park(&fixture, "x", 1);
    pool_park(&fixture, "y", 1);
    test_manager_set_connection(1, TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    pool_park(&fixture, "x", 1);
    pool_park(&fixture, "y", 1);
    assert_int_equal(test_manager_calls(TEST_CHECK), 0);
    assert_int_equal(test_manager_live("y"), 1);
    pool_fixture_close(&fixture);
}

/* A vanished server costs one limit, not one for each connection. */
static void test_dead_by_check_timeout_cuts_those_parked_earlier_unchecked_A22(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[6];
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 5, 'check_after': 1, 'check_timeout': 2");
    pool_park(&fixture, "x", 5);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    test_manager_set(TEST_CHECK, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    for (int i = 0; i < 6; i++) {
        leases[i] = pool_take(&fixture, "x");
        assert_int_equal(lease_number(&leases[i]), 6 + i);
    }
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, SECONDS(2));
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    assert_int_equal(test_manager_live(NULL), 6);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD], 5);
    for (int i = 0; i < 6; i++) {
        pool_give(&leases[i]);
    }
    pool_fixture_close(&fixture);
}

/* Rule 8: the caller's deadline is never evidence against a connection: it says nothing about the others. */
static void test_a_callers_deadline_is_no_evidence(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2, 'check_after': 1, 'check_timeout': 2");
    pool_park(&fixture, "x", 2);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    test_manager_set_connection(1, TEST_CHECK, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 300, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(300));
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD], 0);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_all_dead_ends_in_a_new_one(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 3, 'max_size': 3, 'check_after': 0");
    pool_park(&fixture, "x", 3);
    for (uint32_t i = 1; i <= 3; i++) {
        test_manager_set_connection(i, TEST_CHECK, test_fails(CONNPOOL_ERROR_CLOSED));
    }
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 4);
    assert_int_equal(test_manager_live(NULL), 1);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD], 3);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* The server is gone: the idle ones are dead, and the new one is refused. One error, no connection. */
static void test_a_dead_server_gives_one_error(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 3, 'check_after': 0");
    pool_park(&fixture, "x", 3);
    test_manager_set(TEST_CHECK, test_fails(CONNPOOL_ERROR_CLOSED));
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_int_equal(test_manager_live(NULL), 0);
    assert_int_equal(pool_numbers(&fixture).leased, 0);
    pool_fixture_close(&fixture);
}

/* A10, A20: without an idle operation, what is readable or hung up is dead. */
static void run_readable(bool hang_up)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    pool_fixture_open(&fixture, "'manager': 'test-sockets', 'check_after': 1000");
    pool_park(&fixture, "x", 1);
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_opened(), 1);
    assert_int_equal(test_manager_feed(hang_up), 1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    assert_string_equal(test_manager_log("cCd"), "d1");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_readable_without_an_idle_operation_is_dead_A10_A20(void **state)
{
    (void)state;
    run_readable(false);
    run_readable(true);
}

/* The idle operation is asked with what is ready; it may find its peer gone. */
static void test_idle_operation_sees_the_hang_up_A10(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'check_after': 1000");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 1);
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_opened(), 1);
    test_manager_feed(true);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* BUSY: healthy, not now: another one is taken, and this one stays. */
static void test_a_busy_one_is_passed_by(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease, second;
    struct test_behaviour busy = {.kind = TEST_BUSY, .delay = SECONDS(1)};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2, 'check_after': 1000");
    pool_park(&fixture, "x", 2);
    test_manager_set_connection(1, TEST_IDLE, busy);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    assert_int_equal(test_manager_live(NULL), 2);
    assert_int_equal(pool_try(&fixture, "x", 0, &second), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_live(NULL), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* Where no collector watches, an acquire that would wait drives a busy one's idle step as its own wait. */
static void test_a_busy_one_is_waited_for_where_nothing_else_is_left(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    struct test_behaviour busy = {.kind = TEST_BUSY, .delay = MILLISECONDS(200)};
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'check_after': 1000");
    pool_park(&fixture, "x", 1);
    test_manager_set(TEST_IDLE, busy);
    begun = virtual_clock_now(&fixture.clock);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(200));
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

struct late_release {
    struct pool_fixture fixture;
    connpool_lease lease;
};

static void release_late(void *argument, int64_t until)
{
    struct late_release *scene = argument;

    (void)until;
    pool_give(&scene->lease);
    virtual_clock_advance(&scene->fixture.clock, 0); /* sleep again */
}

/* What is released while the check runs has just been heard of. */
static void test_a_check_without_answer_condemns_what_was_parked_before_it_began(void **state)
{
    struct late_release scene = {0};
    connpool_lease first, second, lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'min_idle': 3, 'max_size': 3, 'check_after': 0.2, 'check_timeout': 0.5");
    first = pool_take(&scene.fixture, "x");
    second = pool_take(&scene.fixture, "x");
    scene.lease = pool_take(&scene.fixture, "x");
    pool_give(&first);
    pool_give(&second);
    virtual_clock_advance(&scene.fixture.clock, MILLISECONDS(300));
    test_manager_set_connection(1, TEST_CHECK, test_kind(TEST_NEVER));
    virtual_clock_on_sleep(&scene.fixture.clock, release_late, &scene);
    lease = pool_take(&scene.fixture, "x");
    assert_int_equal(lease_number(&lease), 3);
    assert_int_equal(pool_numbers(&scene.fixture).ended[CONNPOOL_REASON_DEAD], 2);
    assert_int_equal(test_manager_live(NULL), 1);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

/* A manager may note what it knows so far and go on. */
static void test_a_check_that_noted_a_fault_and_got_no_answer_is_a_timeout(void **state)
{
    struct pool_fixture fixture = {0};
    struct test_behaviour noted = {.kind = TEST_NEVER, .error_class = CONNPOOL_ERROR_TRANSIENT};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2, 'max_size': 2, 'check_after': 1, 'check_timeout': 2");
    pool_park(&fixture, "x", 2);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    test_manager_set_connection(1, TEST_CHECK, noted);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 3);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD], 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_by_an_event_makes_those_parked_earlier_be_checked_A22_D25),
        cmocka_unit_test(test_suspicion_does_not_reach_other_endpoints),
        cmocka_unit_test(test_dead_by_check_timeout_cuts_those_parked_earlier_unchecked_A22),
        cmocka_unit_test(test_a_callers_deadline_is_no_evidence),
        cmocka_unit_test(test_all_dead_ends_in_a_new_one),
        cmocka_unit_test(test_a_dead_server_gives_one_error),
        cmocka_unit_test(test_readable_without_an_idle_operation_is_dead_A10_A20),
        cmocka_unit_test(test_idle_operation_sees_the_hang_up_A10),
        cmocka_unit_test(test_a_busy_one_is_passed_by),
        cmocka_unit_test(test_a_busy_one_is_waited_for_where_nothing_else_is_left),
        cmocka_unit_test(test_a_check_without_answer_condemns_what_was_parked_before_it_began),
        cmocka_unit_test(test_a_check_that_noted_a_fault_and_got_no_answer_is_a_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
