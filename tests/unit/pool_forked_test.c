/* SPDX-License-Identifier: MIT */
/*
 * pool_forked: in a forked child every call on the parent's context returns at once, also where another thread of the
 * parent held a lock at the fork, which nobody will ever give in the child (failures.md B9).
 */
#include <sys/wait.h>
#include <unistd.h>

#include "endpoint.h"
#include "pool.h"
#include "pool_fixture.h"

static void call_statistics(struct pool_fixture *fixture, connpool_endpoint *endpoint)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    connpool_pool_statistics(fixture->pool, &numbers);
    connpool_endpoint_statistics(endpoint, &numbers);
}

static void call_histograms(struct pool_fixture *fixture, connpool_endpoint *endpoint)
{
    static struct connpool_histograms histograms = {.size = sizeof(histograms)};

    (void)endpoint;
    connpool_pool_histograms(fixture->pool, &histograms);
}

static void call_limits(struct pool_fixture *fixture, connpool_endpoint *endpoint)
{
    struct connpool_limits limits = {.size = sizeof(limits)};

    connpool_pool_limits(fixture->pool, &limits);
    connpool_endpoint_limits(endpoint, &limits);
}

static void call_drain(struct pool_fixture *fixture, connpool_endpoint *endpoint)
{
    connpool_pool_drain(fixture->pool);
    connpool_endpoint_drain(endpoint);
}

static void call_clock_moved(struct pool_fixture *fixture, connpool_endpoint *endpoint)
{
    (void)endpoint;
    connpool_clock_moved(fixture->context);
}

static void call_maintain(struct pool_fixture *fixture, connpool_endpoint *endpoint)
{
    (void)endpoint;
    (void)connpool_maintain(fixture->context);
}

/* The child ends by itself, and well: asserts end it where it takes a lock that is taken. */
static void assert_returns_in_child(struct pool_fixture *fixture, connpool_endpoint *endpoint,
                                    void (*call)(struct pool_fixture *fixture, connpool_endpoint *endpoint))
{
    int status = 0;
    pid_t child;

    cp_lock_take(&fixture->context->lock);
    cp_lock_take(&fixture->pool->lock);
    cp_lock_take(&endpoint->lock);
    child = fork();
    if (child == 0) {
        call(fixture, endpoint);
        _exit(0);
    }
    cp_lock_give(&endpoint->lock);
    cp_lock_give(&fixture->pool->lock);
    cp_lock_give(&fixture->context->lock);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void run(void (*call)(struct pool_fixture *fixture, connpool_endpoint *endpoint))
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *endpoint;

    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    pool_park(&fixture, "x", 1);
    assert_returns_in_child(&fixture, endpoint, call);
    connpool_endpoint_put(endpoint);
    pool_fixture_close(&fixture);
}

static void test_statistics_return_at_once_B9(void **state)
{
    (void)state;
    run(call_statistics);
}

static void test_histograms_return_at_once_B9(void **state)
{
    (void)state;
    run(call_histograms);
}

static void test_limits_return_at_once_B9(void **state)
{
    (void)state;
    run(call_limits);
}

static void test_drain_returns_at_once_B9(void **state)
{
    (void)state;
    run(call_drain);
}

static void test_clock_moved_returns_at_once_B9(void **state)
{
    (void)state;
    run(call_clock_moved);
}

static void test_maintain_returns_at_once_B9(void **state)
{
    (void)state;
    run(call_maintain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_return_at_once_B9),   cmocka_unit_test(test_histograms_return_at_once_B9),
        cmocka_unit_test(test_limits_return_at_once_B9),       cmocka_unit_test(test_drain_returns_at_once_B9),
        cmocka_unit_test(test_clock_moved_returns_at_once_B9), cmocka_unit_test(test_maintain_returns_at_once_B9),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
