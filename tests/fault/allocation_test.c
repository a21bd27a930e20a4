/* SPDX-License-Identifier: MIT */
/*
 * allocation: memory runs out at each k-th call, once or from then on, in open, acquire, release and close: every call
 * ends with a status, nothing leaks, and the pool works again when there is memory (failures.md B19, 2.0 MALLOC-k;
 * design.md, Semantics 16).
 */
#include "pool_client.h"
#include "pool_fixture.h"

/* Runs a part of a life while the k-th allocation fails; true: it got all it wanted. */
typedef bool scenario_fn(struct pool_fixture *fixture);

static uint64_t failing_call;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            failing_allocator_fail(0, false);                                                                          \
            fail_msg("allocation %u: %s (%s)", (unsigned)failing_call, #condition, fixture->error.text);               \
        }                                                                                                              \
    } while (0)

static bool acquire(struct pool_fixture *fixture, const char *endpoint, connpool_lease *lease)
{
    connpool_status status = pool_try(fixture, endpoint, 1000, lease);

    CHECK(status == CONNPOOL_OK || status == CONNPOOL_NO_MEMORY);
    CHECK(status == CONNPOOL_OK || fixture->error.status == CONNPOOL_NO_MEMORY);
    CHECK(status == CONNPOOL_OK || fixture->error.text[0] != '\0');
    return status == CONNPOOL_OK;
}

static bool acquire_and_release(struct pool_fixture *fixture)
{
    connpool_lease first, second;
    bool has_first = acquire(fixture, "x", &first), has_second = acquire(fixture, "y", &second);

    if (has_first) {
        CHECK(connpool_release(&first) == CONNPOOL_OK);
    }
    if (has_second) {
        CHECK(connpool_discard(&second) == CONNPOOL_OK);
    }
    return has_first && has_second;
}

/* Release and what it collects take no memory that they cannot do without. */
static bool release_and_collect(struct pool_fixture *fixture)
{
    connpool_lease lease;
    bool has_lease;

    virtual_clock_advance(&fixture->clock, SECONDS(20));
    (void)connpool_maintain(fixture->context);
    has_lease = acquire(fixture, "z", &lease);
    if (has_lease) {
        CHECK(connpool_release(&lease) == CONNPOOL_OK);
    }
    connpool_pool_drain(fixture->pool);
    return has_lease;
}

/* All slots are taken by an idle connection of another endpoint. */
static bool evict(struct pool_fixture *fixture)
{
    connpool_lease leases[3];
    bool got_all = true;
    static const char *const names[] = {"a", "b", "c"};

    for (int i = 0; i < 3; i++) {
        if (acquire(fixture, names[i], &leases[i])) {
            CHECK(connpool_release(&leases[i]) == CONNPOOL_OK);
        } else {
            got_all = false;
        }
    }
    return got_all;
}

static bool wait_in_vain(struct pool_fixture *fixture)
{
    connpool_lease first, second, third;
    connpool_status status;

    if (!acquire(fixture, "x", &first)) {
        return false;
    }
    if (!acquire(fixture, "x", &second)) {
        CHECK(connpool_release(&first) == CONNPOOL_OK);
        return false;
    }
    status = pool_try(fixture, "x", 50, &third);
    CHECK(status == CONNPOOL_TIMED_OUT || status == CONNPOOL_NO_MEMORY);
    CHECK(connpool_release(&first) == CONNPOOL_OK);
    CHECK(connpool_release(&second) == CONNPOOL_OK);
    return status == CONNPOOL_TIMED_OUT;
}

static bool slow_operations(struct pool_fixture *fixture)
{
    connpool_lease lease;

    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(5)));
    test_manager_set(TEST_RESET, test_kind(TEST_SLOW));
    if (!acquire(fixture, "x", &lease)) {
        return false;
    }
    CHECK(connpool_release(&lease) == CONNPOOL_OK);
    return true;
}

