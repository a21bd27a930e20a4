/* SPDX-License-Identifier: MIT */
/*
 * watch: the collector serves parked connections by their manager's idle (plugin-abi.md, A step, rules 4 and 8;
 * design.md, Semantics 3, 5, 7, 13; failures.md A10, A11, A20, A22, A42, C8). Time is moved by hand: two sweeps, of 20
 * ms each, after a parking the connection is watched, and from then on its end is noticed at once.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "pool_client.h"
#include "pool_fixture.h"

#define SWEEP MILLISECONDS(20)
#define LOOK  SECONDS(1) /* how often the collector looks at what no timer tells */

static struct pool_fixture fixture;

static void open_watched(const char *keys)
{
    fixture = (struct pool_fixture){0};
    pool_fixture_open(&fixture, "'background_collector': true, 'check_after': 1000, %s", keys);
    atomic_store(&fixture.clock.is_manual, true);
}

/* ---- What the collector does ---- */

/* The collector has done all there was to do by now. */
static void await_rest(void)
{
    virtual_clock_settle(&fixture.clock);
}

static void pass(int64_t time)
{
    virtual_clock_advance(&fixture.clock, time);
    await_rest();
}

/* Until what is parked is watched, and nothing is left to be swept. */
static void settle(void)
{
    for (int i = 0; i < 4; i++) {
        pass(SWEEP);
    }
}

static bool has_idled(void *calls)
{
    return test_manager_calls(TEST_IDLE) >= *(uint64_t *)calls;
}

static void await_idle_calls(uint64_t calls)
{
    await(has_idled, &calls, "idle to be called");
    assert_int_equal(test_manager_calls(TEST_IDLE), calls);
}

/* How long it means to sleep. */
static int64_t rest(void)
{
    return atomic_load(&fixture.clock.until) - virtual_clock_now(&fixture.clock);
}

/* ---- A peer that closes ---- */

static char dead_text[512];
static atomic_int deaths;

static void see_dead(void *argument, const struct connpool_event *event)
{
    (void)argument;
    (void)snprintf(dead_text, sizeof(dead_text), "%s", event->error->text);
    atomic_fetch_add(&deaths, 1);
}

static bool has_ended_dead(void *count)
{
    return pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD] == *(uint64_t *)count;
}

static void await_dead(uint64_t count)
{
    await(has_ended_dead, &count, "the dead to be buried");
}

static void test_one_whose_peer_closes_is_gone_A42(void **state)
{
    const struct connpool_observer observer = {.size = sizeof(observer), .dead = see_dead};
    struct connpool_statistics numbers;
    connpool_lease lease;

    (void)state;
    open_watched("'min_idle': 2");
    atomic_store(&deaths, 0);
    assert_int_equal(connpool_pool_observe(fixture.pool, &observer), CONNPOOL_OK);
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 3);
    settle();
    await_idle_calls(3);
    assert_int_equal(test_manager_feed(true), 3);
    await_dead(3);
    assert_int_equal(atomic_load(&deaths), 3);
    assert_non_null(strstr(dead_text, "idle"));
    assert_non_null(strstr(dead_text, "the peer closed it"));
    numbers = pool_numbers(&fixture);
    assert_int_equal(numbers_size(&numbers), 0);
    assert_int_equal(test_manager_calls(TEST_CLOSE), 0);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 4);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* At any time after the parking it takes no longer than two sweeps. */
static void test_it_is_gone_within_50_ms_A11(void **state)
{
    (void)state;
    for (int64_t before = 0; before < SWEEP; before += MILLISECONDS(5)) {
        connpool_lease lease;

        open_watched("'manager': 'test-sockets', 'min_idle': 2");
        lease = pool_take(&fixture, "x");
        pool_park(&fixture, "x", 1); /* the sweeps begin */
        await_rest();
        pass(before);
        pool_give(&lease);
        assert_int_equal(test_manager_feed(true), 2);
        for (int i = 0; i < 8; i++) {
            pass(MILLISECONDS(5));
        }
        await_dead(2);
        pool_fixture_close(&fixture);
    }
}

