/* SPDX-License-Identifier: MIT */
/*
 * reactor_stress: threads and two reactors on one pool, at random: acquires with limits of 0 to 2 µs among longer and
 * endless ones, cancels in every state, reactors that are not dispatched for a while, reactors and contexts that are
 * closed under load (failures.md B29, C2, C25; design.md, Semantics 1, 2, 3, 8, 9, 11). Held at every instant: no
 * connection is in two hands, never more than max_size and total_max_size; each request that was accepted is told once,
 * or was cancelled in time and is never told.
 *
 * As in pool_stress: in some contexts nobody may time out, because time limits hide a wake that was lost; the limits of
 * microseconds are made by a clock that another thread moves a millisecond at a time; every other context has the
 * system's clock. CONNPOOL_STRESS_OPERATIONS and CONNPOOL_STRESS_SEED replace the number of operations and the seed,
 * which is printed.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pool_fixture.h"
#include "reactor_client.h"
#include "stress.h"

#define THREADS         3
#define REACTORS        2
#define WORKERS         (THREADS + REACTORS)
#define NAMES           3
#define IN_FLIGHT       12
#define OPERATIONS      60000 /* of all workers and contexts together */
#define SLOW_OPERATIONS 12000 /* under a sanitizer */
#define PER_CONTEXT     1500
#define MANY            10000 /* requests in flight on one reactor */
#define CONNECTIONS     100

static const char *const names[NAMES] = {"a", "b", "c"};

static struct {
    unsigned max_size, total;
} limits;
static bool time_is_real;
static _Atomic int64_t operations_left;

struct worker;

enum releases { AT_RANDOM, AT_ONCE, LATER };

/* One request. */
struct flight {
    struct worker *worker;
    connpool_request request;
    bool is_under_way;
};

struct worker {
    struct pool_fixture *fixture;
    connpool_endpoint *endpoints[NAMES];
    uint64_t random;
    bool may_time_out;
    bool has_reactor;
    enum releases releases; /* what a reactor does with what its requests are given */
    connpool_reactor *reactor;
    struct flight flights[IN_FLIGHT];
    unsigned under_way;
    connpool_lease leases[CONNECTIONS];
    unsigned held;
    bool may_tell;
    atomic_bool is_done;
    pthread_t thread;
};

/* What the plugin answers: mostly well, in every thread by its own random numbers. */
static struct test_behaviour choose(enum test_operation operation, const struct test_connection *connection)
{
    uint64_t dice = stress_dice(1000);

    (void)connection;
    switch (operation) {
    case TEST_OPEN:
        return dice < 30 ? test_fails(CONNPOOL_ERROR_REFUSED) : dice < 150 ? test_slow(MILLISECONDS(1)) : test_ok();
    case TEST_CHECK:
        return dice < 30 ? test_fails(CONNPOOL_ERROR_CLOSED) : dice < 90 ? test_slow(MILLISECONDS(1)) : test_ok();
    case TEST_RESET:
        return dice < 10 ? test_fails(CONNPOOL_ERROR_PROTOCOL) : dice < 60 ? test_slow(MILLISECONDS(1)) : test_ok();
    case TEST_IDLE:
        return dice < 5    ? test_fails(CONNPOOL_ERROR_CLOSED)
               : dice < 15 ? (struct test_behaviour){.kind = TEST_BUSY, .delay = MILLISECONDS(1)}
                           : test_ok();
    case TEST_CLOSE:
        return dice < 50 ? test_slow(MILLISECONDS(1)) : test_ok();
    default:
        return test_ok();
    }
}

/* ---- Leases ---- */

static void hold(const connpool_lease *lease)
{
    struct test_connection *connection = connpool_lease_native(lease, TEST_CONNECTION_TYPE);

    if (connection == NULL) {
        stress_broken("a lease without a connection", 0);
    } else if (atomic_fetch_add(&connection->holders, 1) != 0) {
        stress_broken("a connection in two hands", connection->number);
    }
}

static void let_go(struct worker *worker, connpool_lease *lease)
{
    struct test_connection *connection = connpool_lease_native(lease, TEST_CONNECTION_TYPE);
    connpool_status status;

    if (connection == NULL || atomic_fetch_sub(&connection->holders, 1) != 1) {
        stress_broken("a connection in two hands", 0);
    }
    status = stress_below(&worker->random, 20) == 0 ? connpool_discard(lease) : connpool_release(lease);
    if (status != CONNPOOL_OK) {
        stress_broken("a release failed", status);
    }
}

static void let_all_go(struct worker *worker)
{
    while (worker->held > 0) {
        let_go(worker, &worker->leases[--worker->held]);
    }
}

/* ---- A thread ---- */

