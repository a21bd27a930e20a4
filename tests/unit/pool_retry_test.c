/* SPDX-License-Identifier: MIT */
/*
 * pool_retry: with `retry` an acquire whose connect failed goes on trying until its time is up; of several that do so
 * at one endpoint one tries at a time; what does not pass by itself is not tried again (failures.md A1, A17, A31, C3,
 * C9, C12, C19; plugin-abi.md, Errors).
 */
#include <string.h>

#include "pool/backoff.h"
#include "pool_client.h"
#include "stepped_acquire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct test_behaviour refused(void)
{
    return test_fails(CONNPOOL_ERROR_REFUSED);
}

static struct test_behaviour refused_when_woken(void)
{
    return (struct test_behaviour){.kind = TEST_SLOW_WAKE, .error_class = CONNPOOL_ERROR_REFUSED};
}

static void test_it_goes_on_until_it_succeeds(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    for (uint64_t nth = 1; nth <= 5; nth++) {
        test_manager_set_nth(nth, TEST_OPEN, refused());
    }
    assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 6);
    assert_true(virtual_clock_now(&fixture.clock) - SECONDS(1000) >= 5 * CP_BACKOFF_FIRST);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* C12: one deadline; semantics 17: the error says what it waited for and why. */
static void test_its_time_is_up_all_the_same_C12(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    test_manager_set(TEST_OPEN, refused());
    assert_int_equal(pool_try(&fixture, "x", 30000, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(virtual_clock_now(&fixture.clock), SECONDS(1030));
    assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_non_null(strstr(fixture.error.text, "30000 ms waiting until connects succeed again"));
    assert_non_null(strstr(fixture.error.text, "last connect error: as told"));
    assert_in_range(test_manager_calls(TEST_OPEN), 30000 / (CP_BACKOFF_MOST / CP_MILLISECOND), 60);
    pool_fixture_close(&fixture);
}

static void test_limit_0_opens_nothing(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    test_manager_set(TEST_OPEN, refused());
    assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_calls(TEST_OPEN), 0);
    pool_fixture_close(&fixture);
}

static void test_what_does_not_pass_fails_at_once_A17_A31(void **state)
{
    static const int32_t classes[] = {CONNPOOL_ERROR_AUTHENTICATION, CONNPOOL_ERROR_TRUST, CONNPOOL_ERROR_CONFIGURATION,
                                      CONNPOOL_ERROR_UNSUPPORTED};

    (void)state;
    for (size_t i = 0; i < COUNT(classes); i++) {
        struct pool_fixture fixture = {0};
        connpool_lease lease;

        pool_fixture_open(&fixture, "'retry': true");
        test_manager_set(TEST_OPEN, test_fails(classes[i]));
        assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_FAILED);
        assert_int_equal(fixture.error.error_class, classes[i]);
        assert_int_equal(test_manager_calls(TEST_OPEN), 1);
        /* The next one was not there, and asks itself. */
        assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_FAILED);
        assert_int_equal(test_manager_calls(TEST_OPEN), 2);
        assert_int_equal(virtual_clock_now(&fixture.clock), SECONDS(1000));
        pool_fixture_close(&fixture);
    }
}

static void test_every_other_fault_is_tried_again(void **state)
{
    (void)state;
    for (int32_t class = CONNPOOL_ERROR_TRANSIENT; class <= CONNPOOL_ERROR_INTERNAL; class ++) {
        struct pool_fixture fixture = {0};
        connpool_lease lease;

        if ((class >= CONNPOOL_ERROR_AUTHENTICATION && class <= CONNPOOL_ERROR_CONFIGURATION) ||
            class == CONNPOOL_ERROR_UNSUPPORTED) {
            continue;
        }
        pool_fixture_open(&fixture, "'retry': true");
        test_manager_set_nth(1, TEST_OPEN, test_fails(class));
        test_manager_set_nth(2, TEST_OPEN, test_fails(class));
        assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_OK);
        assert_int_equal(lease_number(&lease), 3);
        pool_give(&lease);
        pool_fixture_close(&fixture);
    }
}

static void test_without_it_one_failure_is_the_end(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': false");
    test_manager_set_nth(1, TEST_OPEN, refused());
    assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_FAILED);
    assert_int_equal(test_manager_calls(TEST_OPEN), 1);
    pool_fixture_close(&fixture);
}

