/* SPDX-License-Identifier: MIT */
/*
 * pool_stress: random operations of many threads on a few endpoints: acquires with limits of 0 to 2 µs among longer and
 * endless ones, releases, discards, evictions, drains, maintenance, run-time endpoints, and contexts that are closed
 * under load. Two rules hold at every instant: no connection is in two hands, and there are never more than max_size
 * and total_max_size (failures.md 4.5, C1, C3, C4, C5, C6, C7, C8, C9, C10, C13, C14, C17, C24; design.md, Semantics 1,
 * 2, 3, 8, 9, 11).
 *
 * In some contexts all acquires may time out, in some only those of one thread, in some none: time limits hide a wake
 * that was lost (failures.md 4.1).
 *
 * The limits of microseconds are made by a clock that another thread moves on a millisecond at a time, as fast as it
 * can; every other context has the system's clock. CONNPOOL_STRESS_OPERATIONS and CONNPOOL_STRESS_SEED replace the
 * number of operations and the seed, which is printed.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pool_fixture.h"
#include "stress.h"

#define THREADS           10
#define NAMES             5
#define OPERATIONS        1050000 /* of all threads and contexts together */
#define SLOW_OPERATIONS   150000  /* under a sanitizer */
#define PER_CONTEXT       20000
#define PER_REAL_CONTEXT  3000 /* with the system's clock, by which a limit of a millisecond is long */
#define PER_SHORT_CONTEXT 200  /* a wake that was lost shows when nobody comes after */

static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};

/* The pool's limits in this round. */
static struct {
    unsigned max_size, total, min_idle;
} limits;
static bool time_is_real; /* then nothing takes long */

struct worker {
    struct pool_fixture *fixture;
    connpool_endpoint *endpoints[NAMES];
    uint64_t random;
    uint64_t operations;
    bool may_time_out;
    atomic_bool is_done;
    pthread_t thread;
};

static _Atomic int64_t operations_left;
static sem_t progress; /* posted at every 32nd operation, and when a worker ends */

/* What the plugin answers: mostly well, in every thread by its own random numbers. */
static struct test_behaviour choose(enum test_operation operation, const struct test_connection *connection)
{
    uint64_t dice = stress_dice(1000);

    (void)connection;
    switch (operation) {
    case TEST_OPEN:
        return dice < 30    ? test_fails(CONNPOOL_ERROR_REFUSED)
               : dice < 60  ? test_slow(MILLISECONDS(1))
               : dice < 65  ? test_fails(time_is_real ? CONNPOOL_ERROR_TRANSIENT : CONNPOOL_ERROR_RESOURCE_REMOTE)
               : dice == 65 ? test_garbage(77)
                            : test_ok();
    case TEST_CHECK:
        return dice < 30 ? test_fails(CONNPOOL_ERROR_CLOSED) : dice < 60 ? test_slow(MILLISECONDS(1)) : test_ok();
    case TEST_PREPARE:
        return dice < 5 ? test_fails(CONNPOOL_ERROR_PROTOCOL) : test_ok();
    case TEST_RESET:
        return dice < 10 ? test_fails(CONNPOOL_ERROR_PROTOCOL) : dice < 25 ? test_slow(MILLISECONDS(1)) : test_ok();
    case TEST_IDLE:
        return dice < 5    ? test_fails(CONNPOOL_ERROR_CLOSED)
               : dice < 10 ? (struct test_behaviour){.kind = TEST_BUSY, .delay = MILLISECONDS(1)}
                           : test_ok();
    case TEST_CLOSE:
        return dice < 50 ? test_slow(MILLISECONDS(1)) : test_ok();
    default:
        return test_ok();
    }
}

static void check_numbers(const struct connpool_statistics *numbers, unsigned limit)
{
    if (numbers_size(numbers) > limit) {
        stress_broken("a snapshot shows more connections than the limit", numbers_size(numbers));
    }
}

static void look(struct worker *worker, uint64_t which)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    if (which < NAMES) {
        connpool_endpoint_statistics(worker->endpoints[which], &numbers);
        check_numbers(&numbers, limits.max_size);
        if (test_manager_most(names[which]) > limits.max_size) {
            stress_broken("an endpoint held more than max_size", test_manager_most(names[which]));
        }
    } else {
        connpool_pool_statistics(worker->fixture->pool, &numbers);
        check_numbers(&numbers, limits.total);
    }
    if (test_manager_most(NULL) > limits.total) {
        stress_broken("the pool held more than total_max_size", test_manager_most(NULL));
    }
}

