/* SPDX-License-Identifier: MIT */
/*
 * pool_gap: a call is overtaken between any two of its locks: by a close, by the end and reuse of an endpoint's record,
 * by the release or the acquire that it should meet. Each test tries every such place.
 */
#include "lock_gap.h"
#include "stepped_acquire.h"

#define OTHERS 4

struct recycling {
    struct pool_fixture fixture;
    bool is_reused_at_once;
    connpool_endpoint *others[OTHERS];
    connpool_endpoint *heir; /* likely in the record of the endpoint that is gone */
};

static void look_up(struct recycling *recycling, const char *name, connpool_endpoint **endpoint)
{
    assert_int_equal(connpool_endpoint_get(recycling->fixture.pool, name, endpoint, NULL), CONNPOOL_OK);
}

/* Others fill the index of what is due; the endpoint's last connection ends, and with it the endpoint. */
static void end_the_endpoint(void *argument)
{
    static const char *const names[OTHERS] = {"o1", "o2", "o3", "o4"};
    struct recycling *recycling = argument;
    connpool_lease lease;

    for (size_t i = 0; i < OTHERS; i++) {
        virtual_clock_advance(&recycling->fixture.clock, MILLISECONDS(10));
        look_up(recycling, names[i], &recycling->others[i]);
        pool_park(&recycling->fixture, names[i], 1);
    }
    lease = pool_take(&recycling->fixture, "a");
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    if (recycling->is_reused_at_once) {
        look_up(recycling, "b", &recycling->heir);
    }
}

static uint64_t idle_now(const struct recycling *recycling)
{
    struct connpool_statistics numbers = pool_numbers(&recycling->fixture);

    return numbers_idle(&numbers);
}

static void assert_all_are_closed_when_due(struct recycling *recycling)
{
    uint64_t idle = idle_now(recycling);

    virtual_clock_advance(&recycling->fixture.clock, SECONDS(100));
    assert_int_equal(connpool_maintain(recycling->fixture.context), idle);
    assert_int_equal(idle_now(recycling), 0);
}

/* False: the release has fewer gaps. */
static bool release_with_gap(uint64_t gap, bool is_reused_at_once)
{
    struct recycling recycling = {.is_reused_at_once = is_reused_at_once};
    connpool_lease lease;
    connpool_status status;
    bool had_gap;

    pool_fixture_open(&recycling.fixture, "'manager': 'test-null', 'min_idle': 0, 'max_size': 3, 'idle_timeout': 5");
    lease = pool_take(&recycling.fixture, "a");
    lock_gap_set(gap, end_the_endpoint, &recycling);
    status = connpool_release(&lease);
    had_gap = lock_gap_end();
    assert_int_equal(status, CONNPOOL_OK);
    if (recycling.heir == NULL) {
        look_up(&recycling, "b", &recycling.heir);
    }
    assert_all_are_closed_when_due(&recycling);
    pool_park(&recycling.fixture, "b", 1);
    assert_all_are_closed_when_due(&recycling);
    connpool_endpoint_put(recycling.heir);
    for (size_t i = 0; had_gap && i < OTHERS; i++) {
        connpool_endpoint_put(recycling.others[i]);
    }
    pool_fixture_close(&recycling.fixture);
    return had_gap;
}

static void test_a_release_whose_endpoint_ends_meanwhile_leaves_the_index_right(void **state)
{
    uint64_t gaps = 0;

    (void)state;
    while (release_with_gap(gaps + 1, false)) {
        gaps++;
    }
    assert_true(gaps >= 2);
}

static void test_a_release_whose_endpoint_is_another_one_meanwhile_leaves_the_index_right(void **state)
{
    uint64_t gaps = 0;

    (void)state;
    while (release_with_gap(gaps + 1, true)) {
        gaps++;
    }
    assert_true(gaps >= 2);
}

struct closing {
    struct pool_fixture fixture;
    connpool_status status;
    size_t opened; /* when it returned */
};

static void close_at_once(void *argument)
{
    struct closing *closing = argument;

    closing->fixture.clock.context = NULL;
    closing->status = connpool_close(closing->fixture.context, 0, NULL);
    closing->opened = test_manager_opened();
}

