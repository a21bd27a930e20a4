/* SPDX-License-Identifier: MIT */
/*
 * opener_line: an acquire that opens stands in line too, for a connection but no slot, where somebody else can drive
 * its open on (semantics.md D26; core/pool/line.h). Here the reactor of the test's thread can, so each test is one
 * interleaving: acquires are stepped by hand, an open takes ten seconds by a clock that the test moves.
 */
#include <string.h>

#include "pool/pool.h"
#include "reactor_client.h"
#include "stepped_acquire.h"

#define OPEN_TIME SECONDS(10)

struct bench {
    struct pool_fixture fixture;
    connpool_reactor *reactor;
    connpool_lease lease; /* connection 1, of "x" */
};

/* Connection 1 is leased; all further opens are slow. */
static void begin(struct bench *bench, const char *keys)
{
    pool_fixture_open(&bench->fixture, "%s", keys);
    atomic_store(&bench->fixture.clock.is_manual, true);
    bench->lease = pool_take(&bench->fixture, "x");
    bench->reactor = reactor_begin(&bench->fixture);
    test_manager_set(TEST_OPEN, test_slow(OPEN_TIME));
}

/* What was left goes on, and ends. */
static void end(struct bench *bench)
{
    reactor_run_after(bench->reactor, &bench->fixture, OPEN_TIME);
    assert_int_equal(atomic_load(&bench->fixture.pool->waiters), 0);
    assert_int_equal(pool_openers(&bench->fixture), 0);
    assert_int_equal(pool_numbers(&bench->fixture).opening, 0);
    reactor_end(bench->reactor);
    pool_fixture_close(&bench->fixture);
}

static void start(struct bench *bench, struct stepped_acquire *stepped)
{
    stepped_acquire_start(stepped, &bench->fixture, "x", CONNPOOL_WAIT_FOREVER);
    assert_false(stepped->is_done);
}

/* Those in line have been patient enough: what is released is handed over. */
static void be_patient(struct bench *bench)
{
    virtual_clock_advance(&bench->fixture.clock, MILLISECONDS(2));
}

static uint64_t opening(const struct bench *bench)
{
    return pool_numbers(&bench->fixture).opening;
}

static uint64_t idle(const struct bench *bench)
{
    struct connpool_statistics numbers = pool_numbers(&bench->fixture);

    return numbers_idle(&numbers);
}

static void test_it_takes_what_is_released_and_its_open_feeds_the_pool_D26(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    start(&bench, &opener);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    stepped_acquire_assert(&opener, CONNPOOL_OK);
    assert_int_equal(opening(&bench), 1);
    stepped_acquire_give(&opener, 1);
    reactor_run_after(bench.reactor, &bench.fixture, OPEN_TIME);
    assert_int_equal(idle(&bench), 2);
    assert_int_equal(pool_numbers(&bench.fixture).opened, 2);
    end(&bench);
}

/* D26: twenty at once where a server accepts slowly; one connection is released over and over. */
static void test_one_connection_serves_all_long_before_their_opens_D26(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire openers[20];
    int64_t begun;

    (void)state;
    begin(&bench, "'max_size': 21");
    begun = virtual_clock_now(&bench.fixture.clock);
    for (int i = 0; i < 20; i++) {
        start(&bench, &openers[i]);
    }
    assert_int_equal(opening(&bench), 20);
    pool_give(&bench.lease);
    for (int i = 0; i < 20; i++) {
        stepped_acquire_run(openers, 20);
        assert_false(i < 19 && openers[i + 1].is_done);
        stepped_acquire_give(&openers[i], 1);
    }
    assert_int_equal(virtual_clock_now(&bench.fixture.clock), begun);
    reactor_run_after(bench.reactor, &bench.fixture, OPEN_TIME);
    assert_int_equal(idle(&bench), 21);
    assert_int_equal(test_manager_most("x"), 21);
    end(&bench);
}

/* ---- Its place ---- */

