/* SPDX-License-Identifier: MIT */
/*
 * reactor_close: the end of a reactor with requests in every state, and of a context that has reactors: each request is
 * told once, nothing is lost, nobody waits for what only the waiter itself could do (failures.md B29, C25).
 */
#include <string.h>

#include "engine/loop.h"
#include "pool/reactor.h"
#include "pool_client.h"
#include "reactor_client.h"
#include "stepped_acquire.h"

static void never_told(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    (void)argument;
    (void)status;
    (void)lease;
    (void)error;
    fail_msg("a request that was not accepted is told");
}

static void test_requests_end_as_closed(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client clients[4] = {0};
    connpool_reactor *reactor;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    test_manager_set_endpoint("slow", TEST_OPEN, test_kind(TEST_NEVER));
    reactor_submit(reactor, &clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_submit(reactor, &clients[1], &fixture, "slow", CONNPOOL_WAIT_FOREVER);
    reactor_submit(reactor, &clients[2], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(2));
    pool_give(&lease); /* granted to the first, not delivered */
    reactor_submit(reactor, &clients[3], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_end(reactor);
    for (int i = 0; i < 4; i++) {
        reactor_assert_told(&clients[i], CONNPOOL_CLOSED);
        assert_non_null(strstr(clients[i].error.text, "reactor"));
    }
    assert_int_equal(pool_numbers(&fixture).waiters, 0);
    assert_int_equal(pool_numbers(&fixture).opening, 0);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

struct others {
    connpool_reactor *reactor;
    struct reactor_client *cancelled;
    struct pool_fixture *fixture;
};

static void cancel_and_submit(struct reactor_client *client)
{
    struct others *others = client->argument;
    connpool_endpoint *endpoint;

    reactor_cancel(others->cancelled);
    assert_int_equal(connpool_endpoint_get(others->fixture->pool, "x", &endpoint, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_acquire_async(others->reactor, endpoint, 0, never_told, NULL, NULL, NULL),
                     CONNPOOL_CLOSED);
    connpool_endpoint_put(endpoint);
    assert_int_equal(connpool_reactor_dispatch(others->reactor), CONNPOOL_INVALID);
    assert_int_equal(connpool_reactor_close(others->reactor), CONNPOOL_INVALID);
}

static void test_callbacks_inside_it_are_as_inside_dispatch_B29(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client cancelled = {0};
    struct others others = {.cancelled = &cancelled, .fixture = &fixture};
    struct reactor_client first = {.then = cancel_and_submit, .argument = &others};

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    others.reactor = reactor_begin(&fixture);
    reactor_submit(others.reactor, &first, &fixture, "x", 1000);
    reactor_submit(others.reactor, &cancelled, &fixture, "x", 1000);
    reactor_end(others.reactor);
    reactor_assert_told(&first, CONNPOOL_CLOSED);
    assert_int_equal(cancelled.told, 0);
    pool_fixture_close(&fixture);
}

/* ---- What it drove for connections ---- */

/* A reset that a release in the reactor's thread began. */
static connpool_reactor *with_a_reset_under_way(struct pool_fixture *fixture, const char *keys)
{
    connpool_reactor *reactor;
    connpool_lease lease;

    pool_fixture_open(fixture, "%s", keys);
    test_manager_set(TEST_RESET, test_kind(TEST_SLOW_WAKE));
    reactor = reactor_begin(fixture);
    lease = pool_take(fixture, "x");
    pool_give(&lease);
    reactor_run(reactor);
    assert_int_equal(pool_numbers(fixture).resetting, 1);
    return reactor;
}

static void test_what_it_drives_is_abandoned_where_nobody_else_is(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;

    (void)state;
    reactor = with_a_reset_under_way(&fixture, POOL_DEFAULTS);
    reactor_end(reactor);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

static void test_what_it_drives_goes_on_in_another_reactor_of_the_thread(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *second;
    connpool_reactor *first;

    (void)state;
    first = with_a_reset_under_way(&fixture, POOL_DEFAULTS);
    second = reactor_begin(&fixture);
    reactor_end(first);
    reactor_run(second);
    assert_int_equal(test_manager_wake(), 1);
    reactor_run(second);
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    reactor_end(second);
    pool_fixture_close(&fixture);
}

static bool is_idle(void *argument)
{
    (void)test_manager_wake();
    return pool_numbers(argument).idle_base == 1;
}

/* An open that its request leaves goes to the collector, as does what a closing reactor leaves. */
static void test_what_it_drives_goes_on_in_the_collector(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, "'background_collector': true");
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", 1000);
    reactor_run(reactor);
    reactor_end(reactor);
    reactor_assert_told(&client, CONNPOOL_CLOSED);
    await(is_idle, &fixture, "the open to end in the collector");
    pool_fixture_close(&fixture);
}

/* A wake that is under way to a request holds its memory, and the loop's descriptors, until it has been given. */
static void test_a_late_wake_meets_nothing_of_anothers_C25(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;
    struct cp_waker *late;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", 1000);
    reactor_run(reactor);
    late = cp_waker_ref(&client.request.record->task.waker);
    reactor_end(reactor);
    reactor_assert_told(&client, CONNPOOL_CLOSED);
    cp_waker_fire(late);
    pool_fixture_close(&fixture);
}

/* ---- The context closes ---- */

/* Another thread closes the context; the reactor's requests are told at its next dispatch. */
static void *close_context(void *argument)
{
    struct pool_fixture *fixture = argument;

    (void)connpool_close(fixture->context, 10000, NULL);
    atomic_store(&fixture->is_closing, true);
    return NULL;
}

static bool is_readable(void *argument)
{
    return reactor_is_readable(argument);
}

static void test_another_threads_close_ends_its_requests_at_the_next_dispatch(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct reactor_client clients[2] = {0};
    connpool_reactor *reactor;
    connpool_lease lease;
    pthread_t thread;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_set_endpoint("slow", TEST_OPEN, test_kind(TEST_NEVER));
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    reactor_submit(reactor, &clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_submit(reactor, &clients[1], &fixture, "slow", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    assert_int_equal(pthread_create(&thread, NULL, close_context, &fixture), 0);
    await(is_readable, reactor, "the reactor to be called");
    reactor_run_until_told(reactor, &clients[0]);
    reactor_run_until_told(reactor, &clients[1]);
    reactor_assert_told(&clients[0], CONNPOOL_CLOSED);
    reactor_assert_told(&clients[1], CONNPOOL_CLOSED);
    assert_false(atomic_load(&fixture.is_closing));
    pool_give(&lease);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_null(connpool_reactor_new(fixture.context, &fixture.error)); /* the reactor keeps its memory */
    assert_int_equal(fixture.error.status, CONNPOOL_CLOSED);
    reactor_end(reactor);
    pool_fixture_assert_nothing_left(&fixture);
}

static void *close_at_once(void *argument)
{
    struct pool_fixture *fixture = argument;

    fixture->clock.context = NULL;
    assert_int_equal(connpool_close(fixture->context, 0, NULL), CONNPOOL_STILL_LEASED);
    return NULL;
}

/* Its requests were passed over (core/pool/lane.h), and stood in no line when the context closed. */
static void test_requests_that_were_passed_over_are_told_of_a_close(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client clients[2] = {0};
    struct stepped_acquire taker;
    connpool_reactor *reactor;
    connpool_lease lease;
    pthread_t thread;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    reactor_submit(reactor, &clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_submit(reactor, &clients[1], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(2));
    pool_give(&lease);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(2));
    stepped_acquire_start(&taker, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_run(&taker, 1);
    stepped_acquire_assert(&taker, CONNPOOL_OK);
    assert_int_equal(pool_numbers(&fixture).waiters, 0);
    assert_int_equal(pthread_create(&thread, NULL, close_at_once, &fixture), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    reactor_run(reactor);
    reactor_assert_told(&clients[0], CONNPOOL_CLOSED);
    reactor_assert_told(&clients[1], CONNPOOL_CLOSED);
    pool_give(&taker.acquire.lease);
    reactor_end(reactor);
    pool_fixture_assert_nothing_left(&fixture);
}

/* The reactor's own thread waits in connpool_close for opens, resets and closes that only its reactor drove. */
static void test_its_own_threads_close_does_not_wait_for_itself(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct reactor_client clients[2] = {0};
    connpool_reactor *reactor;
    connpool_endpoint *endpoint;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'reset_timeout': 0.02");
    test_manager_set_endpoint("slow", TEST_OPEN, test_kind(TEST_NEVER));
    test_manager_set_endpoint("reset", TEST_RESET, test_kind(TEST_NEVER));
    reactor = reactor_begin(&fixture);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    lease = pool_take(&fixture, "reset");
    pool_give(&lease);
    reactor_submit(reactor, &clients[0], &fixture, "slow", CONNPOOL_WAIT_FOREVER);
    reactor_submit(reactor, &clients[1], &fixture, "reset", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    assert_int_equal(pool_numbers(&fixture).opening, 1);
    assert_int_equal(pool_numbers(&fixture).resetting, 1);
    assert_int_equal(connpool_close(fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    assert_int_equal(clients[0].told + clients[1].told, 0);
    assert_int_equal(connpool_acquire_async(reactor, endpoint, 0, never_told, NULL, NULL, NULL), CONNPOOL_CLOSED);
    assert_true(reactor_is_readable(reactor));
    reactor_run(reactor);
    reactor_assert_told(&clients[0], CONNPOOL_CLOSED);
    reactor_assert_told(&clients[1], CONNPOOL_CLOSED);
    reactor_end(reactor);
    connpool_endpoint_put(endpoint);
    pool_fixture_assert_nothing_left(&fixture);
}

/* What connpool_close gives up at its end is over: no reactor goes on with it. */
static void test_a_close_that_gives_up_leaves_nothing_to_a_reactor(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    reactor = reactor_begin(&fixture);
    pool_park(&fixture, "x", 2);
    fixture.clock.context = NULL;
    assert_int_equal(connpool_close(fixture.context, 0, NULL), CONNPOOL_OK);
    assert_int_equal(test_manager_live(NULL), 0);
    reactor_end(reactor);
    pool_fixture_assert_nothing_left(&fixture);
}

/* One that ended by the close and is cancelled before it is told is not told. */
static void test_a_request_that_ended_by_a_close_can_be_cancelled(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client clients[2] = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    reactor = reactor_begin(&fixture);
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    reactor_submit(reactor, &clients[0], &fixture, "x", 1000);
    reactor_submit(reactor, &clients[1], &fixture, "x", 1000);
    reactor_run(reactor);
    fixture.clock.context = NULL;
    assert_int_equal(connpool_close(fixture.context, 0, NULL), CONNPOOL_OK);
    assert_true(reactor_is_readable(reactor));
    reactor_cancel(&clients[0]);
    reactor_end(reactor);
    assert_int_equal(clients[0].told, 0);
    reactor_assert_told(&clients[1], CONNPOOL_CLOSED);
    pool_fixture_assert_nothing_left(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_end_as_closed),
        cmocka_unit_test(test_callbacks_inside_it_are_as_inside_dispatch_B29),
        cmocka_unit_test(test_what_it_drives_is_abandoned_where_nobody_else_is),
        cmocka_unit_test(test_what_it_drives_goes_on_in_another_reactor_of_the_thread),
        cmocka_unit_test(test_what_it_drives_goes_on_in_the_collector),
        cmocka_unit_test(test_a_late_wake_meets_nothing_of_anothers_C25),
        cmocka_unit_test(test_another_threads_close_ends_its_requests_at_the_next_dispatch),
        cmocka_unit_test(test_requests_that_were_passed_over_are_told_of_a_close),
        cmocka_unit_test(test_its_own_threads_close_does_not_wait_for_itself),
        cmocka_unit_test(test_a_close_that_gives_up_leaves_nothing_to_a_reactor),
        cmocka_unit_test(test_a_request_that_ended_by_a_close_can_be_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