/* A limit: mostly 0 to 2 ms, which are as many µs by the fast clock. */
static int random_limit(struct worker *worker)
{
    uint64_t dice = stress_below(&worker->random, 100);

    if (!worker->may_time_out) {
        return CONNPOOL_WAIT_FOREVER;
    }
    if (dice < 60) {
        return (int)stress_below(&worker->random, 3);
    }
    return dice < 90 ? (int)stress_below(&worker->random, time_is_real ? 4 : 50) : CONNPOOL_WAIT_FOREVER;
}

/* Whether the worker goes on. */
static bool is_expected(struct worker *worker, connpool_status status)
{
    switch (status) {
    case CONNPOOL_OK:
    case CONNPOOL_TIMED_OUT:
    case CONNPOOL_FAILED:
        return true;
    case CONNPOOL_CLOSED:
        if (!atomic_load(&worker->fixture->is_closing)) {
            stress_broken("an acquire was refused as closed", 0);
        }
        return false;
    default:
        stress_broken("an acquire ended with an unexpected status", status);
        return false;
    }
}

static bool operate_in_thread(struct worker *worker)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status = connpool_endpoint_acquire(worker->endpoints[stress_below(&worker->random, NAMES)],
                                                       random_limit(worker), &lease, NULL);

    if (status == CONNPOOL_OK) {
        hold(&lease);
        for (uint64_t turns = stress_below(&worker->random, 4); turns > 1; turns--) {
            sched_yield();
        }
        let_go(worker, &lease);
    }
    return is_expected(worker, status);
}

/* ---- A reactor ---- */

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct flight *flight = argument;
    struct worker *worker = flight->worker;
    connpool_lease copy = *lease;

    if (!flight->is_under_way || !worker->may_tell) {
        stress_broken("a request is told that is over, or at the wrong time", flight->is_under_way);
    }
    if ((error == NULL) != (status == CONNPOOL_OK)) {
        stress_broken("status and error differ", status);
    }
    flight->is_under_way = false;
    worker->under_way--;
    if (status == CONNPOOL_CLOSED && worker->reactor == NULL) {
        return; /* the reactor closes */
    }
    (void)is_expected(worker, status);
    if (status == CONNPOOL_OK) {
        hold(&copy);
        if (worker->releases == AT_ONCE || (worker->releases == AT_RANDOM && stress_below(&worker->random, 2) == 0)) {
            let_go(worker, &copy);
        } else {
            worker->leases[worker->held++] = copy;
        }
    }
}

/* Whether the worker goes on. */
static bool submit(struct worker *worker, struct flight *flight)
{
    connpool_status status;

    flight->worker = worker;
    flight->is_under_way = true;
    worker->under_way++;
    status = connpool_acquire_async(worker->reactor, worker->endpoints[stress_below(&worker->random, NAMES)],
                                    random_limit(worker), tell, flight, &flight->request, NULL);
    if (status != CONNPOOL_OK) {
        flight->is_under_way = false;
        worker->under_way--;
    }
    return is_expected(worker, status);
}

static void cancel(struct worker *worker, struct flight *flight)
{
    connpool_request copy = flight->request;

    if (connpool_request_cancel(&flight->request) != CONNPOOL_OK) {
        stress_broken("a cancel was too late", 0);
    }
    flight->is_under_way = false;
    worker->under_way--;
    if (connpool_request_cancel(&copy) != CONNPOOL_STALE) {
        stress_broken("a second cancel had an effect", 0);
    }
}

static void dispatch(struct worker *worker)
{
    worker->may_tell = true;
    if (connpool_reactor_dispatch(worker->reactor) != CONNPOOL_OK) {
        stress_broken("a dispatch was refused", 0);
    }
    worker->may_tell = false;
}

static void poll_and_dispatch(struct worker *worker)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(worker->reactor), .events = POLLIN};

    if (poll(&polled, 1, 10000) != 1) {
        stress_broken("a reactor's descriptor stays silent", worker->under_way);
    }
    dispatch(worker);
}

/* As an event loop that has nothing else to do: nobody may wait for what this thread holds. */
static void wait_and_dispatch(struct worker *worker)
{
    let_all_go(worker);
    poll_and_dispatch(worker);
}

static bool operate_in_reactor(struct worker *worker)
{
    struct flight *flight = &worker->flights[stress_below(&worker->random, IN_FLIGHT)];
    uint64_t dice = stress_below(&worker->random, 100);

    if (!flight->is_under_way && worker->under_way + worker->held < IN_FLIGHT) {
        return submit(worker, flight);
    }
    if (flight->is_under_way && dice < 30) {
        cancel(worker, flight);
    } else if (worker->held > 0 && dice < 50) {
        let_go(worker, &worker->leases[--worker->held]);
    } else if (worker->under_way > 0 && dice < 60) {
        wait_and_dispatch(worker);
    } else if (dice < 65) {
        for (int i = 0; i < 50; i++) { /* busy elsewhere */
            sched_yield();
        }
    } else {
        dispatch(worker);
    }
    return true;
}

