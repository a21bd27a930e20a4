/* SPDX-License-Identifier: MIT */
/* pool_close: the end of a context (design.md, Semantics 11; semantics.md S18, S33-S35, D5-D7, D34; failures.md B5-B7,
 * C5, C7). */
#include <limits.h>
#include <string.h>

#include "pool_client.h"
#include "pool_fixture.h"

static void test_idle_ones_get_their_goodbye(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2");
    pool_park(&fixture, "x", 3);
    pool_park(&fixture, "y", 1);
    pool_fixture_close(&fixture);
    assert_string_equal(test_manager_log("r"), "r1 r2 r3 r4");
    assert_int_equal(test_manager_calls(TEST_CLOSE), 4);
}

static void test_null_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(connpool_close(NULL, 0, NULL), CONNPOOL_OK);
    connpool_endpoint_put(NULL);
    connpool_text_free(NULL);
}

/* B6, D5: the limit runs out with leases out: a status and a count; nothing is freed under a lease. */
static void test_still_leased_at_the_limit_B6_D5(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[2];
    size_t still_leased = 99;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    leases[0] = pool_take(&fixture, "x");
    leases[1] = pool_take(&fixture, "y");
    pool_park(&fixture, "x", 1);
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(connpool_close(fixture.context, 700, &still_leased), CONNPOOL_STILL_LEASED);
    assert_int_equal(still_leased, 2);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(700));
    fixture.clock.context = NULL;
    assert_int_equal(test_manager_live(NULL), 2);
    assert_true(connpool_lease_valid(&leases[0]));
    assert_int_equal(lease_connection(&leases[0])->number, 1);
    /* Rule 11, D7: release after close destroys and succeeds. */
    assert_int_equal(connpool_release(&leases[0]), CONNPOOL_OK);
    assert_int_equal(test_manager_live(NULL), 1);
    assert_int_equal(connpool_discard(&leases[1]), CONNPOOL_OK);
    pool_fixture_assert_nothing_left(&fixture);
}

/* B6: it waits without spinning: a few sleeps, not thousands. */
static void test_waiting_for_leases_does_not_spin_B6(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    uint64_t sleeps;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    lease = pool_take(&fixture, "x");
    sleeps = atomic_load(&fixture.clock.sleeps);
    assert_int_equal(connpool_close(fixture.context, INT_MAX, NULL), CONNPOOL_STILL_LEASED);
    fixture.clock.context = NULL;
    assert_true(atomic_load(&fixture.clock.sleeps) - sleeps < 10);
    assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
    pool_fixture_assert_nothing_left(&fixture);
}

struct close_scene {
    struct pool_fixture fixture;
    connpool_lease held;
    connpool_lease other;
    connpool_status status;
    connpool_pool *pool;
};

static void release_held(void *argument, int64_t until)
{
    struct close_scene *scene = argument;

    (void)until;
    scene->status = connpool_acquire(scene->pool, "x", 1000, &scene->other, NULL);
    assert_int_equal(connpool_release(&scene->held), CONNPOOL_OK);
}

