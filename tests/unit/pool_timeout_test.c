/* SPDX-License-Identifier: MIT */
/* pool_timeout: every acquire ends by its limit, whatever the peer does, and says what it waited for (design.md,
 * Semantics 9 and 17; plugin-abi.md, Errors; failures.md A1, A2, A6, A9, A25, B22, C6, C12). */
#include <limits.h>
#include <string.h>

#include "pool/context.h"
#include "pool_client.h"
#include "pool_fixture.h"

/* An acquire whose open never ends: out at the limit, nothing kept. */
static void run_endless_open(struct test_behaviour behaviour)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_set_nth(1, TEST_OPEN, behaviour);
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 400, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(400));
    assert_int_equal(test_manager_live(NULL), 0);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_endless_open_A6_A9(void **state)
{
    (void)state;
    run_endless_open(test_kind(TEST_NEVER));
    run_endless_open(test_slow(SECONDS(3600)));
    run_endless_open(test_kind(TEST_SLOW_SOCKET));
    run_endless_open(test_kind(TEST_SWITCH_SOCKET));
    run_endless_open((struct test_behaviour){.kind = TEST_TRICKLE, .delay = MILLISECONDS(30)});
}

/* A2: one open has its own limit, whatever the acquire's is. */
static void test_connect_timeout_ends_an_open_A2(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'connect_timeout': 0.25");
    test_manager_set(TEST_OPEN, (struct test_behaviour){.kind = TEST_TRICKLE, .delay = MILLISECONDS(100)});
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_FAILED);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(250));
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_TIMEOUT);
    assert_int_equal(test_manager_live(NULL), 0);
    pool_fixture_close(&fixture);
}

static void test_endless_check_ends_by_the_acquires_limit(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'check_after': 0");
    pool_park(&fixture, "x", 1);
    test_manager_set(TEST_CHECK, test_kind(TEST_NEVER));
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 400, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(400));
    pool_fixture_close(&fixture);
}

/* Before time goes on in a call that waits for workers: so many of them are inside the plugin. */
struct workers {
    struct pool_fixture fixture;
    size_t inside;
};

static bool are_inside(void *argument)
{
    return test_manager_blocked() == ((const struct workers *)argument)->inside;
}

static void await_inside(void *argument, int64_t until)
{
    struct workers *workers = argument;

    (void)until;
    await(are_inside, workers, "the workers to begin");
    virtual_clock_advance(&workers->fixture.clock, 0); /* sleep again */
}

/* Whether only workers end what is waited for, not time. */
static void let_time_stand(struct workers *workers, bool does_stand)
{
    atomic_store(&workers->fixture.clock.is_manual, does_stand);
}

static bool are_out(void *argument)
{
    const struct workers *workers = argument;

    return atomic_load(&workers->fixture.context->connections) == workers->inside;
}

/* A worker has left the plugin before it has left the pool. */
static void close_when_out(struct workers *workers, size_t parked)
{
    workers->inside = parked;
    await(are_out, workers, "the workers to be out of the pool");
    pool_fixture_close(&workers->fixture);
}

/* Rule 9, E17: a library that blocks: the acquirer leaves at its limit, the connection keeps its slot until the call
 * returns, then it is destroyed. */