/* Rule 7: the others at its endpoint were parked before. */
static void test_the_others_are_suspect_then_A22(void **state)
{
    connpool_lease lease;

    (void)state;
    open_watched("'min_idle': 2");
    test_manager_set_connection(1, TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 2);
    settle();
    assert_int_equal(test_manager_feed(true), 1);
    await_dead(1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    assert_int_equal(test_manager_calls(TEST_CHECK), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* The slot of a dead one is free, and who waits gets it. */
static void test_who_waits_gets_the_slot(void **state)
{
    struct pool_client client = {0};

    (void)state;
    open_watched("'min_idle': 1, 'max_size': 1");
    test_manager_set(TEST_IDLE, (struct test_behaviour){.kind = TEST_BUSY, .delay = SECONDS(5)});
    pool_park(&fixture, "x", 1);
    settle();
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    test_manager_set(TEST_IDLE, test_fails(CONNPOOL_ERROR_CLOSED));
    virtual_clock_advance(&fixture.clock, SECONDS(5));
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 2);
    pool_give(&client.lease);
    pool_fixture_close(&fixture);
}

static void test_hundreds_are_watched_after_one_sweep(void **state)
{
    (void)state;
    open_watched("'min_idle': 0, 'max_size': 500, 'total_max_size': 500");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 300);
    pass(SWEEP); /* the one that sees them all */
    pass(SWEEP);
    await_idle_calls(300);
    assert_int_equal(test_manager_feed(true), 300);
    await_dead(300);
    pool_fixture_close(&fixture);
}

static void test_without_idle_the_descriptors_are_watched_A20(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        int hangs_up = i % 2;

        open_watched(i < 2 ? "'manager': 'test-sockets', 'min_idle': 2"
                           : "'manager': 'test-both-sockets', 'min_idle': 2");
        pool_park(&fixture, "x", 3);
        settle();
        assert_int_equal(test_manager_live(NULL), 3);
        assert_int_equal(test_manager_feed(hangs_up), 3);
        await_dead(3);
        pool_fixture_close(&fixture);
    }
}

/* ---- What is not to be done ---- */

static void test_one_that_wants_no_watching_is_asked_once(void **state)
{
    (void)state;
    open_watched("'min_idle': 1");
    pool_park(&fixture, "x", 2);
    settle();
    pass(SECONDS(10));
    pass(SECONDS(10));
    assert_int_equal(test_manager_calls(TEST_IDLE), 2);
    pool_fixture_close(&fixture);
}

static void test_an_acquire_makes_no_more_calls(void **state)
{
    connpool_lease lease;

    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 1);
    settle();
    await_idle_calls(1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(test_manager_calls(TEST_IDLE), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* What is in use is idle for a moment only: its answers are not to wake the collector. */
static void test_one_in_use_is_not_watched(void **state)
{
    (void)state;
    open_watched("'manager': 'test', 'min_idle': 1");
    pool_park(&fixture, "x", 1);
    for (uint64_t i = 0; i < 20; i++) {
        pool_park(&fixture, "x", 1);
        pass(MILLISECONDS(15));
        assert_int_equal(test_manager_calls(TEST_IDLE), i + 1); /* the acquire's own */
    }
    pool_fixture_close(&fixture);
}

/* Though others at its endpoint are watched. */
static void test_the_youngest_in_use_is_not_watched(void **state)
{
    (void)state;
    open_watched("'min_idle': 0, 'idle_timeout': 1000");
    pool_park(&fixture, "x", 3);
    settle();
    await_idle_calls(3);
    pool_park(&fixture, "x", 1);
    for (uint64_t i = 0; i < 20; i++) {
        pass(MILLISECONDS(15));
        assert_int_equal(test_manager_calls(TEST_IDLE), 3 + i); /* the acquires' own */
        pool_park(&fixture, "x", 1);
    }
    pool_fixture_close(&fixture);
}

static void test_where_it_is_off_nothing_is_watched(void **state)
{
    (void)state;
    open_watched("'min_idle': 1, 'watch': false");
    pool_park(&fixture, "x", 2);
    settle();
    assert_int_equal(test_manager_calls(TEST_IDLE), 0);
    pool_fixture_close(&fixture);
}

static void test_an_endpoint_may_have_it_off(void **state)
{
    (void)state;
    fixture = (struct pool_fixture){0};
    pool_fixture_open_json(&fixture, "{'pools': {'p': {'manager': 'test', 'background_collector': true, 'endpoints': "
                                     "{'on': {'name': 'on'}, 'off': {'name': 'off', 'pool': {'watch': false}}}}}}");
    atomic_store(&fixture.clock.is_manual, true);
    pool_park(&fixture, "on", 2);
    pool_park(&fixture, "off", 3);
    settle();
    assert_int_equal(test_manager_calls(TEST_IDLE), 2);
    pool_fixture_close(&fixture);
}

static void test_a_blocking_idle_is_left_to_the_acquires(void **state)
{
    (void)state;
    open_watched("'manager': 'test-blocking-idle', 'min_idle': 1");
    pool_park(&fixture, "x", 2);
    settle();
    assert_int_equal(test_manager_calls(TEST_IDLE), 0);
    pool_fixture_close(&fixture);
}

/* ---- Time ---- */

static void test_while_all_is_watched_the_collector_sleeps(void **state)
{
    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 3);
    settle();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rest(), LOOK);
        pass(LOOK);
    }
    pool_fixture_close(&fixture);
}

