/* SPDX-License-Identifier: MIT */
/*
 * reactor_line: requests and threads in one line. A grant is a request's only once its callback has started: where the
 * reactor is not dispatched, whoever would otherwise wait takes it back after a millisecond, nobody behind it sleeps
 * for ever, and the requests keep their places (failures.md C2).
 */
#include "reactor_client.h"
#include "stepped_acquire.h"

struct bench {
    struct pool_fixture fixture;
    connpool_reactor *reactor;
    connpool_lease lease; /* the only connection of "x" */
};

static void begin(struct bench *bench, const char *keys)
{
    pool_fixture_open(&bench->fixture, "%s", keys);
    atomic_store(&bench->fixture.clock.is_manual, true);
    bench->reactor = reactor_begin(&bench->fixture);
    bench->lease = pool_take(&bench->fixture, "x");
}

static void end(struct bench *bench)
{
    reactor_end(bench->reactor);
    assert_int_equal(pool_numbers(&bench->fixture).waiters, 0);
    pool_fixture_close(&bench->fixture);
}

/* A request that stands in line. */
static void stand(struct bench *bench, struct reactor_client *client, const char *endpoint)
{
    reactor_submit(bench->reactor, client, &bench->fixture, endpoint, CONNPOOL_WAIT_FOREVER);
    reactor_run(bench->reactor);
    assert_int_equal(client->told, 0);
}

/* Begin with a request in line. */
static void begin_with(struct bench *bench, const char *keys, struct reactor_client *client, const char *endpoint)
{
    begin(bench, keys);
    stand(bench, client, endpoint);
}

/* The request is served at last, with a connection of this number. */
static void end_with(struct bench *bench, struct reactor_client *client, uint32_t number)
{
    reactor_run(bench->reactor);
    reactor_give(client, number);
    end(bench);
}

/* The waiters have been patient enough: what is freed is granted. */
static void be_patient(struct bench *bench)
{
    virtual_clock_advance(&bench->fixture.clock, MILLISECONDS(2));
}

/* The connection is freed for one who has been patient. */
static void grant(struct bench *bench)
{
    be_patient(bench);
    pool_give(&bench->lease);
}

static void test_a_grant_beats_the_deadline(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};

    (void)state;
    begin(&bench, "'max_size': 1");
    reactor_submit(bench.reactor, &client, &bench.fixture, "x", 100);
    reactor_run(bench.reactor);
    grant(&bench);
    reactor_run_after(bench.reactor, &bench.fixture, MILLISECONDS(200));
    reactor_give(&client, 1);
    end(&bench);
}

static void test_a_fresh_grant_stays_with_its_request(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;

    (void)state;
    begin_with(&bench, "'max_size': 1", &client, "x");
    grant(&bench);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(1));
    stepped_acquire_start(&thread, &bench.fixture, "x", 1000);
    assert_false(thread.is_done);
    reactor_run(bench.reactor);
    reactor_give(&client, 1);
    stepped_acquire_run(&thread, 1);
    stepped_acquire_give(&thread, 1);
    end(&bench);
}

static void test_a_newcomer_takes_an_old_grant_back(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;

    (void)state;
    begin_with(&bench, "'max_size': 1", &client, "x");
    grant(&bench);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(1) + 1);
    stepped_acquire_start(&thread, &bench.fixture, "x", 1000);
    stepped_acquire_run(&thread, 1);
    stepped_acquire_assert(&thread, CONNPOOL_OK);
    reactor_run(bench.reactor);
    assert_int_equal(client.told, 0);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 1);
    stepped_acquire_give(&thread, 1);
    end_with(&bench, &client, 1);
}