static void run_blocking(const char *operation_name, enum test_operation operation)
{
    struct workers workers = {.inside = 1};
    struct pool_fixture *fixture = &workers.fixture;
    connpool_lease lease;

    pool_fixture_open(fixture, "'manager': 'test-blocking-%s', 'max_size': 1, 'check_after': 0, 'check_timeout': 0.02",
                      operation_name);
    if (operation != TEST_OPEN) {
        let_time_stand(&workers, true);
        pool_park(fixture, "x", 1);
        let_time_stand(&workers, false);
    }
    test_manager_set(operation, test_kind(TEST_BLOCK));
    virtual_clock_on_sleep(&fixture->clock, await_inside, &workers);
    assert_int_equal(pool_try(fixture, "x", 50, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_blocked(), 1);
    assert_int_equal(test_manager_live(NULL), 1);
    assert_int_equal(pool_try(fixture, "x", 20, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_live(NULL), 1);
    let_time_stand(&workers, true);
    test_manager_unblock();
    await_live(0);
    lease = pool_take(fixture, "x");
    pool_give(&lease);
    assert_int_equal(test_manager_most("x"), 1);
    close_when_out(&workers, 1);
}

static void test_a_library_that_blocks_in_open_E17(void **state)
{
    (void)state;
    run_blocking("open", TEST_OPEN);
}

static void test_a_library_that_blocks_in_check_E17(void **state)
{
    (void)state;
    run_blocking("check", TEST_CHECK);
}

static void test_a_library_that_blocks_in_prepare_or_idle_E17(void **state)
{
    (void)state;
    run_blocking("prepare", TEST_PREPARE);
    run_blocking("idle", TEST_IDLE);
}

/* A reset that blocks: release ends by reset_timeout, the connection when its call returns. */
static void test_a_library_that_blocks_in_reset_E17(void **state)
{
    struct workers workers = {.inside = 1};
    struct pool_fixture *fixture = &workers.fixture;
    connpool_lease lease;

    (void)state;
    pool_fixture_open(fixture, "'manager': 'test-blocking-reset', 'max_size': 1, 'reset_timeout': 0.03");
    lease = pool_take(fixture, "x");
    test_manager_set(TEST_RESET, test_kind(TEST_BLOCK));
    virtual_clock_on_sleep(&fixture->clock, await_inside, &workers);
    pool_give(&lease);
    assert_int_equal(test_manager_blocked(), 1);
    assert_int_equal(pool_try(fixture, "x", 10, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_live(NULL), 1);
    let_time_stand(&workers, true);
    test_manager_unblock();
    await_live(0);
    lease = pool_take(fixture, "x");
    pool_give(&lease);
    close_when_out(&workers, 1);
}

/* A goodbye that blocks: connpool_close ends by its limit; what is left ends when the call returns. */
static void test_a_library_that_blocks_in_close_E17(void **state)
{
    struct workers workers = {.inside = 2};
    struct pool_fixture *fixture = &workers.fixture;

    (void)state;
    pool_fixture_open(fixture, "'manager': 'test-blocking-close', 'dispose_timeout': 0.03");
    pool_park(fixture, "x", 2);
    test_manager_set(TEST_CLOSE, test_kind(TEST_BLOCK));
    virtual_clock_on_sleep(&fixture->clock, await_inside, &workers);
    (void)connpool_close(fixture->context, 50, NULL);
    fixture->clock.context = NULL;
    assert_int_equal(test_manager_live(NULL), 2);
    test_manager_unblock();
    pool_fixture_assert_nothing_left(fixture);
}

static void test_another_endpoint_is_not_held_up_E17(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct pool_client stuck = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'manager': 'test-blocking-open'");
    test_manager_set_endpoint("x", TEST_OPEN, test_kind(TEST_BLOCK));
    pool_client_start(&stuck, &fixture, "x", 5000);
    await_live(1);
    lease = pool_take(&fixture, "y");
    pool_give(&lease);
    test_manager_unblock();
    pool_client_join_ok(&stuck);
    pool_give(&stuck.lease);
    pool_fixture_close(&fixture);
}

/* Rule 17 */
static void test_the_error_says_what_it_waited_for(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[2], lease;
    struct test_behaviour refused = test_fails(CONNPOOL_ERROR_REFUSED);

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 3, 'total_max_size': 3");
    refused.text = "nobody listens at the old place";
    leases[0] = pool_take(&fixture, "x");
    leases[1] = pool_take(&fixture, "x");
    test_manager_set_nth(3, TEST_OPEN, refused);
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_FAILED);
    test_manager_set(TEST_OPEN, test_kind(TEST_NEVER));
    assert_int_equal(pool_try(&fixture, "x", 100, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(fixture.error.status, CONNPOOL_TIMED_OUT);
    assert_non_null(strstr(fixture.error.text, "p"));
    assert_non_null(strstr(fixture.error.text, "x"));
    assert_non_null(strstr(fixture.error.text, "2 leased"));
    assert_non_null(strstr(fixture.error.text, "1 opening"));
    assert_non_null(strstr(fixture.error.text, "0 idle"));
    assert_non_null(strstr(fixture.error.text, "nobody listens at the old place"));
    pool_give(&leases[0]);
    pool_give(&leases[1]);
    pool_fixture_close(&fixture);
}

/* Acquire in all ways with that limit: all work at once, or all are refused. */
static void acquire_with_limit(struct pool_fixture *fixture, connpool_endpoint *x, int limit, bool is_valid)
{
    connpool_status acquired = is_valid ? CONNPOOL_OK : CONNPOOL_INVALID;
    connpool_status released = is_valid ? CONNPOOL_OK : CONNPOOL_STALE;
    int64_t begun = virtual_clock_now(&fixture->clock);
    connpool_lease lease = CONNPOOL_LEASE_NONE;

    assert_int_equal(pool_try(fixture, "x", limit, &lease), acquired);
    assert_int_equal(connpool_release(&lease), released);
    assert_int_equal(connpool_endpoint_acquire(x, limit, &lease, NULL), acquired);
    assert_int_equal(connpool_release(&lease), released);
    assert_int_equal(connpool_acquire_any(&x, 1, limit, &lease, NULL), acquired);
    assert_int_equal(connpool_release(&lease), released);
    assert_int_equal(virtual_clock_now(&fixture->clock), begun);
}

/* B22: 30 limits in every call that takes one. */
static void test_limits_of_all_kinds_B22(void **state)
{
    static const int valid[] = {0,
                                1,
                                2,
                                3,
                                999,
                                1000,
                                1001,
                                59999,
                                60000,
                                3600000,
                                86400000,
                                INT_MAX / 1000,
                                INT_MAX / 2,
                                INT_MAX - 1,
                                INT_MAX,
                                CONNPOOL_WAIT_FOREVER,
                                CONNPOOL_WAIT_DEFAULT};
    static const int invalid[] = {-3,          -4,          -10,       -100,           -999,
                                  -1000,       -1001,       -86400000, INT_MIN / 1000, INT_MIN / 2,
                                  INT_MIN + 2, INT_MIN + 1, INT_MIN};
    struct pool_fixture fixture = {0};
    connpool_endpoint *x;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_park(&fixture, "x", 1);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &x, NULL), CONNPOOL_OK);
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        acquire_with_limit(&fixture, x, valid[i], true);
    }
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        acquire_with_limit(&fixture, x, invalid[i], false);
    }
    connpool_endpoint_put(x);
    pool_fixture_close(&fixture);
}

