/* SPDX-License-Identifier: MIT */
/*
 * fork_runtime: forks while reactors, the collector and threads are in the middle of something: the child shares the
 * parent's epolls, timers and eventfds, and whatever it does, the parent notices nothing; the child may have contexts,
 * collectors and reactors of its own, also inside a callback, and fork again (design.md, Semantics 12; failures.md B9,
 * B10, B24).
 */
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock_holder.h"
#include "plain_manager.h"
#include "pool_client.h"
#include "pool_fixture.h"
#include "reactor_client.h"
#include "sanitizer.h"

/* A child that hangs ends by a signal. */
static void limit_child(void)
{
    const struct itimerval limit = {.it_value = {.tv_sec = 10}};

    (void)setitimer(ITIMER_REAL, &limit, NULL);
}

static int result_of(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* ---- A context of the child's own ---- */

static void take(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    (void)error;
    if (status == CONNPOOL_OK) {
        *(connpool_lease *)argument = *lease;
    }
}

/* An acquire by a reactor, whose connection is reset by it or by the collector. */
static bool use_reactor(connpool *context, connpool_endpoint *endpoint)
{
    connpool_reactor *reactor = connpool_reactor_new(context, NULL);
    struct pollfd polled = {.fd = reactor == NULL ? -1 : connpool_reactor_fd(reactor), .events = POLLIN};
    connpool_lease lease = CONNPOOL_LEASE_NONE;

    if (reactor == NULL || connpool_acquire_async(reactor, endpoint, 5000, take, &lease, NULL, NULL) != CONNPOOL_OK) {
        return false;
    }
    while (lease.connection == NULL && poll(&polled, 1, 5000) == 1) {
        if (connpool_reactor_dispatch(reactor) != CONNPOOL_OK) {
            return false;
        }
    }
    return connpool_release(&lease) == CONNPOOL_OK && connpool_reactor_dispatch(reactor) == CONNPOOL_OK &&
           connpool_reactor_close(reactor) == CONNPOOL_OK;
}

/* generations: how many more processes are to do the same. */
static bool use_own_context(int generations)
{
    connpool *own = plain_manager_open(IS_THREAD_SANITIZED ? "" : ", \"background_collector\": true", NULL);
    connpool_endpoint *endpoint = NULL;
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    bool is_good = own != NULL &&
                   connpool_endpoint_get(connpool_pool_at(own, 0), NULL, &endpoint, NULL) == CONNPOOL_OK &&
                   connpool_endpoint_acquire(endpoint, 5000, &lease, NULL) == CONNPOOL_OK && use_reactor(own, endpoint);

    if (is_good && generations > 0) {
        pid_t child = fork();
        int status = -1;

        if (child == 0) {
            connpool_lease other;

            limit_child();
            _exit(connpool_endpoint_acquire(endpoint, 1000, &other, NULL) == CONNPOOL_FORKED &&
                          connpool_close(own, 1000, NULL) == CONNPOOL_FORKED && use_own_context(generations - 1)
                      ? 0
                      : 1);
        }
        is_good = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    connpool_endpoint_put(endpoint);
    return connpool_release(&lease) == CONNPOOL_OK && connpool_close(own, 5000, NULL) == CONNPOOL_OK && is_good;
}

/* ---- In the middle of something ---- */

struct scene {
    struct pool_fixture fixture;
    connpool_endpoint *endpoint;
    connpool_reactor *reactor;
    struct reactor_client opens; /* in the reactor, by its epoll */
    struct pool_client waits;    /* in a thread, in line behind the lease */
    connpool_lease lease;
};

/* A connection that the collector resets, by its epoll; one that the reactor opens; a lease that a thread waits for. */
static void begin(struct scene *scene)
{
    connpool_lease lease;

    scene->fixture.real_clock = true;
    pool_fixture_open(&scene->fixture, "'background_collector': true, 'max_size': 1, 'check_after': 1000");
    test_manager_set_endpoint("slow open", TEST_OPEN, test_kind(TEST_SLOW_SOCKET));
    test_manager_set_endpoint("slow reset", TEST_RESET, test_kind(TEST_SLOW_SOCKET));
    assert_int_equal(connpool_endpoint_get(scene->fixture.pool, "x", &scene->endpoint, NULL), CONNPOOL_OK);
    lease = pool_take(&scene->fixture, "slow reset");
    pool_give(&lease);
    scene->lease = pool_take(&scene->fixture, "x");
    scene->reactor = reactor_begin(&scene->fixture);
    reactor_submit(scene->reactor, &scene->opens, &scene->fixture, "slow open", 60000);
    reactor_turn(scene->reactor);
    pool_client_start(&scene->waits, &scene->fixture, "x", 60000);
    await_waiters(&scene->fixture, 1);
    assert_int_equal(pool_numbers(&scene->fixture).resetting, 1);
    assert_int_equal(pool_numbers(&scene->fixture).opening, 1);
}

static bool is_reset(void *argument)
{
    return pool_numbers(argument).resetting == 0;
}

/* Each ends as it would have without a fork. */
static void end(struct scene *scene)
{
    assert_false(atomic_load(&scene->waits.is_done));
    assert_int_equal(scene->opens.told, 0);
    assert_int_equal(pool_numbers(&scene->fixture).resetting, 1);
    (void)test_manager_feed(false);
    await(is_reset, &scene->fixture, "the collector to end the reset");
    reactor_run_until_told(scene->reactor, &scene->opens);
    reactor_assert_told(&scene->opens, CONNPOOL_OK);
    pool_give(&scene->opens.lease);
    pool_give(&scene->lease);
    pool_client_join_ok(&scene->waits);
    pool_give(&scene->waits.lease);
    assert_int_equal(pool_numbers(&scene->fixture).ended[CONNPOOL_REASON_DEAD], 0);
    assert_int_equal(pool_numbers(&scene->fixture).ended[CONNPOOL_REASON_RESET], 0);
    connpool_endpoint_put(scene->endpoint);
    reactor_end(scene->reactor);
    pool_fixture_close(&scene->fixture);
}

/* Every call that could end, close or disarm something. */
static bool end_all_in_child(struct scene *scene)
{
    limit_child();
    (void)connpool_request_cancel(&scene->opens.request);
    (void)connpool_reactor_dispatch(scene->reactor);
    (void)connpool_reactor_close(scene->reactor);
    (void)connpool_release(&scene->lease);
    (void)connpool_discard(&scene->lease);
    connpool_pool_drain(scene->fixture.pool);
    (void)connpool_maintain(scene->fixture.context);
    connpool_clock_moved(scene->fixture.context);
    connpool_endpoint_put(scene->endpoint);
    return connpool_close(scene->fixture.context, 1000, NULL) == CONNPOOL_FORKED;
}

static void test_the_parent_goes_on_where_it_was_B9(void **state)
{
    struct scene scene = {.lease = CONNPOOL_LEASE_NONE};
    pid_t child;

    (void)state;
    begin(&scene);
    child = fork();
    if (child == 0) {
        _exit(end_all_in_child(&scene) ? 0 : 1);
    }
    assert_int_equal(result_of(child), 0);
    end(&scene);
}

/* With a collector, a reactor, and a grandchild. */
static void test_a_child_has_a_context_of_its_own_B9(void **state)
{
    struct scene scene = {.lease = CONNPOOL_LEASE_NONE};
    pid_t child;

    (void)state;
    begin(&scene);
    child = fork();
    if (child == 0) {
        limit_child();
        _exit(use_own_context(2) && end_all_in_child(&scene) ? 0 : 1);
    }
    assert_int_equal(result_of(child), 0);
    end(&scene);
}

/* ---- Inside a callback ---- */

struct inside {
    struct pool_fixture fixture;
    connpool_endpoint *endpoint;
    connpool_reactor *reactor;
    pid_t parent, child;
    unsigned told;
    connpool_status status[2];
    connpool_lease lease[2];
};

/* In the child another thread of the parent's has the locks for ever. */
static void fork_here(struct inside *inside)
{
    struct lock_holder holder;

    lock_holder_start(&holder, inside->endpoint);
    inside->child = fork();
    if (inside->child == 0) {
        limit_child();
        if (!use_own_context(0)) {
            _exit(2);
        }
    } else {
        lock_holder_stop(&holder);
    }
}

/* The first that is told forks. */
static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct inside *inside = argument;

    (void)error;
    if (getpid() != inside->parent) {
        _exit(3);
    }
    inside->status[inside->told] = status;
    inside->lease[inside->told] = *lease;
    if (inside->told++ == 0) {
        fork_here(inside);
    }
}

static void begin_inside(struct inside *inside)
{
    inside->parent = getpid();
    inside->fixture.real_clock = true;
    pool_fixture_open(&inside->fixture, "'max_size': 2");
    assert_int_equal(connpool_endpoint_get(inside->fixture.pool, "x", &inside->endpoint, NULL), CONNPOOL_OK);
    inside->reactor = reactor_begin(&inside->fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connpool_acquire_async(inside->reactor, inside->endpoint, 60000, tell, inside, NULL, NULL),
                         CONNPOOL_OK);
    }
}

