/* SPDX-License-Identifier: MIT */
/*
 * fork_stress: forks while other threads are inside acquire and release, and hold its locks where they like. The child
 * has those locks as they stood, for ever: it is refused every call all the same, and runs another program (failures.md
 * B9, B10).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool_fixture.h"

#define THREADS 4
#define FORKS   50

struct load {
    struct pool_fixture fixture;
    connpool_endpoint *endpoint;
    atomic_bool ends;
    pthread_t threads[THREADS];
};

static void *acquire_and_release(void *argument)
{
    struct load *load = argument;

    while (!atomic_load(&load->ends)) {
        connpool_lease lease;

        if (connpool_acquire(load->fixture.pool, "x", 1, &lease, NULL) == CONNPOOL_OK) {
            (void)connpool_release(&lease);
        }
        if (connpool_acquire_any(&load->endpoint, 1, 0, &lease, NULL) == CONNPOOL_OK) {
            (void)connpool_discard(&lease);
        }
    }
    return NULL;
}

static void start(struct load *load, const char *keys)
{
    load->fixture.real_clock = true;
    pool_fixture_open(&load->fixture, "%s", keys);
    test_manager_record(false);
    assert_int_equal(connpool_endpoint_get(load->fixture.pool, "y", &load->endpoint, NULL), CONNPOOL_OK);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&load->threads[i], NULL, acquire_and_release, load), 0);
    }
}

static void stop(struct load *load)
{
    atomic_store(&load->ends, true);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(load->threads[i], NULL), 0);
    }
    connpool_endpoint_put(load->endpoint);
    pool_fixture_close(&load->fixture);
}

/* Ends with the number of the first call that answered wrongly; else as the other program does. */
static void live_as_child(struct load *load, connpool_lease *lease)
{
    connpool_lease other = CONNPOOL_LEASE_NONE;
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    if (connpool_acquire(load->fixture.pool, "x", CONNPOOL_WAIT_FOREVER, &other, NULL) != CONNPOOL_FORKED) {
        _exit(1);
    }
    if (connpool_try_acquire(load->endpoint, &other, NULL) != CONNPOOL_FORKED) {
        _exit(2);
    }
    if (connpool_release(lease) != CONNPOOL_FORKED) {
        _exit(3);
    }
    connpool_pool_statistics(load->fixture.pool, &numbers);
    connpool_pool_drain(load->fixture.pool);
    (void)connpool_maintain(load->fixture.context);
    connpool_endpoint_put(load->endpoint);
    if (connpool_close(load->fixture.context, CONNPOOL_WAIT_FOREVER, NULL) != CONNPOOL_FORKED) {
        _exit(4);
    }
    (void)execl("/bin/true", "true", (char *)NULL);
    _exit(5);
}

/* A child that hangs is the test's time limit. */
static int result_of(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void fork_under_load(const char *keys)
{
    static struct load load;

    load = (struct load){.endpoint = NULL};
    start(&load, keys);
    for (int i = 0; i < FORKS; i++) {
        connpool_lease lease = pool_take(&load.fixture, "z");
        uint64_t done = pool_numbers(&load.fixture).acquired;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            live_as_child(&load, &lease);
        }
        assert_int_equal(result_of(child), 0);
        pool_give(&lease);
        /* The parent's threads go on. */
        while (pool_numbers(&load.fixture).acquired < done + 10) {
            sched_yield();
        }
    }
    stop(&load);
}

static void test_fork_under_load_B10(void **state)
{
    (void)state;
    fork_under_load("'max_size': 2, 'total_max_size': 4");
}

static void test_fork_under_load_with_a_collector_B10(void **state)
{
    (void)state;
    fork_under_load("'max_size': 2, 'total_max_size': 4, 'background_collector': true, 'idle_timeout': 0.001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork_under_load_B10),
        cmocka_unit_test(test_fork_under_load_with_a_collector_B10),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
