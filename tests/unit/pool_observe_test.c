/* SPDX-License-Identifier: MIT */
/* pool_observe: observers, statistics, histograms and the configure hook (semantics.md S15, S16, D50; failures.md B23,
 * C24). */
#include <stdio.h>
#include <string.h>

#include "pool/acquire_call.h"
#include "stepped_acquire.h"

/* What was observed, as words: "opened:1 acquired:1 …". */
static char seen[4096];
static struct connpool_event last_event;
static connpool_error last_error;

static void see(const char *what, const struct connpool_event *event)
{
    size_t length = strlen(seen);

    assert_true(event->size >= sizeof(*event));
    assert_non_null(event->pool);
    assert_non_null(event->endpoint);
    (void)snprintf(seen + length, sizeof(seen) - length, "%s%s:%u", length == 0 ? "" : " ", what,
                   (unsigned)event->connection);
    last_event = *event;
    memset(&last_error, 0, sizeof(last_error));
    if (event->error != NULL) {
        last_error = *event->error;
    }
}

#define SEES(name)                                                                                                     \
    static void see_##name(void *argument, const struct connpool_event *event)                                         \
    {                                                                                                                  \
        (void)argument;                                                                                                \
        see(#name, event);                                                                                             \
    }
SEES(opened)
SEES(acquired)
SEES(released)
SEES(dead)
SEES(closed)
SEES(timed_out)
SEES(failed)

static void observe(struct pool_fixture *fixture)
{
    const struct connpool_observer observer = {.size = sizeof(observer),
                                               .opened = see_opened,
                                               .acquired = see_acquired,
                                               .released = see_released,
                                               .dead = see_dead,
                                               .closed = see_closed,
                                               .timed_out = see_timed_out,
                                               .failed = see_failed};

    seen[0] = '\0';
    assert_int_equal(connpool_pool_observe(fixture->pool, &observer), CONNPOOL_OK);
}

static void test_a_life_in_order(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    observe(&fixture);
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(30)));
    lease = pool_take(&fixture, "x");
    assert_int_equal(last_event.is_new, 1);
    assert_int_equal(last_event.duration, MILLISECONDS(30));
    assert_string_equal(last_event.endpoint, "x");
    virtual_clock_advance(&fixture.clock, MILLISECONDS(200));
    pool_give(&lease);
    assert_string_equal(seen, "opened:1 acquired:1 released:1");
    assert_int_equal(last_event.duration, MILLISECONDS(200));
    lease = pool_take(&fixture, "x");
    assert_int_equal(last_event.is_new, 0);
    assert_int_equal(last_event.duration, 0);
    pool_give(&lease);
    pool_fixture_close(&fixture);
    assert_string_equal(seen, "opened:1 acquired:1 released:1 acquired:1 released:1 closed:1");
    assert_int_equal(last_event.reason, CONNPOOL_REASON_CLOSED);
}

static void test_the_end_of_a_dead_one(void **state)
{
    struct pool_fixture fixture = {0};
    struct test_behaviour dead = test_fails(CONNPOOL_ERROR_CLOSED);

    (void)state;
    pool_fixture_open(&fixture, "'check_after': 0");
    pool_park(&fixture, "x", 1);
    observe(&fixture);
    dead.text = "gone for good";
    test_manager_set_connection(1, TEST_CHECK, dead);
    pool_park(&fixture, "x", 1);
    assert_string_equal(seen, "dead:1 closed:1 opened:2 acquired:2 released:2");
    pool_fixture_close(&fixture);
}

