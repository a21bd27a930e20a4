/* SPDX-License-Identifier: MIT */
/* Servers that cannot be connected to, of TCP and of Unix sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <connpool/unix.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_peer.h"

#define FILLERS_MAXIMUM 32
#define CONNECT_MS      1000 /* connect_timeout, where it is the subject */
#define COARSE_MS       20   /* an operation begins by the coarse clock, which is some ms behind */
#define SOON_MS         2000 /* a limit that held, on a busy machine; far below what does not end by itself */

static struct server_listener listener;
static struct server_folder folder;
static unsigned sockets_before;

static int begin(void **state)
{
    (void)state;
    server_folder_init(&folder);
    listener.fd = -1;
    sockets_before = harness_sockets();
    return 0;
}

static int end(void **state)
{
    (void)state;
    server_listener_close(&listener);
    server_folder_fini(&folder);
    assert_int_equal(harness_sockets(), sockets_before);
    return 0;
}

static connpool *open_tcp(const char *more_keys)
{
    return harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\"%s}}}", more_keys);
}

static connpool *open_unix(const char *more_keys)
{
    return harness_open("{\"pools\": {\"p\": {\"manager\": \"unix\"%s}}}", more_keys);
}

static void connect_and_close(connpool *context, const char *endpoint)
{
    connpool_lease lease = harness_acquire(harness_pool(context), endpoint);

    harness_release(&lease);
    harness_close(context);
}

/* A1 */
static void refused_fails_at_once_with_the_cause(void **state)
{
    connpool *context = open_tcp("");
    connpool_pool *pool = harness_pool(context);
    int64_t begin_ms = harness_now_ms();
    connpool_error error;

    (void)state;
    server_listener_open_deaf(&listener);
    error = harness_acquire_fails(pool, listener.endpoint, CONNPOOL_WAIT_FOREVER, CONNPOOL_FAILED);
    assert_true(harness_now_ms() - begin_ms < SOON_MS);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_int_equal(error.os_error, ECONNREFUSED);
    assert_non_null(strstr(error.text, "127.0.0.1"));
    assert_int_equal(harness_statistics(pool).failed, 1);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_OPEN], 1);

    assert_int_equal(listen(listener.fd, 1), 0);
    connect_and_close(context, listener.endpoint);
}

/* A1: while the hold-down lasts the cause is told again and nothing is sent. */
static void refused_is_remembered_for_the_hold_down(void **state)
{
    connpool *context = open_tcp(", \"holddown\": 3600");
    connpool_pool *pool = harness_pool(context);
    connpool_error error;

    (void)state;
    server_listener_open_deaf(&listener);
    (void)harness_acquire_fails(pool, listener.endpoint, CONNPOOL_WAIT_FOREVER, CONNPOOL_FAILED);
    assert_int_equal(listen(listener.fd, 1), 0);
    error = harness_acquire_fails(pool, listener.endpoint, CONNPOOL_WAIT_FOREVER, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_REFUSED);
    assert_false(server_listener_has_pending(&listener));
    harness_close(context);
}

struct busy_endpoint {
    connpool_pool *pool;
    const char *endpoint;
    unsigned rounds;
    int64_t longest_ms;
};

static void *acquire_and_release(void *argument)
{
    struct busy_endpoint *busy = argument;

    for (unsigned i = 0; i < busy->rounds; i++) {
        int64_t begin_ms = harness_now_ms();
        connpool_lease lease;
        int64_t took_ms;

        if (connpool_acquire(busy->pool, busy->endpoint, HARNESS_LIMIT_MS, &lease, NULL) != CONNPOOL_OK) {
            busy->longest_ms = INT64_MAX;
            return NULL;
        }
        (void)connpool_discard(&lease); /* so that each is a connect */
        took_ms = harness_now_ms() - begin_ms;
        busy->longest_ms = took_ms > busy->longest_ms ? took_ms : busy->longest_ms;
    }
    return NULL;
}

/* The listener answers no connect: the caller's limit holds, then connect_timeout does, and meanwhile another endpoint
 * is served. */