/* A first prepare that fails is a failed open. */
static void test_a_first_prepare_that_fails_is_tried_again(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    test_manager_set_nth(1, TEST_PREPARE, refused());
    assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* With `holddown` it waits where others fail. */
static void test_holddown_is_waited_for(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true, 'holddown': 20");
    test_manager_set_nth(1, TEST_OPEN, refused());
    assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_OK);
    assert_int_equal(virtual_clock_now(&fixture.clock), SECONDS(1020));
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* Not where waiting does not help. A31 */
static void test_what_does_not_pass_is_held_down_all_the_same(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true, 'holddown': 20");
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_AUTHENTICATION));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_FAILED);
        assert_int_equal(fixture.error.error_class, CONNPOOL_ERROR_AUTHENTICATION);
        assert_int_equal(virtual_clock_now(&fixture.clock), SECONDS(1000));
    }
    assert_int_equal(test_manager_calls(TEST_OPEN), 1);
    pool_fixture_close(&fixture);
}

static void test_a_full_peer_is_waited_for(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease first, lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    first = pool_take(&fixture, "x");
    test_manager_set_nth(2, TEST_OPEN, test_fails(CONNPOOL_ERROR_RESOURCE_REMOTE));
    assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_OK);
    assert_int_equal(virtual_clock_now(&fixture.clock), SECONDS(1001));
    pool_give(&lease);
    pool_give(&first);
    pool_fixture_close(&fixture);
}

/* ---- Several ---- */

static size_t done_of(const struct stepped_acquire *clients, size_t count)
{
    size_t done = 0;

    for (size_t i = 0; i < count; i++) {
        done += clients[i].is_done;
    }
    return done;
}

/* Everybody opens at once, because nobody knew; then one at a time, then twice as many with each round. C19 */
static void test_one_tries_and_the_others_wait_C19(void **state)
{
    static struct stepped_acquire clients[32];
    struct pool_fixture fixture = {0};
    uint64_t opens;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true, 'max_size': 32, 'min_idle': 0");
    test_manager_set(TEST_OPEN, refused());
    for (size_t i = 0; i < COUNT(clients); i++) {
        stepped_acquire_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    stepped_acquire_run(clients, COUNT(clients));
    assert_int_equal(test_manager_calls(TEST_OPEN), 1); /* the first failed before the second came */
    assert_true(clients[0].wait.at != 0);
    for (size_t i = 1; i < COUNT(clients); i++) {
        assert_int_equal(clients[i].wait.at, 0); /* they sleep through the pauses */
    }
    for (int i = 0; i < 10; i++) {
        opens = test_manager_calls(TEST_OPEN);
        stepped_acquire_run_after(clients, COUNT(clients), CP_BACKOFF_MOST);
        assert_int_equal(test_manager_calls(TEST_OPEN), opens + 1);
    }
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
    opens = test_manager_calls(TEST_OPEN);
    stepped_acquire_run_after(clients, COUNT(clients), CP_BACKOFF_MOST);
    for (uint64_t at_once = 1; at_once <= 8; at_once *= 2) {
        stepped_acquire_run(clients, COUNT(clients));
        assert_int_equal(test_manager_calls(TEST_OPEN), opens + at_once);
        opens += at_once;
        (void)test_manager_wake();
    }
    while (done_of(clients, COUNT(clients)) < COUNT(clients)) {
        stepped_acquire_run(clients, COUNT(clients));
        (void)test_manager_wake();
    }
    assert_int_equal(test_manager_live(NULL), 32);
    for (size_t i = 0; i < COUNT(clients); i++) {
        stepped_acquire_assert(&clients[i], CONNPOOL_OK);
        pool_give(&clients[i].acquire.lease);
    }
    pool_fixture_close(&fixture);
}

/* A server that was away long ago is met by as many as ever. */
static void test_a_limit_of_long_ago_is_forgotten(void **state)
{
    static struct stepped_acquire clients[8];
    struct pool_fixture fixture = {0};
    connpool_endpoint *kept;
    connpool_lease lease;

    (void)state;
    for (int is_long_ago = 0; is_long_ago <= 1; is_long_ago++) {
        pool_fixture_open(&fixture, "'retry': true, 'max_size': 32, 'min_idle': 0");
        assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &kept, NULL), CONNPOOL_OK);
        test_manager_set_nth(1, TEST_OPEN, refused());
        assert_int_equal(pool_try(&fixture, "x", 60000, &lease), CONNPOOL_OK);
        virtual_clock_advance(&fixture.clock, SECONDS(is_long_ago ? 11 : 9));
        assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
        test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_WAKE));
        for (size_t i = 0; i < COUNT(clients); i++) {
            stepped_acquire_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
        }
        stepped_acquire_run(clients, COUNT(clients));
        assert_int_equal(test_manager_calls(TEST_OPEN), 2 + (is_long_ago ? COUNT(clients) : 2));
        while (done_of(clients, COUNT(clients)) < COUNT(clients)) {
            (void)test_manager_wake();
            stepped_acquire_run(clients, COUNT(clients));
        }
        for (size_t i = 0; i < COUNT(clients); i++) {
            stepped_acquire_assert(&clients[i], CONNPOOL_OK);
            pool_give(&clients[i].acquire.lease);
        }
        connpool_endpoint_put(kept);
        pool_fixture_close(&fixture);
    }
}

