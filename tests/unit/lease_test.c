/* SPDX-License-Identifier: MIT */
/* lease: the right to use one connection, as a value (design.md, Semantics 2; semantics.md D18; failures.md B1-B3). */
#include <string.h>

#include "pool_fixture.h"

static void test_second_release_has_no_effect_B1_D18(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease, copy;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    lease = pool_take(&fixture, "x");
    copy = lease;
    pool_give(&lease);
    assert_int_equal(connpool_release(&lease), CONNPOOL_STALE);
    assert_int_equal(connpool_release(&copy), CONNPOOL_STALE);
    assert_int_equal(connpool_discard(&copy), CONNPOOL_STALE);
    assert_int_equal(pool_numbers(&fixture).released, 1);
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    pool_fixture_close(&fixture);
}

/* D18: the connection has a new holder: a stale copy of the old lease does him no harm. */
static void test_a_stale_copy_does_not_harm_the_new_holder_D18(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease, copy, mine;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    lease = pool_take(&fixture, "x");
    copy = lease;
    pool_give(&lease);
    mine = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&mine), 1);
    assert_false(connpool_lease_valid(&copy));
    assert_null(connpool_lease_native(&copy, TEST_CONNECTION_TYPE));
    assert_int_equal(connpool_release(&copy), CONNPOOL_STALE);
    assert_true(connpool_lease_valid(&mine));
    assert_int_equal(pool_numbers(&fixture).leased, 1);
    pool_give(&mine);
    pool_fixture_close(&fixture);
}

/* B2: a lease is what one acquire made: parts of two leases make none, and it finds its own pool. */
static void test_a_lease_put_together_of_two_B2(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease first, second, mixed;

    (void)state;
    pool_fixture_open_json(&fixture, "{'pools': {'p': {'manager': 'test'}, 'q': {'manager': 'test'}}}");
    first = pool_take(&fixture, "x");
    pool_give(&first);
    first = pool_take(&fixture, "x");
    assert_int_equal(connpool_acquire(connpool_pool_get(fixture.context, "q"), "x", 1000, &second, NULL), CONNPOOL_OK);
    mixed = (connpool_lease){.connection = first.connection, .generation = second.generation};
    assert_false(connpool_lease_valid(&mixed));
    assert_null(connpool_lease_native(&mixed, TEST_CONNECTION_TYPE));
    assert_int_equal(connpool_release(&mixed), CONNPOOL_STALE);
    mixed = (connpool_lease){.connection = second.connection, .generation = first.generation};
    assert_int_equal(connpool_discard(&mixed), CONNPOOL_STALE);
    assert_int_equal(pool_numbers(&fixture).leased, 1);
    pool_give(&second);
    assert_int_equal(pool_numbers(&fixture).leased, 1);
    pool_give(&first);
    assert_int_equal(pool_numbers(&fixture).leased, 0);
    pool_fixture_close(&fixture);
}

/* B3: copies stay stale when the connection is gone and its memory may serve another. */
static void test_a_stale_copy_of_a_connection_that_is_gone_B3_C16(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease copies[64];
    struct connpool_lease_info info = {.size = sizeof(info)};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    for (int i = 0; i < 64; i++) {
        connpool_lease lease = pool_take(&fixture, i % 2 == 0 ? "x" : "y");

        copies[i] = lease;
        assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
        for (int k = 0; k <= i; k++) {
            connpool_lease copy = copies[k];

            assert_false(connpool_lease_valid(&copy));
            assert_int_equal(connpool_release(&copy), CONNPOOL_STALE);
            copy = copies[k];
            assert_int_equal(connpool_lease_info(&copy, &info), CONNPOOL_STALE);
            assert_null(connpool_lease_data(&copy));
        }
    }
    pool_fixture_close(&fixture);
}

static void test_a_lease_of_nothing(void **state)
{
    connpool_lease none = CONNPOOL_LEASE_NONE;
    struct connpool_lease_info info = {.size = sizeof(info)};

    (void)state;
    assert_false(connpool_lease_valid(&none));
    assert_int_equal(connpool_release(&none), CONNPOOL_STALE);
    assert_int_equal(connpool_discard(&none), CONNPOOL_STALE);
    assert_int_equal(connpool_lease_info(&none, &info), CONNPOOL_STALE);
    assert_null(connpool_lease_native(&none, TEST_CONNECTION_TYPE));
    assert_null(connpool_lease_data(&none));
    assert_int_equal(connpool_lease_set_data(&none, NULL, NULL), CONNPOOL_STALE);
}