/* S35: what is released while close waits is closed by it, and new acquires are refused at once (S18, B5). */
static void test_close_waits_for_leases_and_refuses_acquires_S35_B5(void **state)
{
    struct close_scene scene = {0};

    (void)state;
    pool_fixture_open(&scene.fixture, POOL_DEFAULTS);
    scene.pool = scene.fixture.pool;
    scene.held = pool_take(&scene.fixture, "x");
    virtual_clock_on_sleep(&scene.fixture.clock, release_held, &scene);
    assert_int_equal(connpool_close(scene.fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    scene.fixture.clock.context = NULL;
    assert_int_equal(scene.status, CONNPOOL_CLOSED);
    pool_fixture_assert_nothing_left(&scene.fixture);
}

/* C7, D6: waiters are woken with CLOSED at once. */
static void test_waiters_are_woken_C7_D6(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client clients[3] = {0};
    connpool_lease held;
    size_t still_leased;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'total_max_size': 1");
    held = pool_take(&fixture, "x");
    pool_client_start(&clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    pool_client_start(&clients[1], &fixture, "y", CONNPOOL_WAIT_FOREVER);
    pool_client_start(&clients[2], &fixture, "x", 1000000);
    await_waiters(&fixture, 3);
    assert_int_equal(connpool_close(fixture.context, 0, &still_leased), CONNPOOL_STILL_LEASED);
    fixture.clock.context = NULL;
    assert_int_equal(still_leased, 1);
    for (int i = 0; i < 3; i++) {
        pool_client_join(&clients[i]);
        assert_int_equal(clients[i].status, CONNPOOL_CLOSED);
        assert_int_equal(clients[i].error.status, CONNPOOL_CLOSED);
    }
    assert_int_equal(connpool_release(&held), CONNPOOL_OK);
    pool_fixture_assert_nothing_left(&fixture);
}

/* C5: an open is under way when the context closes: its acquire ends as closed, the connection is destroyed. */
static void test_close_during_an_open_C5(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_live(1);
    (void)connpool_close(fixture.context, 0, NULL);
    fixture.clock.context = NULL;
    test_manager_wake();
    pool_client_join(&client);
    assert_int_equal(client.status, CONNPOOL_CLOSED);
    pool_fixture_assert_nothing_left(&fixture);
}

/* C5: the open ends in the same moment as the context. */
static void test_close_races_an_open_that_ends_C5(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct pool_fixture fixture = {0};
        struct pool_client client = {0};

        pool_fixture_open(&fixture, POOL_DEFAULTS);
        test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
        pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
        await_live(1);
        test_manager_wake();
        (void)connpool_close(fixture.context, 0, NULL);
        fixture.clock.context = NULL;
        pool_client_join(&client);
        if (client.status == CONNPOOL_OK) {
            assert_int_equal(connpool_release(&client.lease), CONNPOOL_OK);
        } else {
            assert_int_equal(client.status, CONNPOOL_CLOSED);
        }
        pool_fixture_assert_nothing_left(&fixture);
    }
}

/* D34, rule 11: silent goodbyes do not hold close beyond its limit. */
static void test_silent_goodbyes_end_by_the_limit_D34(void **state)
{
    struct pool_fixture fixture = {0};
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'dispose_timeout': 50");
    pool_park(&fixture, "x", 5);
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(connpool_close(fixture.context, 3000, NULL), CONNPOOL_OK);
    fixture.clock.context = NULL;
    assert_true(virtual_clock_now(&fixture.clock) - begun <= SECONDS(3));
    pool_fixture_assert_nothing_left(&fixture);
}

static void test_silent_goodbyes_end_by_dispose_timeout(void **state)
{
    struct pool_fixture fixture = {0};
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'dispose_timeout': 2");
    pool_park(&fixture, "x", 5);
    test_manager_set(TEST_CLOSE, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(connpool_close(fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    fixture.clock.context = NULL;
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, SECONDS(2));
    pool_fixture_assert_nothing_left(&fixture);
}

/* B5, B7: handles and leases outlive the context; calls on them answer. */
static void test_handles_outlive_the_context_B7(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *x;
    connpool_lease lease, none = CONNPOOL_LEASE_NONE;
    struct connpool_lease_info info = {.size = sizeof(info)};
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &x, NULL), CONNPOOL_OK);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_close(fixture.context, 0, NULL), CONNPOOL_STILL_LEASED);
    fixture.clock.context = NULL;
    assert_int_equal(connpool_endpoint_acquire(x, 1000, &none, NULL), CONNPOOL_CLOSED);
    assert_int_equal(connpool_try_acquire(x, &none, NULL), CONNPOOL_CLOSED);
    assert_int_equal(connpool_acquire_any(&x, 1, 1000, &none, NULL), CONNPOOL_CLOSED);
    assert_string_equal(connpool_endpoint_name(x), "x");
    connpool_endpoint_statistics(x, &numbers);
    assert_int_equal(numbers.leased, 1);
    connpool_endpoint_drain(x);
    assert_int_equal(connpool_lease_info(&lease, &info), CONNPOOL_OK);
    assert_string_equal(info.endpoint, "x");
    assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
    assert_int_equal(test_manager_live(NULL), 0);
    connpool_endpoint_put(x);
    pool_fixture_assert_nothing_left(&fixture);
}

/* A lease released before the close is stale after it, while another lease keeps the memory. */
static void test_a_stale_lease_does_not_count_at_the_close_B3(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease, copy;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    held = pool_take(&fixture, "x");
    lease = pool_take(&fixture, "x");
    copy = lease;
    pool_give(&lease);
    assert_int_equal(connpool_release(&copy), CONNPOOL_STALE);
    assert_int_equal(connpool_close(fixture.context, 0, NULL), CONNPOOL_STILL_LEASED);
    fixture.clock.context = NULL;
    assert_int_equal(connpool_release(&held), CONNPOOL_OK);
    pool_fixture_assert_nothing_left(&fixture);
}

/* Several contexts side by side, closed in any order (C22). */
static void test_contexts_are_independent(void **state)
{
    struct pool_fixture first = {0}, second = {.keeps_settings = true};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&first, POOL_DEFAULTS);
    pool_fixture_open(&second, POOL_DEFAULTS);
    lease = pool_take(&second, "x");
    assert_int_equal(connpool_close(first.context, 0, NULL), CONNPOOL_OK);
    assert_true(connpool_lease_valid(&lease));
    pool_give(&lease);
    pool_fixture_close(&second);
}