static void close_reactor(struct worker *worker)
{
    connpool_reactor *reactor = worker->reactor;

    worker->reactor = NULL;
    worker->may_tell = true;
    if (connpool_reactor_close(reactor) != CONNPOOL_OK) {
        stress_broken("closing a reactor was refused", 0);
    }
    worker->may_tell = false;
    if (worker->under_way != 0) {
        stress_broken("requests are not told though their reactor is closed", worker->under_way);
    }
}

/* To the end of all requests, or at once; the reactor goes on for the resets and closes that it drives. */
static void end_reactor(struct worker *worker)
{
    bool at_once = stress_below(&worker->random, 2) == 0;

    while (!at_once && worker->under_way > 0 && !stress_is_broken()) {
        wait_and_dispatch(worker);
    }
    let_all_go(worker);
    close_reactor(worker);
}

/* ---- Workers ---- */

static void *work(void *argument)
{
    struct worker *worker = argument;
    bool goes_on = true;

    if (worker->has_reactor) {
        worker->reactor = connpool_reactor_new(worker->fixture->context, NULL);
        goes_on = worker->reactor != NULL;
    }
    while (goes_on && atomic_fetch_sub(&operations_left, 1) > 0 && !stress_is_broken()) {
        goes_on = worker->has_reactor ? operate_in_reactor(worker) : operate_in_thread(worker);
        if (test_manager_most(NULL) > limits.total) {
            stress_broken("the pool held more than total_max_size", test_manager_most(NULL));
        }
    }
    if (worker->reactor != NULL) {
        end_reactor(worker);
    }
    atomic_store(&worker->is_done, true);
    return NULL;
}

/* Moves the virtual clock as fast as it can. */
struct ticker {
    struct pool_fixture *fixture;
    atomic_bool ends;
    pthread_t thread;
};

static void *tick(void *argument)
{
    struct ticker *ticker = argument;

    while (!atomic_load(&ticker->ends)) {
        virtual_clock_advance(&ticker->fixture->clock, MILLISECONDS(1));
        sched_yield();
    }
    return NULL;
}

static void open_round(struct pool_fixture *fixture, uint64_t *random)
{
    limits.max_size = 1 + (unsigned)stress_below(random, 3);
    limits.total = limits.max_size + (unsigned)stress_below(random, 4);
    fixture->real_clock = time_is_real = stress_below(random, 2) == 0;
    pool_fixture_open(fixture,
                      "'min_idle': 1, 'max_size': %u, 'total_max_size': %u, 'background_collector': %s, "
                      "'check_after': %s, 'idle_timeout': 0.02, 'max_lifetime': 0.5, 'lifetime_jitter': 0.5, "
                      "'endpoints': {'a': {'name': 'a'}}",
                      limits.max_size, limits.total, stress_below(random, 2) == 0 ? "true" : "false",
                      stress_below(random, 2) == 0 ? "0" : "0.01");
    atomic_store(&fixture->clock.is_manual, true);
    test_manager_record(false);
    test_manager_choose_by(choose);
}

static bool is_done(void *argument)
{
    return atomic_load(&((struct worker *)argument)->is_done);
}

static void start_workers(struct worker *workers, struct pool_fixture *fixture, uint64_t *random)
{
    uint64_t regime = stress_below(random, 3);

    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.fixture = fixture,
                                     .random = stress_random(random) | 1,
                                     .has_reactor = i >= THREADS,
                                     .may_time_out = regime == 2 || (regime == 1 && i == 0)};
        for (int k = 0; k < NAMES; k++) {
            assert_int_equal(connpool_endpoint_get(fixture->pool, names[k], &workers[i].endpoints[k], NULL),
                             CONNPOOL_OK);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
}

static bool is_half_done(void *argument)
{
    (void)argument;
    return atomic_load(&operations_left) <= PER_CONTEXT / 2 || stress_is_broken();
}

static bool is_nothing_under_way(void *argument)
{
    struct connpool_statistics numbers = pool_numbers(argument);

    return numbers.opening + numbers.leased + numbers.resetting + numbers.closing == 0;
}

static void join_workers(struct worker *workers)
{
    for (int i = 0; i < WORKERS; i++) {
        await(is_done, &workers[i], "a worker to end: somebody sleeps who should not");
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        for (int k = 0; k < NAMES; k++) {
            connpool_endpoint_put(workers[i].endpoints[k]);
        }
    }
}

