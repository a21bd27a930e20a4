/* SPDX-License-Identifier: MIT */
/* pool_process: what happens to the process around a pool: fork, cancelled threads, interrupted calls (design.md,
 * Semantics 12; semantics.md D37; failures.md B9, B12, B14, B18, B24, B27, B28). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool_fixture.h"

/* Run in a forked child: ends with the number of the first call that answered wrongly, 0 for none. */
static int calls_in_child(struct pool_fixture *fixture, connpool_endpoint *endpoint, connpool_lease *lease)
{
    connpool_lease other = CONNPOOL_LEASE_NONE;
    connpool_endpoint *found;

    if (connpool_acquire(fixture->pool, "x", 1000, &other, NULL) != CONNPOOL_FORKED) {
        return 1;
    }
    if (connpool_endpoint_acquire(endpoint, CONNPOOL_WAIT_FOREVER, &other, NULL) != CONNPOOL_FORKED) {
        return 2;
    }
    if (connpool_try_acquire(endpoint, &other, NULL) != CONNPOOL_FORKED) {
        return 3;
    }
    if (connpool_acquire_any(&endpoint, 1, 1000, &other, NULL) != CONNPOOL_FORKED) {
        return 4;
    }
    if (connpool_endpoint_get(fixture->pool, "y", &found, NULL) != CONNPOOL_FORKED) {
        return 5;
    }
    if (connpool_release(lease) != CONNPOOL_FORKED) {
        return 6;
    }
    if (connpool_close(fixture->context, 0, NULL) != CONNPOOL_FORKED) {
        return 7;
    }
    return 0;
}

static int child_result(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void run_fork(const char *keys)
{
    struct pool_fixture fixture = {0};
    connpool_endpoint *endpoint;
    connpool_lease lease;
    pid_t child;

    pool_fixture_open(&fixture, "%s", keys);
    atomic_store(&fixture.clock.is_manual, true);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "x", &endpoint, NULL), CONNPOOL_OK);
    pool_park(&fixture, "x", 2);
    lease = pool_take(&fixture, "x");
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(calls_in_child(&fixture, endpoint, &lease));
    }
    assert_int_equal(child_result(child), 0);
    /* The parent notices nothing. */
    pool_give(&lease);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    assert_int_equal(test_manager_opened(), 2);
    connpool_endpoint_put(endpoint);
    pool_fixture_close(&fixture);
}

static void test_a_forked_child_is_refused_B9_D37(void **state)
{
    (void)state;
    run_fork("'check_after': 1000");
}

static void test_a_forked_child_is_refused_with_a_collector_B9(void **state)
{
    (void)state;
    run_fork("'background_collector': true, 'check_after': 1000");
}

/* Rule 12: the child has the parent's descriptors closed; the parent still talks over them. */
static size_t open_sockets(void)
{
    size_t count = 0;

    for (int fd = 3; fd < 256; fd++) {
        int type;
        socklen_t length = sizeof(type);

        count += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
    }
    return count;
}

static void test_a_forked_child_holds_no_connection_open_B9(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    size_t before;
    pid_t child;

    (void)state;
    before = open_sockets();
    pool_fixture_open(&fixture, "'manager': 'test-sockets', 'check_after': 1000");
    pool_park(&fixture, "x", 3);
    lease = pool_take(&fixture, "x");
    assert_int_equal(open_sockets(), before + 6);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* The peers' ends belong to the test. */
        _exit(open_sockets() == before + 3 ? 0 : 1);
    }
    assert_int_equal(child_result(child), 0);
    assert_int_equal(open_sockets(), before + 6);
    pool_give(&lease);
    pool_park(&fixture, "x", 3);
    assert_int_equal(test_manager_opened(), 3);
    pool_fixture_close(&fixture);
}