static void assert_both_told(const struct inside *inside, connpool_status status)
{
    assert_int_equal(inside->told, 2);
    assert_int_equal(inside->status[0], status);
    assert_int_equal(inside->status[1], status);
}

/* In the child the call comes back at once, and says why; the parent goes on to the second request. */
static void test_a_callback_forks_and_returns_B9_B29(void **state)
{
    struct inside inside = {.child = 0};
    connpool_status status;

    (void)state;
    begin_inside(&inside);
    status = connpool_reactor_dispatch(inside.reactor);
    if (getpid() != inside.parent) {
        _exit(status == CONNPOOL_FORKED && connpool_reactor_dispatch(inside.reactor) == CONNPOOL_FORKED &&
                      use_own_context(0)
                  ? 0
                  : 1);
    }
    assert_int_equal(status, CONNPOOL_OK);
    assert_int_equal(result_of(inside.child), 0);
    assert_both_told(&inside, CONNPOOL_OK);
    pool_give(&inside.lease[0]);
    pool_give(&inside.lease[1]);
    connpool_endpoint_put(inside.endpoint);
    reactor_end(inside.reactor);
    pool_fixture_close(&inside.fixture);
}

static void test_a_callback_forks_while_its_reactor_closes_B9_B29(void **state)
{
    struct inside inside = {.child = 0};
    connpool_status status;

    (void)state;
    begin_inside(&inside);
    status = connpool_reactor_close(inside.reactor);
    if (getpid() != inside.parent) {
        _exit(status == CONNPOOL_FORKED ? 0 : 1);
    }
    assert_int_equal(status, CONNPOOL_OK);
    assert_int_equal(result_of(inside.child), 0);
    assert_both_told(&inside, CONNPOOL_CLOSED);
    connpool_endpoint_put(inside.endpoint);
    pool_fixture_close(&inside.fixture);
}

