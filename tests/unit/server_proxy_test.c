/* SPDX-License-Identifier: MIT */
/* The kit's proxy: what it passes on, and that each fault comes after exactly the byte that was asked for. */
#include "server_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server_echo.h"
#include "server_folder.h"
#include "server_peer.h"

#define TALK    "0123456789abcdef"
#define LENGTH  ((size_t)16)
#define DELAY   30
#define QUIET   20 /* ms in which what is silent says nothing */
#define GARBAGE 64

static struct server_echo echo;
static struct server_proxy proxy;
static size_t descriptors_before;

static size_t descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

static int begin(void **state)
{
    char target[32];

    (void)state;
    descriptors_before = descriptors();
    server_echo_start(&echo);
    (void)snprintf(target, sizeof(target), "127.0.0.1:%u", echo.port);
    server_proxy_start(&proxy, target);
    return 0;
}

static int end(void **state)
{
    (void)state;
    server_proxy_stop(&proxy);
    server_proxy_stop(&proxy);
    server_echo_kill(&echo);
    assert_int_equal(descriptors(), descriptors_before);
    return 0;
}

static int connected(const struct server_proxy *to)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(to->listener.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int connected_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool is_quiet(int fd, int limit_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, limit_ms) == 0;
}

static void set_rule(enum server_proxy_fault fault, enum server_proxy_side side, size_t after)
{
    struct server_proxy_rule rule = {.fault = fault, .side = side, .after = after};

    server_proxy_set_rule(&proxy, &rule);
}

/* What comes up to the end, a reset or silence: its length; *error: errno of the end, 0: an end, EAGAIN: silence. */
static size_t receive_all(int fd, char *bytes, size_t size, int *error)
{
    size_t length = 0;
    ssize_t more;

    while (!is_quiet(fd, QUIET)) {
        more = recv(fd, bytes + length, size - length, 0);
        *error = more < 0 ? errno : 0;
        if (more <= 0) {
            return length;
        }
        length += (size_t)more;
    }
    *error = EAGAIN;
    return length;
}

static void everything_is_passed_on_and_counted(void **state)
{
    int fd = connected(&proxy);
    struct server_proxy_counts counts;

    (void)state;
    for (int i = 0; i < 3; i++) {
        server_peer_send(fd, TALK);
        server_peer_expect(fd, TALK);
    }
    counts = server_proxy_counts(&proxy);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.open, 1);
    assert_int_equal(counts.faults, 0);
    assert_int_equal(counts.from_client, 3 * LENGTH);
    assert_int_equal(counts.from_server, 3 * LENGTH);
    /* The client speaks first, so it began anew twice. */
    assert_int_equal(counts.server_turns, 2);
    assert_int_equal(counts.server_at[0], LENGTH);
    assert_int_equal(counts.server_at[1], 2 * LENGTH);
    assert_int_equal(counts.client_turns, 3);
    assert_int_equal(counts.client_at[2], 3 * LENGTH);
    (void)close(fd);
    server_proxy_await_open(&proxy, 0);
}

/* Four times what a socket holds, while the client does not read: neither side is lost. */
static void a_client_that_does_not_read_holds_the_server_up(void **state)
{
    static char piece[512];
    int fd = connected(&proxy);
    size_t sent = 0;
    size_t received = 0;
    ssize_t more;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    while (sent < 65536 && (more = send(fd, piece, sizeof(piece), MSG_NOSIGNAL)) > 0) {
        sent += (size_t)more;
    }
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    while ((more = recv(fd, piece, sizeof(piece), 0)) > 0) {
        received += (size_t)more;
    }
    assert_int_equal(received, sent);
    (void)close(fd);
    server_proxy_await_open(&proxy, 0);
}

static void expect_cut(enum server_proxy_fault fault, enum server_proxy_side side, size_t after, int expected_error)
{
    char bytes[LENGTH + GARBAGE];
    unsigned faults = server_proxy_counts(&proxy).faults;
    int error = 0;
    int fd;
    size_t length;

    set_rule(fault, side, after);
    fd = connected(&proxy);
    if (after > 0) { /* else it is to come by itself, and a send would take its error */
        server_peer_send(fd, TALK);
    }
    server_proxy_await_faults(&proxy, faults + 1);
    length = receive_all(fd, bytes, sizeof(bytes), &error);
    assert_int_equal(error, expected_error);
    if (side == SERVER_PROXY_SERVER) {
        assert_int_equal(length, after + (fault == SERVER_PROXY_GARBAGE ? GARBAGE : 0));
        assert_memory_equal(bytes, TALK, after);
        assert_int_equal(server_proxy_counts(&proxy).from_server, after);
    } else {
        assert_int_equal(server_proxy_counts(&proxy).from_client, after);
    }
    (void)close(fd);
    server_proxy_await_open(&proxy, 0);
}

static void a_cut_comes_after_exactly_so_many_bytes(void **state)
{
    (void)state;
    for (size_t after = 0; after <= LENGTH; after++) {
        for (unsigned side = 0; side < 2; side++) {
            expect_cut(SERVER_PROXY_RESET, side, after, ECONNRESET);
            expect_cut(SERVER_PROXY_END, side, after, 0);
        }
    }
}