/* A context opened in the child is the child's. */
static void test_a_child_may_open_its_own(void **state)
{
    struct pool_fixture fixture = {0};
    pid_t child;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_park(&fixture, "x", 1);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct pool_fixture own = {.keeps_settings = true};
        connpool_lease lease;

        if (pool_fixture_try_open(&own, "{\"pools\": {\"p\": {\"manager\": \"test\"}}}") != CONNPOOL_OK) {
            _exit(1);
        }
        if (connpool_acquire(own.pool, "x", 1000, &lease, NULL) != CONNPOOL_OK) {
            _exit(2);
        }
        if (connpool_release(&lease) != CONNPOOL_OK || connpool_close(own.context, 0, NULL) != CONNPOOL_OK) {
            _exit(3);
        }
        _exit(0);
    }
    assert_int_equal(child_result(child), 0);
    pool_fixture_close(&fixture);
}

/* B12: a thread is cancelled while it acquires: acquire is no cancellation point, so the lease is its own to release.
 */
struct cancelled {
    struct pool_fixture *fixture;
    atomic_bool is_begun;
};

static void *acquire_until_cancelled(void *argument)
{
    struct cancelled *cancelled = argument;

    /* Not on the stack: the address sanitizer does not see it unwound. */
    static _Thread_local connpool_lease lease;

    for (;;) {
        atomic_store(&cancelled->is_begun, true);
        if (connpool_acquire(cancelled->fixture->pool, "x", 1, &lease, NULL) == CONNPOOL_OK) {
            (void)connpool_release(&lease);
        }
        pthread_testcancel();
    }
    return NULL;
}

static bool has_begun(void *argument)
{
    return atomic_load(&((struct cancelled *)argument)->is_begun);
}

static void test_cancelled_in_acquire_B12(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1");
    test_manager_record(false);
    for (int round = 0; round < 250; round++) {
        struct cancelled cancelled = {.fixture = &fixture};
        pthread_t threads[4];

        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, acquire_until_cancelled, &cancelled), 0);
        }
        await(has_begun, &cancelled, "a thread to begin");
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_cancel(threads[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        assert_int_equal(pool_numbers(&fixture).waiters, 0);
        assert_int_equal(pool_numbers(&fixture).leased, 0);
    }
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* B14: signals interrupt every call that waits; limits hold all the same. */
static atomic_int storms;

static void count_storm(int number)
{
    (void)number;
    atomic_fetch_add(&storms, 1);
}

static void test_a_storm_of_signals_B14(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct sigaction storm = {.sa_handler = count_storm}, before;
    const struct itimerval every = {.it_interval = {.tv_usec = 500}, .it_value = {.tv_usec = 500}}, never = {0};
    connpool_lease held, lease;

    (void)state;
    pool_fixture_open(&fixture, "'max_size': 1, 'background_collector': true, 'connect_timeout': 0.05");
    held = pool_take(&fixture, "x");
    assert_int_equal(sigaction(SIGALRM, &storm, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pool_try(&fixture, "x", 20, &lease), CONNPOOL_TIMED_OUT);
    }
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    assert_int_equal(pool_try(&fixture, "y", 1000, &lease), CONNPOOL_FAILED);
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(5)));
    for (int i = 0; i < 10; i++) {
        lease = pool_take(&fixture, "y");
        assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_true(atomic_load(&storms) > 0);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

/* B24: every descriptor of ours is closed by exec. */
static void test_all_descriptors_close_on_exec_B24(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    bool was_open[256];

    (void)state;
    for (int fd = 0; fd < 256; fd++) {
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    }
    pool_fixture_open(&fixture, "'background_collector': true");
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(2)));
    pool_park(&fixture, "x", 2);
    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);

        assert_true(was_open[fd] || flags < 0 || (flags & FD_CLOEXEC) != 0);
    }
    pool_fixture_close(&fixture);
}

