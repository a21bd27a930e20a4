/* SPDX-License-Identifier: MIT */
/*
 * reactor_misuse: what async.h answers to calls in the wrong thread, inside a callback, after a fork, of what is NULL
 * or another's (failures.md B29): each has an answer, and nothing happens.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reactor_client.h"

static void ignore(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    (void)argument;
    (void)status;
    (void)lease;
    (void)error;
}

static void test_arguments_are_looked_at(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_fixture other = {.keeps_settings = true};
    connpool_endpoint *endpoint;
    connpool_endpoint *foreign;
    connpool_endpoint *both[2];
    connpool_reactor *reactor;
    connpool_error error;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_open(&other, POOL_DEFAULTS);
    reactor = reactor_begin(&fixture);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(other.pool, "x", &foreign, NULL), CONNPOOL_OK);
    both[0] = endpoint;
    both[1] = foreign;
    assert_null(connpool_reactor_new(NULL, &error));
    assert_int_equal(error.status, CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_acquire_async(NULL, endpoint, 0, ignore, NULL, NULL, &error), CONNPOOL_INVALID);
    assert_int_equal(connpool_acquire_async(reactor, NULL, 0, ignore, NULL, NULL, &error), CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_acquire_async(reactor, endpoint, 0, NULL, NULL, NULL, &error), CONNPOOL_INVALID);
    assert_int_equal(connpool_acquire_async(reactor, endpoint, -3, ignore, NULL, NULL, &error), CONNPOOL_INVALID);
    assert_non_null(strstr(error.text, "-3"));
    assert_int_equal(connpool_acquire_async(reactor, foreign, 0, ignore, NULL, NULL, &error), CONNPOOL_INVALID);
    assert_non_null(strstr(error.text, "context"));
    assert_int_equal(connpool_acquire_any_async(reactor, NULL, 1, 0, ignore, NULL, NULL, &error), CONNPOOL_INVALID);
    assert_int_equal(connpool_acquire_any_async(reactor, &endpoint, 0, 0, ignore, NULL, NULL, &error),
                     CONNPOOL_INVALID);
    assert_non_null(strstr(error.text, "0 endpoints"));
    assert_int_equal(connpool_acquire_any_async(reactor, both, 2, 0, ignore, NULL, NULL, &error), CONNPOOL_INVALID);
    assert_non_null(strstr(error.text, "one pool"));
    assert_int_equal(connpool_request_cancel(NULL), CONNPOOL_STALE);
    assert_int_equal(connpool_request_cancel(&(connpool_request)CONNPOOL_REQUEST_NONE), CONNPOOL_STALE);
    assert_int_equal(connpool_reactor_fd(NULL), -1);
    assert_int_equal(connpool_reactor_dispatch(NULL), CONNPOOL_INVALID);
    assert_int_equal(connpool_reactor_close(NULL), CONNPOOL_OK);
    reactor_end(reactor);
    connpool_endpoint_put(endpoint);
    connpool_endpoint_put(foreign);
    assert_int_equal(connpool_close(other.context, 0, NULL), CONNPOOL_OK);
    pool_fixture_close(&fixture);
}

/* ---- Another thread ---- */

struct other_thread {
    struct pool_fixture fixture;
    connpool_reactor *reactor;
    connpool_endpoint *endpoint;
    connpool_request request;
};

static void *call_everything(void *argument)
{
    struct other_thread *other = argument;
    connpool_error error;

    assert_int_equal(connpool_reactor_dispatch(other->reactor), CONNPOOL_INVALID);
    assert_int_equal(connpool_reactor_close(other->reactor), CONNPOOL_INVALID);
    assert_int_equal(connpool_request_cancel(&other->request), CONNPOOL_INVALID);
    assert_int_equal(connpool_acquire_async(other->reactor, other->endpoint, 0, ignore, NULL, &other->request, &error),
                     CONNPOOL_INVALID);
    assert_non_null(strstr(error.text, "thread"));
    assert_true(connpool_reactor_fd(other->reactor) >= 0);
    return NULL;
}

