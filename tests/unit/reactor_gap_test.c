/* SPDX-License-Identifier: MIT */
/*
 * reactor_gap: what other threads do between any two locks that a dispatch takes must make the descriptor readable
 * again, for nobody else tells the application to come. Each test tries every such place.
 */
#include "lock_gap.h"
#include "reactor_client.h"
#include "stepped_acquire.h"

#define CLIENTS 2

struct passing {
    struct pool_fixture fixture;
    connpool_reactor *reactor;
    struct reactor_client clients[CLIENTS]; /* the first was granted the only connection, and comes late for it: if it
                                               has lost it, its time is up */
    bool is_through[CLIENTS];
    struct stepped_acquire thread;
};

static void acquire_as_a_thread(void *argument)
{
    struct passing *passing = argument;

    stepped_acquire_start(&passing->thread, &passing->fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_run(&passing->thread, 1);
}

static void begin_passing(struct passing *passing)
{
    connpool_lease lease;

    pool_fixture_open(&passing->fixture, "'max_size': 1");
    atomic_store(&passing->fixture.clock.is_manual, true);
    passing->reactor = reactor_begin(&passing->fixture);
    lease = pool_take(&passing->fixture, "x");
    reactor_submit(passing->reactor, &passing->clients[0], &passing->fixture, "x", 3);
    reactor_submit(passing->reactor, &passing->clients[1], &passing->fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(passing->reactor);
    virtual_clock_advance(&passing->fixture.clock, MILLISECONDS(2));
    pool_give(&lease);
    virtual_clock_advance(&passing->fixture.clock, MILLISECONDS(1) + 1);
}

/* Whoever has the connection gives it back; the reactor is dispatched while its descriptor is readable. */
static void give_in_turn(struct passing *passing)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct reactor_client *client = &passing->clients[i];

        if (client->told != 0 && !passing->is_through[i] && client->status == CONNPOOL_OK) {
            reactor_give(client, 1);
        }
        passing->is_through[i] = client->told != 0;
    }
    stepped_acquire_run(&passing->thread, 1);
    if (passing->thread.is_done && passing->thread.acquire.lease.connection != NULL) {
        stepped_acquire_give(&passing->thread, 1);
        passing->thread.acquire.lease.connection = NULL;
    }
    reactor_run(passing->reactor);
}

/* False: the dispatch has fewer gaps. */
static bool dispatch_is_passed_over(uint64_t gap)
{
    struct passing passing = {0};
    bool had_gap;

    begin_passing(&passing);
    lock_gap_set(gap, acquire_as_a_thread, &passing);
    reactor_turn(passing.reactor);
    had_gap = lock_gap_end();
    if (!had_gap) {
        acquire_as_a_thread(&passing);
    }
    reactor_run(passing.reactor);
    for (int turn = 0; turn <= CLIENTS; turn++) {
        give_in_turn(&passing);
    }
    assert_true(passing.thread.is_done);
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(passing.is_through[i]);
    }
    reactor_end(passing.reactor);
    pool_fixture_close(&passing.fixture);
    return had_gap;
}

/* failures.md C2: the reactor comes late, and what was granted is taken back while it comes. */
static void test_passed_over_within_a_dispatch(void **state)
{
    uint64_t gap = 1;

    (void)state;
    while (dispatch_is_passed_over(gap)) {
        gap++;
    }
    assert_true(gap > 2);
}

static void move_the_clock(void *argument)
{
    struct pool_fixture *fixture = argument;

    virtual_clock_advance(&fixture->clock, MILLISECONDS(10));
}

/* False: the dispatch has fewer gaps. */
static bool clock_moves_within_a_dispatch(uint64_t gap)
{
    struct pool_fixture fixture = {0};
    struct reactor_client client = {0};
    struct reactor_client other = {0};
    connpool_reactor *reactor;
    connpool_lease lease;
    bool had_gap;

    pool_fixture_open(&fixture, "'max_size': 1");
    atomic_store(&fixture.clock.is_manual, true);
    reactor = reactor_begin(&fixture);
    lease = pool_take(&fixture, "x");
    reactor_submit(reactor, &client, &fixture, "x", 10);
    reactor_run(reactor);
    reactor_submit(reactor, &other, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    lock_gap_set(gap, move_the_clock, &fixture);
    reactor_turn(reactor);
    had_gap = lock_gap_end();
    if (!had_gap) {
        move_the_clock(&fixture);
    }
    reactor_run(reactor);
    reactor_assert_told(&client, CONNPOOL_TIMED_OUT);
    pool_give(&lease);
    reactor_run(reactor);
    reactor_give(&other, 1);
    reactor_end(reactor);
    pool_fixture_close(&fixture);
    return had_gap;
}

static void test_the_clock_moves_within_a_dispatch(void **state)
{
    uint64_t gap = 1;

    (void)state;
    while (clock_moves_within_a_dispatch(gap)) {
        gap++;
    }
    assert_true(gap > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passed_over_within_a_dispatch),
        cmocka_unit_test(test_the_clock_moves_within_a_dispatch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