/* The thread sleeps already when the grant is made, and nobody comes after it. */
static void test_a_thread_behind_an_undelivered_grant_wakes(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;

    (void)state;
    begin_with(&bench, "'max_size': 1", &client, "x");
    stepped_acquire_start(&thread, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    be_patient(&bench);
    stepped_acquire_run(&thread, 1);
    pool_give(&bench.lease);
    stepped_acquire_run(&thread, 1);
    assert_false(thread.is_done);
    stepped_acquire_run_after(&thread, 1, MILLISECONDS(1));
    assert_false(thread.is_done);
    stepped_acquire_run_after(&thread, 1, 1);
    stepped_acquire_give(&thread, 1);
    end_with(&bench, &client, 1);
}

/* The first in line was woken for what is idle, and does not come. */
static void test_a_thread_behind_a_woken_request_wakes(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;

    (void)state;
    begin_with(&bench, "'max_size': 1", &client, "x");
    stepped_acquire_start(&thread, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    pool_give(&bench.lease);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base, 1);
    stepped_acquire_run(&thread, 1);
    stepped_acquire_run_after(&thread, 1, MILLISECONDS(1) + 1);
    stepped_acquire_give(&thread, 1);
    end_with(&bench, &client, 1);
}

/* Who keeps watch came last: what there is is for those before it. */
static void test_the_watch_overtakes_nobody(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire threads[3];

    (void)state;
    begin_with(&bench, "'max_size': 1", &client, "x");
    for (int i = 0; i < 3; i++) {
        stepped_acquire_start(&threads[i], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    }
    pool_give(&bench.lease);
    stepped_acquire_run(threads, 3);
    assert_false(threads[2].is_done);
    assert_int_equal(pool_numbers(&bench.fixture).idle_base, 1);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(1) + 1);
    stepped_acquire_run(&threads[2], 1);
    assert_false(threads[2].is_done);
    stepped_acquire_run(threads, 3);
    for (int i = 0; i < 3; i++) {
        stepped_acquire_give(&threads[i], 1);
        stepped_acquire_run(threads, 3);
    }
    end_with(&bench, &client, 1);
}

/* The thread cannot use what is granted, but wakes who can: a slot of its own endpoint is not what is missing. */
static void test_a_thread_of_another_endpoint_is_the_watch(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire threads[2];
    connpool_lease other;

    (void)state;
    begin(&bench, "'max_size': 1, 'total_max_size': 2");
    other = pool_take(&bench.fixture, "y");
    stand(&bench, &client, "x");
    stepped_acquire_start(&threads[0], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_start(&threads[1], &bench.fixture, "y", CONNPOOL_WAIT_FOREVER);
    be_patient(&bench);
    stepped_acquire_run(threads, 2);
    pool_give(&bench.lease);
    stepped_acquire_run(threads, 2);
    stepped_acquire_run_after(threads, 2, MILLISECONDS(1) + 1);
    stepped_acquire_give(&threads[0], 1);
    assert_false(threads[1].is_done);
    pool_give(&other);
    stepped_acquire_run(threads, 2);
    stepped_acquire_give(&threads[1], 2);
    end_with(&bench, &client, 1);
}

static void test_a_granted_slot_is_taken_back(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;

    (void)state;
    begin_with(&bench, "'max_size': 1", &client, "x");
    be_patient(&bench);
    assert_int_equal(connpool_discard(&bench.lease), CONNPOOL_OK);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(2));
    stepped_acquire_start(&thread, &bench.fixture, "x", 1000);
    stepped_acquire_run(&thread, 1);
    stepped_acquire_give(&thread, 2);
    end_with(&bench, &client, 2);
}

/* The victim is closed as any other, and its slot is free then. */
static void test_a_granted_victim_is_taken_back(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;

    (void)state;
    begin_with(&bench, "'max_size': 1, 'total_max_size': 1", &client, "y");
    grant(&bench);
    assert_int_equal(pool_numbers(&bench.fixture).closing, 1);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(2));
    stepped_acquire_start(&thread, &bench.fixture, "x", 1000);
    stepped_acquire_run(&thread, 1);
    stepped_acquire_give(&thread, 2);
    reactor_run(bench.reactor);
    reactor_give(&client, 3);
    assert_string_equal(test_manager_endpoint_of(3), "y");
    end(&bench);
}