/* It overtook the waiter for the slot, but not for what is released. */
static void test_who_waits_longer_without_a_slot_comes_first(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];
    connpool_lease other;

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set(TEST_OPEN, test_ok());
    other = pool_take(&bench.fixture, "x");
    test_manager_set(TEST_OPEN, test_slow(OPEN_TIME));
    start(&bench, &acquires[0]);
    assert_int_equal(connpool_discard(&other), CONNPOOL_OK);
    start(&bench, &acquires[1]);
    stepped_acquire_run(acquires, 2);
    assert_int_equal(opening(&bench), 1);
    pool_give(&bench.lease);
    assert_int_equal(acquires[1].wakes, 0);
    stepped_acquire_run(acquires, 2);
    assert_false(acquires[1].is_done);
    stepped_acquire_give(&acquires[0], 1);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_give(&acquires[1], 1);
    end(&bench);
}

static void test_it_comes_before_who_came_later_and_its_open_serves_that_one(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 2");
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    assert_int_equal(opening(&bench), 1);
    pool_give(&bench.lease);
    assert_int_equal(acquires[1].wakes, 0);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_assert(&acquires[0], CONNPOOL_OK);
    assert_false(acquires[1].is_done);
    reactor_run_after(bench.reactor, &bench.fixture, OPEN_TIME);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_give(&acquires[1], 2);
    stepped_acquire_give(&acquires[0], 1);
    end(&bench);
}

static void test_an_open_that_was_left_serves_another_opener(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire openers[2];

    (void)state;
    begin(&bench, "'max_size': 3");
    start(&bench, &openers[0]);
    virtual_clock_advance(&bench.fixture.clock, SECONDS(1));
    start(&bench, &openers[1]);
    pool_give(&bench.lease);
    stepped_acquire_run(openers, 2);
    stepped_acquire_assert(&openers[0], CONNPOOL_OK);
    reactor_run_after(bench.reactor, &bench.fixture, SECONDS(9));
    stepped_acquire_run(openers, 2);
    stepped_acquire_give(&openers[1], 2);
    stepped_acquire_give(&openers[0], 1);
    end(&bench);
}

static connpool_lease *released_in_open;

/* As an open begins, another thread releases. */
static struct test_behaviour release_in_open(enum test_operation operation, const struct test_connection *connection)
{
    (void)connection;
    if (operation != TEST_OPEN) {
        return test_ok();
    }
    if (released_in_open != NULL) {
        pool_give(released_in_open);
        released_in_open = NULL;
    }
    return test_slow(OPEN_TIME);
}

/* What was released between its search and its place in line wakes nobody: it looks as it enters. */
static void test_it_looks_when_it_enters(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    released_in_open = &bench.lease;
    test_manager_choose_by(release_in_open);
    stepped_acquire_start(&opener, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    test_manager_choose_by(NULL);
    assert_int_equal(opening(&bench), 1);
    stepped_acquire_give(&opener, 1);
    end(&bench);
}

/* As any waiter: overtaken for a millisecond, then handed what is released. */
static void test_newcomers_overtake_it_for_a_millisecond_only(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;
    connpool_lease newcomer;

    (void)state;
    begin(&bench, "'max_size': 2");
    start(&bench, &opener);
    pool_give(&bench.lease);
    assert_int_equal(pool_try(&bench.fixture, "x", 0, &newcomer), CONNPOOL_OK);
    stepped_acquire_run(&opener, 1);
    assert_false(opener.is_done);
    be_patient(&bench);
    stepped_acquire_run(&opener, 1);
    pool_give(&newcomer);
    assert_int_equal(pool_try(&bench.fixture, "x", 0, &newcomer), CONNPOOL_TIMED_OUT);
    stepped_acquire_run(&opener, 1);
    stepped_acquire_give(&opener, 1);
    end(&bench);
}

/* One that opens elsewhere has a slot already: nothing is closed for it. */
static void test_nothing_is_evicted_for_it(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 2, 'total_max_size': 2");
    stepped_acquire_start(&acquires[0], &bench.fixture, "y", CONNPOOL_WAIT_FOREVER);
    assert_int_equal(opening(&bench), 1);
    pool_give(&bench.lease);
    assert_int_equal(acquires[0].wakes, 0);
    be_patient(&bench);
    bench.lease = pool_take(&bench.fixture, "x");
    pool_give(&bench.lease);
    stepped_acquire_run(acquires, 1);
    assert_int_equal(idle(&bench), 1);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_EVICTED], 0);
    /* Who comes behind it evicts. */
    stepped_acquire_start(&acquires[1], &bench.fixture, "y", CONNPOOL_WAIT_FOREVER);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_EVICTED], 1);
    stepped_acquire_run_after(acquires, 2, OPEN_TIME);
    stepped_acquire_give(&acquires[0], 2);
    stepped_acquire_give(&acquires[1], 3);
    assert_int_equal(test_manager_most(NULL), 2);
    end(&bench);
}