static bool means_to_sweep(void *argument)
{
    (void)argument;
    return rest() > 0 && rest() <= SWEEP;
}

static void test_the_first_release_after_a_quiet_time_wakes_it(void **state)
{
    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    for (int i = 0; i < 3; i++) {
        pool_park(&fixture, "x", 1);
        await(means_to_sweep, NULL, "the collector to be awake");
        settle();
        assert_int_equal(rest(), LOOK);
    }
    assert_int_equal(test_manager_feed(true), 1);
    await_dead(1);
    pool_fixture_close(&fixture);
}

/* Keep-alives: idle names a time. */
static void test_keep_alives_are_sent_in_time(void **state)
{
    connpool_lease lease;

    (void)state;
    open_watched("'min_idle': 1, 'idle_timeout': 1000");
    test_manager_set(TEST_IDLE, (struct test_behaviour){.kind = TEST_TRICKLE, .delay = SECONDS(30)});
    pool_park(&fixture, "x", 2);
    settle();
    await_idle_calls(2);
    for (uint64_t i = 2; i < 5; i++) {
        for (int k = 0; k < 30; k++) {
            pass(SECONDS(1));
        }
        await_idle_calls(2 * i);
    }
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_one_that_gives_no_answer_in_time_is_dead(void **state)
{
    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, (struct test_behaviour){
                                    .kind = TEST_SLOW, .delay = SECONDS(3), .error_class = CONNPOOL_ERROR_TIMEOUT});
    pool_park(&fixture, "x", 2);
    settle();
    pass(SECONDS(2));
    assert_int_equal(test_manager_live(NULL), 2);
    pass(SECONDS(1));
    await_dead(2);
    pool_fixture_close(&fixture);
}

/* Rule 8: in the middle of an exchange, not now; and who waits gets it when that is over (design, Semantics 3). */
static bool is_busy(void *argument)
{
    connpool_lease lease;

    (void)argument;
    if (pool_try(&fixture, "x", 0, &lease) != CONNPOOL_OK) {
        return false;
    }
    pool_give(&lease);
    return true;
}

static void test_a_busy_one_is_driven_on(void **state)
{
    (void)state;
    open_watched("'min_idle': 1, 'max_size': 1");
    test_manager_set(TEST_IDLE, (struct test_behaviour){.kind = TEST_BUSY, .delay = SECONDS(5)});
    pool_park(&fixture, "x", 1);
    settle();
    assert_false(is_busy(NULL));
    pass(SECONDS(5));
    test_manager_set(TEST_IDLE, test_ok());
    assert_true(is_busy(NULL));
    pool_fixture_close(&fixture);
}

/* ---- Races ---- */