/* The requests ended when their context closed, and the next dispatch tells of them. */
static void test_a_callback_forks_after_the_context_closed_B9_B29(void **state)
{
    struct inside inside = {.child = 0};
    connpool_status status;

    (void)state;
    begin_inside(&inside);
    assert_int_equal(connpool_close(inside.fixture.context, 0, NULL), CONNPOOL_OK);
    inside.fixture.clock.context = NULL;
    status = connpool_reactor_dispatch(inside.reactor);
    if (getpid() != inside.parent) {
        _exit(status == CONNPOOL_FORKED ? 0 : 1);
    }
    assert_int_equal(status, CONNPOOL_OK);
    assert_int_equal(result_of(inside.child), 0);
    assert_both_told(&inside, CONNPOOL_CLOSED);
    connpool_endpoint_put(inside.endpoint);
    reactor_end(inside.reactor);
    pool_fixture_assert_nothing_left(&inside.fixture);
}

/* ---- While a plugin is loaded ---- */

static sem_t is_loading, may_load;

static int32_t load_slowly(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)host;
    (void)fault;
    assert_int_equal(sem_post(&is_loading), 0);
    while (sem_wait(&may_load) != 0) {
    }
    return 0;
}

static void *open_slowly(void *argument)
{
    static struct connpool_manager manager;
    static const struct connpool_manager *const managers[] = {&manager};
    const struct connpool_options options = {.size = sizeof(options),
                                             .json = "{\"pools\": {\"p\": {\"manager\": \"loaded-slowly\"}}}",
                                             .managers = managers,
                                             .manager_count = 1};
    connpool *context;

    (void)argument;
    manager = plain_manager;
    manager.name = "loaded-slowly";
    manager.load = load_slowly;
    context = connpool_open_with(&options, NULL);
    assert_non_null(context);
    assert_int_equal(connpool_close(context, 0, NULL), CONNPOOL_OK);
    return NULL;
}

