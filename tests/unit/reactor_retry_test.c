/* SPDX-License-Identifier: MIT */
/*
 * reactor_retry: requests and threads that retry stand in one line; a reactor that is not dispatched when it is its
 * turn to try holds up nobody (failures.md C9, C19).
 */
#include "pool/backoff.h"
#include "reactor_client.h"
#include "stepped_acquire.h"

static void open_down(struct pool_fixture *fixture, const char *keys)
{
    pool_fixture_open(fixture, "'retry': true, %s", keys);
    atomic_store(&fixture->clock.is_manual, true);
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
}

static void test_requests_try_one_at_a_time_C19(void **state)
{
    static struct reactor_client clients[100];
    struct pool_fixture fixture = {0};
    connpool_reactor *reactor;
    uint64_t opens;

    (void)state;
    open_down(&fixture, "'max_size': 100");
    reactor = reactor_begin(&fixture);
    for (size_t i = 0; i < 100; i++) {
        reactor_submit(reactor, &clients[i], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    reactor_run(reactor);
    for (int i = 0; i < 10; i++) {
        opens = test_manager_calls(TEST_OPEN);
        reactor_run_after(reactor, &fixture, CP_BACKOFF_MOST);
        assert_int_equal(test_manager_calls(TEST_OPEN), opens + 1);
    }
    test_manager_set(TEST_OPEN, test_ok());
    reactor_run_after(reactor, &fixture, CP_BACKOFF_MOST);
    for (size_t i = 0; i < 100; i++) {
        reactor_assert_told(&clients[i], CONNPOOL_OK);
        pool_give(&clients[i].lease);
    }
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_a_reactor_that_does_not_come_holds_up_no_thread_C9(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;
    connpool_reactor *reactor;

    (void)state;
    open_down(&fixture, "'max_size': 10");
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    stepped_acquire_start(&thread, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_run(&thread, 1);
    test_manager_set(TEST_OPEN, test_ok());
    stepped_acquire_run_after(&thread, 1, 2 * CP_BACKOFF_FIRST);
    stepped_acquire_run_after(&thread, 1, MILLISECONDS(3));
    stepped_acquire_assert(&thread, CONNPOOL_OK);
    assert_int_equal(client.told, 0);
    reactor_run(reactor);
    reactor_assert_told(&client, CONNPOOL_OK);
    pool_give(&client.lease);
    pool_give(&thread.acquire.lease);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* The same between two reactors. */
static void test_a_reactor_that_does_not_come_holds_up_no_other_C9(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client first = {0}, second = {0};
    connpool_reactor *reactor, *other;

    (void)state;
    open_down(&fixture, "'max_size': 10");
    reactor = reactor_begin(&fixture);
    other = reactor_begin(&fixture);
    reactor_submit(reactor, &first, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    reactor_submit(other, &second, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(other);
    test_manager_set(TEST_OPEN, test_ok());
    reactor_run_after(other, &fixture, 2 * CP_BACKOFF_FIRST);
    reactor_run_after(other, &fixture, MILLISECONDS(3));
    reactor_assert_told(&second, CONNPOOL_OK);
    reactor_run(reactor);
    reactor_assert_told(&first, CONNPOOL_OK);
    pool_give(&first.lease);
    pool_give(&second.lease);
    reactor_end(other);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

/* What comes before that time is not waited for any longer than at other times: who stands behind watches for the next
 * open, and is told of a call that comes sooner. */
static void run_released_before_the_next_open(bool by_reactor)
{
    struct pool_fixture fixture = {0};
    struct reactor_client first = {0}, second = {0};
    struct stepped_acquire thread;
    connpool_reactor *reactor, *other;
    connpool_lease lease;

    open_down(&fixture, "'max_size': 10");
    test_manager_set(TEST_OPEN, test_ok());
    lease = pool_take(&fixture, "x");
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_UNREACHABLE));
    reactor = reactor_begin(&fixture);
    other = reactor_begin(&fixture);
    reactor_submit(reactor, &first, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    if (by_reactor) {
        reactor_submit(other, &second, &fixture, "x", CONNPOOL_WAIT_FOREVER);
        reactor_run(other);
    } else {
        stepped_acquire_start(&thread, &fixture, "x", CONNPOOL_WAIT_FOREVER);
        stepped_acquire_run(&thread, 1);
    }
    pool_give(&lease);
    if (by_reactor) {
        reactor_run(other);
        reactor_run_after(other, &fixture, MILLISECONDS(2));
        reactor_give(&second, 1);
    } else {
        stepped_acquire_run(&thread, 1);
        stepped_acquire_run_after(&thread, 1, MILLISECONDS(2));
        stepped_acquire_give(&thread, 1);
    }
    assert_int_equal(first.told, 0);
    reactor_run(reactor);
    reactor_give(&first, 1);
    reactor_end(other);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_what_is_released_before_the_next_open_C9(void **state)
{
    (void)state;
    run_released_before_the_next_open(false);
    run_released_before_the_next_open(true);
}

static void test_a_cancelled_request_passes_the_probe_on_C3(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client first = {0}, second = {0};
    connpool_reactor *reactor;

    (void)state;
    open_down(&fixture, "'max_size': 10");
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &first, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_submit(reactor, &second, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    reactor_cancel(&first);
    test_manager_set(TEST_OPEN, test_ok());
    reactor_run_after(reactor, &fixture, 2 * CP_BACKOFF_FIRST);
    reactor_assert_told(&second, CONNPOOL_OK);
    pool_give(&second.lease);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
}

static void test_closing_a_reactor_ends_its_retries(void **state)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;
    connpool_reactor *reactor;

    (void)state;
    open_down(&fixture, "'max_size': 10");
    reactor = reactor_begin(&fixture);
    reactor_submit(reactor, &client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(reactor);
    stepped_acquire_start(&thread, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_end(reactor);
    reactor_assert_told(&client, CONNPOOL_CLOSED);
    test_manager_set(TEST_OPEN, test_ok());
    stepped_acquire_run_after(&thread, 1, 2 * CP_BACKOFF_FIRST);
    stepped_acquire_give(&thread, 2);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_try_one_at_a_time_C19),
        cmocka_unit_test(test_a_reactor_that_does_not_come_holds_up_no_thread_C9),
        cmocka_unit_test(test_a_reactor_that_does_not_come_holds_up_no_other_C9),
        cmocka_unit_test(test_what_is_released_before_the_next_open_C9),
        cmocka_unit_test(test_a_cancelled_request_passes_the_probe_on_C3),
        cmocka_unit_test(test_closing_a_reactor_ends_its_retries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
