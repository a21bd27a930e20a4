/* SPDX-License-Identifier: MIT */
/* pool_hot_path: what an acquire and a release of an idle connection cost while nobody waits and nothing is due: one
 * lock each, at most one coarse clock read each, no memory (design.md, Semantics 13). Locks are counted by the linker's
 * --wrap. */
#include <pthread.h>

#include "reactor_client.h"
#include "stepped_acquire.h"

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

static _Thread_local uint64_t locks;

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    locks++;
    return __real_pthread_mutex_lock(mutex);
}

struct cost {
    uint64_t locks, coarse, precise, boot, allocations;
};

static struct cost costs_now(struct pool_fixture *fixture)
{
    return (struct cost){.locks = locks,
                         .coarse = atomic_load(&fixture->clock.reads[CONNPOOL_CLOCK_COARSE]),
                         .precise = atomic_load(&fixture->clock.reads[CONNPOOL_CLOCK_PRECISE]),
                         .boot = atomic_load(&fixture->clock.reads[CONNPOOL_CLOCK_BOOT]),
                         .allocations = failing_allocator_calls()};
}

static void assert_cost(struct pool_fixture *fixture, struct cost before)
{
    struct cost after = costs_now(fixture);

    assert_int_equal(after.locks - before.locks, 1);
    assert_true(after.coarse - before.coarse <= 1);
    assert_int_equal(after.precise, before.precise);
    assert_int_equal(after.boot, before.boot);
    assert_int_equal(after.allocations, before.allocations);
}

static void run_pairs(struct pool_fixture *fixture, connpool_endpoint *endpoint)
{
    for (int i = 0; i < 100; i++) {
        struct cost before = costs_now(fixture);
        connpool_lease lease = CONNPOOL_LEASE_NONE;
        connpool_status status = connpool_endpoint_acquire(endpoint, 1000, &lease, NULL);

        assert_cost(fixture, before);
        assert_int_equal(status, CONNPOOL_OK);
        before = costs_now(fixture);
        status = connpool_release(&lease);
        assert_cost(fixture, before);
        assert_int_equal(status, CONNPOOL_OK);
    }
}

static void run(const char *keys, size_t parked)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *endpoint;

    pool_fixture_open(&fixture, "'manager': 'test-null', 'endpoints': {'x': {'name': 'x'}}%s", keys);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    pool_park(&fixture, "x", parked);
    run_pairs(&fixture, endpoint);
    connpool_endpoint_put(endpoint);
    pool_fixture_close(&fixture);
}

static void test_acquire_and_release_of_an_idle_one(void **state)
{
    (void)state;
    run("", 1);
    run(", 'min_idle': 3", 3);
    run(", 'min_idle': 0", 4);
}

static void test_with_every_limit_set(void **state)
{
    (void)state;
    run(", 'max_uses': 100000, 'max_waiters': 10, 'holddown': 1, 'acquire_timeout': 2", 2);
}

static void test_a_limit_of_zero_costs_the_same(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *endpoint;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-null', 'endpoints': {'x': {'name': 'x'}}");
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    pool_park(&fixture, "x", 1);
    for (int i = 0; i < 10; i++) {
        connpool_lease lease = CONNPOOL_LEASE_NONE;
        struct cost before = costs_now(&fixture);
        connpool_status status = connpool_try_acquire(endpoint, &lease, NULL);

        assert_cost(&fixture, before);
        assert_int_equal(status, CONNPOOL_OK);
        pool_give(&lease);
    }
    connpool_endpoint_put(endpoint);
    pool_fixture_close(&fixture);
}

/* Who opens elsewhere waits for nothing that is released here. */
static void test_while_another_endpoint_is_opened(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire opener;
    connpool_reactor *reactor;
    connpool_endpoint *endpoint;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-null', 'endpoints': {'x': {'name': 'x'}, 'y': {'name': 'y'}}");
    atomic_store(&fixture.clock.is_manual, true);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    pool_park(&fixture, "x", 1);
    test_manager_set(TEST_OPEN, test_slow(SECONDS(1)));
    reactor = reactor_begin(&fixture);
    stepped_acquire_start(&opener, &fixture, "y", 60000);
    assert_int_equal(pool_openers(&fixture), 1);
    run_pairs(&fixture, endpoint);
    stepped_acquire_run_after(&opener, 1, SECONDS(1));
    stepped_acquire_give(&opener, 2);
    reactor_end(reactor);
    connpool_endpoint_put(endpoint);
    pool_fixture_close(&fixture);
}

static void test_by_name_nothing_is_allocated(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-null', 'endpoints': {'x': {'name': 'x'}}");
    pool_park(&fixture, "x", 1);
    for (int i = 0; i < 10; i++) {
        uint64_t allocations = failing_allocator_calls();
        connpool_lease lease = pool_take(&fixture, "x");

        pool_give(&lease);
        assert_int_equal(failing_allocator_calls(), allocations);
    }
    pool_fixture_close(&fixture);
}

static void test_precise_clocks_only_while_observed(void **state)
{
    struct pool_fixture fixture = {0};
    const struct connpool_observer observer = {.size = sizeof(observer)};
    uint64_t precise;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-null', 'endpoints': {'x': {'name': 'x'}}");
    pool_park(&fixture, "x", 1);
    assert_int_equal(connpool_pool_observe(fixture.pool, &observer), CONNPOOL_OK);
    precise = atomic_load(&fixture.clock.reads[CONNPOOL_CLOCK_PRECISE]);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    assert_true(atomic_load(&fixture.clock.reads[CONNPOOL_CLOCK_PRECISE]) > precise);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acquire_and_release_of_an_idle_one),
        cmocka_unit_test(test_with_every_limit_set),
        cmocka_unit_test(test_a_limit_of_zero_costs_the_same),
        cmocka_unit_test(test_while_another_endpoint_is_opened),
        cmocka_unit_test(test_by_name_nothing_is_allocated),
        cmocka_unit_test(test_precise_clocks_only_while_observed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