static bool handles(struct pool_fixture *fixture)
{
    connpool_endpoint *endpoint = NULL;
    connpool_lease lease;
    connpool_status status = connpool_endpoint_get(fixture->pool, "h", &endpoint, &fixture->error);

    CHECK(status == CONNPOOL_OK || status == CONNPOOL_NO_MEMORY);
    if (status != CONNPOOL_OK) {
        return false;
    }
    status = connpool_acquire_any(&endpoint, 1, 1000, &lease, &fixture->error);
    CHECK(status == CONNPOOL_OK || status == CONNPOOL_NO_MEMORY);
    if (status == CONNPOOL_OK) {
        CHECK(connpool_release(&lease) == CONNPOOL_OK);
    }
    connpool_endpoint_put(endpoint);
    return status == CONNPOOL_OK;
}

/* One scenario with each of its allocations failing in turn. Memory is there again afterwards, and the pool works. */
static void run_scenario(const char *keys, scenario_fn *scenario, bool from_then_on)
{
    bool has_failed = true;

    for (failing_call = 1; has_failed; failing_call++) {
        struct pool_fixture fixture = {0};
        connpool_lease lease;
        bool got_all;

        pool_fixture_open(&fixture, "'max_size': 2, 'total_max_size': 2, 'idle_timeout': 10%s", keys);
        failing_allocator_fail(failing_call, from_then_on);
        got_all = scenario(&fixture);
        has_failed = failing_allocator_has_failed();
        failing_allocator_fail(0, false);
        if (!has_failed && !got_all) {
            fail_msg("without a failed allocation: %s", fixture.error.text);
        }
        test_manager_set(TEST_OPEN, test_ok());
        lease = pool_take(&fixture, "x");
        pool_give(&lease);
        assert_int_equal(pool_numbers(&fixture).leased, 0);
        assert_int_equal(pool_numbers(&fixture).waiters, 0);
        pool_fixture_close(&fixture);
        assert_true(failing_call < 10000);
    }
}

static void run_all(const char *keys, bool from_then_on)
{
    run_scenario(keys, acquire_and_release, from_then_on);
    run_scenario(keys, release_and_collect, from_then_on);
    run_scenario(keys, evict, from_then_on);
    run_scenario(keys, wait_in_vain, from_then_on);
    run_scenario(keys, slow_operations, from_then_on);
    run_scenario(keys, handles, from_then_on);
}

static void test_acquire_and_release_without_memory_once_B19(void **state)
{
    (void)state;
    run_all("", false);
}

static void test_acquire_and_release_without_memory_from_then_on_B19(void **state)
{
    (void)state;
    run_all("", true);
}

static void test_the_same_with_a_named_endpoint_B19(void **state)
{
    (void)state;
    run_all(", 'endpoints': {'x': {'name': 'x'}, 'y': {'name': 'y'}}", false);
    run_all(", 'endpoints': {'x': {'name': 'x'}, 'y': {'name': 'y'}}", true);
}

static void test_the_same_with_a_collector_B19(void **state)
{
    (void)state;
    run_all(", 'background_collector': true", false);
    run_all(", 'background_collector': true", true);
}

/* A context that could not be opened says so, and leaves nothing. */
static void run_open(const char *json, bool from_then_on)
{
    bool has_failed = true;

    for (failing_call = 1; has_failed; failing_call++) {
        struct pool_fixture fixture = {0};
        connpool_status status;
        size_t blocks;

        test_manager_reset();
        blocks = failing_allocator_blocks();
        failing_allocator_fail(failing_call, from_then_on);
        status = pool_fixture_try_open(&fixture, json);
        has_failed = failing_allocator_has_failed();
        failing_allocator_fail(0, false);
        if (status == CONNPOOL_OK) {
            pool_fixture_close(&fixture);
            continue;
        }
        assert_true(has_failed);
        if (status != CONNPOOL_NO_MEMORY || fixture.error.text[0] == '\0') {
            fail_msg("allocation %u: %s: %s", (unsigned)failing_call, connpool_status_text(status), fixture.error.text);
        }
        fixture.blocks = blocks;
        pool_fixture_assert_nothing_left(&fixture);
        assert_true(failing_call < 100000);
    }
}

