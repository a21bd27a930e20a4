/* SPDX-License-Identifier: MIT */
/*
 * watch_stress: the collector serves parked connections while threads acquire and release them, peers hang up at
 * random, and the pool is drained. Nobody gives up: each acquire waits for ever and must be served. No connection is in
 * two hands, none of the manager's operations beside another one of the same connection, no limit exceeded, each
 * connection destroyed once (plugin-abi.md, A step, rule 8; design.md, Semantics 1, 2, 3, 8; failures.md A42, C8). And
 * the same while the collector opens connections ahead of use at some of the endpoints, and reports leaks.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "pool_fixture.h"
#include "stress.h"

#define THREADS         4
#define NAMES           6 /* endpoints of run time, which come and go */
#define MAX_SIZE        2
#define TOTAL           7
#define OPERATIONS      60000
#define SLOW_OPERATIONS 6000
#define ROUNDS          6

struct scene {
    struct pool_fixture fixture;
    atomic_bool ends;
    _Atomic int64_t operations_left;
    pthread_t world, threads[THREADS];
};

static struct test_behaviour choose(enum test_operation operation, const struct test_connection *connection)
{
    uint64_t dice = stress_dice(100);

    (void)connection;
    if (operation != TEST_IDLE) {
        return test_ok();
    }
    return dice < 70   ? test_kind(TEST_WATCH)
           : dice < 80 ? (struct test_behaviour){.kind = TEST_TRICKLE, .delay = MILLISECONDS(5)}
           : dice < 90 ? (struct test_behaviour){.kind = TEST_BUSY, .delay = MILLISECONDS(30)}
           : dice < 98 ? test_ok()
                       : test_fails(CONNPOOL_ERROR_CLOSED);
}

/* Time, and what the peers do. */
static void *run_world(void *argument)
{
    struct scene *scene = argument;

    while (!atomic_load(&scene->ends)) {
        uint64_t dice = stress_dice(200);

        virtual_clock_advance(&scene->fixture.clock, MILLISECONDS(1 + stress_dice(8)));
        if (dice < 10) {
            (void)test_manager_feed(true);
        } else if (dice < 12) {
            connpool_pool_drain(scene->fixture.pool);
        }
        sched_yield();
    }
    return NULL;
}

static void use(connpool_lease *lease)
{
    struct test_connection *connection = lease_connection(lease);

    if (atomic_fetch_add(&connection->holders, 1) != 0) {
        stress_broken("a connection in two hands", connection->number);
    }
    for (uint64_t turns = stress_dice(4); turns > 0; turns--) {
        sched_yield();
    }
    (void)atomic_fetch_sub(&connection->holders, 1);
    if ((stress_dice(20) == 0 ? connpool_discard(lease) : connpool_release(lease)) != CONNPOOL_OK) {
        stress_broken("a release failed", 0);
    }
}

static void *work(void *argument)
{
    struct scene *scene = argument;

    while (atomic_fetch_sub(&scene->operations_left, 1) > 0 && !stress_is_broken()) {
        char name[8];
        connpool_lease lease;

        (void)snprintf(name, sizeof(name), "x%u", (unsigned)stress_dice(NAMES));
        if (stress_dice(10) == 0) {
            if (connpool_acquire(scene->fixture.pool, name, 0, &lease, NULL) == CONNPOOL_OK) {
                use(&lease);
            }
        } else if (connpool_acquire(scene->fixture.pool, name, CONNPOOL_WAIT_FOREVER, &lease, NULL) == CONNPOOL_OK) {
            use(&lease);
        } else {
            stress_broken("an acquire without a limit was not served", 0);
        }
        for (uint64_t turns = stress_dice(3) == 0 ? stress_dice(50) : 0; turns > 0; turns--) {
            sched_yield();
        }
    }
    return NULL;
}

/* Keys with which the collector has all its duties. */
static const char all_duties[] = "'prewarm': true, 'retry': true, 'leak_after': 0.01, 'endpoints': {'x0': {'name': "
                                 "'x0'}, 'x1': {'name': 'x1'}, 'x2': {'name': 'x2'}}, ";

static void run(const char *manager, const char *keys, int64_t operations)
{
    static struct scene scene;

    scene = (struct scene){.operations_left = operations};
    pool_fixture_open(&scene.fixture,
                      "%s'manager': '%s', 'background_collector': true, 'min_idle': 1, 'max_size': %d, "
                      "'total_max_size': %d, 'check_after': 0.1, 'idle_timeout': 0.5, 'max_lifetime': 10",
                      keys, manager, MAX_SIZE, TOTAL);
    atomic_store(&scene.fixture.clock.is_manual, true);
    test_manager_record(false);
    test_manager_choose_by(choose);
    assert_int_equal(pthread_create(&scene.world, NULL, run_world, &scene), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&scene.threads[i], NULL, work, &scene), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(scene.threads[i], NULL), 0);
    }
    test_manager_choose_by(NULL);
    atomic_store(&scene.ends, true);
    assert_int_equal(pthread_join(scene.world, NULL), 0);
    assert_true(test_manager_most(NULL) <= TOTAL);
    pool_fixture_close(&scene.fixture);
}

static void test_watched_under_load(void **state)
{
    int64_t operations = stress_operations(OPERATIONS, SLOW_OPERATIONS);

    (void)state;
    (void)stress_seed();
    for (int i = 0; i < ROUNDS && !stress_is_broken(); i++) {
        run(i % 2 == 0 ? "test" : "test-sockets", i < ROUNDS / 2 ? "" : all_duties, operations / ROUNDS);
    }
    stress_assert_unbroken();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watched_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