static void test_failures_are_observed_with_their_cause(void **state)
{
    struct pool_fixture fixture = {0};
    struct test_behaviour refused = test_fails(CONNPOOL_ERROR_REFUSED);
    connpool_lease held, lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    observe(&fixture);
    refused.text = "nobody listens there";
    test_manager_set_nth(1, TEST_OPEN, refused);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_non_null(strstr(last_error.text, "nobody listens there"));
    assert_non_null(strstr(seen, "failed:"));
    held = pool_take(&fixture, "x");
    assert_int_equal(pool_try(&fixture, "x", 50, &lease), CONNPOOL_TIMED_OUT);
    assert_non_null(strstr(seen, "timed_out:0"));
    assert_int_equal(last_event.duration, MILLISECONDS(50));
    assert_int_equal(last_error.status, CONNPOOL_TIMED_OUT);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

/* Every reason that one thread can bring about is told with the closed event, and counted. */
static void test_reasons(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 10, 'max_lifetime': 100, 'max_uses': 3, "
                                "'total_max_size': 2, 'max_size': 2, 'check_after': 1000");
    observe(&fixture);
    pool_park(&fixture, "x", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(last_event.reason, CONNPOOL_REASON_IDLE);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(100));
    pool_give(&lease);
    assert_int_equal(last_event.reason, CONNPOOL_REASON_LIFETIME);
    for (int i = 0; i < 3; i++) {
        pool_park(&fixture, "x", 1);
    }
    assert_int_equal(last_event.reason, CONNPOOL_REASON_USES);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    assert_int_equal(last_event.reason, CONNPOOL_REASON_DISCARDED);
    pool_park(&fixture, "x", 1);
    connpool_pool_drain(fixture.pool);
    assert_int_equal(last_event.reason, CONNPOOL_REASON_DRAINED);
    test_manager_set(TEST_RESET, test_fails(CONNPOOL_ERROR_PROTOCOL));
    pool_park(&fixture, "x", 1);
    assert_int_equal(last_event.reason, CONNPOOL_REASON_RESET);
    assert_string_equal(connpool_reason_text(CONNPOOL_REASON_RESET), connpool_reason_text(last_event.reason));
    pool_fixture_close(&fixture);
}

static void test_a_null_observer_and_null_members(void **state)
{
    struct pool_fixture fixture = {0};
    const struct connpool_observer empty = {.size = sizeof(empty)};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 0");
    assert_int_equal(connpool_pool_observe(fixture.pool, &empty), CONNPOOL_OK);
    pool_park(&fixture, "x", 1);
    assert_int_equal(connpool_pool_observe(fixture.pool, NULL), CONNPOOL_OK);
    pool_park(&fixture, "x", 1);
    pool_fixture_close(&fixture);
}

static void test_statistics_of_pool_and_endpoint(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_statistics numbers;
    connpool_lease first, second;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1");
    first = pool_take(&fixture, "x");
    second = pool_take(&fixture, "x");
    pool_park(&fixture, "y", 1);
    numbers = pool_numbers(&fixture);
    assert_int_equal(numbers.endpoints, 2);
    assert_int_equal(numbers.leased, 2);
    assert_int_equal(numbers.idle_base, 1);
    assert_int_equal(numbers.acquired, 3);
    assert_int_equal(numbers.opened, 3);
    assert_int_equal(numbers.released, 1);
    assert_int_equal(numbers.reused, 0);
    numbers = endpoint_numbers(&fixture, "x");
    assert_int_equal(numbers.endpoints, 1);
    assert_int_equal(numbers.leased, 2);
    assert_int_equal(numbers.acquired, 2);
    pool_give(&first);
    pool_give(&second);
    numbers = endpoint_numbers(&fixture, "x");
    assert_int_equal(numbers.idle_base, 1);
    assert_int_equal(numbers.idle_extra, 1);
    pool_park(&fixture, "x", 1);
    assert_int_equal(pool_numbers(&fixture).reused, 1);
    pool_fixture_close(&fixture);
}

static void test_a_shorter_snapshot_is_filled_as_far_as_it_goes(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_statistics numbers;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    memset(&numbers, 0x55, sizeof(numbers));
    numbers.size = offsetof(struct connpool_statistics, opening);
    connpool_pool_statistics(fixture.pool, &numbers);
    assert_int_equal(numbers.endpoints, 0);
    assert_int_equal(numbers.opening, 0x5555555555555555);
    pool_fixture_close(&fixture);
}

static void test_histograms_count_while_observed(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_histograms histograms = {.size = sizeof(histograms)};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_park(&fixture, "x", 1);
    connpool_pool_histograms(fixture.pool, &histograms);
    assert_int_equal(histograms.acquire.count, 0);
    observe(&fixture);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, 1000);
    pool_give(&lease);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, 1024);
    pool_give(&lease);
    connpool_pool_histograms(fixture.pool, &histograms);
    assert_int_equal(histograms.acquire.count, 2);
    assert_int_equal(histograms.lease.count, 2);
    assert_int_equal(histograms.lease.sum, 2024);
    assert_int_equal(histograms.lease.buckets[9], 1);
    assert_int_equal(histograms.lease.buckets[10], 1);
    assert_int_equal(histograms.open.count, 0);
    test_manager_set(TEST_OPEN, test_slow(4096));
    pool_park(&fixture, "y", 1);
    connpool_pool_histograms(fixture.pool, &histograms);
    assert_int_equal(histograms.open.count, 1);
    assert_int_equal(histograms.open.buckets[12], 1);
    pool_fixture_close(&fixture);
}