/* False: the acquire has fewer gaps. *all_gone: the close said so. */
static bool acquire_with_gap(uint64_t gap, bool *all_gone)
{
    struct closing closing = {.status = CONNPOOL_INVALID};
    connpool_endpoint *endpoint;
    connpool_lease lease;
    connpool_status status;
    bool had_gap;

    pool_fixture_open(&closing.fixture, "'min_idle': 0, 'max_size': 1");
    assert_int_equal(connpool_endpoint_get(closing.fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    lock_gap_set(gap, close_at_once, &closing);
    status = connpool_endpoint_acquire(endpoint, 5000, &lease, NULL);
    had_gap = lock_gap_end();
    if (!had_gap) {
        close_at_once(&closing);
    }
    *all_gone = closing.status == CONNPOOL_OK;
    if (*all_gone) {
        assert_int_equal(test_manager_opened(), closing.opened);
        assert_int_equal(status, CONNPOOL_CLOSED);
    } else {
        assert_int_equal(closing.status, CONNPOOL_STILL_LEASED);
    }
    if (status == CONNPOOL_OK) {
        pool_give(&lease);
    }
    connpool_endpoint_put(endpoint);
    pool_fixture_assert_nothing_left(&closing.fixture);
    return had_gap;
}

/* connpool.h: CONNPOOL_OK: all is gone. */
static void test_nothing_is_opened_after_a_close_that_said_all_is_gone(void **state)
{
    uint64_t gaps = 0, gone = 0;
    bool all_gone;

    (void)state;
    while (acquire_with_gap(gaps + 1, &all_gone)) {
        gaps++;
        gone += all_gone;
    }
    assert_true(gone > 0 && gone < gaps);
}

/* Somebody has the only slot and ends it while another acquires: the one in a gap of the other. */
struct meeting {
    struct pool_fixture fixture;
    const char *wanted; /* the endpoint that is acquired from; the slot is in use by "a" */
    bool is_broken;     /* what is given back */
    connpool_lease held;
    struct stepped_acquire client;
};

static void give_back(void *argument)
{
    struct meeting *meeting = argument;

    assert_int_equal(meeting->is_broken ? connpool_discard(&meeting->held) : connpool_release(&meeting->held),
                     CONNPOOL_OK);
}

static void acquire(void *argument)
{
    struct meeting *meeting = argument;

    stepped_acquire_start(&meeting->client, &meeting->fixture, meeting->wanted, CONNPOOL_WAIT_FOREVER);
}

/* `second` in the gap of `first`, or after it: the acquire must end. False: it was after it. */
static bool meet(uint64_t gap, const struct meeting *as, void (*first)(void *), void (*second)(void *))
{
    struct meeting meeting = *as;
    bool had_gap;

    pool_fixture_open(&meeting.fixture, "'min_idle': 0, 'max_size': 1, 'total_max_size': 1");
    meeting.held = pool_take(&meeting.fixture, "a");
    lock_gap_set(gap, second, &meeting);
    first(&meeting);
    had_gap = lock_gap_end();
    if (!had_gap) {
        second(&meeting);
    }
    stepped_acquire_run(&meeting.client, 1);
    stepped_acquire_assert(&meeting.client, CONNPOOL_OK);
    pool_give(&meeting.client.acquire.lease);
    assert_int_equal(test_manager_most(NULL), 1);
    assert_int_equal(pool_numbers(&meeting.fixture).waiters, 0);
    pool_fixture_close(&meeting.fixture);
    return had_gap;
}

static void meet_everywhere(const char *wanted, bool is_broken)
{
    const struct meeting as = {.wanted = wanted, .is_broken = is_broken};
    uint64_t gaps = 0;

    while (meet(gaps + 1, &as, acquire, give_back)) {
        gaps++;
    }
    assert_true(gaps >= 3);
    gaps = 0;
    while (meet(gaps + 1, &as, give_back, acquire)) {
        gaps++;
    }
    assert_true(gaps >= 3);
}

static void test_an_acquire_and_a_release_meet_anywhere_D3(void **state)
{
    (void)state;
    meet_everywhere("a", false);
}

static void test_an_acquire_and_a_discard_meet_anywhere_D3(void **state)
{
    (void)state;
    meet_everywhere("a", true);
}

static void test_an_acquire_and_a_release_of_another_endpoint_meet_anywhere_D3_C14(void **state)
{
    (void)state;
    meet_everywhere("b", false);
}

static void test_an_acquire_and_a_discard_of_another_endpoint_meet_anywhere_D3_C14(void **state)
{
    (void)state;
    meet_everywhere("b", true);
}

/* Two slots are free, and a wake is under way to the first in line, when a newcomer whose line is full takes the slot
 * that the first could have used: the next in line is to have the other one. */
static void test_a_newcomer_takes_what_the_first_was_woken_for_D3(void **state)
{
    struct pool_fixture fixture = {0};
    struct stepped_acquire threads[2];
    struct stepped_acquire newcomer;
    connpool_lease one, other;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'total_max_size': 2, 'max_waiters': 1, 'min_idle': 0");
    atomic_store(&fixture.clock.is_manual, true);
    one = pool_take(&fixture, "a");
    other = pool_take(&fixture, "b");
    stepped_acquire_start(&threads[0], &fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_start(&threads[1], &fixture, "y", CONNPOOL_WAIT_FOREVER);
    assert_int_equal(connpool_discard(&one), CONNPOOL_OK);
    assert_int_equal(connpool_discard(&other), CONNPOOL_OK);
    stepped_acquire_start(&newcomer, &fixture, "x", 1000);
    stepped_acquire_assert(&newcomer, CONNPOOL_OK);
    stepped_acquire_run(threads, 2);
    stepped_acquire_give(&threads[1], 4);
    stepped_acquire_give(&newcomer, 3);
    stepped_acquire_run(threads, 1);
    stepped_acquire_give(&threads[0], 3);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_release_whose_endpoint_ends_meanwhile_leaves_the_index_right),
        cmocka_unit_test(test_a_release_whose_endpoint_is_another_one_meanwhile_leaves_the_index_right),
        cmocka_unit_test(test_nothing_is_opened_after_a_close_that_said_all_is_gone),
        cmocka_unit_test(test_an_acquire_and_a_release_meet_anywhere_D3),
        cmocka_unit_test(test_an_acquire_and_a_discard_meet_anywhere_D3),
        cmocka_unit_test(test_an_acquire_and_a_release_of_another_endpoint_meet_anywhere_D3_C14),
        cmocka_unit_test(test_an_acquire_and_a_discard_of_another_endpoint_meet_anywhere_D3_C14),
        cmocka_unit_test(test_a_newcomer_takes_what_the_first_was_woken_for_D3),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
