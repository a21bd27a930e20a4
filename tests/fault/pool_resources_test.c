/* SPDX-License-Identifier: MIT */
/* pool_resources: the process has no thread or no descriptor left: a context opens whole or not at all, and what runs
 * goes on (failures.md B17, B20). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pool_client.h"
#include "pool_fixture.h"

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

static bool refuses_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    return refuses_threads ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

static const char with_collector[] = "{\"pools\": {\"p\": {\"manager\": \"test\", \"background_collector\": true}}}";
static const char without_collector[] = "{\"pools\": {\"p\": {\"manager\": \"test\"}}}";

static void test_no_thread_for_the_collector_B20(void **state)
{
    struct pool_fixture fixture = {0};
    size_t blocks;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_close(&fixture);
    blocks = failing_allocator_blocks();
    refuses_threads = true;
    assert_int_equal(pool_fixture_try_open(&fixture, with_collector), CONNPOOL_NO_MEMORY);
    refuses_threads = false;
    assert_true(fixture.error.text[0] != '\0');
    fixture.blocks = blocks;
    pool_fixture_assert_nothing_left(&fixture);
}

/* A blocking operation needs a worker: without one the open fails, the pool lives. */
static void test_no_thread_for_a_blocking_open_B20(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    connpool_lease lease;
    connpool_status status;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-open'");
    refuses_threads = true;
    status = pool_try(&fixture, "x", 200, &lease);
    refuses_threads = false;
    if (status == CONNPOOL_OK) {
        pool_give(&lease);
    }
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* Run with so many descriptors left. */
static void with_descriptors(unsigned left, void (*run)(void))
{
    struct rlimit before, limit;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(next >= 0);
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)next + left;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    run();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void without_descriptors(void (*run)(void))
{
    with_descriptors(0, run);
}

static struct pool_fixture poor;
static connpool_status poor_status;
static connpool_lease poor_lease;

static void open_with_collector(void)
{
    poor_status = pool_fixture_try_open(&poor, with_collector);
}

static void test_no_descriptor_for_the_collector_B20(void **state)
{
    size_t blocks;

    (void)state;
    pool_fixture_open(&poor, POOL_DEFAULTS);
    pool_fixture_close(&poor);
    blocks = failing_allocator_blocks();
    without_descriptors(open_with_collector);
    assert_int_equal(poor_status, CONNPOOL_NO_MEMORY);
    assert_true(poor.error.text[0] != '\0');
    poor.blocks = blocks;
    pool_fixture_assert_nothing_left(&poor);
}

static void life_without_descriptors(void)
{
    poor_lease = pool_take(&poor, "x");
    pool_give(&poor_lease);
    virtual_clock_advance(&poor.clock, SECONDS(100));
    (void)connpool_maintain(poor.context);
    poor_lease = pool_take(&poor, "x");
    pool_give(&poor_lease);
    poor_status = connpool_close(poor.context, 1000, NULL);
}

/* What needs no descriptor itself works without one, closing included. */
static void test_a_life_without_descriptors_B17_B20(void **state)
{
    (void)state;
    poor = (struct pool_fixture){0};
    assert_int_equal(pool_fixture_try_open(&poor, without_collector), CONNPOOL_OK);
    without_descriptors(life_without_descriptors);
    assert_int_equal(poor_status, CONNPOOL_OK);
    poor.clock.context = NULL;
    pool_fixture_assert_nothing_left(&poor);
}

/* Two for the connection's socket and its peer, none for what would wake the thread from its wait. */
static void open_a_connection(void)
{
    static struct pool_client client;

    client = (struct pool_client){0};
    pool_client_start(&client, &poor, "x", 20000);
    while (test_manager_feed(false) == 0 && !pool_client_is_done(&client)) {
        (void)sched_yield();
    }
    pool_client_join(&client);
    poor_status = client.status;
    poor_lease = client.lease;
    poor.error = client.error;
}

static void test_an_open_that_needs_no_wake_needs_no_descriptor_for_one_B17(void **state)
{
    (void)state;
    poor = (struct pool_fixture){.real_clock = true};
    assert_int_equal(pool_fixture_try_open(&poor, without_collector), CONNPOOL_OK);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    with_descriptors(2, open_a_connection);
    if (poor_status != CONNPOOL_OK) {
        fail_msg("%s", poor.error.text);
    }
    pool_give(&poor_lease);
    pool_fixture_close(&poor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_thread_for_the_collector_B20),
        cmocka_unit_test(test_no_thread_for_a_blocking_open_B20),
        cmocka_unit_test(test_no_descriptor_for_the_collector_B20),
        cmocka_unit_test(test_a_life_without_descriptors_B17_B20),
        cmocka_unit_test(test_an_open_that_needs_no_wake_needs_no_descriptor_for_one_B17),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
