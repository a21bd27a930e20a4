/* SPDX-License-Identifier: MIT */
/* What a process does around its pools: it forks, runs programs, keeps the default of SIGPIPE, closes what is not its.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_peer.h"
#include "server_redis.h"

#define FILLERS_MAXIMUM     16
#define CONNECT_LIMIT_MS    300
#define DESCRIPTORS_MAXIMUM 256

static struct server_folder folder;
static struct server_redis redis;
static connpool *context;
static connpool_pool *pool;
static unsigned sockets_before;

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_redis_start(&redis, &folder);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_redis_kill(&redis);
    server_folder_fini(&folder);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    sockets_before = harness_sockets();
    context = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\", \"background_collector\": true}}}");
    pool = harness_pool(context);
    return 0;
}

static int end(void **state)
{
    (void)state;
    harness_close(context);
    assert_int_equal(harness_sockets(), sockets_before);
    return 0;
}

static void expect_answer(int fd, const char *command, const char *answer)
{
    char found[64];

    assert_int_equal(server_redis_command(fd, command, found, sizeof(found)), 0);
    assert_string_equal(found, answer);
}

/* How the child went: 0, or the number of what was wrong in it. */
static int wait_for_child(pid_t child)
{
    int status = 0;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

enum { CHILD_FINE, CHILD_HAS_THE_CONNECTION, CHILD_WAS_SERVED };

static int look_around_in_child(int leased_fd, int idle_fd)
{
    connpool_lease lease;
    struct stat status;

    if (fstat(leased_fd, &status) == 0 || fstat(idle_fd, &status) == 0) {
        return CHILD_HAS_THE_CONNECTION;
    }
    return connpool_acquire(pool, redis.endpoint, 0, &lease, NULL) == CONNPOOL_FORKED ? CHILD_FINE : CHILD_WAS_SERVED;
}

/* B9: the child has no copy of a connection and gets none; the parent's exchange and its pool go on. */
static void fork_in_the_middle_of_an_exchange(void **state)
{
    connpool_lease lease = harness_acquire(pool, redis.endpoint);
    connpool_lease idle = harness_acquire(pool, redis.endpoint);
    int idle_fd = connpool_tcp(&idle);
    pid_t child;

    (void)state;
    expect_answer(connpool_tcp(&lease), "PING", "PONG");
    harness_release(&idle);
    server_peer_send(connpool_tcp(&lease), "PI");
    child = fork();
    if (child == 0) {
        _exit(look_around_in_child(connpool_tcp(&lease), idle_fd));
    }
    assert_int_equal(wait_for_child(child), CHILD_FINE);
    server_peer_send(connpool_tcp(&lease), "NG\r\n");
    server_peer_expect(connpool_tcp(&lease), "+PONG\r\n");
    harness_release(&lease);
    for (int i = 0; i < 2; i++) {
        lease = harness_acquire(pool, redis.endpoint);
        assert_int_equal(harness_info(&lease).is_new, 0);
        expect_answer(connpool_tcp(&lease), "PING", "PONG");
        harness_release(&lease);
    }
}

/* In a child, where only async-signal-safe calls are sure to work. */
static unsigned count_sockets(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < DESCRIPTORS_MAXIMUM; fd++) {
        struct stat status;

        count += fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    }
    return count;
}

/* Sockets with an address of their own: one that connects has it from the moment that its connect was called. */
static unsigned count_bound_sockets(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < DESCRIPTORS_MAXIMUM; fd++) {
        struct sockaddr_in address = {.sin_port = 0};
        socklen_t length = sizeof(address);

        count += getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address.sin_port != 0;
    }
    return count;
}

static void *acquire_in_vain(void *argument)
{
    const char *endpoint = argument;
    connpool_lease lease;

    return connpool_acquire(pool, endpoint, CONNECT_LIMIT_MS, &lease, NULL) == CONNPOOL_TIMED_OUT ? argument : NULL;
}

