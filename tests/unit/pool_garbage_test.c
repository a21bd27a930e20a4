/* SPDX-License-Identifier: MIT */
/* pool_garbage: a plugin that breaks the rules of its ABI harms its own connections only (failures.md E16, E17; the
 * 3125 combinations are in pool_combination_test.c). */
#include <string.h>

#include "pool_fixture.h"

/* An open that answers so fails as misbehaving, and the message says what was wrong. */
static void run_open(struct test_behaviour behaviour, int32_t error_class)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, behaviour);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, error_class);
    assert_true(strlen(fixture.error.text) > 10);
    assert_int_equal(test_manager_live(NULL), 0);
    test_manager_set(TEST_OPEN, test_ok());
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_codes_out_of_range_E16(void **state)
{
    (void)state;
    run_open(test_garbage(2), CONNPOOL_ERROR_MISBEHAVING);
    run_open(test_garbage(77), CONNPOOL_ERROR_MISBEHAVING);
    run_open(test_garbage(INT32_MAX), CONNPOOL_ERROR_MISBEHAVING);
    run_open(test_garbage(-15), CONNPOOL_ERROR_MISBEHAVING);
    run_open(test_garbage(-99), CONNPOOL_ERROR_MISBEHAVING);
    run_open(test_garbage(INT32_MIN), CONNPOOL_ERROR_MISBEHAVING);
}

static void test_again_without_a_wait_E16(void **state)
{
    (void)state;
    run_open(test_kind(TEST_GARBAGE_NO_WAIT), CONNPOOL_ERROR_MISBEHAVING);
}

/* The code says what class it is although the plugin filled no fault. */
static void test_a_failure_without_a_fault(void **state)
{
    (void)state;
    run_open(test_garbage(-CONNPOOL_ERROR_TRUST), CONNPOOL_ERROR_TRUST);
}

static int32_t open_with_a_class_of_its_own(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    fault->error_class = 99;
    return -CONNPOOL_ERROR_REFUSED;
}

static void destroy_nothing(void *connection)
{
    (void)connection;
}

/* The fault's class means nothing: the step's result says which it is. */
static void test_a_fault_of_no_class_E16(void **state)
{
    static const struct connpool_manager manager = {
        .magic = CONNPOOL_MANAGER_MAGIC,
        .abi_major = CONNPOOL_ABI_MAJOR,
        .abi_minor = CONNPOOL_ABI_MINOR,
        .size = sizeof(struct connpool_manager),
        .name = "own-class",
        .version = "1",
        .summary = "fails with a class that there is not",
        .option_stride = sizeof(struct connpool_option),
        .connection_size = sizeof(struct connpool_head),
        .open = open_with_a_class_of_its_own,
        .destroy = destroy_nothing,
    };
    static const struct connpool_manager *const managers[] = {&manager};
    const struct connpool_options options = {
        .size = sizeof(options),
        .json = "{\"pools\": {\"p\": {\"manager\": \"own-class\", \"endpoints\": {\"e\": {}}}}}",
        .managers = managers,
        .manager_count = 1,
    };
    connpool_error error;
    connpool_lease lease;
    connpool *context = connpool_open_with(&options, &error);

    (void)state;
    assert_non_null(context);
    assert_int_equal(connpool_acquire(connpool_pool_get(context, "p"), "e", 1000, &lease, &error), CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_int_equal(connpool_close(context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
}

static void test_prepare_never_answers_again_E16(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_PREPARE, test_kind(TEST_NEVER));
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_MISBEHAVING);
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

/* An operation marked as blocking answers again. */
static void test_a_blocking_open_never_answers_again_E16(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-open'");
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    assert_int_equal(pool_try(&fixture, "x", 5000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_MISBEHAVING);
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

/* A time in the past is a wait that ends at once, not one for ever and not a spin without an end. */
static void test_again_at_a_time_that_is_over(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'connect_timeout': 1");
    test_manager_set(TEST_OPEN, (struct test_behaviour){.kind = TEST_TRICKLE, .delay = MILLISECONDS(-5)});
    fixture.clock.step = MILLISECONDS(1);
    assert_int_equal(pool_try(&fixture, "x", 500, &lease), CONNPOOL_TIMED_OUT);
    fixture.clock.step = 0;
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

/* plugin-abi.md, A step, 4: the descriptor is another socket under the same number at each call. */
static void test_another_socket_under_the_same_number(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'connect_timeout': 1");
    test_manager_set(TEST_OPEN, test_kind(TEST_SWITCH_SOCKET));
    assert_int_equal(pool_try(&fixture, "x", 5000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_TIMEOUT);
    pool_fixture_close(&fixture);
}

static void feed(void *argument, int64_t until)
{
    struct pool_fixture *fixture = argument;

    (void)until;
    /* Wakes early: another socket each time; the byte goes to the newest. */
    virtual_clock_advance(&fixture->clock, MILLISECONDS(1));
    assert_int_equal(test_manager_feed(false), 1);
}

static void test_the_newest_socket_ends_the_wait(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    virtual_clock_on_sleep(&fixture.clock, feed, &fixture);
    lease = pool_take(&fixture, "x");
    test_manager_set(TEST_RESET, test_kind(TEST_SLOW_SOCKET));
    virtual_clock_on_sleep(&fixture.clock, feed, &fixture);
    pool_give(&lease);
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    pool_fixture_close(&fixture);
}

static void wake_late(void *argument, int64_t until)
{
    (void)argument;
    (void)until;
    (void)test_manager_wake();
}

/* Late and repeated wakes do nothing, also after the connection was destroyed and the context is gone. */
static void test_late_wakes_are_harmless(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    virtual_clock_on_sleep(&fixture.clock, wake_late, NULL);
    lease = pool_take(&fixture, "x");
    (void)test_manager_wake();
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    (void)test_manager_wake();
    assert_int_equal(pool_try(&fixture, "x", 50, &lease), CONNPOOL_TIMED_OUT);
    (void)test_manager_wake();
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_out_of_range_E16),
        cmocka_unit_test(test_again_without_a_wait_E16),
        cmocka_unit_test(test_a_fault_of_no_class_E16),
        cmocka_unit_test(test_a_failure_without_a_fault),
        cmocka_unit_test(test_prepare_never_answers_again_E16),
        cmocka_unit_test(test_a_blocking_open_never_answers_again_E16),
        cmocka_unit_test(test_again_at_a_time_that_is_over),
        cmocka_unit_test(test_another_socket_under_the_same_number),
        cmocka_unit_test(test_the_newest_socket_ends_the_wait),
        cmocka_unit_test(test_late_wakes_are_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
