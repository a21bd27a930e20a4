/* SPDX-License-Identifier: MIT */
/* reactor_acquire: a request that runs to its end: in which call it is told, of what, by which time, counted as what.
 */
#include <string.h>

#include "reactor_client.h"

static void test_an_open_is_told_inside_dispatch_only(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    reactor = reactor_begin(&fixture);
    assert_false(reactor_is_readable(reactor));
    reactor_submit(reactor, &client, &fixture, "x", 1000);
    assert_int_equal(client.told, 0);
    assert_true(reactor_is_readable(reactor));
    reactor_turn(reactor);
    assert_false(reactor_is_readable(reactor));
    reactor_give(&client, 1);
    assert_string_equal(test_manager_log("opr"), "o1 p1 r1");
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_an_idle_connection_is_taken(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    reactor = reactor_begin(&fixture);
    pool_park(&fixture, "x", 1);
    reactor_submit(reactor, &client, &fixture, "x", 0);
    reactor_run(reactor);
    reactor_give(&client, 1);
    assert_int_equal(pool_numbers(&fixture).reused, 1);
    assert_int_equal(pool_numbers(&fixture).waited, 0);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_a_limit_of_0_opens_nothing(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", 0);
    reactor_run(reactor);
    reactor_assert_told(&client, CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&fixture).timed_out, 1);
    assert_int_equal(test_manager_opened(), 0);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_a_slow_open_goes_on_over_several_dispatches(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", 1000);
    reactor_run(reactor);
    assert_int_equal(client.told, 0);
    assert_int_equal(test_manager_feed(false), 1);
    assert_true(reactor_is_readable(reactor));
    reactor_run(reactor);
    reactor_give(&client, 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_an_open_that_fails_is_told_with_its_error(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", 1000);
    reactor_run(reactor);
    reactor_assert_told(&client, CONNPOOL_FAILED);
    assert_int_equal(client.error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_int_equal(pool_numbers(&fixture).failed, 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* Submit for any of several names; neither the list nor the handles stay. */
static void submit_any(connpool_reactor *reactor, struct reactor_client *client, struct pool_fixture *fixture,
                       const char *const names[2])
{
    connpool_endpoint *list[2];

    for (int i = 0; i < 2; i++) {
        assert_int_equal(connpool_endpoint_get(fixture->pool, names[i], &list[i], NULL), CONNPOOL_OK);
    }
    assert_int_equal(connpool_acquire_any_async(reactor, list, 2, 1000, reactor_client_tell, client, &client->request,
                                                &fixture->error),
                     CONNPOOL_OK);
    for (int i = 0; i < 2; i++) {
        connpool_endpoint_put(list[i]);
        list[i] = NULL;
    }
}

static void test_whichever_of_several_frees_first(void **state)
{
    static const char *const names[] = {"x", "y"};
    struct pool_fixture fixture = {0};
    struct reactor_client clients[3] = {0};
    connpool_reactor *reactor;
    connpool_lease x, y;

    (void)state;
    pool_fixture_open(&fixture, "\"max_size\": 1, \"min_idle\": 0");
    reactor = reactor_begin(&fixture);
    x = pool_take(&fixture, "x");
    y = pool_take(&fixture, "y");
    for (int i = 0; i < 3; i++) {
        submit_any(reactor, &clients[i], &fixture, names);
    }
    reactor_run(reactor);
    reactor_cancel(&clients[0]);
    pool_give(&y);
    reactor_run(reactor);
    reactor_give(&clients[1], 2);
    pool_give(&x);
    reactor_run(reactor);
    assert_int_equal(clients[2].told, 1);
    assert_int_equal(clients[2].status, CONNPOOL_OK);
    pool_give(&clients[2].lease);
    assert_int_equal(clients[0].told, 0);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* The limit counts from the submit, though the first dispatch comes later. */
static void test_the_limit_counts_from_the_submit(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1");
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    reactor_submit(reactor, &client, &fixture, "x", 100);
    reactor_run_after(reactor, &fixture, MILLISECONDS(60));
    assert_int_equal(client.told, 0);
    assert_int_equal(pool_numbers(&fixture).waiters, 1);
    reactor_run_after(reactor, &fixture, MILLISECONDS(39));
    assert_int_equal(client.told, 0);
    reactor_run_after(reactor, &fixture, MILLISECONDS(1));
    reactor_assert_told(&client, CONNPOOL_TIMED_OUT);
    assert_non_null(strstr(client.error.text, "timed out after 100 ms"));
    assert_int_equal(pool_numbers(&fixture).timed_out, 1);
    assert_int_equal(pool_numbers(&fixture).waited, 1);
    assert_int_equal(pool_numbers(&fixture).waiters, 0);
    pool_give(&lease);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* By the system's clock the descriptor itself becomes readable when a time has come. */
static void test_the_descriptor_knows_the_time(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct reactor_client client = {0};
    connpool_reactor *reactor;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1");
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    reactor_submit(reactor, &client, &fixture, "x", 20);
    reactor_run_until_told(reactor, &client);
    reactor_assert_told(&client, CONNPOOL_TIMED_OUT);
    pool_give(&lease);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_a_release_serves_the_first_in_line(void **state)
{
    struct pool_fixture fixture = {0};
    int turn = 0;
    struct reactor_client clients[3] = {{.turn = &turn}, {.turn = &turn}, {.turn = &turn}};
    connpool_reactor *reactor;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 1");
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    for (int i = 0; i < 3; i++) {
        reactor_submit(reactor, &clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    reactor_run(reactor);
    assert_int_equal(pool_numbers(&fixture).waiters, 3);
    pool_give(&lease);
    for (int i = 0; i < 3; i++) {
        reactor_run(reactor);
        reactor_give(&clients[i], 1);
        assert_int_equal(clients[i].place, i);
    }
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* The handle was put back after the submit: the endpoint lives as long as the request. */
static void test_a_run_time_endpoint_lives_as_long_as_its_request(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, "'idle_timeout': 0, 'min_idle': 0");
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(5)));
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "gone", 1000);
    assert_int_equal(test_manager_endpoints(), 1);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(5));
    reactor_give(&client, 1);
    reactor_run(reactor);
    assert_int_equal(test_manager_live(NULL), 0);
    assert_int_equal(test_manager_endpoints(), 0);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* ---- The same hook, observers and counters as in a thread ---- */

struct told {
    unsigned acquired, timed_out, failed;
};

static void note_acquired(void *argument, const struct connpool_event *event)
{
    (void)event;
    ((struct told *)argument)->acquired++;
}

static void note_timed_out(void *argument, const struct connpool_event *event)
{
    assert_int_equal(event->duration, MILLISECONDS(50));
    ((struct told *)argument)->timed_out++;
}

static void note_failed(void *argument, const struct connpool_event *event)
{
    assert_non_null(event->error);
    ((struct told *)argument)->failed++;
}

static connpool_status refuse_every_second(void *argument, const connpool_lease *lease, connpool_error *error)
{
    assert_true(connpool_lease_valid(lease));
    (void)error;
    return ++*(unsigned *)argument % 2 == 0 ? CONNPOOL_FAILED : CONNPOOL_OK;
}

static void test_observers_and_the_hook_are_called(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client clients[3] = {0};
    struct told told = {0};
    struct connpool_observer observer = {.size = sizeof(observer),
                                         .argument = &told,
                                         .acquired = note_acquired,
                                         .timed_out = note_timed_out,
                                         .failed = note_failed};
    unsigned configured = 0;
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 2");
    connpool_pool_on_configure(fixture.pool, refuse_every_second, &configured);
    assert_int_equal(connpool_pool_observe(fixture.pool, &observer), CONNPOOL_OK);
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &clients[0], &fixture, "x", 1000);
    reactor_submit(reactor, &clients[1], &fixture, "x", 1000);
    reactor_run(reactor);
    reactor_assert_told(&clients[0], CONNPOOL_OK);
    reactor_assert_told(&clients[1], CONNPOOL_FAILED);
    assert_non_null(strstr(clients[1].error.text, "configuration failed"));
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    reactor_submit(reactor, &clients[2], &fixture, "x", 50);
    reactor_run(reactor);
    reactor_run_after(reactor, &fixture, MILLISECONDS(50));
    reactor_assert_told(&clients[2], CONNPOOL_TIMED_OUT);
    assert_int_equal(told.acquired, 1);
    assert_int_equal(told.failed, 1);
    assert_int_equal(told.timed_out, 1);
    reactor_give(&clients[0], 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* acquire hands out blocking handles, acquire_async non-blocking ones: prepare is told which. */
static void test_prepare_is_told_that_a_loop_asks(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_reactor *reactor;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", 1000);
    reactor_run(reactor);
    assert_true(test_manager_prepared_for_loop());
    reactor_give(&client, 1);
    lease = pool_take(&fixture, "x");
    assert_false(test_manager_prepared_for_loop());
    pool_give(&lease);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* Nothing is taken from the heap for a request once the reactor is warm; more in flight take more, once. */
static void test_a_warm_reactor_takes_no_memory(void **state)
{
    enum { IN_FLIGHT = 8 };
    struct pool_fixture fixture = {0};
    struct reactor_client clients[IN_FLIGHT] = {0};
    connpool_reactor *reactor;
    uint64_t taken = 0;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 4, 'max_size': 4");
    reactor = reactor_begin(&fixture);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < IN_FLIGHT; i++) {
            reactor_submit(reactor, &clients[i], &fixture, "x", 1000);
        }
        for (int i = 0; i < IN_FLIGHT; i++) {
            reactor_run(reactor);
            reactor_assert_told(&clients[i], CONNPOOL_OK);
            pool_give(&clients[i].lease);
        }
        taken = round < 2 ? failing_allocator_calls() : taken;
    }
    assert_int_equal(failing_allocator_calls(), taken);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

#define WORKERS 16
#define BLOCKED 20

static bool is_every_worker_inside(void *argument)
{
    (void)argument;
    return test_manager_blocked() == WORKERS;
}

/* What blocks does so in at most sixteen threads, and the reactor goes on. */
static void test_blocking_opens_have_few_threads_E17(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct reactor_client blocked[BLOCKED] = {0};
    struct reactor_client other = {0};
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-open', 'max_size': %d", BLOCKED);
    pool_park(&fixture, "y", 1);
    reactor = reactor_begin(&fixture);
    test_manager_set_endpoint("x", TEST_OPEN, test_kind(TEST_BLOCK));
    for (int i = 0; i < BLOCKED; i++) {
        reactor_submit(reactor, &blocked[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    reactor_run(reactor);
    await(is_every_worker_inside, NULL, "the workers");
    reactor_submit(reactor, &other, &fixture, "y", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    reactor_give(&other, 1);
    assert_int_equal(endpoint_numbers(&fixture, "x").opening, BLOCKED);
    assert_int_equal(test_manager_blocked(), WORKERS);
    test_manager_unblock();
    for (int i = 0; i < BLOCKED; i++) {
        reactor_run_until_told(reactor, &blocked[i]);
        reactor_assert_told(&blocked[i], CONNPOOL_OK);
    }
    for (int i = 0; i < BLOCKED; i++) {
        pool_give(&blocked[i].lease);
    }
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_open_is_told_inside_dispatch_only),
        cmocka_unit_test(test_an_idle_connection_is_taken),
        cmocka_unit_test(test_a_limit_of_0_opens_nothing),
        cmocka_unit_test(test_a_slow_open_goes_on_over_several_dispatches),
        cmocka_unit_test(test_an_open_that_fails_is_told_with_its_error),
        cmocka_unit_test(test_whichever_of_several_frees_first),
        cmocka_unit_test(test_the_limit_counts_from_the_submit),
        cmocka_unit_test(test_the_descriptor_knows_the_time),
        cmocka_unit_test(test_a_release_serves_the_first_in_line),
        cmocka_unit_test(test_a_run_time_endpoint_lives_as_long_as_its_request),
        cmocka_unit_test(test_observers_and_the_hook_are_called),
        cmocka_unit_test(test_prepare_is_told_that_a_loop_asks),
        cmocka_unit_test(test_a_warm_reactor_takes_no_memory),
        cmocka_unit_test(test_blocking_opens_have_few_threads_E17),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
