/* SPDX-License-Identifier: MIT */
/*
 * fork_stress: forks in a loop while threads acquire and release, two reactors have requests under way and cancel some,
 * and the collector resets, closes and expires: each child finds the parent's locks as they stood, for ever
 * (failures.md B9, B10). It is refused every call all the same; some open a context of their own, and fork again, or
 * run another program. The parent notices nothing: nothing waits in vain, and no connection is found dead.
 *
 * Operations wait for their sockets often, so that the epolls of the reactors and the collector, which parent and child
 * share, are in use at each fork. The thread sanitizer lets no child start threads: there none opens a context.
 * CONNPOOL_STRESS_FORKS replaces the number of forks.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plain_manager.h"
#include "pool_fixture.h"
#include "reactor_client.h"
#include "sanitizer.h"

#define THREADS    3
#define REACTORS   2
#define ENDPOINTS  3
#define IN_FLIGHT  6
#define CHILDREN   3 /* at a time */
#define FORKS      1000
#define SLOW_FORKS 120 /* under a sanitizer */
#define OPERATIONS                                                                                                     \
    30 /* that the load may begin for each fork: it is busiest then, and leaves the processor to children */

struct load;

struct flight {
    struct reactor_worker *worker;
    connpool_request request;
    bool is_under_way;
};

struct reactor_worker {
    struct load *load;
    connpool_reactor *reactor;
    struct flight flights[IN_FLIGHT];
    unsigned under_way;
    _Atomic uint64_t told;
    pthread_t thread;
};

struct load {
    struct pool_fixture fixture;
    connpool *plain; /* a second context, of the manager that the children use */
    connpool_endpoint *plain_endpoint;
    connpool_endpoint *endpoints[ENDPOINTS];
    atomic_bool ends, feeds;
    sem_t operations;          /* that may begin */
    _Atomic uint64_t acquired; /* by the threads */
    struct reactor_worker reactors[REACTORS];
    pthread_t threads[THREADS];
    pthread_t feeder;
};

/* ---- The load ---- */

static void check_status(connpool_status status)
{
    if (status != CONNPOOL_OK && status != CONNPOOL_TIMED_OUT) {
        fail_msg("an acquire in the parent: %s", connpool_status_text(status));
    }
}

static void *acquire_and_release(void *argument)
{
    struct load *load = argument;

    for (unsigned i = 0; sem_wait(&load->operations) == 0 && !atomic_load(&load->ends); i++) {
        connpool_endpoint *endpoint = i % 4 == 0 ? load->plain_endpoint : load->endpoints[i % ENDPOINTS];
        connpool_lease lease;
        connpool_status status = connpool_endpoint_acquire(endpoint, 2, &lease, NULL);

        check_status(status);
        if (status == CONNPOOL_OK) {
            atomic_fetch_add(&load->acquired, 1);
            assert_int_equal(i % 16 == 0 ? connpool_discard(&lease) : connpool_release(&lease), CONNPOOL_OK);
        }
    }
    return NULL;
}

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct flight *flight = argument;
    connpool_lease copy = *lease;

    (void)error;
    assert_true(flight->is_under_way);
    flight->is_under_way = false;
    flight->worker->under_way--;
    check_status(status);
    if (status == CONNPOOL_OK) {
        atomic_fetch_add(&flight->worker->told, 1);
        assert_int_equal(connpool_release(&copy), CONNPOOL_OK);
    }
}

static void submit(struct reactor_worker *worker, struct flight *flight, unsigned number)
{
    flight->worker = worker;
    flight->is_under_way = true;
    worker->under_way++;
    assert_int_equal(connpool_acquire_async(worker->reactor, worker->load->endpoints[number % ENDPOINTS],
                                            number % 4 == 0 ? 2 : CONNPOOL_WAIT_FOREVER, tell, flight, &flight->request,
                                            NULL),
                     CONNPOOL_OK);
}

static void cancel(struct reactor_worker *worker, struct flight *flight)
{
    assert_int_equal(connpool_request_cancel(&flight->request), CONNPOOL_OK);
    flight->is_under_way = false;
    worker->under_way--;
}

static bool wait_and_dispatch(const struct reactor_worker *worker, int limit_ms)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(worker->reactor), .events = POLLIN};
    bool is_readable = poll(&polled, 1, limit_ms) == 1;

    assert_int_equal(connpool_reactor_dispatch(worker->reactor), CONNPOOL_OK);
    return is_readable;
}