static void expect_black_hole(void)
{
    connpool *context = open_tcp(", \"connect_timeout\": 1");
    connpool_pool *pool = harness_pool(context);
    struct server_listener good;
    struct busy_endpoint busy = {.pool = pool, .rounds = 20};
    pthread_t thread;
    int64_t begin_ms;
    connpool_error error;

    server_listener_open(&good, "127.0.0.1", 0, 128);
    busy.endpoint = good.endpoint;

    begin_ms = harness_now_ms();
    error = harness_acquire_fails(pool, listener.endpoint, 50, CONNPOOL_TIMED_OUT);
    assert_in_range(harness_now_ms() - begin_ms, 50, SOON_MS);
    assert_true(error.text[0] != '\0');

    begin_ms = harness_now_ms();
    assert_int_equal(pthread_create(&thread, NULL, acquire_and_release, &busy), 0);
    error = harness_acquire_fails(pool, listener.endpoint, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_TIMEOUT);
    assert_in_range(harness_now_ms() - begin_ms, CONNECT_MS - COARSE_MS, CONNECT_MS + SOON_MS);
    (void)pthread_join(thread, NULL);
    assert_true(busy.longest_ms < CONNECT_MS);
    harness_close(context);
    server_listener_close(&good);
}

/* A2 */
static void a_black_hole_ends_by_the_limits(void **state)
{
    (void)state;
    if (!server_peer_can_mute()) {
        skip(); /* this user may not filter; the full queue of the next test looks the same to a client */
    }
    server_listener_open(&listener, "127.0.0.1", 0, 16);
    server_peer_mute(listener.fd);
    expect_black_hole();
}

static void close_all(const int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)close(descriptors[i]);
    }
}

/* A3 */
static void a_full_queue_ends_by_the_limits(void **state)
{
    int fillers[FILLERS_MAXIMUM];
    size_t count;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 0);
    count = server_listener_fill(&listener, fillers, FILLERS_MAXIMUM);
    expect_black_hole();
    close_all(fillers, count);
}

/* A4: the kernel reports no event for a place in the queue, so the connect is tried again by time. */
static void a_full_queue_of_a_unix_socket(void **state)
{
    connpool *context = open_unix(", \"connect_timeout\": 0.4");
    connpool_pool *pool = harness_pool(context);
    char path[SERVER_PATH_SIZE];
    int fillers[FILLERS_MAXIMUM];
    size_t count;
    int64_t begin_ms;
    connpool_error error;

    (void)state;
    server_folder_path(&folder, "socket", path);
    server_listener_open_unix(&listener, path, 0);
    count = server_listener_fill(&listener, fillers, FILLERS_MAXIMUM);
    begin_ms = harness_now_ms();
    (void)harness_acquire_fails(pool, path, 50, CONNPOOL_TIMED_OUT);
    assert_in_range(harness_now_ms() - begin_ms, 50, SOON_MS);
    error = harness_acquire_fails(pool, path, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_TIMEOUT);
    close_all(fillers, count);
    harness_close(context);
}

static void *acquire_one(void *argument)
{
    struct busy_endpoint *busy = argument;
    connpool_lease lease;

    busy->rounds = connpool_acquire(busy->pool, busy->endpoint, HARNESS_LIMIT_MS, &lease, NULL) == CONNPOOL_OK;
    if (busy->rounds == 1) {
        (void)connpool_release(&lease);
    }
    return NULL;
}

/* A4: an acquire that waits gets its connection when the queue moves. */
static void a_full_queue_of_a_unix_socket_that_moves(void **state)
{
    connpool *context = open_unix("");
    struct busy_endpoint busy = {.pool = harness_pool(context)};
    int fillers[FILLERS_MAXIMUM];
    char path[SERVER_PATH_SIZE];
    pthread_t thread;
    size_t count;

    (void)state;
    server_folder_path(&folder, "socket", path);
    server_listener_open_unix(&listener, path, 0);
    count = server_listener_fill(&listener, fillers, FILLERS_MAXIMUM);
    busy.endpoint = path;
    assert_int_equal(pthread_create(&thread, NULL, acquire_one, &busy), 0);
    /* It is in the middle of its open for certain once the pool says so. */
    while (harness_statistics(busy.pool).opening == 0) {
        (void)sched_yield();
    }
    (void)close(server_listener_accept(&listener));
    (void)pthread_join(thread, NULL);
    assert_int_equal(busy.rounds, 1);
    close_all(fillers, count);
    harness_close(context);
}