/* B9: a socket that is being connected when the process forks is not in the child either. */
static void fork_in_the_middle_of_a_connect(void **state)
{
    struct server_listener listener;
    int fillers[FILLERS_MAXIMUM];
    unsigned sockets;
    unsigned bound;
    pthread_t thread;
    void *result = NULL;
    size_t count;
    pid_t child;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 0);
    count = server_listener_fill(&listener, fillers, FILLERS_MAXIMUM);
    sockets = count_sockets();
    bound = count_bound_sockets();
    assert_int_equal(pthread_create(&thread, NULL, acquire_in_vain, listener.endpoint), 0);
    while (count_bound_sockets() == bound) {
        (void)sched_yield();
    }
    child = fork();
    if (child == 0) {
        _exit(count_sockets() == sockets ? CHILD_FINE : CHILD_HAS_THE_CONNECTION);
    }
    assert_int_equal(wait_for_child(child), CHILD_FINE);
    (void)pthread_join(thread, &result);
    assert_non_null(result);
    for (size_t i = 0; i < count; i++) {
        (void)close(fillers[i]);
    }
    server_listener_close(&listener);
}

/* B9: also where the child ends as programs do, with its exit handlers, after it closed the context. */
static void a_child_that_closes_the_context_and_exits(void **state)
{
    connpool_lease lease = harness_acquire(pool, redis.endpoint);
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        (void)connpool_release(&lease);
        (void)connpool_close(context, 0, NULL);
        _exit(CHILD_FINE);
    }
    assert_int_equal(wait_for_child(child), CHILD_FINE);
    expect_answer(connpool_tcp(&lease), "PING", "PONG");
    harness_release(&lease);
}

/* B9: in the child a context of its own works. */
static void a_child_with_a_context_of_its_own(void **state)
{
    connpool_lease lease = harness_acquire(pool, redis.endpoint);
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        connpool *own = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\"}}}");
        connpool_lease own_lease = harness_acquire(harness_pool(own), redis.endpoint);
        char answer[64];
        int result = server_redis_command(connpool_tcp(&own_lease), "PING", answer, sizeof(answer));

        (void)connpool_release(&own_lease);
        harness_close(own);
        _exit(result == 0 ? CHILD_FINE : CHILD_WAS_SERVED);
    }
    assert_int_equal(wait_for_child(child), CHILD_FINE);
    expect_answer(connpool_tcp(&lease), "PING", "PONG");
    harness_release(&lease);
}

/* Whether an executed program would get this descriptor of ours and it is a socket. */
static bool is_inheritable_socket(int fd)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFD);

    return flags >= 0 && (flags & FD_CLOEXEC) == 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

static unsigned inheritable_sockets(void)
{
    DIR *listing = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(listing);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        count += entry->d_name[0] != '.' && is_inheritable_socket(atoi(entry->d_name));
    }
    (void)closedir(listing);
    return count;
}

static void *connect_often(void *argument)
{
    atomic_bool *is_over = argument;

    for (int i = 0; i < 300; i++) {
        connpool_lease lease;

        if (connpool_acquire(pool, redis.endpoint, HARNESS_LIMIT_MS, &lease, NULL) == CONNPOOL_OK) {
            (void)connpool_discard(&lease);
        }
    }
    atomic_store(is_over, true);
    return NULL;
}

/* B24: at no moment has a socket that connects, is leased or is parked a chance to get into a program that is run. */
static void no_socket_is_inheritable_at_any_time(void **state)
{
    atomic_bool is_over = false;
    unsigned before = inheritable_sockets();
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, connect_often, &is_over), 0);
    while (!atomic_load(&is_over)) {
        assert_int_equal(inheritable_sockets(), before);
    }
    (void)pthread_join(thread, NULL);
}

