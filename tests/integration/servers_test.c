/* SPDX-License-Identifier: MIT */
/* The server kit itself: the servers answer, end, and come back where they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server_echo.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_nginx.h"
#include "server_peer.h"
#include "server_redis.h"

static int connect_port(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    (void)close(fd);
    return -1;
}

static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void nginx_answers_dies_and_restarts(void **state)
{
    struct server_folder folder;
    struct server_nginx nginx;
    unsigned connection;
    unsigned request;
    int fd;

    (void)state;
    server_folder_init(&folder);
    server_nginx_start(&nginx, &folder, 60, 100);
    fd = connect_port(nginx.port);
    assert_int_equal(server_nginx_request(fd, &connection, &request), 0);
    assert_int_equal(request, 1);
    assert_int_equal(server_nginx_request(fd, &connection, &request), 0);
    assert_int_equal(request, 2);
    server_nginx_kill(&nginx);
    assert_int_equal(server_nginx_request(fd, &connection, &request), -1);
    assert_int_equal(connect_port(nginx.port), -1);
    (void)close(fd);
    server_nginx_restart(&nginx);
    fd = connect_port(nginx.port);
    assert_int_equal(server_nginx_request(fd, &connection, &request), 0);
    (void)close(fd);
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    assert_int_equal(access(folder.path, F_OK), -1);
}

static void redis_answers_dies_and_restarts(void **state)
{
    struct server_folder folder;
    struct server_redis redis;
    char answer[64];
    int fd;

    (void)state;
    server_folder_init(&folder);
    server_redis_start(&redis, &folder);
    fd = connect_path(redis.path);
    assert_int_equal(server_redis_command(fd, "SET word hello", answer, sizeof(answer)), 0);
    assert_string_equal(answer, "OK");
    (void)close(fd);
    fd = connect_port(redis.port);
    assert_int_equal(server_redis_command(fd, "GET word", answer, sizeof(answer)), 0);
    assert_string_equal(answer, "hello");
    server_redis_kill(&redis);
    assert_int_equal(server_redis_command(fd, "PING", answer, sizeof(answer)), -1);
    (void)close(fd);
    server_redis_restart(&redis);
    fd = connect_port(redis.port);
    assert_int_equal(server_redis_command(fd, "PING", answer, sizeof(answer)), 0);
    assert_string_equal(answer, "PONG");
    (void)close(fd);
    server_redis_kill(&redis);
    server_folder_fini(&folder);
}

static void echo_holds_its_answers_dies_and_restarts(void **state)
{
    struct server_echo echo;
    struct pollfd poll_fd = {.events = POLLIN};
    int fd;

    (void)state;
    server_echo_start(&echo);
    fd = connect_port(echo.port);
    server_peer_send(fd, "one");
    server_peer_expect(fd, "one");
    server_echo_hold(&echo, true);
    server_peer_send(fd, "two");
    poll_fd.fd = fd;
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    server_echo_hold(&echo, false);
    server_peer_expect(fd, "two");
    server_echo_kill(&echo);
    server_peer_await(fd);
    assert_int_equal(recv(fd, &poll_fd, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    (void)close(fd);
    server_echo_restart(&echo);
    fd = connect_port(echo.port);
    server_peer_send(fd, "three");
    server_peer_expect(fd, "three");
    (void)close(fd);
    server_echo_kill(&echo);
}

static void a_full_queue_answers_no_connect(void **state)
{
    struct server_listener listener;
    int fillers[16];
    size_t count;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 0);
    count = server_listener_fill(&listener, fillers, 16);
    assert_true(count >= 2);
    for (size_t i = 0; i < count; i++) {
        (void)close(fillers[i]);
    }
    server_listener_close(&listener);
}

static void a_mute_listener_answers_no_connect(void **state)
{
    struct server_listener listener;
    int filler;

    (void)state;
    if (!server_peer_can_mute()) {
        skip(); /* no right to filter */
    }
    server_listener_open(&listener, "127.0.0.1", 0, 16);
    server_peer_mute(listener.fd);
    assert_int_equal(server_listener_fill(&listener, &filler, 1), 1);
    (void)close(filler);
    server_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nginx_answers_dies_and_restarts),          cmocka_unit_test(redis_answers_dies_and_restarts),
        cmocka_unit_test(echo_holds_its_answers_dies_and_restarts), cmocka_unit_test(a_full_queue_answers_no_connect),
        cmocka_unit_test(a_mute_listener_answers_no_connect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