/* The first that could use a slot is not the first in line: the opener before it wants none. */
static void test_a_slot_goes_to_the_waiter_behind_it(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 2");
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    be_patient(&bench);
    assert_int_equal(connpool_discard(&bench.lease), CONNPOOL_OK);
    assert_int_equal(acquires[0].wakes, 0);
    stepped_acquire_run(acquires, 2);
    assert_int_equal(opening(&bench), 2);
    stepped_acquire_run_after(acquires, 2, OPEN_TIME);
    stepped_acquire_give(&acquires[0], 2);
    stepped_acquire_give(&acquires[1], 3);
    end(&bench);
}

static void test_it_is_no_waiter_for_max_waiters_and_statistics(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[4];

    (void)state;
    begin(&bench, "'max_size': 3, 'max_waiters': 1");
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 0);
    stepped_acquire_start(&acquires[2], &bench.fixture, "x", 20000);
    assert_false(acquires[2].is_done);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 1);
    assert_int_equal(endpoint_numbers(&bench.fixture, "x").waiters, 1);
    stepped_acquire_start(&acquires[3], &bench.fixture, "x", 20000);
    stepped_acquire_assert(&acquires[3], CONNPOOL_OVERLOADED);
    assert_non_null(strstr(acquires[3].acquire.error.text, "2 opening"));
    assert_non_null(strstr(acquires[3].acquire.error.text, "1 waiting"));
    stepped_acquire_run_after(acquires, 3, OPEN_TIME);
    stepped_acquire_give(&acquires[0], 2);
    stepped_acquire_give(&acquires[1], 3);
    stepped_acquire_run(acquires, 3);
    stepped_acquire_give(&acquires[2], 2);
    pool_give(&bench.lease);
    assert_int_equal(pool_numbers(&bench.fixture).waited, 0); /* counted for what connpool_acquire returns */
    end(&bench);
}

/* Its open's steps run while it sleeps in line: what there is is for who was woken. */
static void test_while_nobody_woke_it_it_takes_nothing(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire openers[2];

    (void)state;
    begin(&bench, "'max_size': 3");
    start(&bench, &openers[0]);
    test_manager_set_nth(3, TEST_OPEN, (struct test_behaviour){.kind = TEST_TRICKLE, .delay = MILLISECONDS(1)});
    start(&bench, &openers[1]);
    pool_give(&bench.lease);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(1));
    stepped_acquire_run(&openers[1], 1);
    assert_false(openers[1].is_done);
    assert_int_equal(idle(&bench), 1);
    stepped_acquire_run(&openers[0], 1);
    stepped_acquire_give(&openers[0], 1);
    stepped_acquire_run(openers, 2);
    stepped_acquire_give(&openers[1], 1);
    virtual_clock_advance(&bench.fixture.clock, SECONDS(30)); /* connect_timeout */
    end(&bench);
}

/* It found the line full and took the slot that was free: so it stood in no line before. */
static void test_it_may_stand_where_the_line_is_full(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 1, 'max_waiters': 1");
    start(&bench, &acquires[0]);
    assert_int_equal(connpool_discard(&bench.lease), CONNPOOL_OK);
    start(&bench, &acquires[1]);
    assert_int_equal(opening(&bench), 1);
    stepped_acquire_run_after(acquires, 2, OPEN_TIME);
    stepped_acquire_give(&acquires[1], 2);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_give(&acquires[0], 2);
    end(&bench);
}