static void run_opens(bool from_then_on)
{
    run_open("{\"pools\": {\"p\": {\"manager\": \"test\"}}}", from_then_on);
    run_open("{\"pools\": {\"p\": {\"manager\": \"test\", \"background_collector\": true, \"options\": {\"shared\": "
             "\"s\"}, \"endpoints\": {\"x\": {\"name\": \"x\", \"pool\": {\"max_size\": 3}}, \"y\": {\"name\": "
             "\"y\", \"shared\": \"t\"}}}, \"q\": {\"manager\": \"test-null\"}}}",
             from_then_on);
}

static void test_open_without_memory_once_B19_B20(void **state)
{
    (void)state;
    run_opens(false);
}

static void test_open_without_memory_from_then_on_B19_B20(void **state)
{
    (void)state;
    run_opens(true);
}

/* Close ends, with or without memory, and frees all. */
static void run_close(const char *keys, bool from_then_on, bool with_lease)
{
    bool has_failed = true;

    for (failing_call = 1; has_failed; failing_call++) {
        struct pool_fixture fixture = {0};
        connpool_lease lease = CONNPOOL_LEASE_NONE;

        pool_fixture_open(&fixture, "%s", keys);
        pool_park(&fixture, "x", 3);
        pool_park(&fixture, "y", 1);
        if (with_lease) {
            lease = pool_take(&fixture, "x");
        }
        failing_allocator_fail(failing_call, from_then_on);
        assert_int_equal(connpool_close(fixture.context, 1000, NULL), with_lease ? CONNPOOL_STILL_LEASED : CONNPOOL_OK);
        fixture.clock.context = NULL;
        if (with_lease) {
            assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
        }
        has_failed = failing_allocator_has_failed();
        failing_allocator_fail(0, false);
        pool_fixture_assert_nothing_left(&fixture);
    }
}

static void test_close_without_memory_B19(void **state)
{
    (void)state;
    run_close(POOL_DEFAULTS, false, false);
    run_close(POOL_DEFAULTS, true, false);
    run_close(POOL_DEFAULTS, false, true);
    run_close(POOL_DEFAULTS, true, true);
    run_close("'background_collector': true", false, false);
    run_close("'background_collector': true", true, false);
}

/* A thread that never waited before needs its waker to wait: without memory the acquire fails, the others go on. */
static void test_a_fresh_thread_without_memory_B19(void **state)
{
    (void)state;
    for (failing_call = 1; failing_call < 20; failing_call++) {
        struct pool_fixture fixture = {0};
        struct pool_client client = {0};
        connpool_lease held;

        pool_fixture_open(&fixture, "'max_size': 1");
        held = pool_take(&fixture, "x");
        atomic_store(&fixture.clock.is_manual, true);
        failing_allocator_fail(failing_call, true);
        pool_client_start(&client, &fixture, "x", 50);
        while (!pool_client_is_done(&client)) {
            virtual_clock_advance(&fixture.clock, MILLISECONDS(1));
        }
        failing_allocator_fail(0, false);
        pool_client_join(&client);
        assert_true(client.status == CONNPOOL_NO_MEMORY || client.status == CONNPOOL_TIMED_OUT);
        assert_int_equal(pool_numbers(&fixture).waiters, 0);
        pool_give(&held);
        pool_fixture_close(&fixture);
    }
}

/* What was taken from one allocator is not given to another. */
static void test_the_allocator_stays_once_a_context_was_opened(void **state)
{
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    assert_int_equal(connpool_use_allocator(NULL), CONNPOOL_INVALID);
    pool_fixture_close(&fixture);
    assert_int_equal(connpool_use_allocator(NULL), CONNPOOL_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acquire_and_release_without_memory_once_B19),
        cmocka_unit_test(test_acquire_and_release_without_memory_from_then_on_B19),
        cmocka_unit_test(test_the_same_with_a_named_endpoint_B19),
        cmocka_unit_test(test_the_same_with_a_collector_B19),
        cmocka_unit_test(test_open_without_memory_once_B19_B20),
        cmocka_unit_test(test_open_without_memory_from_then_on_B19_B20),
        cmocka_unit_test(test_close_without_memory_B19),
        cmocka_unit_test(test_a_fresh_thread_without_memory_B19),
        cmocka_unit_test(test_the_allocator_stays_once_a_context_was_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