/* B22: where they end in a wait, it is as long as they say. */
static void test_huge_limits_wait_as_long_as_they_say_B22(void **state)
{
    static const int limits[] = {1, 999, 86400000, INT_MAX - 1, INT_MAX};
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    held = pool_take(&fixture, "x");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        int64_t begun = virtual_clock_now(&fixture.clock);

        assert_int_equal(pool_try(&fixture, "x", limits[i], &lease), CONNPOOL_TIMED_OUT);
        assert_int_equal(virtual_clock_now(&fixture.clock) - begun, MILLISECONDS(limits[i]));
    }
    pool_give(&held);
    pool_fixture_close(&fixture);
}

static void test_no_default_limit_waits_for_ever_D28(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    held = pool_take(&fixture, "x");
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_DEFAULT);
    await_waiters(&fixture, 1);
    virtual_clock_advance(&fixture.clock, SECONDS(1000000));
    assert_int_equal(pool_numbers(&fixture).waiters, 1);
    pool_give(&held);
    pool_client_join_ok(&client);
    pool_give(&client.lease);
    pool_fixture_close(&fixture);
}

/* D28: a call can ask to wait without limit where the pool has a default. */
static void test_forever_is_not_the_default_D28(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client client = {0};
    connpool_lease held;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'acquire_timeout': 0.1");
    held = pool_take(&fixture, "x");
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    virtual_clock_advance(&fixture.clock, SECONDS(1000000));
    pool_give(&held);
    pool_client_join_ok(&client);
    pool_give(&client.lease);
    pool_fixture_close(&fixture);
}

/* holddown: after a failed connect further ones fail at once with the same cause. */
static void test_holddown_A1(void **state)
{
    struct pool_fixture fixture = {0};
    struct test_behaviour refused = test_fails(CONNPOOL_ERROR_REFUSED);
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'holddown': 5");
    refused.text = "nobody listens there";
    test_manager_set(TEST_OPEN, refused);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    virtual_clock_advance(&fixture.clock, SECONDS(4));
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_non_null(strstr(fixture.error.text, "nobody listens there"));
    assert_int_equal(test_manager_opened(), 1);
    virtual_clock_advance(&fixture.clock, SECONDS(2));
    test_manager_set(TEST_OPEN, test_ok());
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    assert_int_equal(test_manager_opened(), 2);
    pool_fixture_close(&fixture);
}