static void *run_reactor(void *argument)
{
    struct reactor_worker *worker = argument;

    worker->reactor = connpool_reactor_new(worker->load->fixture.context, NULL);
    assert_non_null(worker->reactor);
    for (unsigned i = 0; !atomic_load(&worker->load->ends); i++) {
        struct flight *flight = &worker->flights[i % IN_FLIGHT];

        if (!flight->is_under_way && sem_trywait(&worker->load->operations) == 0) {
            submit(worker, flight, i);
        } else if (flight->is_under_way && i % 32 == 0) {
            cancel(worker, flight);
        } else {
            (void)wait_and_dispatch(worker, 1);
        }
    }
    /* A reactor whose descriptor stays silent though something is under way was harmed by a child. */
    while (worker->under_way > 0) {
        assert_true(wait_and_dispatch(worker, 10000));
    }
    assert_int_equal(connpool_reactor_close(worker->reactor), CONNPOOL_OK);
    return NULL;
}

/* The peers of those that wait for their sockets. */
static void *feed(void *argument)
{
    struct load *load = argument;

    while (atomic_load(&load->feeds)) {
        (void)test_manager_feed(false);
        (void)poll(NULL, 0, 1);
    }
    return NULL;
}

static struct test_behaviour choose(enum test_operation operation, const struct test_connection *connection)
{
    static _Thread_local unsigned calls;

    (void)connection;
    calls++;
    switch (operation) {
    case TEST_OPEN:
        return calls % 2 == 0 ? test_kind(TEST_SLOW_SOCKET) : test_ok();
    case TEST_RESET:
        return calls % 8 == 0 ? test_kind(TEST_SLOW_SOCKET) : test_ok();
    case TEST_CLOSE:
        return calls % 4 == 0 ? test_slow(MILLISECONDS(1)) : test_ok();
    default:
        return test_ok();
    }
}

/* The registry of managers keeps the second one for ever. */
static void warm(void)
{
    struct pool_fixture fixture = {.real_clock = true};
    connpool *plain;

    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_close(&fixture);
    plain = plain_manager_open("", NULL);
    assert_int_equal(connpool_close(plain, 0, NULL), CONNPOOL_OK);
}

static void let_begin(struct load *load, int operations)
{
    for (int i = 0; i < operations; i++) {
        assert_int_equal(sem_post(&load->operations), 0);
    }
}

static void start(struct load *load)
{
    static const char *const names[ENDPOINTS] = {"x", "y", "z"};

    warm();
    load->fixture.real_clock = true;
    assert_int_equal(sem_init(&load->operations, 0, 0), 0);
    pool_fixture_open(&load->fixture, "'manager': 'test', 'max_size': 3, 'total_max_size': 7, 'min_idle': 0, "
                                      "'background_collector': true, 'idle_timeout': 0.002, 'leak_after': 0.001");
    test_manager_record(false);
    test_manager_choose_by(choose);
    load->plain = plain_manager_open(", \"max_size\": 2, \"background_collector\": true", NULL);
    assert_non_null(load->plain);
    assert_int_equal(connpool_endpoint_get(connpool_pool_at(load->plain, 0), NULL, &load->plain_endpoint, NULL),
                     CONNPOOL_OK);
    atomic_store(&load->feeds, true);
    for (int i = 0; i < ENDPOINTS; i++) {
        assert_int_equal(connpool_endpoint_get(load->fixture.pool, names[i], &load->endpoints[i], NULL), CONNPOOL_OK);
    }
    assert_int_equal(pthread_create(&load->feeder, NULL, feed, load), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&load->threads[i], NULL, acquire_and_release, load), 0);
    }
    for (int i = 0; i < REACTORS; i++) {
        load->reactors[i].load = load;
        assert_int_equal(pthread_create(&load->reactors[i].thread, NULL, run_reactor, &load->reactors[i]), 0);
    }
}

static bool is_nothing_under_way(void *argument)
{
    struct connpool_statistics numbers = pool_numbers(argument);

    return numbers.opening + numbers.leased + numbers.resetting + numbers.closing == 0;
}

