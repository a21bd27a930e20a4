/* SPDX-License-Identifier: MIT */
/*
 * wait_ready: connpool_wait_ready returns when every named endpoint with `prewarm` has min_idle connections, or says
 * which has not; nothing is looked at in between but when something has changed.
 */
#include <connpool/async.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/context.h"
#include "pool_fixture.h"

static int open_one(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_close(&fixture);
    return 0;
}

static void open_two(struct pool_fixture *fixture)
{
    fixture->keeps_settings = true;
    pool_fixture_open(fixture, "'background_collector': true, 'prewarm': true, 'min_idle': 3, "
                               "'endpoints': {'a': {'name': 'a'}, 'b': {'name': 'b'}}");
}

/* Another thread that waits. */
struct waiter {
    struct pool_fixture *fixture;
    int timeout_ms;
    connpool_status status;
    connpool_error error;
    atomic_bool is_done;
    pthread_t thread;
};

static void *wait_ready(void *argument)
{
    struct waiter *waiter = argument;

    waiter->status = connpool_wait_ready(waiter->fixture->context, waiter->timeout_ms, &waiter->error);
    atomic_store(&waiter->is_done, true);
    return NULL;
}

/* Those that sleep, or are about to: the collector sleeps as well, so that the clock cannot tell. */
static size_t standing(struct connpool *context)
{
    const struct cp_ready_waiter *waiter;
    size_t count = 0;

    cp_lock_take(&context->lock);
    LIST_FOREACH (waiter, &context->ready_waiters, entry) {
        count++;
    }
    cp_lock_give(&context->lock);
    return count;
}

static void waiter_start(struct waiter *waiter, struct pool_fixture *fixture, int timeout_ms)
{
    size_t before = standing(fixture->context);

    *waiter = (struct waiter){.fixture = fixture, .timeout_ms = timeout_ms};
    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_ready, waiter), 0);
    while (standing(fixture->context) == before && !atomic_load(&waiter->is_done)) {
        (void)sched_yield();
    }
}

static bool waiter_is_done(void *waiter)
{
    return atomic_load(&((struct waiter *)waiter)->is_done);
}

static void waiter_join(struct waiter *waiter)
{
    assert_int_equal(pthread_join(waiter->thread, NULL), 0);
}

