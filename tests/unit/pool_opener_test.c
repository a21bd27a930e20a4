/* SPDX-License-Identifier: MIT */
/*
 * pool_opener: openers in line as their drivers run them: a thread that polls its open's descriptor is woken for a
 * connection, an open that a worker is inside of is left to it, several endpoints, the close of the context
 * (semantics.md D26; core/pool/line.h; failures.md C5, C7). The collector drives on what they leave.
 */
#include "pool/pool.h"
#include "pool_client.h"
#include "pool_driver.h"
#include "pool_fixture.h"

/* Connection 1 is leased; all further opens behave so. */
static connpool_lease begin(struct pool_fixture *fixture, const char *keys, struct test_behaviour open)
{
    connpool_lease lease;

    pool_fixture_open(fixture, "%s, 'background_collector': true, 'watch': false", keys);
    atomic_store(&fixture->clock.is_manual, true);
    lease = pool_take(fixture, "x");
    test_manager_set(TEST_OPEN, open);
    return lease;
}

struct line {
    struct pool_fixture *fixture;
    uint32_t count;
};

static bool has_openers(void *argument)
{
    const struct line *line = argument;

    return pool_openers(line->fixture) == line->count;
}

static void await_openers(struct pool_fixture *fixture, uint32_t count)
{
    struct line line = {fixture, count};

    await(has_openers, &line, "openers to stand in line");
}

static bool has_idle(void *argument)
{
    const struct line *line = argument;
    struct connpool_statistics numbers = pool_numbers(line->fixture);

    return numbers_idle(&numbers) == line->count;
}

static void await_idle(struct pool_fixture *fixture, uint32_t count)
{
    struct line line = {fixture, count};

    await(has_idle, &line, "so many connections to be idle");
}

/* All poll a descriptor that stays silent, and are served in the order in which they came. */
static void test_twenty_share_what_one_connection_gives_D26(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client clients[20] = {0};
    connpool_lease lease;

    (void)state;
    lease = begin(&fixture, "'max_size': 21", test_kind(TEST_SLOW_SOCKET));
    for (uint32_t i = 0; i < 20; i++) {
        pool_client_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
        await_openers(&fixture, i + 1);
    }
    assert_int_equal(pool_numbers(&fixture).opening, 20);
    for (int i = 0; i < 20; i++) {
        pool_give(&lease);
        pool_client_join_ok(&clients[i]);
        lease = clients[i].lease;
        assert_int_equal(lease_number(&lease), 1);
    }
    assert_int_equal(pool_numbers(&fixture).opened, 1);
    pool_give(&lease);
    (void)test_manager_feed(false);
    await_idle(&fixture, 21);
    assert_int_equal(pool_numbers(&fixture).waited, 0);
    pool_fixture_close(&fixture);
}

/* A worker is inside the library's open: it ends there, for whoever comes next. */
static void test_an_open_that_a_worker_is_inside_of_feeds_the_pool(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    lease = begin(&fixture, "'manager': 'test-blocking-open', 'max_size': 2", test_kind(TEST_BLOCK));
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_openers(&fixture, 1);
    pool_give(&lease);
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 1);
    assert_int_equal(pool_numbers(&fixture).opening, 1);
    pool_give(&client.lease);
    test_manager_unblock();
    await_idle(&fixture, 2);
    pool_fixture_close(&fixture);
}

/* An idle step that a worker makes is waited for: the open is left before. */
static void test_one_whose_idle_step_blocks(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    lease = begin(&fixture, "'manager': 'test-blocking-idle', 'max_size': 2", test_kind(TEST_SLOW_SOCKET));
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_openers(&fixture, 1);
    pool_give(&lease);
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 1);
    pool_give(&client.lease);
    (void)test_manager_feed(false);
    await_idle(&fixture, 2);
    pool_fixture_close(&fixture);
}

/* One that asks several endpoints: it opens at the first and would take a connection of each. */
struct asker {
    connpool_endpoint *endpoints[2];
    connpool_lease lease;
    connpool_status status;
};

static void *ask(void *argument)
{
    struct asker *asker = argument;

    asker->status = pool_driver_acquire_any(asker->endpoints, 2, CONNPOOL_WAIT_FOREVER, &asker->lease, NULL);
    return NULL;
}

static void test_it_stands_at_each_of_several_endpoints(void **state)
{
    struct pool_fixture fixture = {0};
    struct asker asker = {.status = CONNPOOL_FAILED};
    connpool_lease lease;
    pthread_t thread;

    (void)state;
    lease = begin(&fixture, "'max_size': 1", test_kind(TEST_SLOW_SOCKET));
    assert_int_equal(connpool_endpoint_get(fixture.pool, "y", &asker.endpoints[0], NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &asker.endpoints[1], NULL), CONNPOOL_OK);
    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    await_openers(&fixture, 2); /* one at each */
    assert_int_equal(endpoint_numbers(&fixture, "y").opening, 1);
    pool_give(&lease);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asker.status, CONNPOOL_OK);
    assert_int_equal(lease_number(&asker.lease), 1);
    pool_give(&asker.lease);
    (void)test_manager_feed(false);
    await_idle(&fixture, 2);
    assert_int_equal(endpoint_numbers(&fixture, "y").idle_base, 1);
    connpool_endpoint_put(asker.endpoints[0]);
    connpool_endpoint_put(asker.endpoints[1]);
    pool_fixture_close(&fixture);
}

/* They end as closed at once, and what they opened is destroyed. */
static void test_the_context_closes_C5_C7(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client clients[4] = {0};
    connpool_lease lease;

    (void)state;
    lease = begin(&fixture, "'max_size': 4", test_kind(TEST_SLOW_SOCKET));
    for (int i = 0; i < 4; i++) {
        pool_client_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    await_openers(&fixture, 3);
    await_waiters(&fixture, 1);
    (void)connpool_close(fixture.context, 0, NULL);
    fixture.clock.context = NULL;
    for (int i = 0; i < 4; i++) {
        pool_client_join(&clients[i]);
        assert_int_equal(clients[i].status, CONNPOOL_CLOSED);
    }
    assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
    pool_fixture_assert_nothing_left(&fixture);
}

/* What was left goes on in the collector: the close of the context ends it, and does not wait for it. Time stands
 * still.
 */
static void test_the_context_closes_over_what_was_left_C5(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    lease = begin(&fixture, "'max_size': 2", test_kind(TEST_SLOW_SOCKET));
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_openers(&fixture, 1);
    pool_give(&lease);
    pool_client_join_ok(&client);
    pool_give(&client.lease);
    assert_int_equal(test_manager_live(NULL), 2);
    assert_int_equal(connpool_close(fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    fixture.clock.context = NULL;
    pool_fixture_assert_nothing_left(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twenty_share_what_one_connection_gives_D26),
        cmocka_unit_test(test_an_open_that_a_worker_is_inside_of_feeds_the_pool),
        cmocka_unit_test(test_one_whose_idle_step_blocks),
        cmocka_unit_test(test_it_stands_at_each_of_several_endpoints),
        cmocka_unit_test(test_the_context_closes_C5_C7),
        cmocka_unit_test(test_the_context_closes_over_what_was_left_C5),
    };

    return cmocka_run_group_tests_name("pool_opener", tests, NULL, NULL);
}
