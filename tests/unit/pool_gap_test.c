/* SPDX-License-Identifier: MIT */
/*
 * pool_gap: a call is overtaken between any two of its locks: by a close, and by the end and reuse of an endpoint's
 * record. Each test tries every such place.
 */
#include "lock_gap.h"
#include "pool_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_release_whose_endpoint_ends_meanwhile_leaves_the_index_right),
        cmocka_unit_test(test_a_release_whose_endpoint_is_another_one_meanwhile_leaves_the_index_right),
        cmocka_unit_test(test_nothing_is_opened_after_a_close_that_said_all_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
