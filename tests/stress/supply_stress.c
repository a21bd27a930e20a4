/* SPDX-License-Identifier: MIT */
/*
 * supply_stress: two endpoints whose opens fail every other time, of several kinds; threads and reactors that retry
 * without a limit, from one of them or any, break every other connection, and the collector keeps both warm. A wake
 * that is lost is an acquire that never ends (design.md, Semantics 1, 2, 3; failures.md C3, C9, C10). Time is moved on
 * all the while, so that pauses take none.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <connpool/async.h>

#include "pool_fixture.h"
#include "stress.h"

#define WORKERS              6
#define IN_FLIGHT            4
#define ACQUIRES             40 /* of each worker in each context */
#define OPERATIONS           2400
#define SANITIZED_OPERATIONS 720
#define MAX_SIZE             4
#define TOTAL_MAX_SIZE       6

struct worker;

struct flight {
    struct worker *worker;
    bool is_under_way;
};

struct worker {
    connpool *context;
    connpool_endpoint *endpoints[2];
    uint64_t random;
    bool has_reactor;
    struct flight flights[IN_FLIGHT];
    unsigned under_way;
    connpool_reactor *reactor;
    atomic_bool is_done;
    pthread_t thread;
};

static struct test_behaviour choose(enum test_operation operation, const struct test_connection *connection)
{
    uint64_t dice;

    (void)connection;
    if (operation != TEST_OPEN) {
        return test_ok();
    }
    dice = stress_dice(100);
    if (dice < 50) {
        return test_slow(dice < 10 ? MILLISECONDS(50) : 0);
    }
    return (struct test_behaviour){.kind = TEST_SLOW,
                                   .delay = dice % 2 == 0 ? 0 : MILLISECONDS(20),
                                   .error_class = dice < 90   ? CONNPOOL_ERROR_REFUSED
                                                  : dice < 97 ? CONNPOOL_ERROR_RESOURCE_REMOTE
                                                              : CONNPOOL_ERROR_AUTHENTICATION};
}

static void use(struct worker *worker, connpool_lease *lease)
{
    struct test_connection *connection = connpool_lease_native(lease, TEST_CONNECTION_TYPE);
    bool is_broken = stress_below(&worker->random, 2) == 0;

    if (connection == NULL || atomic_fetch_add(&connection->holders, 1) != 0) {
        stress_broken("a connection in two hands", 0);
        return;
    }
    sched_yield();
    if (atomic_fetch_sub(&connection->holders, 1) != 1 ||
        (is_broken ? connpool_discard(lease) : connpool_release(lease)) != CONNPOOL_OK) {
        stress_broken("a release failed", 0);
    }
}

static void take(struct worker *worker, connpool_status status, connpool_lease *lease, const connpool_error *error)
{
    if (status == CONNPOOL_OK) {
        use(worker, lease);
    } else if (status != CONNPOOL_FAILED || error->error_class != CONNPOOL_ERROR_AUTHENTICATION) {
        stress_broken("an acquire ended with an unexpected status", (uint64_t)status);
    }
}

/* ---- A thread ---- */

static void acquire_in_thread(struct worker *worker)
{
    uint64_t which = stress_below(&worker->random, 3);
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_error error = {.status = CONNPOOL_OK};
    connpool_status status =
        which == 2 ? connpool_acquire_any(worker->endpoints, 2, CONNPOOL_WAIT_FOREVER, &lease, &error)
                   : connpool_endpoint_acquire(worker->endpoints[which], CONNPOOL_WAIT_FOREVER, &lease, &error);

    take(worker, status, &lease, &error);
}

/* ---- A reactor ---- */

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct flight *flight = argument;
    connpool_lease copy = *lease;

    flight->is_under_way = false;
    flight->worker->under_way--;
    take(flight->worker, status, &copy, error);
}

static void wait_and_dispatch(struct worker *worker)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(worker->reactor), .events = POLLIN};

    (void)poll(&polled, 1, 10000);
    if (connpool_reactor_dispatch(worker->reactor) != CONNPOOL_OK) {
        stress_broken("a dispatch was refused", 0);
    }
}