static void stop(struct load *load)
{
    atomic_store(&load->ends, true);
    let_begin(load, THREADS);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(load->threads[i], NULL), 0);
    }
    for (int i = 0; i < REACTORS; i++) {
        assert_int_equal(pthread_join(load->reactors[i].thread, NULL), 0);
    }
    await(is_nothing_under_way, &load->fixture, "opens, resets and closes to end");
    atomic_store(&load->feeds, false);
    assert_int_equal(pthread_join(load->feeder, NULL), 0);
    assert_int_equal(pool_numbers(&load->fixture).ended[CONNPOOL_REASON_DEAD], 0);
    assert_int_equal(pool_numbers(&load->fixture).ended[CONNPOOL_REASON_RESET], 0);
    assert_int_equal(pool_numbers(&load->fixture).failed, 0);
    connpool_endpoint_put(load->plain_endpoint);
    assert_int_equal(connpool_close(load->plain, 10000, NULL), CONNPOOL_OK);
    assert_int_equal(sem_destroy(&load->operations), 0);
    for (int i = 0; i < ENDPOINTS; i++) {
        connpool_endpoint_put(load->endpoints[i]);
    }
    pool_fixture_close(&load->fixture);
}

/* ---- The children ---- */

/* What went wrong, as a child's status. */
enum {
    FINE,
    IS_SERVED,
    MAY_RELEASE,
    MAY_DISPATCH,
    MAY_CANCEL,
    MAY_CLOSE,
    HAS_NO_CONTEXT,
    HAS_NO_CONNECTION,
    HAS_NO_REACTOR,
    CANNOT_CLOSE,
    GRANDCHILD_FAILED,
    CANNOT_EXECUTE
};

static int try_everything(struct load *load, connpool_lease *lease)
{
    connpool_lease other = CONNPOOL_LEASE_NONE;
    struct connpool_statistics numbers = {.size = sizeof(numbers)};
    connpool_reactor *reactor = load->reactors[0].reactor;

    if (connpool_acquire(load->fixture.pool, "x", CONNPOOL_WAIT_FOREVER, &other, NULL) != CONNPOOL_FORKED ||
        connpool_try_acquire(load->endpoints[0], &other, NULL) != CONNPOOL_FORKED) {
        return IS_SERVED;
    }
    if (connpool_release(lease) != CONNPOOL_FORKED) {
        return MAY_RELEASE;
    }
    if (reactor != NULL && connpool_reactor_dispatch(reactor) != CONNPOOL_FORKED) {
        return MAY_DISPATCH;
    }
    if (load->reactors[0].flights[0].request.record != NULL &&
        connpool_request_cancel(&load->reactors[0].flights[0].request) != CONNPOOL_FORKED) {
        return MAY_CANCEL;
    }
    connpool_pool_statistics(load->fixture.pool, &numbers);
    connpool_pool_drain(load->fixture.pool);
    (void)connpool_maintain(load->fixture.context);
    connpool_endpoint_put(load->endpoints[0]);
    if ((reactor != NULL && connpool_reactor_close(reactor) != CONNPOOL_FORKED) ||
        connpool_close(load->fixture.context, CONNPOOL_WAIT_FOREVER, NULL) != CONNPOOL_FORKED) {
        return MAY_CLOSE;
    }
    return FINE;
}

