/* SPDX-License-Identifier: MIT */
/* pool_any: acquire from whichever of several endpoints can serve first. */
#include <string.h>

#include "pool_client.h"
#include "pool_driver.h"
#include "pool_fixture.h"

#define COUNT 3

static const char *const names[COUNT] = {"a", "b", "c"};

struct any_scene {
    struct pool_fixture fixture;
    connpool_endpoint *endpoints[COUNT];
    connpool_lease held[COUNT];
    int released; /* which one the sleep hook gives back */
};

static void open_scene(struct any_scene *scene, const char *keys)
{
    pool_fixture_open(&scene->fixture, "%s", keys);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(connpool_endpoint_get(scene->fixture.pool, names[i], &scene->endpoints[i], NULL), CONNPOOL_OK);
    }
}

static void close_scene(struct any_scene *scene)
{
    for (int i = 0; i < COUNT; i++) {
        connpool_endpoint_put(scene->endpoints[i]);
    }
    pool_fixture_close(&scene->fixture);
}

static connpool_status any(struct any_scene *scene, int timeout_ms, connpool_lease *lease)
{
    return pool_driver_acquire_any(scene->endpoints, COUNT, timeout_ms, lease, &scene->fixture.error);
}

static void test_idle_ones_in_the_order_given(void **state)
{
    struct any_scene scene = {0};
    connpool_lease first, second, third;

    (void)state;
    open_scene(&scene, POOL_DEFAULTS);
    pool_park(&scene.fixture, "c", 1);
    pool_park(&scene.fixture, "b", 1);
    assert_int_equal(any(&scene, 1000, &first), CONNPOOL_OK);
    assert_string_equal(lease_connection(&first)->endpoint, "b");
    assert_int_equal(any(&scene, 1000, &second), CONNPOOL_OK);
    assert_string_equal(lease_connection(&second)->endpoint, "c");
    assert_int_equal(any(&scene, 1000, &third), CONNPOOL_OK);
    assert_string_equal(lease_connection(&third)->endpoint, "a");
    assert_int_equal(test_manager_opened(), 3);
    pool_give(&first);
    pool_give(&second);
    pool_give(&third);
    close_scene(&scene);
}