static void test_an_event_of_a_leased_one_touches_nothing_C8(void **state)
{
    connpool_lease lease;

    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 1);
    settle();
    await_idle_calls(1);
    lease = pool_take(&fixture, "x");
    assert_int_equal(test_manager_feed(false), 1);
    settle();
    assert_int_equal(test_manager_calls(TEST_IDLE), 1);
    assert_int_equal(pool_numbers(&fixture).leased, 1);
    pool_give(&lease);
    /* What was left unread is noticed now. */
    settle();
    await_dead(1);
    pool_fixture_close(&fixture);
}

/* What it waited for comes while an acquirer looks at it, who puts it back. */
static atomic_bool is_time_to_pass;
static uint64_t calls_until_then;

static struct test_behaviour busy_while_time_passes(enum test_operation operation,
                                                    const struct test_connection *connection)
{
    (void)connection;
    if (operation != TEST_IDLE) {
        return test_ok();
    }
    if (pthread_equal(pthread_self(), fixture.clock.owner) && atomic_exchange(&is_time_to_pass, false)) {
        pass(SECONDS(1));
        settle();
        calls_until_then = test_manager_calls(TEST_IDLE);
    }
    return (struct test_behaviour){.kind = TEST_BUSY, .delay = SECONDS(5)};
}

/* It was watched before, or not yet; sweeps passed it by meanwhile. */
static void test_what_comes_while_an_acquire_looks_is_not_lost(void **state)
{
    (void)state;
    for (int is_watched = 0; is_watched <= 1; is_watched++) {
        connpool_lease lease;

        open_watched("'min_idle': 1, 'max_size': 1");
        test_manager_choose_by(busy_while_time_passes);
        pool_park(&fixture, "x", 1);
        if (is_watched) {
            settle();
            pass(SECONDS(4));
        }
        atomic_store(&is_time_to_pass, true);
        assert_int_equal(pool_try(&fixture, "x", 0, &lease), CONNPOOL_TIMED_OUT);
        assert_false(atomic_load(&is_time_to_pass));
        settle();
        assert_int_equal(test_manager_calls(TEST_IDLE), calls_until_then + 1);
        test_manager_choose_by(NULL);
        pool_fixture_close(&fixture);
    }
}

/* A step that a test holds: the collector is in the plugin until it is told to go on. */
static atomic_bool is_in_step, may_go_on;
static struct test_behaviour outcome;

static struct test_behaviour hold(enum test_operation operation, const struct test_connection *connection)
{
    (void)connection;
    if (operation != TEST_IDLE || pthread_equal(pthread_self(), fixture.clock.owner) || atomic_load(&is_in_step)) {
        return test_ok();
    }
    atomic_store(&is_in_step, true);
    while (!atomic_load(&may_go_on)) {
        sched_yield();
    }
    return outcome;
}

static bool has_begun(void *argument)
{
    (void)argument;
    return atomic_load(&is_in_step);
}

static struct test_behaviour hold_or_stay_silent(enum test_operation operation,
                                                 const struct test_connection *connection)
{
    return operation == TEST_CLOSE ? test_kind(TEST_NEVER) : hold(operation, connection);
}

/* Park one and have the collector stand in its idle. */
static void park_and_hold(const char *keys, struct test_behaviour then)
{
    open_watched(keys);
    outcome = then;
    atomic_store(&is_in_step, false);
    atomic_store(&may_go_on, false);
    test_manager_choose_by(hold);
    pool_park(&fixture, "x", 1);
    await_rest();
    virtual_clock_advance(&fixture.clock, SWEEP);
    await(has_begun, NULL, "the collector to look at the connection");
}

static void go_on(void)
{
    atomic_store(&may_go_on, true);
}

/* It is as good as idle: an acquirer waits for it, opens no other, and may have it at once. */
static void test_who_comes_while_it_is_looked_at_waits_for_it(void **state)
{
    struct pool_client client = {0};

    (void)state;
    park_and_hold("'min_idle': 1, 'max_size': 2", test_ok());
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    assert_int_equal(pool_numbers(&fixture).leased, 0);
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    go_on();
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 1);
    assert_int_equal(test_manager_opened(), 1);
    pool_give(&client.lease);
    pool_fixture_close(&fixture);
}

