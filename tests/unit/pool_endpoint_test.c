/* SPDX-License-Identifier: MIT */
/* pool_endpoint: endpoints by name, by text and by handle; those given at run time cost nothing when they are not used
 * any more (design.md, Semantics 14; semantics.md S3, S29, S32, D16; failures.md C21). */
#include <stdio.h>
#include <string.h>

#include "pool_fixture.h"

static void test_run_time_texts_of_equal_options_are_one_endpoint(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *plain, *same, *flavoured;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_park(&fixture, "x", 1);
    lease = pool_take(&fixture, "same:x");
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &plain, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "same:x", &same, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "flavoured:x", &flavoured, NULL), CONNPOOL_OK);
    assert_ptr_equal(plain, same);
    assert_ptr_not_equal(plain, flavoured);
    assert_string_equal(connpool_endpoint_name(same), "x");
    connpool_endpoint_put(plain);
    connpool_endpoint_put(same);
    connpool_endpoint_put(flavoured);
    pool_fixture_close(&fixture);
}

/* C21: other options, other connections. */
static void test_other_options_are_another_endpoint_C21(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_park(&fixture, "x", 1);
    lease = pool_take(&fixture, "flavoured:x");
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_a_configured_name_wins_over_parsing(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'endpoints': {'x': {'name': 'far'}, '!odd': {'name': 'odd'}}");
    lease = pool_take(&fixture, "x");
    assert_string_equal(lease_connection(&lease)->endpoint, "far");
    pool_give(&lease);
    lease = pool_take(&fixture, "y");
    assert_string_equal(lease_connection(&lease)->endpoint, "y");
    pool_give(&lease);
    lease = pool_take(&fixture, "!odd");
    assert_string_equal(lease_connection(&lease)->endpoint, "odd");
    pool_give(&lease);
    assert_string_equal(connpool_pool_endpoint_name(fixture.pool, 0), "x");
    assert_string_equal(connpool_pool_endpoint_name(fixture.pool, 1), "!odd");
    assert_null(connpool_pool_endpoint_name(fixture.pool, 2));
    pool_fixture_close(&fixture);
}

static void test_null_names_the_endpoint_of_a_pool_that_has_one(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'endpoints': {'only': {'name': 'only'}}");
    lease = pool_take(&fixture, NULL);
    assert_string_equal(lease_connection(&lease)->endpoint, "only");
    pool_give(&lease);
    pool_fixture_close(&fixture);

    pool_fixture_open(&fixture, "'options': {'name': 'whole'}");
    lease = pool_take(&fixture, NULL);
    assert_string_equal(lease_connection(&lease)->endpoint, "whole");
    pool_give(&lease);
    lease = pool_take(&fixture, "default");
    assert_int_equal(lease_number(&lease), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);

    pool_fixture_open(&fixture, "'endpoints': {'a': {'name': 'a'}, 'b': {'name': 'b'}}");
    assert_int_equal(pool_try(&fixture, NULL, 1000, &lease), CONNPOOL_NOT_FOUND);
    pool_fixture_close(&fixture);
}

static void test_text_that_names_none_is_not_found_S29(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    connpool_endpoint *endpoint;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_int_equal(pool_try(&fixture, "!bad", 1000, &lease), CONNPOOL_NOT_FOUND);
    assert_non_null(strstr(fixture.error.text, "a name does not begin with '!'"));
    assert_int_equal(connpool_endpoint_get(fixture.pool, "!bad", &endpoint, NULL), CONNPOOL_NOT_FOUND);
    assert_null(connpool_pool_get(fixture.context, "q"));
    assert_ptr_equal(connpool_pool_get(fixture.context, "p"), fixture.pool);
    assert_null(connpool_pool_at(fixture.context, 1));
    assert_int_equal(pool_numbers(&fixture).endpoints, 0);
    pool_fixture_close(&fixture);
}

static void test_endpoint_init_that_fails_leaves_nothing(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    size_t blocks;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_park(&fixture, "keep", 1);
    /* Its record is kept, to be used again. */
    assert_int_not_equal(pool_try(&fixture, "broken:w", 1000, &lease), CONNPOOL_OK);
    blocks = failing_allocator_blocks();
    assert_int_not_equal(pool_try(&fixture, "broken:x", 1000, &lease), CONNPOOL_OK);
    assert_non_null(strstr(fixture.error.text, "no endpoint of that flavour"));
    assert_int_equal(test_manager_endpoints(), 1);
    assert_int_equal(failing_allocator_blocks(), blocks);
    pool_fixture_close(&fixture);
}

/* Rule 14, D16, S32: nothing stays of an endpoint whose last connection, waiter and handle are gone. */
static void test_unused_run_time_endpoints_cost_nothing_D16_S32(void **state)
{
    struct pool_fixture fixture = {0};
    char name[32];
    size_t blocks = 0;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 0, 'max_endpoints': 2");
    for (int i = 0; i < 1000; i++) {
        connpool_lease lease;

        (void)snprintf(name, sizeof(name), "host-%d", i);
        lease = pool_take(&fixture, name);
        assert_int_equal(test_manager_endpoints(), 1);
        pool_give(&lease);
        assert_int_equal(test_manager_endpoints(), 0);
        if (i == 0) {
            blocks = failing_allocator_blocks();
        }
    }
    assert_int_equal(failing_allocator_blocks(), blocks);
    assert_int_equal(pool_numbers(&fixture).endpoints, 0);
    pool_fixture_close(&fixture);
}

static void test_also_where_connects_fail_D16(void **state)
{
    struct pool_fixture fixture = {0};
    char name[32];
    size_t blocks = 0;

    (void)state;
    pool_fixture_open(&fixture, "'max_endpoints': 2");
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    for (int i = 0; i < 1000; i++) {
        connpool_lease lease;

        (void)snprintf(name, sizeof(name), "host-%d", i);
        assert_int_equal(pool_try(&fixture, name, 1000, &lease), CONNPOOL_FAILED);
        assert_int_equal(test_manager_endpoints(), 0);
        if (i == 0) {
            blocks = failing_allocator_blocks();
        }
    }
    assert_int_equal(failing_allocator_blocks(), blocks);
    pool_fixture_close(&fixture);
}

static void test_also_where_nothing_is_to_be_had_in_time(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;

    (void)state;
    pool_fixture_open(&fixture, "'total_max_size': 1, 'max_size': 1, 'max_endpoints': 2");
    held = pool_take(&fixture, "x");
    for (int i = 0; i < 10; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "host-%d", i);
        assert_int_equal(pool_try(&fixture, name, 10, &lease), CONNPOOL_TIMED_OUT);
        assert_int_equal(pool_try(&fixture, name, 0, &lease), CONNPOOL_TIMED_OUT);
        assert_int_equal(test_manager_endpoints(), 1);
    }
    pool_give(&held);
    pool_fixture_close(&fixture);
}