/* B27: a caller's small stack is enough. */
static void *acquire_on_a_small_stack(void *argument)
{
    struct pool_fixture *fixture = argument;
    connpool_error error;
    connpool_lease lease;

    for (int i = 0; i < 3; i++) {
        if (connpool_acquire(fixture->pool, "x", 1000, &lease, &error) != CONNPOOL_OK) {
            return argument;
        }
        (void)(i == 1 ? connpool_discard(&lease) : connpool_release(&lease));
    }
    return NULL;
}

static void test_a_stack_of_64_KiB_is_enough_B27(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    pthread_attr_t attributes;
    pthread_t thread;
    void *failed;

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    test_manager_set(TEST_OPEN, test_slow(MILLISECONDS(1)));
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, (size_t)64 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attributes, acquire_on_a_small_stack, &fixture), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);
    pool_fixture_close(&fixture);
}

/* B18: descriptors above 1023 are like others. */
static void *feed_until_told(void *argument)
{
    while (!atomic_load((atomic_bool *)argument)) {
        (void)test_manager_feed(false);
        sched_yield();
    }
    return NULL;
}

static void test_descriptors_above_1023_B18(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};
    struct rlimit before, limit;
    atomic_bool ends = false;
    pthread_t feeder;
    connpool_lease lease;
    static int fillers[1100];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    if (limit.rlim_cur < 1200) {
        skip();
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < 1100; i++) {
        fillers[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fillers[i] >= 0);
    }
    pool_fixture_open(&fixture, "'background_collector': true");
    test_manager_set(TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    test_manager_set(TEST_RESET, test_kind(TEST_SLOW_SOCKET));
    assert_int_equal(pthread_create(&feeder, NULL, feed_until_told, &ends), 0);
    lease = pool_take(&fixture, "x");
    pool_give(&lease);
    lease = pool_take(&fixture, "y");
    pool_give(&lease);
    pool_fixture_close(&fixture); /* the last reset is still to be fed */
    atomic_store(&ends, true);
    assert_int_equal(pthread_join(feeder, NULL), 0);
    for (int i = 0; i < 1100; i++) {
        (void)close(fillers[i]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* B28: a process ends with exit() while its threads acquire, without a close: no crash, no hang. */
static void *acquire_for_ever(void *argument)
{
    struct pool_fixture *fixture = argument;

    for (;;) {
        connpool_lease lease;

        if (connpool_acquire(fixture->pool, "x", 1, &lease, NULL) == CONNPOOL_OK) {
            (void)connpool_release(&lease);
        }
    }
    return NULL;
}

static void exit_under_load(void)
{
    struct pool_fixture fixture = {.real_clock = true};
    pthread_t threads[8];

    if (pool_fixture_try_open(&fixture, "{\"pools\": {\"p\": {\"manager\": \"test\", \"max_size\": 2, "
                                        "\"background_collector\": true}}}") != CONNPOOL_OK) {
        _exit(1);
    }
    for (int i = 0; i < 8; i++) {
        if (pthread_create(&threads[i], NULL, acquire_for_ever, &fixture) != 0) {
            _exit(2);
        }
    }
    while (pool_numbers(&fixture).acquired < 100) {
        sched_yield();
    }
    exit(0);
}

static void test_exit_under_load_B28(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            exit_under_load();
        }
        assert_int_equal(child_result(child), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_forked_child_is_refused_B9_D37),
        cmocka_unit_test(test_a_forked_child_is_refused_with_a_collector_B9),
        cmocka_unit_test(test_a_forked_child_holds_no_connection_open_B9),
        cmocka_unit_test(test_a_child_may_open_its_own),
        cmocka_unit_test(test_cancelled_in_acquire_B12),
        cmocka_unit_test(test_a_storm_of_signals_B14),
        cmocka_unit_test(test_all_descriptors_close_on_exec_B24),
        cmocka_unit_test(test_a_stack_of_64_KiB_is_enough_B27),
        cmocka_unit_test(test_descriptors_above_1023_B18),
        cmocka_unit_test(test_exit_under_load_B28),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