static void test_one_whose_open_fails_is_left_out(void **state)
{
    struct any_scene scene = {0};
    connpool_lease lease;

    (void)state;
    open_scene(&scene, POOL_DEFAULTS);
    test_manager_set_endpoint("a", TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    test_manager_set_endpoint("b", TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(any(&scene, 1000, &lease), CONNPOOL_OK);
    assert_string_equal(lease_connection(&lease)->endpoint, "c");
    assert_int_equal(test_manager_opened(), 3);
    pool_give(&lease);
    close_scene(&scene);
}

static void test_all_fail(void **state)
{
    struct any_scene scene = {0};
    connpool_lease lease;

    (void)state;
    open_scene(&scene, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(any(&scene, 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(scene.fixture.error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_int_equal(test_manager_opened(), 3);
    assert_int_equal(pool_numbers(&scene.fixture).waiters, 0);
    close_scene(&scene);
}

static void release_one(void *argument, int64_t until)
{
    struct any_scene *scene = argument;

    (void)until;
    pool_give(&scene->held[scene->released]);
}

static void test_whichever_frees_first(void **state)
{
    (void)state;
    for (int released = 0; released < COUNT; released++) {
        struct any_scene scene = {.released = released};
        connpool_lease lease;

        open_scene(&scene, "'max_size': 1");
        for (int i = 0; i < COUNT; i++) {
            scene.held[i] = pool_take(&scene.fixture, names[i]);
        }
        virtual_clock_on_sleep(&scene.fixture.clock, release_one, &scene);
        assert_int_equal(any(&scene, CONNPOOL_WAIT_FOREVER, &lease), CONNPOOL_OK);
        assert_string_equal(lease_connection(&lease)->endpoint, names[released]);
        scene.held[released] = lease;
        for (int i = 0; i < COUNT; i++) {
            pool_give(&scene.held[i]);
        }
        assert_int_equal(pool_numbers(&scene.fixture).waiters, 0);
        close_scene(&scene);
    }
}

/* D12, C4: it was woken for two endpoints and takes from one: the other's wake goes to who stands behind it. */
static struct pool_client behind;

static void release_two(void *argument, int64_t until)
{
    struct any_scene *scene = argument;

    (void)until;
    pool_client_start(&behind, &scene->fixture, "b", CONNPOOL_WAIT_FOREVER);
    await_waiters(&scene->fixture, 2);
    pool_give(&scene->held[0]);
    pool_give(&scene->held[1]);
}

static void test_a_wake_for_another_endpoint_is_passed_on_D12_C4(void **state)
{
    struct any_scene scene = {0};
    connpool_lease lease;

    (void)state;
    open_scene(&scene, "'max_size': 1");
    for (int i = 0; i < COUNT; i++) {
        scene.held[i] = pool_take(&scene.fixture, names[i]);
    }
    virtual_clock_on_sleep(&scene.fixture.clock, release_two, &scene);
    assert_int_equal(any(&scene, CONNPOOL_WAIT_FOREVER, &lease), CONNPOOL_OK);
    assert_string_equal(lease_connection(&lease)->endpoint, "a");
    pool_client_join_ok(&behind);
    pool_give(&behind.lease);
    pool_give(&lease);
    pool_give(&scene.held[2]);
    close_scene(&scene);
}

static void test_times_out_and_leaves_no_waiter_behind(void **state)
{
    struct any_scene scene = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    open_scene(&scene, "'max_size': 1");
    for (int i = 0; i < COUNT; i++) {
        scene.held[i] = pool_take(&scene.fixture, names[i]);
    }
    begun = virtual_clock_now(&scene.fixture.clock);
    assert_int_equal(any(&scene, 300, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&scene.fixture.clock) - begun, MILLISECONDS(300));
    assert_int_equal(any(&scene, 0, &lease), CONNPOOL_TIMED_OUT);
    for (int i = 0; i < COUNT; i++) {
        pool_give(&scene.held[i]);
        lease = pool_take(&scene.fixture, names[i]);
        pool_give(&lease);
    }
    close_scene(&scene);
}

static void test_counts_and_arguments(void **state)
{
    struct any_scene scene = {0};
    connpool_endpoint *many[65];
    connpool_lease lease;

    (void)state;
    open_scene(&scene, POOL_DEFAULTS);
    for (int i = 0; i < 65; i++) {
        many[i] = scene.endpoints[i % COUNT];
    }
    assert_int_equal(pool_driver_acquire_any(many, 0, 1000, &lease, NULL), CONNPOOL_INVALID);
    assert_int_equal(pool_driver_acquire_any(many, 65, 1000, &lease, NULL), CONNPOOL_INVALID);
    assert_int_equal(pool_driver_acquire_any(many, 64, 1000, &lease, NULL), CONNPOOL_OK);
    pool_give(&lease);
    close_scene(&scene);
}

static void test_endpoints_of_two_pools_are_refused(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *mixed[2];
    connpool_lease lease;

    (void)state;
    pool_fixture_open_json(&fixture, "{'pools': {'p': {'manager': 'test'}, 'q': {'manager': 'test'}}}");
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &mixed[0], NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(connpool_pool_get(fixture.context, "q"), "x", &mixed[1], NULL), CONNPOOL_OK);
    assert_int_equal(pool_driver_acquire_any(mixed, 2, 1000, &lease, NULL), CONNPOOL_INVALID);
    connpool_endpoint_put(mixed[0]);
    connpool_endpoint_put(mixed[1]);
    pool_fixture_close(&fixture);
}

/* The line as it is while an acquire stands in it. */
static void count_waiters(void *argument, int64_t until)
{
    struct pool_fixture *fixture = argument;

    (void)until;
    assert_int_equal(pool_numbers(fixture).waiters, 1);
    assert_int_equal(endpoint_numbers(fixture, "a").waiters, 1);
    virtual_clock_advance(&fixture->clock, 0); /* sleep again */
}

static void test_an_endpoint_given_twice_is_waited_for_once(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *twice[2];
    connpool_lease held, lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'max_waiters': 1");
    held = pool_take(&fixture, "a");
    assert_int_equal(connpool_endpoint_get(fixture.pool, "a", &twice[0], NULL), CONNPOOL_OK);
    twice[1] = twice[0];
    virtual_clock_on_sleep(&fixture.clock, count_waiters, &fixture);
    assert_int_equal(pool_driver_acquire_any(twice, 2, 300, &lease, NULL), CONNPOOL_TIMED_OUT);
    assert_int_equal(pool_numbers(&fixture).waiters, 0);
    pool_give(&held);
    assert_int_equal(pool_driver_acquire_any(twice, 2, 300, &lease, NULL), CONNPOOL_OK);
    pool_give(&lease);
    connpool_endpoint_put(twice[0]);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_ones_in_the_order_given),
        cmocka_unit_test(test_one_whose_open_fails_is_left_out),
        cmocka_unit_test(test_all_fail),
        cmocka_unit_test(test_whichever_frees_first),
        cmocka_unit_test(test_a_wake_for_another_endpoint_is_passed_on_D12_C4),
        cmocka_unit_test(test_times_out_and_leaves_no_waiter_behind),
        cmocka_unit_test(test_counts_and_arguments),
        cmocka_unit_test(test_endpoints_of_two_pools_are_refused),
        cmocka_unit_test(test_an_endpoint_given_twice_is_waited_for_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