/* An acquire that fails does not touch the lease. */
static void test_outputs_are_written_only_on_success(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;
    connpool_error error = {.text = "as before"};

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    held = pool_take(&fixture, "x");
    lease = held;
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    assert_ptr_equal(lease.connection, held.connection);
    assert_int_equal(lease.generation, held.generation);
    pool_give(&held);
    assert_int_equal(connpool_acquire(fixture.pool, "x", 0, &held, &error), CONNPOOL_OK);
    assert_string_equal(error.text, "as before");
    pool_give(&held);
    pool_fixture_close(&fixture);
}

static void test_info(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_lease_info info = {.size = sizeof(info)};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_lease_info(&lease, &info), CONNPOOL_OK);
    assert_int_equal(info.is_new, 1);
    assert_int_equal(info.id, 1);
    assert_int_equal(info.uses, 1);
    assert_ptr_equal(info.pool, fixture.pool);
    assert_string_equal(info.endpoint, "x");
    assert_string_equal(info.manager, "test");
    pool_give(&lease);
    virtual_clock_advance(&fixture.clock, SECONDS(3));
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_lease_info(&lease, &info), CONNPOOL_OK);
    assert_int_equal(info.is_new, 0);
    assert_int_equal(info.id, 1);
    assert_int_equal(info.uses, 2);
    assert_int_equal(info.age, SECONDS(3));
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_lease_info(&lease, &info), CONNPOOL_OK);
    assert_int_equal(info.id, 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* The caller's struct is shorter: nothing is written behind its end. */
static void test_a_shorter_info_is_filled_as_far_as_it_goes(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_lease_info info;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    lease = pool_take(&fixture, "x");
    memset(&info, 0x55, sizeof(info));
    info.size = offsetof(struct connpool_lease_info, uses);
    assert_int_equal(connpool_lease_info(&lease, &info), CONNPOOL_OK);
    assert_int_equal(info.id, 1);
    assert_int_equal(info.uses, 0x5555555555555555);
    info.size = 0;
    assert_int_equal(connpool_lease_info(&lease, &info), CONNPOOL_INVALID);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_native_is_typed(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    lease = pool_take(&fixture, "x");
    assert_non_null(connpool_lease_native(&lease, TEST_CONNECTION_TYPE));
    assert_null(connpool_lease_native(&lease, "test.connection/2"));
    assert_null(connpool_lease_native(&lease, "fd"));
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static int destroyed_data;

static void count_data(void *data)
{
    assert_non_null(data);
    destroyed_data++;
}

static void test_user_data_stays_and_is_destroyed_once(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int first = 1, second = 2;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    destroyed_data = 0;
    lease = pool_take(&fixture, "x");
    assert_null(connpool_lease_data(&lease));
    assert_int_equal(connpool_lease_set_data(&lease, &first, count_data), CONNPOOL_OK);
    pool_give(&lease);
    assert_int_equal(destroyed_data, 0);
    lease = pool_take(&fixture, "x");
    assert_ptr_equal(connpool_lease_data(&lease), &first);
    assert_int_equal(connpool_lease_set_data(&lease, &second, count_data), CONNPOOL_OK);
    assert_int_equal(destroyed_data, 1);
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    assert_int_equal(destroyed_data, 2);
    lease = pool_take(&fixture, "x");
    assert_null(connpool_lease_data(&lease));
    assert_int_equal(connpool_lease_set_data(&lease, &first, NULL), CONNPOOL_OK);
    pool_give(&lease);
    lease = pool_take(&fixture, "y");
    assert_int_equal(connpool_lease_set_data(&lease, &first, count_data), CONNPOOL_OK);
    pool_give(&lease);
    pool_fixture_close(&fixture);
    assert_int_equal(destroyed_data, 3);
}

static void test_scoped_lease_is_released_at_the_end_of_its_block(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    {
        CONNPOOL_SCOPED connpool_lease lease = CONNPOOL_LEASE_NONE;

        assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_OK);
        assert_int_equal(pool_numbers(&fixture).leased, 1);
    }
    {
        CONNPOOL_SCOPED connpool_lease lease = CONNPOOL_LEASE_NONE;

        assert_false(connpool_lease_valid(&lease));
    }
    assert_int_equal(pool_numbers(&fixture).leased, 0);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_release_has_no_effect_B1_D18),
        cmocka_unit_test(test_a_stale_copy_does_not_harm_the_new_holder_D18),
        cmocka_unit_test(test_a_lease_put_together_of_two_B2),
        cmocka_unit_test(test_a_stale_copy_of_a_connection_that_is_gone_B3_C16),
        cmocka_unit_test(test_a_lease_of_nothing),
        cmocka_unit_test(test_outputs_are_written_only_on_success),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_a_shorter_info_is_filled_as_far_as_it_goes),
        cmocka_unit_test(test_native_is_typed),
        cmocka_unit_test(test_user_data_stays_and_is_destroyed_once),
        cmocka_unit_test(test_scoped_lease_is_released_at_the_end_of_its_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