/* A hold-down keeps its endpoint until it has run out. */
static void test_a_hold_down_keeps_an_endpoint_for_its_time(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'holddown': 5, 'max_endpoints': 2");
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(test_manager_opened(), 1);
    virtual_clock_advance(&fixture.clock, SECONDS(6));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(test_manager_endpoints(), 0);
    pool_fixture_close(&fixture);
}

static void test_a_handle_keeps_an_endpoint(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *x;
    connpool_lease lease = CONNPOOL_LEASE_NONE;

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 0, 'idle_timeout': 0");
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &x, NULL), CONNPOOL_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(connpool_endpoint_acquire(x, 1000, &lease, NULL), CONNPOOL_OK);
        pool_give(&lease);
        assert_int_equal(test_manager_endpoints(), 1);
    }
    connpool_endpoint_put(x);
    assert_int_equal(test_manager_endpoints(), 0);
    pool_fixture_close(&fixture);
}

static void test_max_endpoints(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    connpool_endpoint *endpoint;

    (void)state;
    pool_fixture_open(&fixture, "'max_endpoints': 2, 'endpoints': {'named': {'name': 'named'}}");
    pool_park(&fixture, "named", 1);
    pool_park(&fixture, "a", 1);
    pool_park(&fixture, "b", 1);
    assert_int_equal(pool_try(&fixture, "c", 1000, &lease), CONNPOOL_OVERLOADED);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "c", &endpoint, NULL), CONNPOOL_OVERLOADED);
    pool_park(&fixture, "a", 1);
    pool_park(&fixture, "named", 1);
    connpool_pool_drain(fixture.pool);
    pool_park(&fixture, "c", 1);
    pool_fixture_close(&fixture);
}

static void test_endpoints_override_the_pools_keys(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_limits limits = {.size = sizeof(limits)};
    connpool_lease first, second, lease;
    connpool_endpoint *small;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 2, 'endpoints': {'small': {'name': 's', 'pool': {'max_size': 1}}, "
                                "'large': {'name': 'l'}}");
    first = pool_take(&fixture, "small");
    assert_int_equal(pool_try(&fixture, "small", 10, &lease), CONNPOOL_TIMED_OUT);
    pool_give(&first);
    first = pool_take(&fixture, "large");
    second = pool_take(&fixture, "large");
    assert_int_equal(pool_try(&fixture, "large", 10, &lease), CONNPOOL_TIMED_OUT);
    pool_give(&first);
    pool_give(&second);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "small", &small, NULL), CONNPOOL_OK);
    connpool_endpoint_limits(small, &limits);
    assert_int_equal(limits.max_size, 1);
    connpool_endpoint_put(small);
    pool_fixture_close(&fixture);
}