/* What came of age while nobody took it is not handed on. */
static void test_a_granted_connection_over_its_age_is_not_used(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire thread;

    (void)state;
    begin_with(&bench, "'max_size': 1, 'max_lifetime': 10, 'idle_timeout': 10", &client, "x");
    grant(&bench);
    virtual_clock_advance(&bench.fixture.clock, SECONDS(11));
    stepped_acquire_start(&thread, &bench.fixture, "x", 1000);
    stepped_acquire_run(&thread, 1);
    stepped_acquire_give(&thread, 2);
    assert_int_equal(pool_numbers(&bench.fixture).ended[CONNPOOL_REASON_LIFETIME], 1);
    end_with(&bench, &client, 2);
}

/* All of a reactor that does not come leave the line at once; when it comes, they have their places again. */
static void test_its_requests_return_to_their_places(void **state)
{
    enum { REQUESTS = 100 };
    static struct reactor_client clients[REQUESTS];
    struct bench bench = {0};
    struct stepped_acquire threads[2];
    int turn = 0;

    (void)state;
    begin(&bench, "'max_size': 1");
    for (int i = 0; i < REQUESTS; i++) {
        clients[i] = (struct reactor_client){.turn = &turn};
        stand(&bench, &clients[i], "x");
    }
    stepped_acquire_start(&threads[0], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_start(&threads[1], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    grant(&bench);
    stepped_acquire_run(threads, 2);
    stepped_acquire_run_after(threads, 2, MILLISECONDS(2));
    stepped_acquire_assert(&threads[0], CONNPOOL_OK);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 1);
    reactor_run(bench.reactor);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, REQUESTS + 1);
    be_patient(&bench);
    pool_give(&threads[0].acquire.lease);
    for (int i = 0; i < REQUESTS; i++) {
        reactor_run(bench.reactor);
        reactor_assert_told(&clients[i], CONNPOOL_OK);
        assert_int_equal(clients[i].place, i);
        stepped_acquire_run(threads, 2);
        assert_false(threads[1].is_done);
        pool_give(&clients[i].lease);
    }
    stepped_acquire_run(threads, 2);
    stepped_acquire_give(&threads[1], 1);
    end(&bench);
}

/* Those that no wake was under way to are called as well: an idle slot later finds them in line. */
static void test_its_descriptor_is_readable_after_it_was_passed_over(void **state)
{
    struct bench bench = {0};
    struct reactor_client clients[2] = {0};
    struct stepped_acquire thread;

    (void)state;
    begin(&bench, "'max_size': 1");
    stand(&bench, &clients[0], "x");
    stand(&bench, &clients[1], "x");
    grant(&bench);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(2));
    stepped_acquire_start(&thread, &bench.fixture, "x", 1000);
    stepped_acquire_run(&thread, 1);
    stepped_acquire_assert(&thread, CONNPOOL_OK);
    reactor_cancel(&clients[0]);
    reactor_run(bench.reactor);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 1);
    stepped_acquire_give(&thread, 1);
    reactor_run(bench.reactor);
    reactor_give(&clients[1], 1);
    end(&bench);
}

static struct stepped_acquire newcomer;