/* ---- The configure hook ---- */

static int configured;

static connpool_status configure(void *argument, const connpool_lease *lease, connpool_error *error)
{
    (void)error;
    assert_true(connpool_lease_valid(lease));
    assert_non_null(connpool_lease_native(lease, TEST_CONNECTION_TYPE));
    assert_int_equal(connpool_lease_set_data(lease, argument, NULL), CONNPOOL_OK);
    configured++;
    return CONNPOOL_OK;
}

/* What began before anybody observed has no duration that is known. */
static void test_an_observer_that_comes_in_the_middle(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire waiter;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    atomic_store(&fixture.clock.is_manual, true);
    lease = pool_take(&fixture, "x");
    stepped_acquire_start(&waiter, &fixture, "x", 1000);
    observe(&fixture);
    pool_give(&lease);
    assert_int_equal(last_event.duration, 0);
    stepped_acquire_run(&waiter, 1);
    cp_acquire_call_ended(&waiter.acquire, 0);
    assert_string_equal(seen, "released:1 acquired:1");
    assert_int_equal(last_event.duration, 0);
    virtual_clock_advance(&fixture.clock, MILLISECONDS(7));
    stepped_acquire_give(&waiter, 1);
    assert_int_equal(last_event.duration, MILLISECONDS(7));
    pool_fixture_close(&fixture);
}

static void test_configure_runs_once_for_each_new_connection(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int mark = 0;

    (void)state;
    configured = 0;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    connpool_pool_on_configure(fixture.pool, configure, &mark);
    pool_park(&fixture, "x", 2);
    pool_park(&fixture, "x", 2);
    assert_int_equal(configured, 2);
    lease = pool_take(&fixture, "x");
    assert_ptr_equal(connpool_lease_data(&lease), &mark);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static connpool_status refuse(void *argument, const connpool_lease *lease, connpool_error *error)
{
    (void)argument;
    (void)lease;
    error->status = CONNPOOL_FAILED;
    error->error_class = CONNPOOL_ERROR_AUTHENTICATION;
    (void)snprintf(error->text, sizeof(error->text), "the schema is too old");
    return CONNPOOL_FAILED;
}

static void test_configure_that_refuses_fails_the_acquire(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    connpool_pool_on_configure(fixture.pool, refuse, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
        assert_non_null(strstr(fixture.error.text, "the schema is too old"));
        assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_AUTHENTICATION);
        assert_int_equal(test_manager_live(NULL), 0);
        assert_int_equal(pool_numbers(&fixture).leased, 0);
    }
    pool_fixture_close(&fixture);
}

static unsigned events_counted;

static void count_event(void *argument, const struct connpool_event *event)
{
    (void)argument;
    (void)event;
    events_counted++;
}

static void fail_by_event(void *argument, const struct connpool_event *event)
{
    (void)argument;
    fail_msg("told of an event at '%s' that the observer does not know", event->endpoint);
}

/* An application that was compiled when the struct had fewer members; what lies behind them is not looked at. */
static void test_a_shorter_observer_is_told_as_far_as_it_goes(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_observer observer = {.size = offsetof(struct connpool_observer, failed),
                                         .argument = &fixture,
                                         .opened = count_event,
                                         .acquired = count_event,
                                         .failed = fail_by_event};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    events_counted = 0;
    assert_int_equal(connpool_pool_observe(fixture.pool, &observer), CONNPOOL_OK);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    assert_int_equal(events_counted, 2);
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(pool_try(&fixture, "y", 1000, &lease), CONNPOOL_FAILED);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life_in_order),
        cmocka_unit_test(test_the_end_of_a_dead_one),
        cmocka_unit_test(test_failures_are_observed_with_their_cause),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_a_null_observer_and_null_members),
        cmocka_unit_test(test_statistics_of_pool_and_endpoint),
        cmocka_unit_test(test_a_shorter_snapshot_is_filled_as_far_as_it_goes),
        cmocka_unit_test(test_histograms_count_while_observed),
        cmocka_unit_test(test_an_observer_that_comes_in_the_middle),
        cmocka_unit_test(test_configure_runs_once_for_each_new_connection),
        cmocka_unit_test(test_configure_that_refuses_fails_the_acquire),
        cmocka_unit_test(test_a_shorter_observer_is_told_as_far_as_it_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