/* ---- Its open ends ---- */

/* It was woken: the wake is passed on. */
static void test_its_open_is_done_when_it_was_woken(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 2");
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    pool_give(&bench.lease);
    virtual_clock_advance(&bench.fixture.clock, OPEN_TIME);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_give(&acquires[0], 2);
    stepped_acquire_give(&acquires[1], 1);
    end(&bench);
}

/* It was handed a connection: that one goes on to the next. */
static void test_its_open_is_done_when_it_was_granted_another(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 2");
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    be_patient(&bench);
    pool_give(&bench.lease);
    assert_int_equal(idle(&bench), 0);
    virtual_clock_advance(&bench.fixture.clock, OPEN_TIME);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_give(&acquires[0], 2);
    stepped_acquire_give(&acquires[1], 1);
    end(&bench);
}

/* It was woken for one, and handed another: the wake is passed on. */
static void test_it_is_granted_another_when_it_was_woken(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];
    connpool_lease other;

    (void)state;
    begin(&bench, "'max_size': 3");
    test_manager_set(TEST_OPEN, test_ok());
    other = pool_take(&bench.fixture, "x");
    test_manager_set(TEST_OPEN, test_slow(OPEN_TIME));
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    pool_give(&bench.lease);
    be_patient(&bench);
    pool_give(&other);
    assert_int_equal(idle(&bench), 1);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_give(&acquires[0], 2);
    stepped_acquire_give(&acquires[1], 1);
    end(&bench);
}

static struct test_behaviour fails_slowly(void)
{
    return (struct test_behaviour){.kind = TEST_SLOW, .delay = OPEN_TIME, .error_class = CONNPOOL_ERROR_REFUSED};
}

static void run_failing_open(bool is_patient)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    begin(&bench, "'max_size': 2");
    test_manager_set(TEST_OPEN, fails_slowly());
    start(&bench, &opener);
    if (is_patient) {
        be_patient(&bench);
    }
    pool_give(&bench.lease);
    virtual_clock_advance(&bench.fixture.clock, OPEN_TIME);
    stepped_acquire_run(&opener, 1);
    stepped_acquire_give(&opener, 1);
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_OPEN], 1);
    end(&bench);
}

static void test_its_open_fails_when_it_was_woken(void **state)
{
    (void)state;
    run_failing_open(false);
}

static void test_its_open_fails_when_it_was_granted_another(void **state)
{
    (void)state;
    run_failing_open(true);
}

