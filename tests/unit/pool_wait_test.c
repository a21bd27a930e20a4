/* SPDX-License-Identifier: MIT */
/*
 * pool_wait: the line of waiters: nobody sleeps while there is something for him, first come first served with
 * overtaking under a millisecond, no wake is lost (design.md, Semantics 3, 4, 10; semantics.md D3, D6, D12, D13, D33;
 * failures.md C1-C5, C7, C11-C14, B8, B11). What another party does while a thread waits is done from the clock's sleep
 * hook in the same thread where that is enough: so the order is always the same.
 */
#include <string.h>

#include "pool_client.h"
#include "pool_fixture.h"

/* What a sleep hook works on. */
struct scene {
    struct pool_fixture fixture;
    connpool_lease held;
    connpool_lease other;
    connpool_status status;
};

static void release_held(void *argument, int64_t until)
{
    struct scene *scene = argument;

    (void)until;
    pool_give(&scene->held);
}

static void discard_held(void *argument, int64_t until)
{
    struct scene *scene = argument;

    (void)until;
    assert_int_equal(connpool_discard(&scene->held), CONNPOOL_OK);
}

static void test_a_waiter_gets_what_is_released_D3(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, release_held, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", CONNPOOL_WAIT_FOREVER, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 1);
    assert_int_equal(pool_numbers(&scene.fixture).waited, 1);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

static void test_a_waiter_evicts_what_another_endpoint_releases_D3_C14(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1, 'total_max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, release_held, &scene);
    assert_int_equal(pool_try(&scene.fixture, "y", CONNPOOL_WAIT_FOREVER, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 2);
    assert_int_equal(test_manager_most(NULL), 1);
    assert_int_equal(pool_numbers(&scene.fixture).ended[CONNPOOL_REASON_EVICTED], 1);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

static void test_a_waiter_gets_the_slot_of_what_is_discarded(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, discard_held, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", CONNPOOL_WAIT_FOREVER, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

static void test_a_waiter_gets_the_slot_where_the_reset_fails(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    test_manager_set(TEST_RESET, test_fails(CONNPOOL_ERROR_PROTOCOL));
    virtual_clock_on_sleep(&scene.fixture.clock, release_held, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", CONNPOOL_WAIT_FOREVER, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

static void release_and_overtake(void *argument, int64_t until)
{
    struct scene *scene = argument;

    release_held(argument, until);
    scene->status = pool_try(&scene->fixture, "x", 0, &scene->other);
}

static void release_late_and_try(void *argument, int64_t until)
{
    struct scene *scene = argument;

    virtual_clock_advance(&scene->fixture.clock, MILLISECONDS(1) + 1);
    release_and_overtake(argument, until);
}

static void test_newcomers_overtake_for_a_millisecond(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, release_and_overtake, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", 100, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(scene.status, CONNPOOL_OK);
    pool_give(&scene.other);
    pool_fixture_close(&scene.fixture);
}

static void test_after_a_millisecond_release_hands_over_D13_C13(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, release_late_and_try, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", 100, &lease), CONNPOOL_OK);
    assert_int_equal(scene.status, CONNPOOL_TIMED_OUT);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

/* The coarse clock may be milliseconds behind: the releaser reads the precise one when somebody waits. */
static void test_the_millisecond_is_read_precisely(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    atomic_store(&scene.fixture.clock.coarse_lag, MILLISECONDS(4));
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, release_late_and_try, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", 100, &lease), CONNPOOL_OK);
    assert_int_equal(scene.status, CONNPOOL_TIMED_OUT);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

static void release_at_the_deadline(void *argument, int64_t until)
{
    struct scene *scene = argument;

    virtual_clock_advance(&scene->fixture.clock, until - virtual_clock_now(&scene->fixture.clock));
    release_held(argument, until);
}

/* C1: the connection comes as the time runs out: whoever wins, it is not lost. */
static void test_hand_over_at_the_deadline_loses_nothing_C1(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;
    connpool_status status;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, release_at_the_deadline, &scene);
    status = pool_try(&scene.fixture, "x", 100, &lease);
    assert_int_equal(status, CONNPOOL_OK);
    pool_give(&lease);
    assert_int_equal(pool_try(&scene.fixture, "x", 0, &lease), CONNPOOL_OK);
    pool_give(&lease);
    assert_int_equal(pool_numbers(&scene.fixture).waiters, 0);
    pool_fixture_close(&scene.fixture);
}

/* ---- With threads ---- */

static void test_served_in_order_of_arrival_D13(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client clients[6] = {0};
    atomic_int turn = 0;
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    held = pool_take(&fixture, "x");
    for (uint64_t i = 0; i < 6; i++) {
        clients[i].turn = &turn;
        pool_client_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
        await_waiters(&fixture, i + 1);
    }
    virtual_clock_advance(&fixture.clock, MILLISECONDS(2));
    for (int i = 0; i < 6; i++) {
        pool_give(i == 0 ? &held : &clients[i - 1].lease);
        pool_client_join_ok(&clients[i]);
        assert_int_equal(clients[i].place, i);
    }
    pool_give(&clients[5].lease);
    pool_fixture_close(&fixture);
}

/* C14, rule 6: what frees goes to the first of all that can use it, whichever its endpoint. */
static void test_total_limit_serves_the_first_of_all_endpoints_C14(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client first = {0}, second = {0};
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'total_max_size': 1");
    held = pool_take(&fixture, "x");
    pool_client_start(&first, &fixture, "y", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    pool_client_start(&second, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 2);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(5));
    pool_give(&held);
    pool_client_join_ok(&first);
    assert_false(pool_client_is_done(&second));
    pool_give(&first.lease);
    pool_client_join_ok(&second);
    pool_give(&second.lease);
    assert_int_equal(test_manager_most(NULL), 1);
    pool_fixture_close(&fixture);
}

/* C3, rule 10: an open fails while others wait for its slot. No time limit helps anybody. */
static void test_failed_open_passes_its_slot_on_C3(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client opener = {0}, waiters[3] = {0};
    struct test_behaviour late_failure = {.kind = TEST_SLOW_WAKE, .error_class = CONNPOOL_ERROR_REFUSED};

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_set_nth(1, TEST_OPEN, late_failure);
    pool_client_start(&opener, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_live(1);
    for (uint64_t i = 0; i < 3; i++) {
        pool_client_start(&waiters[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
        await_waiters(&fixture, i + 1);
    }
    test_manager_wake();
    pool_client_join(&opener);
    assert_int_equal(opener.status, CONNPOOL_FAILED);
    for (int i = 0; i < 3; i++) {
        pool_client_join_ok(&waiters[i]);
        pool_give(&waiters[i].lease);
    }
    assert_int_equal(test_manager_opened(), 2);
    pool_fixture_close(&fixture);
}

static void test_failed_opens_fail_all_waiters_one_by_one_C3(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client clients[4] = {0};
    struct test_behaviour late_failure = {.kind = TEST_SLOW_WAKE, .error_class = CONNPOOL_ERROR_REFUSED};

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_set_nth(1, TEST_OPEN, late_failure);
    for (uint64_t n = 2; n <= 4; n++) {
        test_manager_set_nth(n, TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    }
    pool_client_start(&clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_live(1);
    for (uint64_t i = 1; i < 4; i++) {
        pool_client_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
        await_waiters(&fixture, i);
    }
    test_manager_wake();
    for (int i = 0; i < 4; i++) {
        pool_client_join(&clients[i]);
        assert_int_equal(clients[i].status, CONNPOOL_FAILED);
    }
    pool_fixture_close(&fixture);
}

/* C4, D12: the first waiter is woken, and its time is up before it looks. The second has no limit. */
static void test_a_wake_that_comes_too_late_is_passed_on_C4_D12(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client first = {0}, second = {0};
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    atomic_store(&fixture.clock.is_manual, true);
    held = pool_take(&fixture, "x");
    pool_client_start(&first, &fixture, "x", 100);
    await_waiters(&fixture, 1);
    pool_client_start(&second, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 2);
    atomic_fetch_add(&fixture.clock.now, MILLISECONDS(101));
    pool_give(&held);
    virtual_clock_advance(&fixture.clock, 0);
    pool_client_join(&first);
    if (first.status == CONNPOOL_OK) {
        pool_give(&first.lease);
    } else {
        assert_int_equal(first.status, CONNPOOL_TIMED_OUT);
    }
    pool_client_join_ok(&second);
    pool_give(&second.lease);
    pool_fixture_close(&fixture);
}

static void test_max_waiters_fails_the_next_at_once(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client clients[2] = {0};
    connpool_lease held, lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'max_waiters': 2");
    held = pool_take(&fixture, "x");
    for (uint64_t i = 0; i < 2; i++) {
        pool_client_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
        await_waiters(&fixture, i + 1);
    }
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_OVERLOADED);
    assert_int_equal(virtual_clock_now(&fixture.clock), begun);
    assert_int_equal(pool_numbers(&fixture).overloaded, 1);
    assert_int_equal(pool_numbers(&fixture).waiters, 2);
    pool_give(&held);
    pool_client_join_ok(&clients[0]);
    pool_give(&clients[0].lease);
    pool_client_join_ok(&clients[1]);
    pool_give(&clients[1].lease);
    pool_fixture_close(&fixture);
}

/* B8: the holder of the last connection asks for one more: no deadlock, the limit ends it. */
static void test_nested_acquire_ends_by_its_limit_B8(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease outer, inner;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    outer = pool_take(&fixture, "x");
    assert_int_equal(pool_try(&fixture, "x", 2000, &inner), CONNPOOL_TIMED_OUT);
    assert_non_null(strstr(fixture.error.text, "1 leased"));
    pool_give(&outer);
    pool_fixture_close(&fixture);
}

/* B11: a thread ends while it holds a lease; another gives it back. */
static void test_a_lease_outlives_its_thread_B11(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    pool_client_join_ok(&client);
    assert_int_equal(pool_try(&fixture, "x", 10, &lease), CONNPOOL_TIMED_OUT);
    pool_give(&client.lease);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* C12: what happens in between does not lengthen a limit. */
static void churn(void *argument, int64_t until)
{
    struct scene *scene = argument;

    virtual_clock_advance(&scene->fixture.clock, MILLISECONDS(1) / 2);
    connpool_clock_moved(scene->fixture.context);
    if (virtual_clock_now(&scene->fixture.clock) < until) {
        virtual_clock_on_sleep(&scene->fixture.clock, churn, scene);
    }
}

static void test_spurious_wakes_do_not_lengthen_a_limit_C11_C12(void **state)
{
    struct scene scene = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&scene.fixture, "'max_size': 1");
    scene.held = pool_take(&scene.fixture, "x");
    begun = virtual_clock_now(&scene.fixture.clock);
    virtual_clock_on_sleep(&scene.fixture.clock, churn, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", 100, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&scene.fixture.clock) - begun, MILLISECONDS(100));
    pool_give(&scene.held);
    pool_fixture_close(&scene.fixture);
}

/* B30: a long line costs nothing but memory of those that stand in it. */
static void test_a_long_line_drains(void **state)
{
    enum { LINE = 64 };
    static struct pool_client clients[LINE];
    struct pool_fixture fixture = {0};
    connpool_lease held;
    size_t served = 0;

    (void)state;
    memset(clients, 0, sizeof(clients));
    pool_fixture_open(&fixture, "'max_size': 1");
    held = pool_take(&fixture, "x");
    for (uint64_t i = 0; i < LINE; i++) {
        pool_client_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    await_waiters(&fixture, LINE);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(2));
    pool_give(&held);
    while (served < LINE) {
        for (size_t i = 0; i < LINE; i++) {
            if (clients[i].fixture != NULL && pool_client_is_done(&clients[i])) {
                pool_client_join_ok(&clients[i]);
                pool_give(&clients[i].lease);
                clients[i].fixture = NULL;
                served++;
            }
        }
    }
    assert_int_equal(test_manager_opened(), 1);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_waiter_gets_what_is_released_D3),
        cmocka_unit_test(test_a_waiter_evicts_what_another_endpoint_releases_D3_C14),
        cmocka_unit_test(test_a_waiter_gets_the_slot_of_what_is_discarded),
        cmocka_unit_test(test_a_waiter_gets_the_slot_where_the_reset_fails),
        cmocka_unit_test(test_newcomers_overtake_for_a_millisecond),
        cmocka_unit_test(test_after_a_millisecond_release_hands_over_D13_C13),
        cmocka_unit_test(test_the_millisecond_is_read_precisely),
        cmocka_unit_test(test_hand_over_at_the_deadline_loses_nothing_C1),
        cmocka_unit_test(test_served_in_order_of_arrival_D13),
        cmocka_unit_test(test_total_limit_serves_the_first_of_all_endpoints_C14),
        cmocka_unit_test(test_failed_open_passes_its_slot_on_C3),
        cmocka_unit_test(test_failed_opens_fail_all_waiters_one_by_one_C3),
        cmocka_unit_test(test_a_wake_that_comes_too_late_is_passed_on_C4_D12),
        cmocka_unit_test(test_max_waiters_fails_the_next_at_once),
        cmocka_unit_test(test_nested_acquire_ends_by_its_limit_B8),
        cmocka_unit_test(test_a_lease_outlives_its_thread_B11),
        cmocka_unit_test(test_spurious_wakes_do_not_lengthen_a_limit_C11_C12),
        cmocka_unit_test(test_a_long_line_drains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