/* B24: a program that is run sees no socket of ours. */
static void a_program_that_is_run_has_no_socket(void **state)
{
    char *const arguments[] = {"sh", "-c", "for f in /proc/self/fd/*; do readlink $f; done; true", NULL};
    connpool_lease leases[2];
    posix_spawn_file_actions_t actions;
    char said[4096] = "";
    size_t length = 0;
    ssize_t more;
    pid_t child;
    int ends[2];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)state;
    leases[0] = harness_acquire(pool, redis.endpoint);
    leases[1] = harness_acquire(pool, redis.endpoint);
    harness_release(&leases[1]);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, null, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, null, STDERR_FILENO);
    assert_int_equal(posix_spawn(&child, "/bin/sh", &actions, NULL, arguments, NULL), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    (void)close(null);
    while ((more = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0) {
        length += (size_t)more;
    }
    (void)close(ends[0]);
    assert_int_equal(wait_for_child(child), 0);
    assert_non_null(strstr(said, "pipe:"));
    assert_null(strstr(said, "socket:"));
    harness_release(&leases[0]);
}

/* B15: the process would die of the first SIGPIPE. Every connection is reset, in every phase that it can be in. */
static void nothing_raises_sigpipe(void **state)
{
    struct sigaction action;
    struct server_listener listener;
    connpool_lease lease;
    int peer;
    int fd;

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    server_listener_open(&listener, "127.0.0.1", 0, 8);

    lease = harness_acquire(pool, listener.endpoint);
    fd = connpool_tcp(&lease);
    server_peer_reset(server_listener_accept(&listener));
    server_peer_await(fd);
    harness_release(&lease);

    lease = harness_acquire(pool, listener.endpoint);
    fd = connpool_tcp(&lease);
    peer = server_listener_accept(&listener);
    harness_release(&lease);
    server_peer_reset(peer);
    server_peer_await(fd);
    lease = harness_acquire(pool, listener.endpoint);
    fd = connpool_tcp(&lease);
    server_peer_reset(server_listener_accept(&listener));
    server_peer_await(fd);
    harness_discard(&lease);

    lease = harness_acquire(pool, listener.endpoint);
    fd = connpool_tcp(&lease);
    peer = server_listener_accept(&listener);
    harness_release(&lease);
    server_peer_reset(peer);
    server_peer_await(fd);
    connpool_pool_drain(pool);
    server_listener_close(&listener);
}

/* B25: the application closed the descriptor that it had borrowed, and its number is another socket's now, silent and
 * healthy, which the pool neither hands out nor closes. */
static void a_borrowed_descriptor_that_was_replaced(void **state)
{
    connpool_lease lease = harness_acquire(pool, redis.endpoint);
    int fd = connpool_tcp(&lease);
    int strangers[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, strangers), 0);
    assert_int_equal(dup3(strangers[0], fd, O_CLOEXEC), fd);
    harness_release(&lease);
    lease = harness_acquire(pool, redis.endpoint);
    assert_int_equal(harness_info(&lease).is_new, 1);
    assert_true(connpool_tcp(&lease) != fd);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    expect_answer(connpool_tcp(&lease), "PING", "PONG");
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    (void)close(strangers[0]);
    (void)close(strangers[1]);
    (void)close(fd);
}

/* B25: closed, and discarded. */
static void a_borrowed_descriptor_that_was_closed_and_discarded(void **state)
{
    connpool_lease lease = harness_acquire(pool, redis.endpoint);
    int fd = connpool_tcp(&lease);
    int stranger;

    (void)state;
    assert_int_equal(close(fd), 0);
    stranger = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(stranger, fd);
    harness_discard(&lease);
    assert_true(fcntl(stranger, F_GETFD) >= 0);
    (void)close(stranger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fork_in_the_middle_of_an_exchange),
        TEST(fork_in_the_middle_of_a_connect),
        TEST(a_child_that_closes_the_context_and_exits),
        TEST(a_child_with_a_context_of_its_own),
        TEST(no_socket_is_inheritable_at_any_time),
        TEST(a_program_that_is_run_has_no_socket),
        TEST(nothing_raises_sigpipe),
        TEST(a_borrowed_descriptor_that_was_replaced),
        TEST(a_borrowed_descriptor_that_was_closed_and_discarded),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