/* pool_init runs once for each distinct set of shared values, when the context opens. */
static void test_pool_states_by_shared_values(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'endpoints': {'a': {'name': 'a', 'shared': '1'}, 'b': {'name': 'b', 'shared': '1'}, "
                                "'c': {'name': 'c', 'shared': '2'}}");
    assert_true(test_manager_pools() >= 2 && test_manager_pools() <= 3);
    pool_park(&fixture, "a", 1);
    pool_park(&fixture, "b", 1);
    pool_park(&fixture, "c", 1);
    pool_fixture_close(&fixture);
}

/* One peer, one endpoint, one max_size: whether it is called by its name or by what it is. */
static void test_text_of_a_configured_endpoints_options_is_that_endpoint(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *by_name, *by_text;
    connpool_lease held, lease;

    (void)state;
    pool_fixture_open_json(&fixture, "{'pools': {'p': {'manager': 'test', 'max_size': 1, 'endpoints': "
                                     "{'main': {'name': 'n1'}}}}}");
    assert_int_equal(connpool_endpoint_get(fixture.pool, "main", &by_name, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "n1", &by_text, NULL), CONNPOOL_OK);
    assert_ptr_equal(by_text, by_name);
    assert_string_equal(connpool_endpoint_name(by_text), "main");
    held = pool_take(&fixture, "main");
    assert_int_equal(pool_try(&fixture, "n1", 50, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_most("n1"), 1);
    assert_int_equal(pool_numbers(&fixture).endpoints, 1);
    pool_give(&held);
    connpool_endpoint_put(by_text);
    connpool_endpoint_put(by_name);
    pool_fixture_close(&fixture);
}

/* A name that is not there, passed on unseen, is answered; so is one that the manager does not understand. */
static void test_what_is_not_there_is_not_found(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *endpoint = NULL;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_null(connpool_pool_get(fixture.context, "q"));
    assert_int_equal(connpool_acquire(NULL, "x", 0, &lease, &fixture.error), CONNPOOL_NOT_FOUND);
    assert_non_null(strstr(fixture.error.text, "the pool is NULL"));
    assert_int_equal(connpool_endpoint_get(NULL, "x", &endpoint, NULL), CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_endpoint_acquire(NULL, 0, &lease, &fixture.error), CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_try_acquire(NULL, &lease, NULL), CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_acquire_any(&endpoint, 1, 0, &lease, NULL), CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_pool_observe(NULL, NULL), CONNPOOL_NOT_FOUND);
    assert_int_equal(connpool_acquire(fixture.pool, "!bad", 0, &lease, &fixture.error), CONNPOOL_NOT_FOUND);
    assert_non_null(strstr(fixture.error.text, "pool 'p': no endpoint is configured by that name"));
    assert_int_equal(connpool_acquire(fixture.pool, "x", 0, &lease, &fixture.error), CONNPOOL_TIMED_OUT);
    assert_non_null(strstr(fixture.error.text, "no idle connection that can be had at once (0 leased"));
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_time_texts_of_equal_options_are_one_endpoint),
        cmocka_unit_test(test_other_options_are_another_endpoint_C21),
        cmocka_unit_test(test_a_configured_name_wins_over_parsing),
        cmocka_unit_test(test_null_names_the_endpoint_of_a_pool_that_has_one),
        cmocka_unit_test(test_text_that_names_none_is_not_found_S29),
        cmocka_unit_test(test_endpoint_init_that_fails_leaves_nothing),
        cmocka_unit_test(test_unused_run_time_endpoints_cost_nothing_D16_S32),
        cmocka_unit_test(test_also_where_connects_fail_D16),
        cmocka_unit_test(test_also_where_nothing_is_to_be_had_in_time),
        cmocka_unit_test(test_a_hold_down_keeps_an_endpoint_for_its_time),
        cmocka_unit_test(test_a_handle_keeps_an_endpoint),
        cmocka_unit_test(test_max_endpoints),
        cmocka_unit_test(test_endpoints_override_the_pools_keys),
        cmocka_unit_test(test_pool_states_by_shared_values),
        cmocka_unit_test(test_text_of_a_configured_endpoints_options_is_that_endpoint),
        cmocka_unit_test(test_what_is_not_there_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