static void test_it_ends_when_the_last_endpoint_has_enough(void **state)
{
    struct pool_fixture fixture = {0};
    struct waiter waiters[3];

    (void)state;
    test_manager_reset();
    test_manager_set_endpoint("b", TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    open_two(&fixture);
    atomic_store(&fixture.clock.is_manual, true);
    for (size_t i = 0; i < 3; i++) {
        waiter_start(&waiters[i], &fixture, CONNPOOL_WAIT_FOREVER);
    }
    await_collector(&fixture);
    for (size_t i = 0; i < 3; i++) {
        assert_false(atomic_load(&waiters[i].is_done));
    }
    (void)test_manager_wake();
    for (size_t i = 0; i < 3; i++) {
        waiter_join(&waiters[i]);
        assert_int_equal(waiters[i].status, CONNPOOL_OK);
    }
    assert_int_equal(pool_numbers(&fixture).idle_base, 6);
    assert_int_equal(connpool_wait_ready(fixture.context, 0, NULL), CONNPOOL_OK);
    pool_fixture_close(&fixture);
}

static void test_the_error_says_which_is_not_ready_and_why(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_error error;
    int64_t began;

    (void)state;
    test_manager_reset();
    test_manager_set_endpoint("b", TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    open_two(&fixture);
    await_live(3);
    await_collector(&fixture);
    began = virtual_clock_now(&fixture.clock);
    assert_int_equal(connpool_wait_ready(fixture.context, 2500, &error), CONNPOOL_TIMED_OUT);
    assert_in_range(virtual_clock_now(&fixture.clock) - began, MILLISECONDS(2500), MILLISECONDS(2500));
    assert_int_equal(error.status, CONNPOOL_TIMED_OUT);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_non_null(strstr(error.text, "endpoint 'b'"));
    assert_non_null(strstr(error.text, "2500 ms"));
    assert_non_null(strstr(error.text, "min_idle (3)"));
    assert_non_null(strstr(error.text, "0 idle"));
    assert_non_null(strstr(error.text, "as told"));
    pool_fixture_close(&fixture);
}

/* Time stands still here, and nobody would end a wait. */
static void test_limit_0_only_looks(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    test_manager_reset();
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    open_two(&fixture);
    atomic_store(&fixture.clock.is_manual, true);
    await_collector(&fixture);
    assert_int_equal(connpool_wait_ready(fixture.context, 0, NULL), CONNPOOL_TIMED_OUT);
    pool_fixture_close(&fixture);
}

/* What is leased counts: it is open and usable. */
static void test_leased_ones_count(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    test_manager_reset();
    fixture.keeps_settings = true;
    pool_fixture_open(&fixture, "'background_collector': true, 'prewarm': true, 'min_idle': 1, 'max_size': 1, "
                                "'endpoints': {'a': {'name': 'a'}}");
    atomic_store(&fixture.clock.is_manual, true);
    lease = pool_take(&fixture, "a");
    assert_int_equal(connpool_wait_ready(fixture.context, 0, NULL), CONNPOOL_OK);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* An endpoint that was ready before the call, and is not any more, is waited for. */
static void test_what_was_ready_before_does_not_count(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_error error;

    (void)state;
    test_manager_reset();
    open_two(&fixture);
    atomic_store(&fixture.clock.is_manual, true);
    await_live(6);
    await_collector(&fixture);
    assert_int_equal(connpool_wait_ready(fixture.context, 0, NULL), CONNPOOL_OK);
    test_manager_set_endpoint("a", TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    connpool_pool_drain(fixture.pool);
    await_collector_after(&fixture, MILLISECONDS(100));
    await_live(3);
    assert_int_equal(connpool_wait_ready(fixture.context, 0, &error), CONNPOOL_TIMED_OUT);
    assert_non_null(strstr(error.text, "endpoint 'a'"));
    pool_fixture_close(&fixture);
}

static void test_without_prewarm_all_is_ready(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 3, 'endpoints': {'a': {'name': 'a'}}");
    assert_int_equal(connpool_wait_ready(fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    assert_int_equal(test_manager_calls(TEST_OPEN), 0);
    pool_fixture_close(&fixture);
}

static bool is_a_gone(void *argument)
{
    (void)argument;
    return test_manager_live("a") == 0;
}

/* Each endpoint was ready once since the call: not all at one time. */
static void test_what_was_ready_meanwhile_counts(void **state)
{
    struct pool_fixture fixture = {0};
    struct waiter waiter;

    (void)state;
    test_manager_reset();
    test_manager_set_endpoint("b", TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    open_two(&fixture);
    atomic_store(&fixture.clock.is_manual, true);
    await_collector(&fixture);
    virtual_clock_settle(&fixture.clock);
    waiter_start(&waiter, &fixture, CONNPOOL_WAIT_FOREVER);
    await_collector_after(&fixture, MILLISECONDS(100));
    test_manager_set_endpoint("a", TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    connpool_pool_drain(fixture.pool);
    await(is_a_gone, NULL, "what a had to be closed");
    assert_false(atomic_load(&waiter.is_done));
    test_manager_set_endpoint("b", TEST_OPEN, test_ok());
    (void)test_manager_wake();
    await_collector_after(&fixture, MILLISECONDS(100));
    await(waiter_is_done, &waiter, "the waiter to be told");
    waiter_join(&waiter);
    assert_int_equal(waiter.status, CONNPOOL_OK);
    pool_fixture_close(&fixture);
}

/* It stopped being ready and became so again between two looks of the collector, which saw neither. */
static void test_a_change_between_two_looks_is_not_missed(void **state)
{
    struct pool_fixture fixture = {0};
    struct waiter waiter;
    connpool_lease lease;

    (void)state;
    test_manager_reset();
    fixture.keeps_settings = true;
    pool_fixture_open(&fixture, "'background_collector': true, 'prewarm': true, 'min_idle': 1, "
                                "'endpoints': {'a': {'name': 'a'}}");
    atomic_store(&fixture.clock.is_manual, true);
    await_live(1);
    for (int i = 0; i < 5; i++) { /* until it sleeps till its next look, or a parking */
        virtual_clock_advance(&fixture.clock, MILLISECONDS(20));
        virtual_clock_settle(&fixture.clock);
    }
    lease = pool_take(&fixture, "a");
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    atomic_fetch_add(&fixture.clock.now, MILLISECONDS(1)); /* the collector is not told */
    waiter_start(&waiter, &fixture, CONNPOOL_WAIT_FOREVER);
    assert_false(atomic_load(&waiter.is_done));
    pool_park(&fixture, "a", 1); /* now it looks */
    await(waiter_is_done, &waiter, "the waiter to be told");
    waiter_join(&waiter);
    assert_int_equal(waiter.status, CONNPOOL_OK);
    pool_fixture_close(&fixture);
}

/* C7 */
static void test_close_ends_it(void **state)
{
    struct pool_fixture fixture = {0};
    struct waiter waiter;

    (void)state;
    test_manager_reset();
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    open_two(&fixture);
    atomic_store(&fixture.clock.is_manual, true);
    waiter_start(&waiter, &fixture, CONNPOOL_WAIT_FOREVER);
    assert_int_equal(connpool_close(fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    waiter_join(&waiter);
    assert_int_equal(waiter.status, CONNPOOL_CLOSED);
    assert_int_equal(waiter.error.status, CONNPOOL_CLOSED);
    fixture.clock.context = NULL;
    pool_fixture_assert_nothing_left(&fixture);
}

static void test_what_is_refused(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_error error;
    int status = 0;
    pid_t child;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_int_equal(connpool_wait_ready(NULL, 0, &error), CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_wait_ready(fixture.context, CONNPOOL_WAIT_DEFAULT, &error), CONNPOOL_INVALID);
    assert_non_null(strstr(error.text, "timeout_ms"));
    child = fork();
    if (child == 0) {
        _exit(connpool_wait_ready(fixture.context, 1000, NULL) == CONNPOOL_FORKED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pool_fixture_close(&fixture);
}

static void wait_inside(void *argument, connpool_status status, const connpool_lease *lease,
                        const connpool_error *error)
{
    struct pool_fixture *fixture = argument;
    connpool_lease mine = *lease;

    (void)error;
    assert_int_equal(status, CONNPOOL_OK);
    assert_int_equal(connpool_wait_ready(fixture->context, 1, NULL), CONNPOOL_INVALID);
    assert_int_equal(connpool_wait_ready(fixture->context, 0, NULL), CONNPOOL_OK);
    pool_give(&mine);
    fixture->pool = NULL;
}

static void test_inside_a_dispatch_it_does_not_wait(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *endpoint;
    connpool_reactor *reactor;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    reactor = connpool_reactor_new(fixture.context, NULL);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_acquire_async(reactor, endpoint, 1000, wait_inside, &fixture, NULL, NULL), CONNPOOL_OK);
    while (fixture.pool != NULL) {
        assert_int_equal(connpool_reactor_dispatch(reactor), CONNPOOL_OK);
    }
    connpool_endpoint_put(endpoint);
    assert_int_equal(connpool_reactor_close(reactor), CONNPOOL_OK);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_ends_when_the_last_endpoint_has_enough),
        cmocka_unit_test(test_the_error_says_which_is_not_ready_and_why),
        cmocka_unit_test(test_limit_0_only_looks),
        cmocka_unit_test(test_leased_ones_count),
        cmocka_unit_test(test_what_was_ready_before_does_not_count),
        cmocka_unit_test(test_without_prewarm_all_is_ready),
        cmocka_unit_test(test_what_was_ready_meanwhile_counts),
        cmocka_unit_test(test_a_change_between_two_looks_is_not_missed),
        cmocka_unit_test(test_close_ends_it),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_inside_a_dispatch_it_does_not_wait),
    };

    return cmocka_run_group_tests(tests, open_one, NULL);
}