/* What came for it is dead: it fails as its open did, and opens no second time. */
static void test_its_open_fails_and_what_came_is_dead(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set(TEST_OPEN, fails_slowly());
    test_manager_set(TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    start(&bench, &opener);
    pool_give(&bench.lease);
    virtual_clock_advance(&bench.fixture.clock, OPEN_TIME);
    stepped_acquire_run(&opener, 1);
    stepped_acquire_assert(&opener, CONNPOOL_FAILED);
    assert_int_equal(opener.acquire.error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    end(&bench);
}

static void test_its_open_fails_and_nothing_came(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set_nth(2, TEST_OPEN, fails_slowly());
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    stepped_acquire_run_after(acquires, 2, OPEN_TIME);
    stepped_acquire_assert(&acquires[0], CONNPOOL_FAILED);
    assert_int_equal(opening(&bench), 1); /* its slot is the next one's */
    stepped_acquire_run_after(acquires, 2, OPEN_TIME);
    stepped_acquire_give(&acquires[1], 3);
    pool_give(&bench.lease);
    end(&bench);
}

/* An open that was left fails: its slot goes to the next, and its fault is noted. */
static void test_an_open_that_was_left_fails(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set_nth(2, TEST_OPEN, fails_slowly());
    start(&bench, &acquires[0]);
    stepped_acquire_start(&acquires[1], &bench.fixture, "x", 15000);
    pool_give(&bench.lease);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_assert(&acquires[0], CONNPOOL_OK);
    reactor_run_after(bench.reactor, &bench.fixture, OPEN_TIME);
    stepped_acquire_run(acquires, 2);
    assert_int_equal(opening(&bench), 1);
    stepped_acquire_run_after(acquires, 2, SECONDS(5));
    stepped_acquire_assert(&acquires[1], CONNPOOL_TIMED_OUT);
    assert_non_null(strstr(acquires[1].acquire.error.text, "last connect error: as told"));
    stepped_acquire_give(&acquires[0], 1);
    end(&bench);
}

/* ---- What comes is of no use ---- */

static void test_a_dead_one_is_destroyed_and_the_open_goes_on(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set_connection(1, TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    start(&bench, &opener);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    assert_false(opener.is_done);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_DEAD], 1);
    stepped_acquire_run_after(&opener, 1, OPEN_TIME);
    stepped_acquire_give(&opener, 2);
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    end(&bench);
}

/* A prepare that fails on a connection that was used before means the same. */
static void test_one_that_cannot_be_prepared_is_destroyed_and_the_open_goes_on(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set_connection(1, TEST_PREPARE, test_fails(CONNPOOL_ERROR_PROTOCOL));
    start(&bench, &opener);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    assert_false(opener.is_done);
    stepped_acquire_run_after(&opener, 1, OPEN_TIME);
    stepped_acquire_give(&opener, 2);
    assert_int_equal(test_manager_calls(TEST_OPEN), 2);
    end(&bench);
}

/* A busy one is looked at meanwhile, at most 50 ms later. */
static void test_a_busy_one_is_taken_when_it_is_free(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set_connection(1, TEST_IDLE, (struct test_behaviour){.kind = TEST_BUSY, .delay = MILLISECONDS(20)});
    start(&bench, &opener);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    assert_false(opener.is_done);
    stepped_acquire_run_after(&opener, 1, MILLISECONDS(50));
    stepped_acquire_give(&opener, 1);
    end(&bench);
}

static void test_a_busy_one_is_idle_again_when_the_open_is_done(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    test_manager_set_connection(1, TEST_IDLE, (struct test_behaviour){.kind = TEST_BUSY, .delay = SECONDS(3600)});
    start(&bench, &opener);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    stepped_acquire_run_after(&opener, 1, OPEN_TIME);
    stepped_acquire_assert(&opener, CONNPOOL_OK);
    assert_int_equal(idle(&bench), 1);
    stepped_acquire_give(&opener, 2);
    end(&bench);
}

/* A round trip is waited for: the open is left at once. If that one is dead, the acquire is a waiter as any other. */
static void test_one_that_needs_a_round_trip(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2, 'check_after': 0, 'check_timeout': 3");
    test_manager_set_connection(1, TEST_CHECK, test_kind(TEST_NEVER));
    start(&bench, &opener);
    pool_give(&bench.lease);
    stepped_acquire_run(&opener, 1);
    assert_false(opener.is_done);
    stepped_acquire_run_after(&opener, 1, SECONDS(3));
    assert_false(opener.is_done);
    assert_int_equal(opening(&bench), 2); /* the slot of the dead one is used */
    reactor_run_after(bench.reactor, &bench.fixture, SECONDS(7));
    stepped_acquire_run(&opener, 1);
    stepped_acquire_give(&opener, 2);
    end(&bench);
}

/* ---- Endpoints that take no connects ---- */

static void test_where_connects_are_held_down_its_own_goes_on(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[3];
    struct test_behaviour fails_soon = fails_slowly();

    (void)state;
    begin(&bench, "'max_size': 3, 'holddown': 100");
    fails_soon.delay = SECONDS(1);
    test_manager_set_nth(2, TEST_OPEN, fails_soon);
    for (int i = 0; i < 3; i++) {
        start(&bench, &acquires[i]);
    }
    stepped_acquire_run_after(acquires, 3, SECONDS(1));
    stepped_acquire_assert(&acquires[0], CONNPOOL_FAILED);
    stepped_acquire_assert(&acquires[2], CONNPOOL_FAILED);
    assert_false(acquires[1].is_done);
    pool_give(&bench.lease);
    stepped_acquire_run(acquires, 3);
    stepped_acquire_give(&acquires[1], 1);
    end(&bench);
}

/* Its peer is full: it returns to its place, without a slot now. */
static void test_where_the_peer_is_full_it_keeps_its_place(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire acquires[2];
    struct test_behaviour full = {
        .kind = TEST_SLOW, .delay = SECONDS(1), .error_class = CONNPOOL_ERROR_RESOURCE_REMOTE};

    (void)state;
    begin(&bench, "'max_size': 3");
    test_manager_set_nth(2, TEST_OPEN, full);
    start(&bench, &acquires[0]);
    start(&bench, &acquires[1]);
    stepped_acquire_run_after(acquires, 2, SECONDS(1));
    assert_false(acquires[0].is_done);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 1);
    pool_give(&bench.lease);
    stepped_acquire_run(acquires, 2);
    assert_false(acquires[1].is_done);
    stepped_acquire_give(&acquires[0], 1);
    stepped_acquire_run(acquires, 2);
    stepped_acquire_give(&acquires[1], 1);
    end(&bench);
}

