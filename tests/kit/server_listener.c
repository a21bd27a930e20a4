/* SPDX-License-Identifier: MIT */
/* server_listener: a server that the test plays itself. */
#include "server_listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_LIMIT_MS 5000
#define FILL_LIMIT_MS   100 /* a connect on loopback that is answered at all is answered at once */

/* Below the ports that the kernel gives to clients (32768 and up by default): none of those can take the port of a
 * server while that is down. */
#define PORT_FIRST    20000u
#define PORT_COUNT    12000u
#define PORT_ATTEMPTS 100

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
};

uint16_t server_listener_random_port(void)
{
    uint32_t random = 0;

    assert_int_equal(getrandom(&random, sizeof(random), 0), sizeof(random));
    return (uint16_t)(PORT_FIRST + random % PORT_COUNT);
}

static socklen_t internet_address(union address *address, const char *text, uint16_t port)
{
    memset(address, 0, sizeof(*address));
    if (strchr(text, ':') != NULL) {
        address->ipv6.sin6_family = AF_INET6;
        address->ipv6.sin6_port = htons(port);
        assert_int_equal(inet_pton(AF_INET6, text, &address->ipv6.sin6_addr), 1);
        return sizeof(address->ipv6);
    }
    address->ipv4.sin_family = AF_INET;
    address->ipv4.sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, text, &address->ipv4.sin_addr), 1);
    return sizeof(address->ipv4);
}

static socklen_t local_address(union address *address, const char *path)
{
    size_t length = strlen(path);

    assert_true(length < sizeof(address->local.sun_path));
    memset(address, 0, sizeof(*address));
    address->local.sun_family = AF_UNIX;
    memcpy(address->local.sun_path, path, length);
    if (path[0] == '@') {
        address->local.sun_path[0] = '\0';
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    }
    return sizeof(address->local);
}

/* What a server needs that comes back to its port: the ends of its old connections do not block it. */
static void allow_return(int fd)
{
    int yes = 1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
}

/* A socket at the address, -1: it is taken. */
static int bound_socket(const union address *address, socklen_t length, bool returns)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (returns) {
        allow_return(fd);
    }
    if (bind(fd, &address->any, length) == 0) {
        return fd;
    }
    assert_int_equal(errno, EADDRINUSE);
    (void)close(fd);
    return -1;
}

static bool bind_internet(struct server_listener *listener, const char *text, uint16_t port, bool returns)
{
    union address address;
    socklen_t length = internet_address(&address, text, port);

    listener->fd = bound_socket(&address, length, returns);
    listener->port = port;
    (void)snprintf(listener->endpoint, sizeof(listener->endpoint),
                   address.any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port);
    return listener->fd >= 0;
}

/* A port that is nobody else's: two sockets that both may return could be bound to one until either listens. */
static void bind_free_port(struct server_listener *listener, const char *text)
{
    for (int attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
        if (bind_internet(listener, text, server_listener_random_port(), false)) {
            return;
        }
    }
    fail_msg("no free port");
}

void server_listener_open(struct server_listener *listener, const char *address, uint16_t port, int backlog)
{
    if (port == 0) {
        bind_free_port(listener, address);
        allow_return(listener->fd);
    } else {
        assert_true(bind_internet(listener, address, port, true));
    }
    assert_int_equal(listen(listener->fd, backlog), 0);
}

void server_listener_open_deaf(struct server_listener *listener)
{
    bind_free_port(listener, "127.0.0.1");
}

void server_listener_open_unix(struct server_listener *listener, const char *path, int backlog)
{
    union address address;
    socklen_t length = local_address(&address, path);

    if (path[0] != '@') {
        (void)unlink(path);
    }
    listener->fd = bound_socket(&address, length, false);
    assert_true(listener->fd >= 0);
    listener->port = 0;
    (void)snprintf(listener->endpoint, sizeof(listener->endpoint), "%s", path);
    assert_int_equal(listen(listener->fd, backlog), 0);
}

void server_listener_close(struct server_listener *listener)
{
    if (listener->fd >= 0) {
        (void)close(listener->fd);
        listener->fd = -1;
    }
}

int server_listener_has_pending(const struct server_listener *listener)
{
    struct pollfd poll_fd = {.fd = listener->fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

int server_listener_accept(const struct server_listener *listener)
{
    struct pollfd poll_fd = {.fd = listener->fd, .events = POLLIN};
    int fd;

    assert_int_equal(poll(&poll_fd, 1, ACCEPT_LIMIT_MS), 1);
    fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Whether a connect was answered: not, if nothing has come of it. */
static int was_answered(int fd, const union address *address, socklen_t length)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

    if (connect(fd, &address->any, length) == 0) {
        return 1;
    }
    return errno == EINPROGRESS && poll(&poll_fd, 1, FILL_LIMIT_MS) == 1;
}

size_t server_listener_fill(const struct server_listener *listener, int *fillers, size_t capacity)
{
    union address address;
    socklen_t length = sizeof(address);
    size_t count = 0;

    assert_int_equal(getsockname(listener->fd, &address.any, &length), 0);
    for (;;) {
        assert_true(count < capacity);
        fillers[count] = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fillers[count] >= 0);
        if (!was_answered(fillers[count++], &address, length)) {
            return count;
        }
    }
}