static void use(struct worker *worker, connpool_lease *lease)
{
    struct test_connection *connection = connpool_lease_native(lease, TEST_CONNECTION_TYPE);
    connpool_lease copy = *lease;
    connpool_status status;

    if (connection == NULL) {
        stress_broken("a lease without a connection", 0);
        return;
    }
    if (atomic_fetch_add(&connection->holders, 1) != 0) {
        stress_broken("a connection in two hands", connection->number);
    }
    for (uint64_t turns = stress_below(&worker->random, 4); turns > 1; turns--) {
        sched_yield();
    }
    if (atomic_fetch_sub(&connection->holders, 1) != 1) {
        stress_broken("a connection in two hands", connection->number);
    }
    status = stress_below(&worker->random, 20) == 0 ? connpool_discard(lease) : connpool_release(lease);
    if (status != CONNPOOL_OK) {
        stress_broken("a release failed", status);
    }
    if (stress_below(&worker->random, 16) == 0 && !atomic_load(&worker->fixture->is_closing) &&
        connpool_release(&copy) != CONNPOOL_STALE) {
        stress_broken("a second release had an effect", 0);
    }
}

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

static connpool_status acquire(struct worker *worker, connpool_lease *lease)
{
    uint64_t endpoint = stress_below(&worker->random, NAMES),
             count = 1 + stress_below(&worker->random, NAMES - endpoint);

    if (stress_below(&worker->random, 10) == 0) {
        return connpool_acquire_any(&worker->endpoints[endpoint], count, random_limit(worker), lease, NULL);
    }
    if (stress_below(&worker->random, 10) == 0) {
        return connpool_acquire(worker->fixture->pool, names[endpoint], random_limit(worker), lease, NULL);
    }
    return connpool_endpoint_acquire(worker->endpoints[endpoint], random_limit(worker), lease, NULL);
}