/* A5: no address of this machine to connect from. */
static void a_local_address_that_is_not_ours(void **state)
{
    connpool *context = open_tcp(", \"options\": {\"bind_address\": \"198.51.100.1\"}");
    connpool_error error;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 1);
    error = harness_acquire_fails(harness_pool(context), listener.endpoint, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.os_error, EADDRNOTAVAIL);
    assert_true(error.error_class == CONNPOOL_ERROR_RESOURCE_LOCAL || error.error_class == CONNPOOL_ERROR_UNREACHABLE ||
                error.error_class == CONNPOOL_ERROR_CONFIGURATION);
    harness_close(context);
}

static void a_local_address_that_is_ours(void **state)
{
    connpool *context = open_tcp(", \"options\": {\"bind_address\": \"127.0.0.9\"}");
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    connpool_lease lease;
    int fd;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 1);
    lease = harness_acquire(harness_pool(context), listener.endpoint);
    fd = server_listener_accept(&listener);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&address, &length), 0);
    assert_memory_equal((const char *)&address + 4, "\x7f\x00\x00\x09", 4); /* sin_addr */
    (void)close(fd);
    harness_discard(&lease);
    harness_close(context);
}

/* D16 */
static void unix_sockets_that_are_none(void **state)
{
    connpool *context = open_unix("");
    connpool_pool *pool = harness_pool(context);
    char path[SERVER_PATH_SIZE];
    char long_path[160];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    connpool_error error;
    int datagram;

    (void)state;
    server_folder_path(&folder, "missing", path);
    error = harness_acquire_fails(pool, path, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.os_error, ENOENT);

    server_folder_write(&folder, "file", "no socket\n");
    server_folder_path(&folder, "file", path);
    error = harness_acquire_fails(pool, path, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.os_error, ECONNREFUSED);

    server_folder_path(&folder, "stale", path);
    server_listener_open_unix(&listener, path, 1);
    server_listener_close(&listener);
    error = harness_acquire_fails(pool, path, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_REFUSED);

    datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server_folder_path(&folder, "datagram", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(datagram, (const struct sockaddr *)&address, sizeof(address)), 0);
    error = harness_acquire_fails(pool, path, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.os_error, EPROTOTYPE);
    (void)close(datagram);

    memset(long_path, 'x', sizeof(long_path));
    long_path[0] = '/';
    long_path[108] = '\0';
    error = harness_acquire_fails(pool, long_path, HARNESS_LIMIT_MS, CONNPOOL_INVALID);
    assert_int_equal(error.os_error, ENAMETOOLONG);
    harness_close(context);
}

static void an_abstract_unix_socket(void **state)
{
    char name[64];

    (void)state;
    (void)snprintf(name, sizeof(name), "@%s", folder.path);
    server_listener_open_unix(&listener, name, 1);
    connect_and_close(open_unix(""), name);
}

/* B17: without a free descriptor the error says so, what is idle still serves, and afterwards all is well. */
static void descriptors_ran_out(void **state)
{
    connpool *context = open_tcp("");
    connpool_pool *pool = harness_pool(context);
    struct rlimit before;
    struct rlimit none;
    connpool_error error;
    connpool_lease lease;
    connpool_lease second;
    int lowest;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 8);
    lease = harness_acquire(pool, listener.endpoint);
    harness_release(&lease);
    lease = harness_acquire(pool, listener.endpoint);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    (void)close(lowest);
    none = (struct rlimit){.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    error = harness_acquire_fails(pool, listener.endpoint, HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    harness_release(&lease);
    lease = harness_acquire(pool, listener.endpoint);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_RESOURCE_LOCAL);
    assert_int_equal(error.os_error, EMFILE);
    assert_int_equal(harness_info(&lease).is_new, 0);
    second = harness_acquire(pool, listener.endpoint);
    assert_int_equal(harness_info(&second).is_new, 1);
    harness_release(&lease);
    harness_release(&second);
    harness_close(context);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refused_fails_at_once_with_the_cause),
        TEST(refused_is_remembered_for_the_hold_down),
        TEST(a_black_hole_ends_by_the_limits),
        TEST(a_full_queue_ends_by_the_limits),
        TEST(a_full_queue_of_a_unix_socket),
        TEST(a_full_queue_of_a_unix_socket_that_moves),
        TEST(a_local_address_that_is_not_ours),
        TEST(a_local_address_that_is_ours),
        TEST(unix_sockets_that_are_none),
        TEST(an_abstract_unix_socket),
        TEST(descriptors_ran_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