static void be_slow(struct reactor_client *client)
{
    struct bench *bench = client->argument;

    bench->fixture.clock.context = NULL; /* the descriptor is to become readable for another reason */
    virtual_clock_advance(&bench->fixture.clock, MILLISECONDS(2));
    bench->fixture.clock.context = bench->fixture.context;
    stepped_acquire_start(&newcomer, &bench->fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_run(&newcomer, 1);
    stepped_acquire_assert(&newcomer, CONNPOOL_OK);
}

/* The reactor is passed over while a dispatch of it runs, which has begun with its descriptor read already. */
static void test_its_descriptor_is_readable_after_it_was_passed_over_in_a_dispatch(void **state)
{
    struct bench bench = {0};
    struct reactor_client clients[3] = {{.then = be_slow, .argument = &bench}};
    connpool_lease other;

    (void)state;
    begin(&bench, "'max_size': 2");
    other = pool_take(&bench.fixture, "x");
    for (int i = 0; i < 3; i++) {
        stand(&bench, &clients[i], "x");
    }
    grant(&bench);
    pool_give(&other);
    reactor_turn(bench.reactor);
    assert_true(reactor_is_readable(bench.reactor));
    reactor_give(&clients[0], 1);
    stepped_acquire_give(&newcomer, 2);
    reactor_run(bench.reactor);
    reactor_assert_told(&clients[1], CONNPOOL_OK);
    reactor_assert_told(&clients[2], CONNPOOL_OK);
    pool_give(&clients[1].lease);
    pool_give(&clients[2].lease);
    end(&bench);
}

/* No thread waits: the requests of another reactor watch. */
static void test_another_reactor_is_the_watch(void **state)
{
    struct bench bench = {0};
    struct reactor_client stuck = {0};
    struct reactor_client client = {0};
    connpool_reactor *second;

    (void)state;
    begin(&bench, "'max_size': 1");
    second = reactor_begin(&bench.fixture);
    stand(&bench, &stuck, "x");
    reactor_submit(second, &client, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(second);
    be_patient(&bench);
    reactor_run(second);
    pool_give(&bench.lease);
    reactor_run(second);
    assert_int_equal(client.told, 0);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(1) + 1);
    reactor_run(second);
    reactor_give(&client, 1);
    reactor_run(bench.reactor);
    reactor_give(&stuck, 1);
    reactor_end(second);
    end(&bench);
}

/* What is granted to a reactor's own requests is on its way, however long its dispatch takes. */
static void test_a_reactor_takes_nothing_back_from_itself(void **state)
{
    struct bench bench = {0};
    struct reactor_client clients[3] = {0};

    (void)state;
    begin(&bench, "'max_size': 1");
    stand(&bench, &clients[0], "x");
    stand(&bench, &clients[1], "x");
    be_patient(&bench);
    reactor_run(bench.reactor);
    reactor_submit(bench.reactor, &clients[2], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    pool_give(&bench.lease);
    virtual_clock_advance(&bench.fixture.clock, SECONDS(1));
    reactor_turn(bench.reactor);
    assert_int_equal(pool_numbers(&bench.fixture).waiters, 2);
    for (int i = 0; i < 3; i++) {
        reactor_give(&clients[i], 1);
        reactor_run(bench.reactor);
    }
    end(&bench);
}

/* A watch that leaves the line hands the watch on. */
static void test_the_watch_is_handed_on(void **state)
{
    struct bench bench = {0};
    struct reactor_client client = {0};
    struct stepped_acquire threads[2];

    (void)state;
    begin_with(&bench, "'max_size': 1", &client, "x");
    stepped_acquire_start(&threads[0], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    stepped_acquire_start(&threads[1], &bench.fixture, "x", 3);
    grant(&bench);
    stepped_acquire_run(threads, 2);
    /* The last is the watch, and its time is up before the grant is old. */
    threads[1].acquire.deadline = virtual_clock_now(&bench.fixture.clock) + MILLISECONDS(1);
    threads[1].wait.at = threads[1].acquire.deadline;
    stepped_acquire_run_after(threads, 2, MILLISECONDS(1));
    stepped_acquire_assert(&threads[1], CONNPOOL_TIMED_OUT);
    stepped_acquire_run_after(threads, 2, 1);
    stepped_acquire_give(&threads[0], 1);
    end_with(&bench, &client, 1);
}

/* Who takes a slot back may be granted it at once: it is out of line, and the next who sleeps is the watch. */
static void test_a_watch_that_is_granted_something_is_the_watch_no_more(void **state)
{
    struct bench bench = {0};
    struct reactor_client first = {0};
    struct reactor_client second = {0};
    struct stepped_acquire threads[2];
    connpool_reactor *other;
    connpool_lease lease;

    (void)state;
    begin(&bench, "'max_size': 2, 'min_idle': 0");
    lease = pool_take(&bench.fixture, "x");
    stand(&bench, &first, "x");
    other = reactor_begin(&bench.fixture);
    reactor_submit(other, &second, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(other);
    stepped_acquire_start(&threads[0], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    be_patient(&bench);
    assert_int_equal(connpool_discard(&bench.lease), CONNPOOL_OK);
    stepped_acquire_run_after(threads, 1, MILLISECONDS(1) / 2);
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    stepped_acquire_run_after(threads, 1, MILLISECONDS(1) / 2 + 1);
    stepped_acquire_assert(&threads[0], CONNPOOL_OK);
    stepped_acquire_start(&threads[1], &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    assert_false(threads[1].is_done);
    stepped_acquire_run_after(threads, 2, MILLISECONDS(1));
    stepped_acquire_assert(&threads[1], CONNPOOL_OK);
    stepped_acquire_give(&threads[0], 3);
    stepped_acquire_give(&threads[1], 4);
    reactor_run(other);
    reactor_run(bench.reactor);
    assert_int_equal(first.told + second.told, 2);
    pool_give(&first.lease);
    pool_give(&second.lease);
    reactor_end(other);
    end(&bench);
}

/* Passed over itself, it comes back while another reactor has been called and does not come: no thread waits, and the
 * request that was called is gone. */
static void test_who_returns_to_the_line_is_the_watch(void **state)
{
    struct bench bench = {0};
    struct reactor_client stuck = {0};
    struct reactor_client clients[2] = {0};
    connpool_reactor *second;

    (void)state;
    begin(&bench, "'max_size': 1");
    second = reactor_begin(&bench.fixture);
    stand(&bench, &clients[0], "x");
    reactor_submit(second, &stuck, &bench.fixture, "x", CONNPOOL_WAIT_FOREVER);
    reactor_run(second);
    stand(&bench, &clients[1], "x");
    be_patient(&bench);
    pool_give(&bench.lease);
    virtual_clock_advance(&bench.fixture.clock, MILLISECONDS(1) + 1);
    reactor_turn(second); /* takes it back, and is woken for it */
    assert_int_equal(stuck.told, 0);
    reactor_cancel(&clients[0]);
    reactor_run(bench.reactor);
    assert_int_equal(clients[1].told, 0);
    reactor_run_after(bench.reactor, &bench.fixture, MILLISECONDS(1) + 1);
    reactor_give(&clients[1], 1);
    reactor_run(second);
    reactor_give(&stuck, 1);
    reactor_end(second);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grant_beats_the_deadline),
        cmocka_unit_test(test_a_fresh_grant_stays_with_its_request),
        cmocka_unit_test(test_a_newcomer_takes_an_old_grant_back),
        cmocka_unit_test(test_a_thread_behind_an_undelivered_grant_wakes),
        cmocka_unit_test(test_a_thread_behind_a_woken_request_wakes),
        cmocka_unit_test(test_the_watch_overtakes_nobody),
        cmocka_unit_test(test_a_thread_of_another_endpoint_is_the_watch),
        cmocka_unit_test(test_a_granted_slot_is_taken_back),
        cmocka_unit_test(test_a_granted_victim_is_taken_back),
        cmocka_unit_test(test_a_granted_connection_over_its_age_is_not_used),
        cmocka_unit_test(test_its_requests_return_to_their_places),
        cmocka_unit_test(test_its_descriptor_is_readable_after_it_was_passed_over),
        cmocka_unit_test(test_its_descriptor_is_readable_after_it_was_passed_over_in_a_dispatch),
        cmocka_unit_test(test_another_reactor_is_the_watch),
        cmocka_unit_test(test_a_reactor_takes_nothing_back_from_itself),
        cmocka_unit_test(test_the_watch_is_handed_on),
        cmocka_unit_test(test_a_watch_that_is_granted_something_is_the_watch_no_more),
        cmocka_unit_test(test_who_returns_to_the_line_is_the_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
