/* SPDX-License-Identifier: MIT */
/*
 * opener_stress: two connections that work, and a server that accepts no more: most opens never end. Threads and
 * reactors acquire at random, so all but those two stand in line as openers, or without a slot behind openers, and all
 * must be served by the two (semantics.md D26; design.md, Semantics 1, 2, 3, 8). An opener's own open hides no wake
 * that was lost: it hangs. Some opens end after a millisecond, well or not; in every third context limits of 0 to 3 ms
 * and cancels are mixed in. What drives on the opens that are left is the collector, or, where all workers are
 * reactors, these.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <connpool/async.h>

#include "pool_fixture.h"
#include "stress.h"

#define WORKERS              5
#define IN_FLIGHT            4
#define ACQUIRES             60 /* of each worker in each context */
#define OPERATIONS           60000
#define SANITIZED_OPERATIONS 12000

struct worker;

/* One request. */
struct flight {
    struct worker *worker;
    connpool_request request;
    bool is_under_way;
};

struct worker {
    connpool *context;
    connpool_endpoint *endpoint;
    uint64_t random;
    bool has_reactor;
    bool may_time_out;
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
    if (dice < 70) {
        return test_kind(TEST_NEVER);
    }
    return (struct test_behaviour){
        .kind = TEST_SLOW, .delay = MILLISECONDS(1), .error_class = dice < 90 ? CONNPOOL_ERROR_REFUSED : 0};
}

static void use_and_release(struct worker *worker, connpool_lease *lease)
{
    struct test_connection *connection = connpool_lease_native(lease, TEST_CONNECTION_TYPE);

    if (connection == NULL || atomic_fetch_add(&connection->holders, 1) != 0) {
        stress_broken("a connection in two hands", 0);
        return;
    }
    for (uint64_t turns = stress_below(&worker->random, 3); turns > 0; turns--) {
        sched_yield();
    }
    if (atomic_fetch_sub(&connection->holders, 1) != 1 || connpool_release(lease) != CONNPOOL_OK) {
        stress_broken("a release failed", 0);
    }
}

static int random_limit(struct worker *worker)
{
    return worker->may_time_out && stress_below(&worker->random, 2) == 0 ? (int)stress_below(&worker->random, 4)
                                                                         : CONNPOOL_WAIT_FOREVER;
}

static void look_at_status(const struct worker *worker, connpool_status status)
{
    if (status != CONNPOOL_OK && status != CONNPOOL_FAILED && !(status == CONNPOOL_TIMED_OUT && worker->may_time_out)) {
        stress_broken("an acquire ended with an unexpected status", 0);
    }
}

/* ---- A thread ---- */

static void acquire_in_thread(struct worker *worker)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status = connpool_endpoint_acquire(worker->endpoint, random_limit(worker), &lease, NULL);

    look_at_status(worker, status);
    if (status == CONNPOOL_OK) {
        use_and_release(worker, &lease);
    }
}

/* ---- A reactor ---- */

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct flight *flight = argument;
    connpool_lease copy = *lease;

    (void)error;
    flight->is_under_way = false;
    flight->worker->under_way--;
    look_at_status(flight->worker, status);
    if (status == CONNPOOL_OK) {
        use_and_release(flight->worker, &copy);
    }
}

static void submit(struct worker *worker, struct flight *flight)
{
    flight->worker = worker;
    flight->is_under_way = true;
    worker->under_way++;
    if (connpool_acquire_async(worker->reactor, worker->endpoint, random_limit(worker), tell, flight, &flight->request,
                               NULL) != CONNPOOL_OK) {
        stress_broken("a request was refused", 0);
    }
}

static void cancel(struct worker *worker, struct flight *flight)
{
    if (connpool_request_cancel(&flight->request) != CONNPOOL_OK) {
        stress_broken("a cancel was too late", 0);
    }
    flight->is_under_way = false;
    worker->under_way--;
}

/* As an event loop that has nothing else to do. */
static void wait_and_dispatch(struct worker *worker)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(worker->reactor), .events = POLLIN};

    if (poll(&polled, 1, 10000) != 1) {
        stress_broken("a reactor's descriptor stays silent", 0);
    }
    if (connpool_reactor_dispatch(worker->reactor) != CONNPOOL_OK) {
        stress_broken("a dispatch was refused", 0);
    }
}

/* One request more, after what else a loop does: waiting for one, being busy elsewhere. */
static void operate_reactor(struct worker *worker)
{
    struct flight *flight = &worker->flights[stress_below(&worker->random, IN_FLIGHT)];

    if (flight->is_under_way && worker->may_time_out && stress_below(&worker->random, 2) == 0) {
        cancel(worker, flight);
    }
    while (flight->is_under_way && !stress_is_broken()) {
        wait_and_dispatch(worker);
    }
    submit(worker, flight);
    for (uint64_t turns = stress_below(&worker->random, 10) == 0 ? 100 : 0; turns > 0; turns--) {
        sched_yield();
    }
}

/* Its own requests are served; what it drives for others goes on until all are. */
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

static bool is_done(void *argument)
{
    return atomic_load(&((struct worker *)argument)->is_done);
}

static void run_workers(struct pool_fixture *fixture, bool all_are_reactors, bool may_time_out, uint64_t *random,
                        connpool_lease leases[2])
{
    static struct worker workers[WORKERS];

    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.context = fixture->context,
                                     .random = stress_below(random, UINT32_MAX) | 1,
                                     .has_reactor = all_are_reactors || i % 2 != 0,
                                     .may_time_out = may_time_out};
        assert_int_equal(connpool_endpoint_get(fixture->pool, "x", &workers[i].endpoint, NULL), CONNPOOL_OK);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    pool_give(&leases[0]);
    pool_give(&leases[1]);
    for (int i = 0; i < WORKERS; i++) {
        await(is_done, &workers[i], "a worker to end: somebody sleeps who should not");
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        connpool_endpoint_put(workers[i].endpoint);
    }
}

static void run_context(uint64_t *random)
{
    struct pool_fixture fixture = {.real_clock = true};
    bool all_are_reactors = stress_below(random, 2) == 0;
    unsigned max_size = 3 + (unsigned)stress_below(random, 60);
    connpool_lease leases[2];

    pool_fixture_open(&fixture, "'max_size': %u, 'total_max_size': %u, 'background_collector': %s", max_size, max_size,
                      all_are_reactors ? "false" : "true");
    test_manager_record(false);
    leases[0] = pool_take(&fixture, "x");
    leases[1] = pool_take(&fixture, "x");
    test_manager_choose_by(choose);
    run_workers(&fixture, all_are_reactors, stress_below(random, 3) == 0, random, leases);
    stress_assert_unbroken();
    assert_true(test_manager_most(NULL) <= max_size);
    test_manager_choose_by(NULL);
    pool_fixture_close(&fixture);
}

static void test_all_are_served_by_the_connections_that_work(void **state)
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
        cmocka_unit_test(test_all_are_served_by_the_connections_that_work),
    };

    return cmocka_run_group_tests_name("opener_stress", tests, NULL, NULL);
}