static void test_a_fork_while_a_plugin_is_loaded_B10(void **state)
{
    pthread_t thread;
    pid_t child;

    (void)state;
    assert_int_equal(sem_init(&is_loading, 0, 0), 0);
    assert_int_equal(sem_init(&may_load, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, open_slowly, NULL), 0);
    while (sem_wait(&is_loading) != 0) {
    }
    child = fork();
    if (child == 0) {
        limit_child();
        _exit(use_own_context(1) ? 0 : 1);
    }
    assert_int_equal(result_of(child), 0);
    assert_int_equal(sem_post(&may_load), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- Programs that are run ---- */

static char *const list_arguments[] = {"ls", "/proc/self/fd", NULL};

static pid_t run_by_fork(int output)
{
    pid_t child = fork();

    if (child == 0) {
        (void)dup2(output, STDOUT_FILENO);
        (void)execv("/bin/ls", list_arguments);
        _exit(1);
    }
    return child;
}

static pid_t run_by_spawn(int output)
{
    posix_spawn_file_actions_t actions;
    pid_t child = -1;

    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn(&child, "/bin/ls", &actions, NULL, list_arguments, NULL), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    return child;
}

/* How many descriptors a program has. */
static size_t descriptors_of(pid_t (*run)(int output))
{
    char text[4096];
    size_t length = 0, count = 0;
    ssize_t more;
    int ends[2];
    pid_t child;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child = run(ends[1]);
    (void)close(ends[1]);
    while ((more = read(ends[0], text + length, sizeof(text) - length)) > 0) {
        length += (size_t)more;
    }
    (void)close(ends[0]);
    assert_int_equal(result_of(child), 0);
    for (size_t i = 0; i < length; i++) {
        count += text[i] == '\n';
    }
    return count;
}

/* Neither sockets nor what loops are made of; and to be run does nothing to the parent (semantics: vfork and
 * posix_spawn call no handler). */
static void test_programs_get_no_descriptor_B24(void **state)
{
    size_t by_fork = descriptors_of(run_by_fork), by_spawn = descriptors_of(run_by_spawn);
    struct scene scene = {.lease = CONNPOOL_LEASE_NONE};
    connpool *plain = plain_manager_open(", \"background_collector\": true", NULL);
    connpool_lease lease;

    (void)state;
    assert_true(by_fork >= 4 && by_spawn >= 4);
    begin(&scene);
    assert_int_equal(connpool_acquire(connpool_pool_at(plain, 0), NULL, 1000, &lease, NULL), CONNPOOL_OK);
    assert_int_equal(descriptors_of(run_by_fork), by_fork);
    assert_int_equal(descriptors_of(run_by_spawn), by_spawn);
    pool_give(&lease);
    assert_int_equal(connpool_close(plain, 5000, NULL), CONNPOOL_OK);
    end(&scene);
}

/* What a process keeps for ever of the managers is taken before the tests count memory. */
static int warm(void **state)
{
    struct pool_fixture fixture = {.real_clock = true};

    (void)state;
    pool_fixture_open(&fixture, POOL_DEFAULTS);
    pool_fixture_close(&fixture);
    return use_own_context(0) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parent_goes_on_where_it_was_B9),
        cmocka_unit_test(test_a_child_has_a_context_of_its_own_B9),
        cmocka_unit_test(test_a_callback_forks_and_returns_B9_B29),
        cmocka_unit_test(test_a_callback_forks_while_its_reactor_closes_B9_B29),
        cmocka_unit_test(test_a_callback_forks_after_the_context_closed_B9_B29),
        cmocka_unit_test(test_a_fork_while_a_plugin_is_loaded_B10),
        cmocka_unit_test(test_programs_get_no_descriptor_B24),
    };

    return cmocka_run_group_tests(tests, warm, NULL);
}