/* Without memory to carry it on, the open that it leaves ends. */
static void test_without_memory_the_open_ends_without_a_verdict(void **state)
{
    struct bench bench = {0};
    struct stepped_acquire opener;

    (void)state;
    begin(&bench, "'max_size': 2");
    start(&bench, &opener);
    pool_give(&bench.lease);
    failing_allocator_fail(1, true);
    stepped_acquire_run(&opener, 1);
    failing_allocator_fail(0, false);
    stepped_acquire_give(&opener, 1);
    assert_int_equal(opening(&bench), 0);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_ABANDONED], 1);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_takes_what_is_released_and_its_open_feeds_the_pool_D26),
        cmocka_unit_test(test_one_connection_serves_all_long_before_their_opens_D26),
        cmocka_unit_test(test_who_waits_longer_without_a_slot_comes_first),
        cmocka_unit_test(test_it_comes_before_who_came_later_and_its_open_serves_that_one),
        cmocka_unit_test(test_an_open_that_was_left_serves_another_opener),
        cmocka_unit_test(test_it_looks_when_it_enters),
        cmocka_unit_test(test_newcomers_overtake_it_for_a_millisecond_only),
        cmocka_unit_test(test_nothing_is_evicted_for_it),
        cmocka_unit_test(test_a_slot_goes_to_the_waiter_behind_it),
        cmocka_unit_test(test_it_is_no_waiter_for_max_waiters_and_statistics),
        cmocka_unit_test(test_while_nobody_woke_it_it_takes_nothing),
        cmocka_unit_test(test_it_may_stand_where_the_line_is_full),
        cmocka_unit_test(test_its_open_is_done_when_it_was_woken),
        cmocka_unit_test(test_its_open_is_done_when_it_was_granted_another),
        cmocka_unit_test(test_it_is_granted_another_when_it_was_woken),
        cmocka_unit_test(test_its_open_fails_when_it_was_woken),
        cmocka_unit_test(test_its_open_fails_when_it_was_granted_another),
        cmocka_unit_test(test_its_open_fails_and_what_came_is_dead),
        cmocka_unit_test(test_its_open_fails_and_nothing_came),
        cmocka_unit_test(test_an_open_that_was_left_fails),
        cmocka_unit_test(test_a_dead_one_is_destroyed_and_the_open_goes_on),
        cmocka_unit_test(test_one_that_cannot_be_prepared_is_destroyed_and_the_open_goes_on),
        cmocka_unit_test(test_a_busy_one_is_taken_when_it_is_free),
        cmocka_unit_test(test_a_busy_one_is_idle_again_when_the_open_is_done),
        cmocka_unit_test(test_one_that_needs_a_round_trip),
        cmocka_unit_test(test_where_connects_are_held_down_its_own_goes_on),
        cmocka_unit_test(test_where_the_peer_is_full_it_keeps_its_place),
        cmocka_unit_test(test_without_memory_the_open_ends_without_a_verdict),
    };

    return cmocka_run_group_tests_name("opener_line", tests, NULL, NULL);
}
