/* SPDX-License-Identifier: MIT */
/* counters: what happens where a counter goes over its end (failures.md B23). */
#include "pool/pool.h"
#include "pool_fixture.h"

/* The connection's generation runs from the end of its numbers to their beginning: each lease is still told from those
 * before it. */
static void test_generations_go_round_B23(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[6];
    struct connpool_connection *connection;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    leases[0] = pool_take(&fixture, "x");
    connection = leases[0].connection;
    pool_give(&leases[0]);
    atomic_store(&connection->generation, UINT64_MAX - 5); /* even: it is idle */
    for (int i = 0; i < 6; i++) {
        connpool_lease lease = pool_take(&fixture, "x");

        leases[i] = lease;
        assert_true(connpool_lease_valid(&lease));
        assert_int_equal(lease.generation % 2, 1);
        for (int k = 0; k < i; k++) {
            connpool_lease copy = leases[k];

            assert_int_equal(connpool_release(&copy), CONNPOOL_STALE);
        }
        pool_give(&lease);
        lease = leases[i];
        assert_int_equal(connpool_release(&lease), CONNPOOL_STALE);
    }
    assert_true(leases[5].generation < leases[0].generation);
    assert_int_equal(test_manager_opened(), 1);
    pool_fixture_close(&fixture);
}

static void start_at(struct cp_counters *counters, uint64_t value)
{
    counters->acquired = counters->reused = counters->released = counters->opened = value;
    counters->timed_out = counters->failed = counters->waited = counters->overloaded = counters->unopened = value;
    counters->leaked = value;
    for (int i = 0; i < CONNPOOL_REASON_COUNT; i++) {
        counters->ended[i] = value;
    }
}

/* What is counted over its end is the same modulo 2^64, and no size is made from it. */
static void test_statistics_near_the_end_of_numbers_B23(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_statistics numbers;
    connpool_endpoint *x;
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 2, 'min_idle': 1");
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &x, NULL), CONNPOOL_OK);
    start_at(&x->counters, UINT64_MAX - 5);
    held = pool_take(&fixture, "x");
    for (int i = 0; i < 10; i++) {
        connpool_lease lease = pool_take(&fixture, "x");

        assert_int_equal(connpool_endpoint_acquire(x, 0, &lease, NULL), CONNPOOL_TIMED_OUT);
        assert_int_equal(i % 2 == 0 ? connpool_discard(&lease) : connpool_release(&lease), CONNPOOL_OK);
    }
    numbers = endpoint_numbers(&fixture, "x");
    assert_true(numbers.acquired == UINT64_MAX - 5 + 11);
    assert_true(numbers.released == UINT64_MAX - 5 + 10);
    assert_true(numbers.timed_out == UINT64_MAX - 5 + 10);
    assert_true(numbers.ended[CONNPOOL_REASON_DISCARDED] == UINT64_MAX - 5 + 5);
    assert_int_equal(numbers.leased, 1);
    assert_int_equal(numbers_size(&numbers), 2);
    numbers = pool_numbers(&fixture);
    assert_int_equal(numbers_size(&numbers), 2);
    pool_give(&held);
    connpool_endpoint_put(x);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generations_go_round_B23),
        cmocka_unit_test(test_statistics_near_the_end_of_numbers_B23),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