static void test_who_waited_for_a_dead_one_opens_another(void **state)
{
    struct pool_client client = {0};

    (void)state;
    park_and_hold("'min_idle': 1, 'max_size': 2", test_fails(CONNPOOL_ERROR_CLOSED));
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    go_on();
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 2);
    pool_give(&client.lease);
    assert_int_equal(pool_numbers(&fixture).ended[CONNPOOL_REASON_DEAD], 1);
    pool_fixture_close(&fixture);
}

/* Its goodbye may take long: who waited for it opens another meanwhile. */
static void test_who_waited_for_one_that_is_drained_opens_another(void **state)
{
    struct pool_client client = {0};

    (void)state;
    park_and_hold("'min_idle': 1, 'max_size': 2", test_ok());
    test_manager_choose_by(hold_or_stay_silent);
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    connpool_pool_drain(fixture.pool);
    go_on();
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 2);
    assert_int_equal(pool_numbers(&fixture).closing, 1);
    pool_give(&client.lease);
    test_manager_choose_by(NULL);
    pass(SECONDS(5)); /* dispose_timeout */
    await_live(1);
    pool_fixture_close(&fixture);
}

/* It is waited for only by those whom the line takes: slots are free for the others. */
static void test_who_finds_the_line_full_opens_another(void **state)
{
    struct pool_client client = {0};
    connpool_lease lease;

    (void)state;
    park_and_hold("'min_idle': 1, 'max_size': 3, 'max_waiters': 1", test_ok());
    pool_client_start(&client, &fixture, "x", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    assert_int_equal(pool_try(&fixture, "x", 1000, &lease), CONNPOOL_OK);
    assert_int_equal(lease_number(&lease), 2);
    go_on();
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 1);
    pool_give(&client.lease);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* An acquirer at another endpoint that would evict it gets its slot. */
static void test_who_would_evict_it_does_so_afterwards(void **state)
{
    struct pool_client client = {0};

    (void)state;
    park_and_hold("'min_idle': 1, 'max_size': 1, 'total_max_size': 1", test_ok());
    pool_client_start(&client, &fixture, "y", CONNPOOL_WAIT_FOREVER);
    await_waiters(&fixture, 1);
    go_on();
    pool_client_join_ok(&client);
    assert_int_equal(lease_number(&client.lease), 2);
    pool_give(&client.lease);
    pool_fixture_close(&fixture);
}

static bool has_drained(void *argument)
{
    (void)argument;
    return pool_numbers(&fixture).ended[CONNPOOL_REASON_DRAINED] == 1;
}

static void test_one_that_is_drained_while_it_is_looked_at_says_goodbye(void **state)
{
    (void)state;
    park_and_hold("'min_idle': 1", test_ok());
    connpool_pool_drain(fixture.pool);
    assert_int_equal(test_manager_live(NULL), 1);
    go_on();
    await(has_drained, NULL, "it to be closed");
    assert_string_equal(test_manager_log("cCd"), "c1 d1");
    pool_fixture_close(&fixture);
}

static void *let_go_on(void *argument)
{
    (void)argument;
    while (atomic_load(&fixture.clock.sleeps) == 0) {
        sched_yield();
    }
    go_on();
    return NULL;
}

static void test_a_context_closes_while_one_is_looked_at(void **state)
{
    pthread_t thread;

    (void)state;
    park_and_hold("'min_idle': 1", test_ok());
    assert_int_equal(pthread_create(&thread, NULL, let_go_on, NULL), 0);
    pool_fixture_close(&fixture);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- Order and ends ---- */

/* Rule 5: as if it had not been touched. */
static void test_a_look_leaves_each_in_its_place(void **state)
{
    static const uint32_t order[] = {4, 5, 3, 2, 1};
    connpool_lease leases[5];

    (void)state;
    open_watched("'min_idle': 2, 'idle_timeout': 1000");
    test_manager_set_connection(2, TEST_IDLE, (struct test_behaviour){.kind = TEST_TRICKLE, .delay = SECONDS(1)});
    test_manager_set_connection(4, TEST_IDLE, (struct test_behaviour){.kind = TEST_TRICKLE, .delay = SECONDS(1)});
    pool_park(&fixture, "x", 5);
    settle();
    pass(SECONDS(1));
    pass(SECONDS(1));
    await_idle_calls(5 + 2 * 2);
    for (int i = 0; i < 5; i++) {
        leases[i] = pool_take(&fixture, "x");
        assert_int_equal(lease_number(&leases[i]), order[i]);
    }
    for (int i = 0; i < 5; i++) {
        pool_give(&leases[i]);
    }
    pool_fixture_close(&fixture);
}

static void test_what_ends_while_it_is_watched_is_forgotten(void **state)
{
    (void)state;
    open_watched("'min_idle': 1, 'idle_timeout': 5, 'max_lifetime': 10");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 3);
    settle();
    pass(SECONDS(5));
    await_live(1);
    pass(SECONDS(5));
    await_live(0);
    pool_park(&fixture, "x", 3);
    settle();
    connpool_pool_drain(fixture.pool);
    await_live(0);
    settle();
    pool_fixture_close(&fixture);
}

/* Rule 5: one that is released while an extra one is looked at found one more that was not idle. */
static void test_a_look_at_an_extra_one_leaves_min_idle_base(void **state)
{
    connpool_lease lease;

    (void)state;
    open_watched("'min_idle': 1");
    outcome = test_ok();
    atomic_store(&is_in_step, false);
    atomic_store(&may_go_on, false);
    pool_park(&fixture, "x", 2);
    lease = pool_take(&fixture, "x");
    assert_int_equal(lease_number(&lease), 2); /* the base one */
    test_manager_choose_by(hold);
    await_rest();
    virtual_clock_advance(&fixture.clock, SWEEP);
    await(has_begun, NULL, "the collector to look at the extra one");
    pool_give(&lease);
    go_on();
    settle();
    assert_int_equal(pool_numbers(&fixture).idle_base, 1);
    assert_int_equal(pool_numbers(&fixture).idle_extra, 1);
    pool_fixture_close(&fixture);
}

/* The promoted one stands last of the base ones, though others were parked after it. */
static void test_behind_a_promotion_all_are_watched(void **state)
{
    connpool_lease leases[2];

    (void)state;
    open_watched("'min_idle': 2");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 3);
    settle();
    leases[0] = pool_take(&fixture, "x");
    leases[1] = pool_take(&fixture, "x");
    pool_give(&leases[0]);
    assert_int_equal(connpool_discard(&leases[1]), CONNPOOL_OK);
    assert_int_equal(pool_numbers(&fixture).idle_base, 2);
    settle();
    assert_int_equal(rest(), LOOK);
    assert_int_equal(test_manager_feed(true), 2);
    await_dead(2);
    pool_fixture_close(&fixture);
}