static void operate_reactor(struct worker *worker)
{
    struct flight *flight = &worker->flights[stress_below(&worker->random, IN_FLIGHT)];

    while (flight->is_under_way && !stress_is_broken()) {
        wait_and_dispatch(worker);
    }
    flight->worker = worker;
    flight->is_under_way = true;
    worker->under_way++;
    if (connpool_acquire_async(worker->reactor, worker->endpoints[stress_below(&worker->random, 2)],
                               CONNPOOL_WAIT_FOREVER, tell, flight, NULL, NULL) != CONNPOOL_OK) {
        stress_broken("a request was refused", 0);
    }
}

static void end_reactor(struct worker *worker)
{
    while (worker->under_way > 0 && !stress_is_broken()) {
        wait_and_dispatch(worker);
    }
    if (connpool_reactor_close(worker->reactor) != CONNPOOL_OK) {
        stress_broken("closing a reactor was refused", 0);
    }
}

/* ---- Workers ---- */

static void *work(void *argument)
{
    struct worker *worker = argument;

    worker->reactor = worker->has_reactor ? connpool_reactor_new(worker->context, NULL) : NULL;
    for (int i = 0; i < ACQUIRES && !stress_is_broken(); i++) {
        worker->has_reactor ? operate_reactor(worker) : acquire_in_thread(worker);
    }
    if (worker->has_reactor) {
        end_reactor(worker);
    }
    atomic_store(&worker->is_done, true);
    return NULL;
}

struct run {
    struct pool_fixture fixture;
    struct worker workers[WORKERS];
};

/* Time goes on meanwhile. */
static bool are_done(void *argument)
{
    struct run *run = argument;
    bool all = true;

    virtual_clock_advance(&run->fixture.clock, MILLISECONDS(5));
    for (int i = 0; i < WORKERS; i++) {
        all = all && atomic_load(&run->workers[i].is_done);
    }
    return all;
}

static void run_workers(struct run *run, bool has_reactors, uint64_t *random)
{
    static const char *const names[] = {"a", "b"};

    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &run->workers[i];

        *worker = (struct worker){.context = run->fixture.context,
                                  .random = stress_below(random, UINT32_MAX) | 1,
                                  .has_reactor = has_reactors && i % 2 != 0};
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(connpool_endpoint_get(run->fixture.pool, names[k], &worker->endpoints[k], NULL),
                             CONNPOOL_OK);
        }
        assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
    }
    await(are_done, run, "the workers to end: somebody sleeps who should not");
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(run->workers[i].thread, NULL), 0);
        connpool_endpoint_put(run->workers[i].endpoints[0]);
        connpool_endpoint_put(run->workers[i].endpoints[1]);
    }
}

static void run_context(uint64_t *random)
{
    static struct run run;
    bool is_warm = stress_below(random, 2) == 0;

    run.fixture = (struct pool_fixture){.keeps_settings = false};
    pool_fixture_open(
        &run.fixture,
        "'retry': true, 'max_size': %d, 'total_max_size': %d, 'min_idle': 2, 'background_collector': %s%s, "
        "'endpoints': {'a': {'name': 'a'}, 'b': {'name': 'b'}}",
        MAX_SIZE, TOTAL_MAX_SIZE, is_warm ? "true" : "false", is_warm ? ", 'prewarm': true" : "");
    atomic_store(&run.fixture.clock.is_manual, true);
    test_manager_record(false);
    test_manager_choose_by(choose);
    run_workers(&run, stress_below(random, 3) != 0, random);
    stress_assert_unbroken();
    assert_true(test_manager_most(NULL) <= TOTAL_MAX_SIZE);
    assert_true(test_manager_most("a") <= MAX_SIZE && test_manager_most("b") <= MAX_SIZE);
    pool_fixture_close(&run.fixture);
    test_manager_choose_by(NULL);
}

static void test_all_are_served_in_the_end(void **state)
{
    int64_t left = stress_operations(OPERATIONS, SANITIZED_OPERATIONS);
    uint64_t random = stress_seed();

    (void)state;
    for (; left > 0; left -= WORKERS * ACQUIRES) {
        run_context(&random);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_served_in_the_end),
    };

    return cmocka_run_group_tests_name("supply_stress", tests, NULL, NULL);
}