static void test_another_thread_is_refused_B29(void **state)
{
    struct other_thread other = {0};
    struct reactor_client client = {0};
    pthread_t thread;

    (void)state;
    pool_fixture_open(&other.fixture, POOL_DEFAULTS);
    other.reactor = reactor_begin(&other.fixture);
    assert_int_equal(connpool_endpoint_get(other.fixture.pool, "x", &other.endpoint, NULL), CONNPOOL_OK);
    reactor_submit(other.reactor, &client, &other.fixture, "x", 1000);
    other.request = client.request;
    assert_int_equal(pthread_create(&thread, NULL, call_everything, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    reactor_run(other.reactor);
    reactor_give(&client, 1);
    connpool_endpoint_put(other.endpoint);
    reactor_end(other.reactor);
    pool_fixture_close(&other.fixture);
}

/* ---- Inside a callback ---- */

struct inside {
    struct pool_fixture fixture;
    connpool_reactor *reactor;
    connpool_reactor *second;
    struct reactor_client *other;
    struct reactor_client client;
    int observed, calls;
};

static void begin(struct inside *inside, void (*then)(struct reactor_client *client))
{
    pool_fixture_open(&inside->fixture, "'max_size': 1, 'min_idle': 1");
    inside->reactor = reactor_begin(&inside->fixture);
    inside->client.then = then;
    inside->client.argument = inside;
    reactor_submit(inside->reactor, &inside->client, &inside->fixture, "x", 1000);
}

static void end(struct inside *inside)
{
    reactor_end(inside->reactor);
    pool_fixture_close(&inside->fixture);
}

static void run_loops(struct reactor_client *client)
{
    struct inside *inside = client->argument;

    assert_int_equal(connpool_reactor_dispatch(inside->reactor), CONNPOOL_INVALID);
    assert_int_equal(connpool_reactor_close(inside->reactor), CONNPOOL_INVALID);
    assert_int_equal(connpool_reactor_dispatch(inside->second), CONNPOOL_INVALID);
    assert_int_equal(connpool_reactor_close(inside->second), CONNPOOL_INVALID);
    assert_int_equal(connpool_close(inside->fixture.context, 1, NULL), CONNPOOL_INVALID);
    assert_int_equal(connpool_close(inside->fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_INVALID);
}

static void test_no_loop_is_run_inside_a_callback_B29(void **state)
{
    struct inside inside = {0};

    (void)state;
    begin(&inside, run_loops);
    inside.second = reactor_begin(&inside.fixture);
    reactor_run(inside.reactor);
    reactor_give(&inside.client, 1);
    reactor_end(inside.second);
    end(&inside);
}

static void submit_and_release(struct reactor_client *client)
{
    struct inside *inside = client->argument;

    reactor_submit(inside->reactor, inside->other, &inside->fixture, "x", 1000);
    pool_give(&client->lease);
}

/* What a callback submits begins in the next dispatch, for which the descriptor stays readable. */
static void test_a_callback_may_submit_and_release_B29(void **state)
{
    struct inside inside = {0};
    struct reactor_client other = {0};

    (void)state;
    inside.other = &other;
    begin(&inside, submit_and_release);
    reactor_turn(inside.reactor);
    assert_int_equal(inside.client.told, 1);
    assert_int_equal(other.told, 0);
    assert_true(reactor_is_readable(inside.reactor));
    reactor_turn(inside.reactor);
    reactor_give(&other, 1);
    end(&inside);
}

static void cancel_both(struct reactor_client *client)
{
    struct inside *inside = client->argument;

    assert_int_equal(connpool_request_cancel(&client->request), CONNPOOL_STALE);
    reactor_cancel(inside->other);
    assert_int_equal(connpool_request_cancel(&inside->other->request), CONNPOOL_STALE);
}

/* Itself: too late. Another, that is to be stepped in the same dispatch: it is not told. */
static void test_a_callback_may_cancel_B29(void **state)
{
    struct inside inside = {0};
    struct reactor_client other = {0};

    (void)state;
    inside.other = &other;
    begin(&inside, cancel_both);
    reactor_submit(inside.reactor, &other, &inside.fixture, "y", 1000);
    reactor_run(inside.reactor);
    assert_int_equal(other.told, 0);
    reactor_give(&inside.client, 1);
    end(&inside);
    assert_int_equal(other.told, 0);
}

static void cancel_the_other(struct reactor_client *client)
{
    struct inside *inside = client->argument;

    reactor_cancel(client == &inside->client ? inside->other : &inside->client);
}

/* Both sockets are ready in one look at the epoll: what came for the one that is cancelled is neither told to it nor
 * lost for its open, which goes on and feeds the pool. */
static void test_what_is_ready_in_the_same_dispatch_is_cancelled_B29(void **state)
{
    struct inside inside = {0};
    struct reactor_client other = {.then = cancel_the_other, .argument = &inside};

    (void)state;
    inside.other = &other;
    begin(&inside, cancel_the_other);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    reactor_submit(inside.reactor, &other, &inside.fixture, "y", 1000);
    reactor_turn(inside.reactor);
    assert_int_equal(pool_numbers(&inside.fixture).opening, 2);
    assert_int_equal(test_manager_feed(false), 2);
    reactor_turn(inside.reactor);
    assert_int_equal(inside.client.told + other.told, 1);
    reactor_run(inside.reactor);
    assert_int_equal(inside.client.told + other.told, 1);
    assert_int_equal(pool_numbers(&inside.fixture).opened, 2);
    assert_int_equal(pool_numbers(&inside.fixture).idle_base, 1);
    pool_give(inside.client.told != 0 ? &inside.client.lease : &other.lease);
    end(&inside);
}

static void cancel_itself(void *argument, const struct connpool_event *event)
{
    struct inside *inside = argument;

    (void)event;
    assert_int_equal(connpool_request_cancel(&inside->client.request), CONNPOOL_INVALID);
}

/* An observer that is told of the open that the request itself makes. */
static void test_a_request_in_its_own_step_is_not_cancelled_B29(void **state)
{
    struct inside inside = {0};
    struct connpool_observer observer = {.size = sizeof(observer), .argument = &inside, .opened = cancel_itself};

    (void)state;
    begin(&inside, NULL);
    assert_int_equal(connpool_pool_observe(inside.fixture.pool, &observer), CONNPOOL_OK);
    reactor_run(inside.reactor);
    reactor_give(&inside.client, 1);
    end(&inside);
}

static void close_at_once(struct reactor_client *client)
{
    struct inside *inside = client->argument;
    size_t left = 0;

    assert_int_equal(connpool_close(inside->fixture.context, 0, &left), CONNPOOL_STILL_LEASED);
    assert_int_equal(left, 1);
}

/* The context goes while a callback of it runs; those that wait are told in the next dispatch. */
static void test_a_callback_may_close_the_context_without_a_wait_B29(void **state)
{
    struct inside inside = {0};
    struct reactor_client other = {0};

    (void)state;
    begin(&inside, close_at_once);
    reactor_submit(inside.reactor, &other, &inside.fixture, "x", CONNPOOL_WAIT_FOREVER);
    inside.fixture.clock.context = NULL;
    reactor_run(inside.reactor);
    reactor_assert_told(&inside.client, CONNPOOL_OK);
    reactor_assert_told(&other, CONNPOOL_CLOSED);
    pool_give(&inside.client.lease);
    reactor_run(inside.reactor);
    reactor_end(inside.reactor);
    pool_fixture_assert_nothing_left(&inside.fixture);
}

/* ---- Inside an observer ---- */

static void run_loops_as_observer(void *argument, const struct connpool_event *event)
{
    struct inside *inside = argument;

    (void)event;
    inside->observed++;
    assert_int_equal(connpool_reactor_dispatch(inside->reactor), CONNPOOL_INVALID);
    assert_int_equal(connpool_reactor_close(inside->reactor), CONNPOOL_INVALID);
    assert_int_equal(connpool_close(inside->fixture.context, 1, NULL), CONNPOOL_INVALID);
}

/* A connection is being checked for a request; an observer is told when it ends. */
static void begin_observed(struct inside *inside)
{
    struct connpool_observer observer = {.size = sizeof(observer), .argument = inside, .closed = run_loops_as_observer};

    pool_fixture_open(&inside->fixture, "'max_size': 1, 'min_idle': 1, 'check_after': 0");
    assert_int_equal(connpool_pool_observe(inside->fixture.pool, &observer), CONNPOOL_OK);
    inside->reactor = reactor_begin(&inside->fixture);
    pool_park(&inside->fixture, "x", 1);
    test_manager_set(TEST_CHECK, test_kind(TEST_NEVER));
    reactor_submit(inside->reactor, &inside->client, &inside->fixture, "x", 1000);
    reactor_run(inside->reactor);
    assert_int_equal(pool_numbers(&inside->fixture).leased, 1);
}

/* Without memory nobody can go on with the check: the connection ends inside the cancel. */
static void test_no_loop_is_run_by_an_observer_of_a_cancel_B29(void **state)
{
    struct inside inside = {0};

    (void)state;
    begin_observed(&inside);
    failing_allocator_fail(1, true);
    reactor_cancel(&inside.client);
    failing_allocator_fail(0, false);
    assert_int_equal(inside.observed, 1);
    end(&inside);
}

/* The check that a request left goes on in the reactor, and ends with it. */
static void test_no_loop_is_run_by_an_observer_of_a_close_B29(void **state)
{
    struct inside inside = {0};

    (void)state;
    begin_observed(&inside);
    reactor_cancel(&inside.client);
    assert_int_equal(inside.observed, 0);
    reactor_end(inside.reactor);
    assert_int_equal(inside.observed, 1);
    pool_fixture_close(&inside.fixture);
}

static void test_no_loop_is_run_by_an_observer_as_the_context_closes_B29(void **state)
{
    struct inside inside = {0};

    (void)state;
    begin_observed(&inside);
    inside.fixture.clock.context = NULL;
    assert_int_equal(connpool_close(inside.fixture.context, 0, NULL), CONNPOOL_OK);
    assert_int_equal(inside.observed, 1);
    reactor_run(inside.reactor);
    reactor_assert_told(&inside.client, CONNPOOL_CLOSED);
    reactor_end(inside.reactor);
    pool_fixture_assert_nothing_left(&inside.fixture);
}

/* ---- A thread that is cancelled ---- */

/* Dispatched, so that the next call has to wake it again. */
static void count_call(struct inside *inside)
{
    int cancel_state;

    inside->calls++;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    reactor_run(inside->reactor);
    (void)pthread_setcancelstate(cancel_state, NULL);
}

static void *call_cancelled(void *argument)
{
    struct inside *inside = argument;
    int cancel_state;

    inside->reactor = reactor_begin(&inside->fixture);
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    (void)pthread_cancel(pthread_self());
    reactor_submit(inside->reactor, &inside->client, &inside->fixture, "x", 1000);
    count_call(inside);
    connpool_clock_moved(inside->fixture.context);
    count_call(inside);
    reactor_cancel(&inside->client);
    count_call(inside);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    reactor_end(inside->reactor);
    return NULL;
}

/* No call is ended half-way, where it wakes a loop. */
static void test_no_call_is_a_cancellation_point_B12(void **state)
{
    struct inside inside = {0};
    pthread_t thread;

    (void)state;
    pool_fixture_open(&inside.fixture, "'max_size': 1, 'min_idle': 1");
    assert_int_equal(pthread_create(&thread, NULL, call_cancelled, &inside), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(inside.calls, 3);
    pool_fixture_close(&inside.fixture);
}

/* ---- After a fork ---- */

static bool is_refused_in_child(connpool_reactor *reactor, connpool_endpoint *endpoint, struct pool_fixture *fixture,
                                connpool_request *request)
{
    return connpool_reactor_fd(reactor) == -1 && connpool_reactor_dispatch(reactor) == CONNPOOL_FORKED &&
           connpool_acquire_async(reactor, endpoint, 0, ignore, NULL, NULL, NULL) == CONNPOOL_FORKED &&
           connpool_request_cancel(request) == CONNPOOL_FORKED && connpool_reactor_close(reactor) == CONNPOOL_FORKED &&
           connpool_reactor_new(fixture->context, NULL) == NULL;
}

static void test_a_forked_child_is_refused(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    connpool_endpoint *endpoint;
    connpool_reactor *reactor;
    int status = 0;
    pid_t child;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    reactor = reactor_begin(&fixture);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    reactor_submit(reactor, &client, &fixture, "x", 1000);
    child = fork();
    if (child == 0) {
        _exit(is_refused_in_child(reactor, endpoint, &fixture, &client.request) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(reactor_is_readable(reactor));
    reactor_run(reactor);
    reactor_give(&client, 1);
    connpool_endpoint_put(endpoint);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* ---- Out of memory ---- */

static void test_without_memory_nothing_is_begun(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor = NULL;
    connpool_endpoint *endpoint;
    uint64_t k = 0;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    while (reactor == NULL) {
        failing_allocator_fail(++k, false);
        reactor = connpool_reactor_new(fixture.context, &fixture.error);
        assert_true(reactor != NULL || fixture.error.status == CONNPOOL_NO_MEMORY);
        failing_allocator_fail(0, false);
    }
    assert_true(k > 2);
    failing_allocator_fail(1, false);
    assert_int_equal(connpool_acquire_async(reactor, endpoint, 0, ignore, NULL, NULL, NULL), CONNPOOL_NO_MEMORY);
    for (k = 1; k <= 2; k++) { /* the list, then the record */
        failing_allocator_fail(k, false);
        assert_int_equal(connpool_acquire_any_async(reactor, (connpool_endpoint *[]){endpoint, endpoint}, 2, 0, ignore,
                                                    NULL, NULL, NULL),
                         CONNPOOL_NO_MEMORY);
    }
    failing_allocator_fail(0, false);
    connpool_endpoint_put(endpoint);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_are_looked_at),
        cmocka_unit_test(test_another_thread_is_refused_B29),
        cmocka_unit_test(test_no_loop_is_run_inside_a_callback_B29),
        cmocka_unit_test(test_a_callback_may_submit_and_release_B29),
        cmocka_unit_test(test_a_callback_may_cancel_B29),
        cmocka_unit_test(test_what_is_ready_in_the_same_dispatch_is_cancelled_B29),
        cmocka_unit_test(test_a_request_in_its_own_step_is_not_cancelled_B29),
        cmocka_unit_test(test_a_callback_may_close_the_context_without_a_wait_B29),
        cmocka_unit_test(test_no_loop_is_run_by_an_observer_of_a_cancel_B29),
        cmocka_unit_test(test_no_loop_is_run_by_an_observer_of_a_close_B29),
        cmocka_unit_test(test_no_loop_is_run_by_an_observer_as_the_context_closes_B29),
        cmocka_unit_test(test_no_call_is_a_cancellation_point_B12),
        cmocka_unit_test(test_a_forked_child_is_refused),
        cmocka_unit_test(test_without_memory_nothing_is_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