/* One that goes before it was swept, and whose record is another's then, takes none of the others with it. */
static void test_an_endpoint_that_goes_leaves_the_others_watched(void **state)
{
    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 1);
    pool_park(&fixture, "y", 1);
    await_rest();
    test_manager_set_endpoint("x", TEST_RESET, test_fails(CONNPOOL_ERROR_CLOSED));
    pool_park(&fixture, "x", 1);
    assert_int_equal(test_manager_endpoints(), 1);
    pool_park(&fixture, "z", 1);
    settle();
    assert_int_equal(test_manager_feed(true), 2);
    await_dead(2);
    pool_fixture_close(&fixture);
}

/* What watched a connection goes with it. */
static void test_watches_do_not_pile_up(void **state)
{
    size_t blocks = 0;

    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    for (int i = 0; i < 20; i++) {
        pool_park(&fixture, "x", 5);
        settle();
        connpool_pool_drain(fixture.pool);
        await_live(0);
        settle();
        blocks = i == 10 ? failing_allocator_blocks() : blocks;
    }
    assert_int_equal(failing_allocator_blocks(), blocks);
    pool_fixture_close(&fixture);
}

/* Rule 14: a run-time endpoint is not held by the watch, restless or quiet. */
static bool is_endpoint_gone(void *argument)
{
    (void)argument;
    return test_manager_endpoints() == 0;
}