/* C22: many threads open and close contexts at once. */
static void *open_and_close(void *argument)
{
    static const char json[] = "{\"pools\": {\"p\": {\"manager\": \"test\", \"background_collector\": true}}}";
    struct connpool_options options = {.size = sizeof(options), .json = json};
    connpool_lease lease;
    atomic_int *failures = argument;

    options.managers = test_manager_tables(&options.manager_count);
    for (int i = 0; i < 10; i++) {
        connpool *context = connpool_open_with(&options, NULL);

        if (context == NULL || connpool_acquire(connpool_pool_at(context, 0), "x", 5000, &lease, NULL) != CONNPOOL_OK ||
            connpool_release(&lease) != CONNPOOL_OK || connpool_close(context, 5000, NULL) != CONNPOOL_OK) {
            atomic_fetch_add(failures, 1);
        }
    }
    return NULL;
}

static void test_many_threads_open_and_close_C22(void **state)
{
    struct pool_fixture fixture = {0};
    pthread_t threads[16];
    atomic_int failures = 0;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &failures), 0);
    }
    for (int i = 0; i < 16; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&failures), 0);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_ones_get_their_goodbye),
        cmocka_unit_test(test_null_is_accepted),
        cmocka_unit_test(test_still_leased_at_the_limit_B6_D5),
        cmocka_unit_test(test_waiting_for_leases_does_not_spin_B6),
        cmocka_unit_test(test_close_waits_for_leases_and_refuses_acquires_S35_B5),
        cmocka_unit_test(test_waiters_are_woken_C7_D6),
        cmocka_unit_test(test_close_during_an_open_C5),
        cmocka_unit_test(test_close_races_an_open_that_ends_C5),
        cmocka_unit_test(test_silent_goodbyes_end_by_the_limit_D34),
        cmocka_unit_test(test_silent_goodbyes_end_by_dispose_timeout),
        cmocka_unit_test(test_handles_outlive_the_context_B7),
        cmocka_unit_test(test_a_stale_lease_does_not_count_at_the_close_B3),
        cmocka_unit_test(test_contexts_are_independent),
        cmocka_unit_test(test_many_threads_open_and_close_C22),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