/* Those that opened together are one failure, not one each. */
static void test_a_burst_is_one_failure(void **state)
{
    static struct stepped_acquire clients[16];
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'retry': true, 'max_size': 16");
    test_manager_set(TEST_OPEN, refused_when_woken());
    for (size_t i = 0; i < COUNT(clients); i++) {
        stepped_acquire_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    assert_int_equal(test_manager_calls(TEST_OPEN), 16);
    (void)test_manager_wake();
    stepped_acquire_run(clients, COUNT(clients));
    test_manager_set(TEST_OPEN, test_ok());
    stepped_acquire_run_after(clients, COUNT(clients), 2 * CP_BACKOFF_FIRST); /* the longest first pause */
    assert_int_equal(done_of(clients, COUNT(clients)), 16);
    for (size_t i = 0; i < COUNT(clients); i++) {
        pool_give(&clients[i].acquire.lease);
    }
    pool_fixture_close(&fixture);
}

/* Who waits behind a probe that is refused for good does not try the same again. */
static void test_what_is_refused_is_refused_for_all_that_wait_A31(void **state)
{
    struct stepped_acquire clients[20];
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'retry': true, 'max_size': 20");
    test_manager_set(TEST_OPEN, refused());
    for (size_t i = 0; i < COUNT(clients); i++) {
        stepped_acquire_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_AUTHENTICATION));
    stepped_acquire_run_after(clients, COUNT(clients), CP_BACKOFF_MOST);
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    for (size_t i = 0; i < COUNT(clients); i++) {
        stepped_acquire_assert(&clients[i], CONNPOOL_FAILED);
        assert_int_equal(clients[i].acquire.error.error_class, CONNPOOL_ERROR_AUTHENTICATION);
        assert_non_null(strstr(clients[i].acquire.error.text, "as told"));
    }
    pool_fixture_close(&fixture);
}