static bool acquire_and_use(struct worker *worker)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status = acquire(worker, &lease);

    switch (status) {
    case CONNPOOL_OK:
        use(worker, &lease);
        return true;
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

static bool operate(struct worker *worker)
{
    uint64_t dice = stress_below(&worker->random, 1000);
    connpool_endpoint *endpoint;
    char name[24];

    if (dice < 970) {
        return acquire_and_use(worker);
    }
    if (dice < 990) {
        look(worker, stress_below(&worker->random, NAMES + 1));
    } else if (dice < 994) {
        (void)snprintf(name, sizeof(name), "r%u", (unsigned)stress_below(&worker->random, 20));
        if (connpool_endpoint_get(worker->fixture->pool, name, &endpoint, NULL) == CONNPOOL_OK) {
            connpool_endpoint_put(endpoint);
        }
    } else if (dice < 998) {
        connpool_endpoint_drain(worker->endpoints[stress_below(&worker->random, NAMES)]);
    } else {
        connpool_pool_drain(worker->fixture->pool);
    }
    return true;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    int64_t left;

    while ((left = atomic_fetch_sub(&operations_left, 1)) > 0 && !stress_is_broken() && operate(worker)) {
        worker->operations++;
        if (left % 32 == 0) {
            (void)sem_post(&progress);
        }
    }
    atomic_store(&worker->is_done, true);
    (void)sem_post(&progress);
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
    limits.max_size = 1 + (unsigned)stress_below(random, 4);
    limits.total = limits.max_size + (unsigned)stress_below(random, 6);
    limits.min_idle = (unsigned)stress_below(random, limits.max_size + 1);
    fixture->real_clock = time_is_real = stress_below(random, 2) == 0;
    pool_fixture_open(fixture,
                      "'min_idle': %u, 'max_size': %u, 'total_max_size': %u, 'background_collector': %s, "
                      "'check_after': %s, 'idle_timeout': %s, 'max_lifetime': 0.5, 'lifetime_jitter': 0.5, "
                      "'max_uses': %u, 'endpoints': {'a': {'name': 'a'}, 'b': {'name': 'b'}}",
                      limits.min_idle, limits.max_size, limits.total, stress_below(random, 2) == 0 ? "true" : "false",
                      stress_below(random, 2) == 0 ? "0" : "0.01", stress_below(random, 2) == 0 ? "0" : "0.02",
                      1 + (unsigned)stress_below(random, 500));
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
    uint64_t regime = stress_below(random, 4);

    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.fixture = fixture,
                                     .random = stress_random(random) | 1,
                                     .may_time_out = regime > 1 || (regime == 1 && i == 0)};
        for (int k = 0; k < NAMES; k++) {
            assert_int_equal(connpool_endpoint_get(fixture->pool, names[k], &workers[i].endpoints[k], NULL),
                             CONNPOOL_OK);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
}

/* Wait until condition(argument); where nobody does anything for ten seconds, somebody sleeps for ever. */
static void wait_while_they_work(bool (*condition)(void *argument), void *argument)
{
    while (!condition(argument)) {
        struct timespec limit;

        (void)clock_gettime(CLOCK_MONOTONIC, &limit);
        limit.tv_sec += 10;
        if (sem_clockwait(&progress, CLOCK_MONOTONIC, &limit) != 0 && errno == ETIMEDOUT && !condition(argument)) {
            fail_msg("somebody sleeps who should not");
        }
    }
}

static bool is_half_done(void *argument)
{
    return atomic_load(&operations_left) <= *(const int64_t *)argument / 2 || stress_is_broken();
}

static uint64_t join_workers(struct worker *workers)
{
    uint64_t done = 0;

    for (int i = 0; i < THREADS; i++) {
        wait_while_they_work(is_done, &workers[i]);
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        done += workers[i].operations;
    }
    return done;
}

static void put_endpoints(struct worker *workers)
{
    for (int i = 0; i < THREADS; i++) {
        for (int k = 0; k < NAMES; k++) {
            connpool_endpoint_put(workers[i].endpoints[k]);
        }
    }
}

static void close_context(struct pool_fixture *fixture, int timeout_ms)
{
    connpool_status status = connpool_close(fixture->context, timeout_ms, NULL);

    if (status != CONNPOOL_OK && status != CONNPOOL_STILL_LEASED) {
        stress_broken("close ended with an unexpected status", status);
    }
}

static bool is_nothing_under_way(void *argument)
{
    struct connpool_statistics numbers = pool_numbers(argument);

    return numbers.opening + numbers.leased + numbers.resetting + numbers.closing == 0;
}

/* One context: either its threads end by themselves, and nobody may sleep for ever, or it is closed under them. */
static uint64_t run_round(uint64_t *random, int64_t budget)
{
    static struct worker workers[THREADS];
    struct pool_fixture fixture = {0};
    struct ticker ticker = {.fixture = &fixture};
    bool closes_under_load;
    uint64_t done;

    open_round(&fixture, random);
    /* A replaced clock cannot be moved on when its context is closed. */
    closes_under_load = fixture.real_clock && stress_below(random, 2) == 0;
    budget = fixture.real_clock ? PER_REAL_CONTEXT : budget;
    budget = stress_below(random, 8) != 0 ? PER_SHORT_CONTEXT : budget;
    atomic_store(&operations_left, budget);
    if (!fixture.real_clock) {
        assert_int_equal(pthread_create(&ticker.thread, NULL, tick, &ticker), 0);
    }
    start_workers(workers, &fixture, random);
    if (closes_under_load) {
        wait_while_they_work(is_half_done, &budget);
        atomic_store(&fixture.is_closing, true);
        close_context(&fixture, (int)stress_below(random, 3));
        fixture.clock.context = NULL;
    }
    done = join_workers(workers);
    if (!fixture.real_clock) {
        /* What the collector drives by this clock ends while the clock goes: nobody moves it during a close. And what
         * it begins after that, as it finds an idle connection due, takes no time. */
        test_manager_choose_by(NULL);
        await(is_nothing_under_way, &fixture, "resets and closes to end");
        atomic_store(&ticker.ends, true);
        assert_int_equal(pthread_join(ticker.thread, NULL), 0);
        atomic_store(&fixture.clock.is_manual, false);
    }
    put_endpoints(workers);
    if (!closes_under_load) {
        close_context(&fixture, CONNPOOL_WAIT_FOREVER);
        fixture.clock.context = NULL;
    }
    pool_fixture_assert_nothing_left(&fixture);
    if (test_manager_most(NULL) > limits.total) {
        stress_broken("the pool held more than total_max_size", test_manager_most(NULL));
    }
    return done;
}

static void test_random_operations(void **state)
{
    uint64_t wanted = (uint64_t)stress_operations(OPERATIONS, SLOW_OPERATIONS), done = 0, random = stress_seed();

    (void)state;
    assert_int_equal(sem_init(&progress, 0, 0), 0);
    while (done < wanted && !stress_is_broken()) {
        done += run_round(&random, PER_CONTEXT);
    }
    stress_assert_unbroken();
    assert_int_equal(sem_destroy(&progress), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