static int result_of(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void take(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    (void)error;
    if (status == CONNPOOL_OK) {
        *(connpool_lease *)argument = *lease;
    }
}

static int use_reactor(connpool *own, connpool_endpoint *endpoint)
{
    connpool_reactor *reactor = connpool_reactor_new(own, NULL);
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    struct pollfd polled = {.events = POLLIN};

    if (reactor == NULL || connpool_acquire_async(reactor, endpoint, 5000, take, &lease, NULL, NULL) != CONNPOOL_OK) {
        return HAS_NO_REACTOR;
    }
    polled.fd = connpool_reactor_fd(reactor);
    while (lease.connection == NULL && poll(&polled, 1, 5000) == 1) {
        (void)connpool_reactor_dispatch(reactor);
    }
    return connpool_release(&lease) == CONNPOOL_OK && connpool_reactor_close(reactor) == CONNPOOL_OK ? FINE
                                                                                                     : HAS_NO_REACTOR;
}

/* With a collector and a reactor; a grandchild finds both contexts closed to it. */
static int use_own_context(struct load *load, connpool_lease *lease)
{
    connpool *own = plain_manager_open(", \"background_collector\": true, \"min_idle\": 0", NULL);
    connpool_endpoint *endpoint;
    connpool_lease own_lease;
    int result;
    pid_t child;

    if (own == NULL) {
        return HAS_NO_CONTEXT;
    }
    if (connpool_endpoint_get(connpool_pool_at(own, 0), NULL, &endpoint, NULL) != CONNPOOL_OK ||
        connpool_endpoint_acquire(endpoint, 5000, &own_lease, NULL) != CONNPOOL_OK) {
        return HAS_NO_CONNECTION;
    }
    result = use_reactor(own, endpoint);
    child = fork();
    if (child == 0) {
        connpool_lease other;

        _exit(connpool_endpoint_acquire(endpoint, 1000, &other, NULL) == CONNPOOL_FORKED &&
                      connpool_release(&own_lease) == CONNPOOL_FORKED
                  ? try_everything(load, lease)
                  : IS_SERVED);
    }
    if (result_of(child) != FINE) {
        return GRANDCHILD_FAILED;
    }
    connpool_endpoint_put(endpoint);
    return connpool_release(&own_lease) == CONNPOOL_OK && connpool_close(own, 5000, NULL) == CONNPOOL_OK ? result
                                                                                                         : CANNOT_CLOSE;
}

/* A child that hangs ends by a signal. */
static void live_as_child(struct load *load, connpool_lease *lease, int number)
{
    const struct itimerval limit = {.it_value = {.tv_sec = 20}};
    int result = FINE;

    (void)setitimer(ITIMER_REAL, &limit, NULL);
    if (number % 8 == 0 && !IS_THREAD_SANITIZED) {
        result = use_own_context(load, lease);
    }
    if (result == FINE) {
        result = try_everything(load, lease);
    }
    if (result == FINE && number % 8 == 1) {
        (void)execl("/bin/true", "true", (char *)NULL);
        result = CANNOT_EXECUTE;
    }
    _exit(result);
}

/* ---- The forks ---- */

static void reap(pid_t child)
{
    int result = child == 0 ? FINE : result_of(child);

    if (result != FINE) {
        fail_msg("a child ended with %d", result);
    }
}

/* The parent's threads and reactors go on: each ends something within ten seconds. */
struct progress {
    struct load *load;
    uint64_t acquired, told[REACTORS];
};

static bool has_progressed(void *argument)
{
    const struct progress *progress = argument;
    int left = 0;
    bool has = atomic_load(&progress->load->acquired) > progress->acquired;

    if (sem_getvalue(&progress->load->operations, &left) == 0 && left == 0) {
        let_begin(progress->load, OPERATIONS);
    }
    for (int i = 0; i < REACTORS; i++) {
        has = has && atomic_load(&progress->load->reactors[i].told) > progress->told[i];
    }
    return has;
}

static void await_progress(struct load *load)
{
    struct progress progress = {.load = load, .acquired = atomic_load(&load->acquired)};

    for (int i = 0; i < REACTORS; i++) {
        progress.told[i] = atomic_load(&load->reactors[i].told);
    }
    await(has_progressed, &progress, "the parent's threads and reactors to go on");
}

static int forks_wanted(void)
{
    const char *text = getenv("CONNPOOL_STRESS_FORKS");

    if (text != NULL) {
        return (int)strtol(text, NULL, 10);
    }
    return IS_THREAD_SANITIZED || IS_ADDRESS_SANITIZED ? SLOW_FORKS : FORKS;
}

static void test_forks_in_a_loop_under_load_B9_B10(void **state)
{
    static struct load load;
    pid_t children[CHILDREN] = {0};
    int count = forks_wanted();

    (void)state;
    start(&load);
    await_progress(&load);
    for (int i = 0; i < count; i++) {
        connpool_lease lease = CONNPOOL_LEASE_NONE;
        pid_t child;

        reap(children[i % CHILDREN]);
        assert_int_equal(connpool_endpoint_acquire(load.endpoints[i % ENDPOINTS], 10000, &lease, NULL), CONNPOOL_OK);
        let_begin(&load, OPERATIONS);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            live_as_child(&load, &lease, i);
        }
        children[i % CHILDREN] = child;
        pool_give(&lease);
        if (i % 50 == 0) {
            await_progress(&load);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        reap(children[i]);
    }
    await_progress(&load);
    stop(&load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forks_in_a_loop_under_load_B9_B10),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