/* One context: its workers end by themselves, or it is closed under them. */
static void run_round(uint64_t *random)
{
    static struct worker workers[WORKERS];
    struct pool_fixture fixture = {0};
    struct ticker ticker = {.fixture = &fixture};
    bool closes_under_load;

    open_round(&fixture, random);
    /* A replaced clock cannot be moved on when its context is closed. */
    closes_under_load = fixture.real_clock && stress_below(random, 2) == 0;
    atomic_store(&operations_left, PER_CONTEXT);
    if (!fixture.real_clock) {
        assert_int_equal(pthread_create(&ticker.thread, NULL, tick, &ticker), 0);
    }
    start_workers(workers, &fixture, random);
    if (closes_under_load) {
        await(is_half_done, NULL, "the load");
        atomic_store(&fixture.is_closing, true);
        (void)connpool_close(fixture.context, (int)stress_below(random, 3), NULL);
        fixture.clock.context = NULL;
    }
    join_workers(workers);
    if (!fixture.real_clock) {
        test_manager_choose_by(NULL);
        await(is_nothing_under_way, &fixture, "resets and closes to end");
        atomic_store(&ticker.ends, true);
        assert_int_equal(pthread_join(ticker.thread, NULL), 0);
    }
    stress_assert_unbroken();
    if (closes_under_load) {
        pool_fixture_assert_nothing_left(&fixture);
    } else {
        pool_fixture_close(&fixture);
    }
}

static void test_threads_and_reactors_share_a_pool_C2(void **state)
{
    int64_t left = stress_operations(OPERATIONS, SLOW_OPERATIONS);
    uint64_t random = stress_seed();

    (void)state;
    for (; left > 0; left -= PER_CONTEXT) {
        run_round(&random);
    }
}

/* ---- One reactor, many requests ---- */

static struct flight many[MANY];

/* Until the worker holds every connection that there may be. */
static void hold_all(struct worker *worker)
{
    static struct flight flight;

    worker->releases = LATER;
    while (worker->held < CONNECTIONS && !stress_is_broken()) {
        if (!flight.is_under_way) {
            assert_true(submit(worker, &flight));
        }
        poll_and_dispatch(worker);
    }
    worker->releases = AT_ONCE;
}

/* One in `rate` of those under way, whatever their state. */
static void cancel_some(struct worker *worker, uint64_t rate)
{
    for (int i = 0; i < MANY; i++) {
        if (many[i].is_under_way && stress_below(&worker->random, rate) == 0) {
            cancel(worker, &many[i]);
        }
    }
}

/* All at one time; then some are cancelled before the connections come back, others when these are granted. */
static void submit_many(struct worker *worker)
{
    hold_all(worker);
    for (int i = 0; i < MANY; i++) {
        many[i].worker = worker;
        assert_true(submit(worker, &many[i]));
        if (stress_below(&worker->random, 100) == 0) {
            dispatch(worker);
        }
    }
    dispatch(worker);
    assert_int_equal(worker->under_way, MANY);
    assert_int_equal(pool_numbers(worker->fixture).waiters, MANY);
    cancel_some(worker, 10);
    let_all_go(worker);
    cancel_some(worker, 20);
}

static void test_ten_thousand_in_flight_over_a_hundred_connections(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    static struct worker worker;

    (void)state;
    worker = (struct worker){.fixture = &fixture, .random = 1};
    limits.total = limits.max_size = CONNECTIONS;
    time_is_real = true;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': %d, 'total_max_size': %d", CONNECTIONS, CONNECTIONS);
    test_manager_record(false);
    test_manager_choose_by(choose);
    worker.reactor = reactor_begin(&fixture);
    for (int k = 0; k < NAMES; k++) {
        assert_int_equal(connpool_endpoint_get(fixture.pool, names[k], &worker.endpoints[k], NULL), CONNPOOL_OK);
    }
    submit_many(&worker);
    while (worker.under_way > 0 && !stress_is_broken()) {
        wait_and_dispatch(&worker);
        cancel_some(&worker, 500);
    }
    submit_many(&worker);
    dispatch(&worker);
    assert_true(worker.under_way > MANY / 2);
    close_reactor(&worker);
    stress_assert_unbroken();
    assert_int_equal(pool_numbers(&fixture).waiters, 0);
    assert_true(test_manager_most(NULL) <= CONNECTIONS);
    for (int k = 0; k < NAMES; k++) {
        connpool_endpoint_put(worker.endpoints[k]);
    }
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_thousand_in_flight_over_a_hundred_connections),
        cmocka_unit_test(test_threads_and_reactors_share_a_pool_C2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