static void silence_and_garbage_after_exactly_so_many_bytes(void **state)
{
    static const size_t places[] = {0, 1, 7, LENGTH};

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        expect_cut(SERVER_PROXY_SILENCE, SERVER_PROXY_SERVER, places[i], EAGAIN);
        expect_cut(SERVER_PROXY_SILENCE, SERVER_PROXY_CLIENT, places[i], EAGAIN);
        expect_cut(SERVER_PROXY_GARBAGE, SERVER_PROXY_SERVER, places[i], EAGAIN);
    }
}

static void a_silent_connection_stays_silent_when_its_server_goes(void **state)
{
    int fd;

    (void)state;
    set_rule(SERVER_PROXY_SILENCE, SERVER_PROXY_SERVER, LENGTH);
    fd = connected(&proxy);
    server_peer_send(fd, TALK);
    server_peer_expect(fd, TALK);
    server_echo_kill(&echo);
    assert_true(is_quiet(fd, QUIET));
    assert_int_equal(server_proxy_counts(&proxy).open, 1);
    server_echo_restart(&echo);
    (void)close(fd);
    server_proxy_await_open(&proxy, 0);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void a_trickle_comes_byte_by_byte(void **state)
{
    struct server_proxy_rule rule = {.fault = SERVER_PROXY_TRICKLE, .after = 4, .interval_ms = 2};
    char bytes[LENGTH];
    int64_t begin_ms;
    int fd;

    (void)state;
    server_proxy_set_rule(&proxy, &rule);
    begin_ms = now_ms();
    fd = connected(&proxy);
    server_peer_send(fd, TALK);
    assert_int_equal(recv(fd, bytes, 4, MSG_WAITALL), 4);
    server_proxy_await_trickled(&proxy, 1);
    assert_int_equal(recv(fd, bytes + 4, LENGTH - 4, MSG_WAITALL), LENGTH - 4);
    assert_true(now_ms() - begin_ms >= 2 * (int64_t)(LENGTH - 5));
    assert_memory_equal(bytes, TALK, LENGTH);
    server_proxy_await_trickled(&proxy, LENGTH - 4);
    (void)close(fd);
}

static void a_delay_is_a_delay_of_each_way(void **state)
{
    struct server_proxy_rule rule = {.fault = SERVER_PROXY_FORWARD, .delay_ms = DELAY};
    int64_t begin_ms;
    int fd;

    (void)state;
    server_proxy_set_rule(&proxy, &rule);
    begin_ms = now_ms();
    fd = connected(&proxy);
    server_peer_send(fd, TALK);
    server_peer_expect(fd, TALK);
    assert_true(now_ms() - begin_ms >= 2 * DELAY);
    (void)close(fd);
}

static void connections_that_are_open_can_be_broken(void **state)
{
    char byte;
    int first = connected(&proxy);
    int second = connected(&proxy);
    int third;

    (void)state;
    server_peer_send(first, TALK);
    server_peer_expect(first, TALK);
    server_peer_send(second, TALK);
    server_peer_expect(second, TALK);
    server_proxy_break(&proxy, SERVER_PROXY_RESET);
    assert_int_equal(recv(first, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(recv(second, &byte, 1, 0), -1);
    third = connected(&proxy);
    server_peer_send(third, TALK);
    server_peer_expect(third, TALK);
    server_proxy_break(&proxy, SERVER_PROXY_SILENCE);
    server_peer_send(third, TALK);
    assert_true(is_quiet(third, QUIET));
    (void)close(first);
    (void)close(second);
    (void)close(third);
}

static void nobody_is_accepted_while_it_is_held(void **state)
{
    int fd;

    (void)state;
    server_proxy_hold(&proxy, true);
    fd = connected(&proxy);
    server_peer_send(fd, TALK);
    assert_true(is_quiet(fd, QUIET));
    assert_int_equal(server_proxy_counts(&proxy).accepted, 0);
    server_proxy_hold(&proxy, false);
    server_peer_expect(fd, TALK);
    (void)close(fd);
}

static void a_server_that_is_down_is_a_reset(void **state)
{
    char byte;
    int fd;

    (void)state;
    server_echo_kill(&echo);
    fd = connected(&proxy);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(server_proxy_counts(&proxy).refused, 1);
    (void)close(fd);
    server_echo_restart(&echo);
}

static void unix_sockets_on_both_sides(void **state)
{
    struct server_folder folder;
    struct server_proxy before;
    struct server_proxy behind;
    char path[SERVER_PATH_SIZE];
    char name[64];
    int fd;

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, "proxy", path);
    (void)snprintf(name, sizeof(name), "@%s", folder.path);
    server_proxy_start_unix(&behind, name, proxy.listener.endpoint);
    server_proxy_start_unix(&before, path, name);
    fd = connected_unix(path);
    server_peer_send(fd, TALK);
    server_peer_expect(fd, TALK);
    (void)close(fd);
    server_proxy_stop(&before);
    server_proxy_stop(&behind);
    server_folder_fini(&folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_passed_on_and_counted),
        TEST(a_client_that_does_not_read_holds_the_server_up),
        TEST(a_cut_comes_after_exactly_so_many_bytes),
        TEST(silence_and_garbage_after_exactly_so_many_bytes),
        TEST(a_silent_connection_stays_silent_when_its_server_goes),
        TEST(a_trickle_comes_byte_by_byte),
        TEST(a_delay_is_a_delay_of_each_way),
        TEST(connections_that_are_open_can_be_broken),
        TEST(nobody_is_accepted_while_it_is_held),
        TEST(a_server_that_is_down_is_a_reset),
        TEST(unix_sockets_on_both_sides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