/* The first leaves, by its own time: the next one looks in its place. C3, C9 */
static void test_who_is_next_takes_over_the_probe_C9(void **state)
{
    struct stepped_acquire clients[3];
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    test_manager_set(TEST_OPEN, refused());
    stepped_acquire_start(&clients[0], &fixture, "x", 50);
    stepped_acquire_start(&clients[1], &fixture, "x", 90);
    stepped_acquire_start(&clients[2], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    test_manager_set(TEST_OPEN, test_ok());
    stepped_acquire_run_after(clients, 3, MILLISECONDS(50));
    stepped_acquire_assert(&clients[0], CONNPOOL_TIMED_OUT);
    stepped_acquire_run_after(clients, 3, MILLISECONDS(40));
    stepped_acquire_assert(&clients[1], CONNPOOL_TIMED_OUT);
    stepped_acquire_run_after(clients, 3, MILLISECONDS(110));
    stepped_acquire_give(&clients[2], 2);
    pool_fixture_close(&fixture);
}

/* A probe that hangs is left by its acquirer in time, and ended (there is no collector): the next one tries. */
static void test_a_probe_that_is_given_up_passes_on(void **state)
{
    struct stepped_acquire clients[2];
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    test_manager_set_nth(1, TEST_OPEN, refused());
    test_manager_set_nth(2, TEST_OPEN, test_kind(TEST_NEVER));
    stepped_acquire_start(&clients[0], &fixture, "x", 1000);
    stepped_acquire_start(&clients[1], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_run_after(clients, 2, MILLISECONDS(200));
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    assert_int_equal(done_of(clients, 2), 0);
    stepped_acquire_run_after(clients, 2, MILLISECONDS(800));
    stepped_acquire_assert(&clients[0], CONNPOOL_TIMED_OUT);
    stepped_acquire_give(&clients[1], 3);
    pool_fixture_close(&fixture);
}

/* A connection that is released goes to who waits, whatever connects do. */
static void test_a_released_connection_serves_who_waits(void **state)
{
    struct stepped_acquire clients[2];
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    lease = pool_take(&fixture, "x");
    test_manager_set(TEST_OPEN, refused());
    stepped_acquire_start(&clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_start(&clients[1], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    pool_give(&lease);
    stepped_acquire_run(clients, 2);
    stepped_acquire_give(&clients[0], 1);
    stepped_acquire_run(clients, 2);
    stepped_acquire_give(&clients[1], 1);
    pool_fixture_close(&fixture);
}

/* Handed over, without a look: who is behind looks for the time now. */
static void test_who_is_behind_a_hand_over_keeps_the_time(void **state)
{
    struct stepped_acquire clients[2];
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    lease = pool_take(&fixture, "x");
    test_manager_set(TEST_OPEN, refused());
    stepped_acquire_start(&clients[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_start(&clients[1], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    test_manager_set(TEST_OPEN, test_ok());
    virtual_clock_advance(&fixture.clock, MILLISECONDS(10));
    pool_give(&lease);
    stepped_acquire_run(clients, 2);
    stepped_acquire_assert(&clients[0], CONNPOOL_OK);
    assert_false(clients[1].is_done);
    stepped_acquire_run_after(clients, 2, MILLISECONDS(190));
    stepped_acquire_assert(&clients[1], CONNPOOL_OK);
    pool_give(&clients[0].acquire.lease);
    pool_give(&clients[1].acquire.lease);
    pool_fixture_close(&fixture);
}

/* Nobody is disturbed elsewhere: a free slot is for who can use it. */
static void test_another_endpoint_is_served_meanwhile(void **state)
{
    struct stepped_acquire clients[2];
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true, 'max_size': 2, 'total_max_size': 2");
    test_manager_set_endpoint("down", TEST_OPEN, refused());
    stepped_acquire_start(&clients[0], &fixture, "down", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_start(&clients[1], &fixture, "down", CONNPOOL_WAIT_FOREVER);
    for (int i = 0; i < 5; i++) {
        lease = pool_take(&fixture, "up");
        stepped_acquire_run_after(clients, 2, CP_BACKOFF_MOST);
        pool_give(&lease);
    }
    test_manager_set_endpoint("down", TEST_OPEN, test_ok());
    stepped_acquire_run_after(clients, 2, CP_BACKOFF_MOST);
    stepped_acquire_assert(&clients[0], CONNPOOL_OK);
    stepped_acquire_assert(&clients[1], CONNPOOL_OK);
    pool_give(&clients[0].acquire.lease);
    pool_give(&clients[1].acquire.lease);
    pool_fixture_close(&fixture);
}

/* ---- Several endpoints ---- */

static connpool_status try_any(struct pool_fixture *fixture, int timeout_ms, connpool_lease *lease)
{
    static const char *const names[] = {"a", "b"};
    connpool_endpoint *endpoints[2];
    connpool_status status;

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(connpool_endpoint_get(fixture->pool, names[i], &endpoints[i], NULL), CONNPOOL_OK);
    }
    status = connpool_acquire_any(endpoints, 2, timeout_ms, lease, &fixture->error);
    for (size_t i = 0; i < 2; i++) {
        connpool_endpoint_put(endpoints[i]);
    }
    return status;
}

static void test_of_several_endpoints_each_is_tried_at_once_then_again(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    test_manager_set_endpoint("a", TEST_OPEN, refused());
    assert_int_equal(try_any(&fixture, 60000, &lease), CONNPOOL_OK);
    assert_int_equal(virtual_clock_now(&fixture.clock), SECONDS(1000));
    assert_string_equal(lease_connection(&lease)->endpoint, "b");
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    test_manager_set_endpoint("b", TEST_OPEN, test_fails(CONNPOOL_ERROR_TRUST));
    test_manager_set_nth(6, TEST_OPEN, test_ok()); /* b once, a until then */
    assert_int_equal(try_any(&fixture, 60000, &lease), CONNPOOL_OK);
    assert_string_equal(lease_connection(&lease)->endpoint, "a");
    pool_give(&lease);
    test_manager_set_endpoint("a", TEST_OPEN, test_fails(CONNPOOL_ERROR_TRUST));
    connpool_pool_drain(fixture.pool);
    assert_int_equal(try_any(&fixture, 60000, &lease), CONNPOOL_FAILED);
    pool_fixture_close(&fixture);
}

/* It waits for a, which is down for long; when it becomes the first at b it looks for b's time, which is sooner. C9 */
static void test_who_waits_at_two_looks_at_the_sooner_time_C9(void **state)
{
    static const char *const both[] = {"a", "b"};
    struct stepped_acquire clients[2];
    struct pool_fixture fixture = {0};

    (void)state;
    pool_fixture_open(&fixture, "'retry': true, 'holddown': 10, 'endpoints': {'a': {'name': 'a'}, "
                                "'b': {'name': 'b', 'pool': {'holddown': 1}}}");
    test_manager_set(TEST_OPEN, refused());
    stepped_acquire_start(&clients[0], &fixture, "b", 500);
    stepped_acquire_start_any(&clients[1], &fixture, both, 2, CONNPOOL_WAIT_FOREVER);
    test_manager_set(TEST_OPEN, test_ok());
    stepped_acquire_run_after(clients, 2, MILLISECONDS(500));
    stepped_acquire_assert(&clients[0], CONNPOOL_TIMED_OUT);
    stepped_acquire_run_after(clients, 2, MILLISECONDS(500));
    stepped_acquire_assert(&clients[1], CONNPOOL_OK);
    assert_string_equal(lease_connection(&clients[1].acquire.lease)->endpoint, "b");
    pool_give(&clients[1].acquire.lease);
    pool_fixture_close(&fixture);
}

/* ---- Ends ---- */

static void test_close_ends_it_at_once(void **state)
{
    struct pool_fixture fixture = {0};
    struct pool_client clients[2] = {0};

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    atomic_store(&fixture.clock.is_manual, true);
    test_manager_set(TEST_OPEN, refused());
    for (size_t i = 0; i < 2; i++) {
        pool_client_start(&clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    await_waiters(&fixture, 2);
    assert_int_equal(connpool_close(fixture.context, CONNPOOL_WAIT_FOREVER, NULL), CONNPOOL_OK);
    fixture.clock.context = NULL;
    for (size_t i = 0; i < 2; i++) {
        pool_client_join(&clients[i]);
        assert_int_equal(clients[i].status, CONNPOOL_CLOSED);
    }
    pool_fixture_assert_nothing_left(&fixture);
}

static void test_without_memory_it_fails_at_once(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    for (uint64_t k = 1; k <= 12; k++) {
        connpool_status status;

        test_manager_set_nth(test_manager_calls(TEST_OPEN) + 1, TEST_OPEN, refused());
        failing_allocator_fail(k, false);
        status = pool_try(&fixture, "x", 60000, &lease);
        failing_allocator_fail(0, false);
        if (status == CONNPOOL_OK) {
            assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
        } else {
            assert_int_equal(status, CONNPOOL_NO_MEMORY);
        }
    }
    pool_fixture_close(&fixture);
}

/* Semantics 14: an endpoint given at run time leaves nothing. */
static void test_an_endpoint_that_is_down_costs_nothing_afterwards(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'retry': true");
    test_manager_set(TEST_OPEN, refused());
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_TIMED_OUT);
    assert_int_equal(test_manager_endpoints(), 0);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_on_until_it_succeeds),
        cmocka_unit_test(test_its_time_is_up_all_the_same_C12),
        cmocka_unit_test(test_limit_0_opens_nothing),
        cmocka_unit_test(test_what_does_not_pass_fails_at_once_A17_A31),
        cmocka_unit_test(test_every_other_fault_is_tried_again),
        cmocka_unit_test(test_without_it_one_failure_is_the_end),
        cmocka_unit_test(test_a_first_prepare_that_fails_is_tried_again),
        cmocka_unit_test(test_holddown_is_waited_for),
        cmocka_unit_test(test_what_does_not_pass_is_held_down_all_the_same),
        cmocka_unit_test(test_a_full_peer_is_waited_for),
        cmocka_unit_test(test_one_tries_and_the_others_wait_C19),
        cmocka_unit_test(test_a_limit_of_long_ago_is_forgotten),
        cmocka_unit_test(test_a_burst_is_one_failure),
        cmocka_unit_test(test_what_is_refused_is_refused_for_all_that_wait_A31),
        cmocka_unit_test(test_who_is_next_takes_over_the_probe_C9),
        cmocka_unit_test(test_a_probe_that_is_given_up_passes_on),
        cmocka_unit_test(test_a_released_connection_serves_who_waits),
        cmocka_unit_test(test_who_is_behind_a_hand_over_keeps_the_time),
        cmocka_unit_test(test_another_endpoint_is_served_meanwhile),
        cmocka_unit_test(test_of_several_endpoints_each_is_tried_at_once_then_again),
        cmocka_unit_test(test_who_waits_at_two_looks_at_the_sooner_time_C9),
        cmocka_unit_test(test_close_ends_it_at_once),
        cmocka_unit_test(test_without_memory_it_fails_at_once),
        cmocka_unit_test(test_an_endpoint_that_is_down_costs_nothing_afterwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