static void test_holddown_is_of_one_endpoint(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'holddown': 5");
    test_manager_set_endpoint("x", TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_FAILED);
    lease = pool_take(&fixture, "y");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* Class 11, A25: the peer takes no more connections: with none of its own the acquire fails. */
static void test_full_peer_without_another_connection_fails_A25(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    assert_int_equal(pool_try(&fixture, "x", 10000, &lease), CONNPOOL_FAILED);
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_RESOURCE_REMOTE);
    pool_fixture_close(&fixture);
}

struct full_scene {
    struct pool_fixture fixture;
    connpool_lease held;
};

static void release_held(void *argument, int64_t until)
{
    (void)until;
    pool_give(&((struct full_scene *)argument)->held);
}

/* With another one it returns to its place and takes what is released. */
static void test_full_peer_waits_for_a_release_A25(void **state)
{
    struct full_scene scene = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&scene.fixture, POOL_DEFAULTS);
    scene.held = pool_take(&scene.fixture, "x");
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    virtual_clock_on_sleep(&scene.fixture.clock, release_held, &scene);
    assert_int_equal(pool_try(&scene.fixture, "x", 10000, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 1);
    assert_int_equal(test_manager_opened(), 2);
    pool_give(&lease);
    pool_fixture_close(&scene.fixture);
}

/* No open is started there for a second, then one is. */
static void test_full_peer_is_tried_again_after_a_second_A25(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;
    int64_t begun;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    held = pool_take(&fixture, "x");
    test_manager_set_nth(2, TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    begun = virtual_clock_now(&fixture.clock);
    assert_int_equal(pool_try(&fixture, "x", 10000, &lease), CONNPOOL_OK);
    assert_int_equal(virtual_clock_now(&fixture.clock) - begun, SECONDS(1));
    assert_int_equal(test_manager_opened(), 3);
    pool_give(&lease);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

/* 4, 5 and 6 fail at once like all others: what could be retried is the application's. */
static void test_every_class_fails_the_acquire_with_its_cause(void **state)
{
    (void)state;
    for (int32_t error_class = 1; error_class <= 14; error_class++) {
        struct pool_fixture fixture = {0};
        connpool_lease lease;

        pool_fixture_open(&fixture, POOL_DEFAULTS);
        test_manager_set(TEST_OPEN, test_fails(error_class));
        assert_int_equal(pool_try(&fixture, "x", 10000, &lease), CONNPOOL_FAILED);
        assert_int_equal(fixture.error.error_class, error_class);
        assert_int_equal(test_manager_opened(), 1);
        pool_fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless_open_A6_A9),
        cmocka_unit_test(test_connect_timeout_ends_an_open_A2),
        cmocka_unit_test(test_endless_check_ends_by_the_acquires_limit),
        cmocka_unit_test(test_a_library_that_blocks_in_open_E17),
        cmocka_unit_test(test_a_library_that_blocks_in_check_E17),
        cmocka_unit_test(test_a_library_that_blocks_in_prepare_or_idle_E17),
        cmocka_unit_test(test_a_library_that_blocks_in_reset_E17),
        cmocka_unit_test(test_a_library_that_blocks_in_close_E17),
        cmocka_unit_test(test_another_endpoint_is_not_held_up_E17),
        cmocka_unit_test(test_the_error_says_what_it_waited_for),
        cmocka_unit_test(test_limits_of_all_kinds_B22),
        cmocka_unit_test(test_huge_limits_wait_as_long_as_they_say_B22),
        cmocka_unit_test(test_no_default_limit_waits_for_ever_D28),
        cmocka_unit_test(test_forever_is_not_the_default_D28),
        cmocka_unit_test(test_holddown_A1),
        cmocka_unit_test(test_holddown_is_of_one_endpoint),
        cmocka_unit_test(test_full_peer_without_another_connection_fails_A25),
        cmocka_unit_test(test_full_peer_waits_for_a_release_A25),
        cmocka_unit_test(test_full_peer_is_tried_again_after_a_second_A25),
        cmocka_unit_test(test_every_class_fails_the_acquire_with_its_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
