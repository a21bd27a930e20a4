/* SPDX-License-Identifier: MIT */
/*
 * evict_stress: what takes idle connections away (their age, a drain, maintenance) against those who want them. Nobody
 * gives up: each acquire waits for ever and must be served, however often the pool is emptied under it; a connection
 * that is handed out is nobody else's and not ended (failures.md C8, C9).
 */
#include <pthread.h>
#include <sched.h>

#include "pool_fixture.h"

#define THREADS 6
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROUNDS 1000
#else
#define ROUNDS 8000
#endif

struct scene {
    struct pool_fixture fixture;
    atomic_bool ends;
    atomic_int two_hands, refused;
    pthread_t keeper, threads[THREADS];
};

/* Empties the pool without pause: by time, and wholly at every eighth turn. */
static void *empty(void *argument)
{
    struct scene *scene = argument;

    for (unsigned turn = 0; !atomic_load(&scene->ends); turn++) {
        if (turn % 8 == 0) {
            connpool_pool_drain(scene->fixture.pool);
        } else {
            (void)connpool_maintain(scene->fixture.context);
        }
        sched_yield();
    }
    return NULL;
}

static void *use(void *argument)
{
    struct scene *scene = argument;

    for (int i = 0; i < ROUNDS; i++) {
        struct test_connection *connection;
        connpool_lease lease;

        if (connpool_acquire(scene->fixture.pool, i % 3 == 0 ? "y" : "x", CONNPOOL_WAIT_FOREVER, &lease, NULL) !=
            CONNPOOL_OK) {
            atomic_fetch_add(&scene->refused, 1);
            continue;
        }
        connection = lease_connection(&lease);
        if (atomic_fetch_add(&connection->holders, 1) != 0) {
            atomic_fetch_add(&scene->two_hands, 1);
        }
        sched_yield();
        atomic_fetch_sub(&connection->holders, 1);
        (void)connpool_release(&lease);
    }
    return NULL;
}

static void run(const char *keys)
{
    static struct scene scene;

    scene = (struct scene){.fixture = {.real_clock = true}};
    pool_fixture_open(&scene.fixture, "'max_size': 2, 'total_max_size': 3, 'idle_timeout': 0.001, %s", keys);
    test_manager_record(false);
    assert_int_equal(pthread_create(&scene.keeper, NULL, empty, &scene), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&scene.threads[i], NULL, use, &scene), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(scene.threads[i], NULL), 0);
    }
    atomic_store(&scene.ends, true);
    assert_int_equal(pthread_join(scene.keeper, NULL), 0);
    assert_int_equal(atomic_load(&scene.refused), 0);
    assert_int_equal(atomic_load(&scene.two_hands), 0);
    assert_true(test_manager_most("x") <= 2 && test_manager_most(NULL) <= 3);
    assert_true(test_manager_opened() > 10); /* it was emptied indeed */
    pool_fixture_close(&scene.fixture);
}

static void test_emptied_on_release_C8_C9(void **state)
{
    (void)state;
    run("'min_idle': 0");
}

static void test_emptied_by_the_collector_C8_C9(void **state)
{
    (void)state;
    run("'min_idle': 1, 'background_collector': true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_emptied_on_release_C8_C9),
        cmocka_unit_test(test_emptied_by_the_collector_C8_C9),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