static void test_an_endpoint_goes_with_its_last_connection(void **state)
{
    (void)state;
    for (int is_quiet = 0; is_quiet <= 1; is_quiet++) {
        open_watched("'min_idle': 1");
        test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
        pool_park(&fixture, "x", 2);
        if (is_quiet) {
            settle();
        }
        connpool_pool_drain(fixture.pool);
        await(is_endpoint_gone, NULL, "the endpoint to be gone");
        settle();
        pool_park(&fixture, "x", 1);
        settle();
        assert_int_equal(test_manager_feed(true), 1);
        await_live(0);
        pool_fixture_close(&fixture);
    }
}

/* Without memory it is not watched until there is some; the acquire sees what there is to see. */
static void test_without_memory_it_is_watched_later(void **state)
{
    (void)state;
    open_watched("'min_idle': 1");
    test_manager_set(TEST_IDLE, test_kind(TEST_WATCH));
    pool_park(&fixture, "x", 2);
    await_rest();
    failing_allocator_fail(1, true);
    settle();
    assert_true(failing_allocator_has_failed());
    failing_allocator_fail(0, false);
    assert_int_equal(test_manager_calls(TEST_IDLE), 0);
    settle();
    await_idle_calls(2);
    assert_int_equal(test_manager_feed(true), 2);
    await_dead(2);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_whose_peer_closes_is_gone_A42),
        cmocka_unit_test(test_it_is_gone_within_50_ms_A11),
        cmocka_unit_test(test_the_others_are_suspect_then_A22),
        cmocka_unit_test(test_who_waits_gets_the_slot),
        cmocka_unit_test(test_hundreds_are_watched_after_one_sweep),
        cmocka_unit_test(test_without_idle_the_descriptors_are_watched_A20),
        cmocka_unit_test(test_one_that_wants_no_watching_is_asked_once),
        cmocka_unit_test(test_an_acquire_makes_no_more_calls),
        cmocka_unit_test(test_one_in_use_is_not_watched),
        cmocka_unit_test(test_the_youngest_in_use_is_not_watched),
        cmocka_unit_test(test_where_it_is_off_nothing_is_watched),
        cmocka_unit_test(test_an_endpoint_may_have_it_off),
        cmocka_unit_test(test_a_blocking_idle_is_left_to_the_acquires),
        cmocka_unit_test(test_while_all_is_watched_the_collector_sleeps),
        cmocka_unit_test(test_the_first_release_after_a_quiet_time_wakes_it),
        cmocka_unit_test(test_keep_alives_are_sent_in_time),
        cmocka_unit_test(test_one_that_gives_no_answer_in_time_is_dead),
        cmocka_unit_test(test_a_busy_one_is_driven_on),
        cmocka_unit_test(test_an_event_of_a_leased_one_touches_nothing_C8),
        cmocka_unit_test(test_what_comes_while_an_acquire_looks_is_not_lost),
        cmocka_unit_test(test_who_comes_while_it_is_looked_at_waits_for_it),
        cmocka_unit_test(test_who_waited_for_a_dead_one_opens_another),
        cmocka_unit_test(test_who_waited_for_one_that_is_drained_opens_another),
        cmocka_unit_test(test_who_finds_the_line_full_opens_another),
        cmocka_unit_test(test_who_would_evict_it_does_so_afterwards),
        cmocka_unit_test(test_one_that_is_drained_while_it_is_looked_at_says_goodbye),
        cmocka_unit_test(test_a_context_closes_while_one_is_looked_at),
        cmocka_unit_test(test_a_look_leaves_each_in_its_place),
        cmocka_unit_test(test_what_ends_while_it_is_watched_is_forgotten),
        cmocka_unit_test(test_a_look_at_an_extra_one_leaves_min_idle_base),
        cmocka_unit_test(test_behind_a_promotion_all_are_watched),
        cmocka_unit_test(test_an_endpoint_that_goes_leaves_the_others_watched),
        cmocka_unit_test(test_watches_do_not_pile_up),
        cmocka_unit_test(test_an_endpoint_goes_with_its_last_connection),
        cmocka_unit_test(test_without_memory_it_is_watched_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
