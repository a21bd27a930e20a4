/* SPDX-License-Identifier: MIT */
/* dial_socket: see dial_socket.h. */
#include "network/dial_socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/fork.h"

void cp_dial_socket_init(struct cp_dial_socket *dial_socket)
{
    dial_socket->fd = -1;
    dial_socket->place = -1;
    dial_socket->call = "";
}

void cp_dial_socket_close(struct cp_dial_socket *dial_socket)
{
    int fd = cp_dial_socket_take(dial_socket);

    if (fd >= 0) {
        (void)close(fd);
    }
}

int cp_dial_socket_take(struct cp_dial_socket *dial_socket)
{
    int fd = dial_socket->fd;

    if (fd >= 0) {
        cp_fork_forget(dial_socket->place);
    }
    dial_socket->fd = -1;
    dial_socket->place = -1;
    return fd;
}

static int fail(struct cp_dial_socket *dial_socket, const char *call, int error)
{
    cp_dial_socket_close(dial_socket);
    dial_socket->call = call;
    return error;
}

int cp_dial_socket_open(struct cp_dial_socket *dial_socket, int family)
{
    dial_socket->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial_socket->fd < 0) {
        return fail(dial_socket, "socket: ", errno);
    }
    dial_socket->place = cp_fork_record(dial_socket->fd);
    if (dial_socket->place < 0) {
        (void)close(dial_socket->fd);
        dial_socket->fd = -1;
        return fail(dial_socket, "record of descriptors: ", ENOMEM);
    }
    return 0;
}

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* True where the value is 0: the kernel's default stays. */
static bool set_if(int fd, int level, int option, int value)
{
    return value == 0 || set(fd, level, option, value);
}

static int bind_local(int fd, int family, const struct cp_dial_settings *settings)
{
    struct cp_address local = settings->local;

    if (local.length == 0) {
        local.socket.any.sa_family = (sa_family_t)family;
        local.length = family == AF_INET ? sizeof(local.socket.ipv4) : sizeof(local.socket.ipv6);
    }
    cp_address_set_port(&local, settings->local_port);
    /* Without a port of its own the port is chosen in connect, unique only together with the peer's address; with one,
     * it must not be blocked by the last connection's TIME_WAIT. */
    if (settings->local_port == 0 ? !set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                                  : !set(fd, SOL_SOCKET, SO_REUSEADDR, 1)) {
        return errno;
    }
    return bind(fd, &local.socket.any, local.length) == 0 ? 0 : errno;
}

int cp_dial_socket_configure(struct cp_dial_socket *dial_socket, int family, const struct cp_dial_settings *settings)
{
    int fd = dial_socket->fd;
    bool set_up = (settings->delay || set(fd, IPPROTO_TCP, TCP_NODELAY, 1)) &&
                  set_if(fd, SOL_SOCKET, SO_KEEPALIVE, settings->keepalive_idle > 0) &&
                  set_if(fd, IPPROTO_TCP, TCP_KEEPIDLE, settings->keepalive_idle) &&
                  set_if(fd, IPPROTO_TCP, TCP_KEEPINTVL, settings->keepalive_interval) &&
                  set_if(fd, IPPROTO_TCP, TCP_KEEPCNT, settings->keepalive_count) &&
                  set_if(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)settings->user_timeout);
    int error;

    if (!set_up) {
        return fail(dial_socket, "setsockopt: ", errno);
    }
    error = settings->bind ? bind_local(fd, family, settings) : 0;
    return error != 0 ? fail(dial_socket, "bind: ", error) : 0;
}

/* The names are zeroed first: the kernel writes no padding. */
static bool is_self_connected(int fd)
{
    struct sockaddr_storage local;
    struct sockaddr_storage peer;
    socklen_t local_length = sizeof(local);
    socklen_t peer_length = sizeof(peer);

    memset(&local, 0, sizeof(local));
    memset(&peer, 0, sizeof(peer));
    return getsockname(fd, (struct sockaddr *)&local, &local_length) == 0 && local.ss_family != AF_UNIX &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0 && local_length == peer_length &&
           memcmp(&local, &peer, local_length) == 0;
}

static int check_connected(struct cp_dial_socket *dial_socket)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (!is_self_connected(dial_socket->fd)) {
        return 0;
    }
    (void)setsockopt(dial_socket->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    return fail(dial_socket, "connected to itself: ", ECONNREFUSED);
}

int cp_dial_socket_connect(struct cp_dial_socket *dial_socket, const struct sockaddr *address, socklen_t length)
{
    int error = connect(dial_socket->fd, address, length) == 0 ? 0 : errno;

    if (error == 0) {
        return check_connected(dial_socket);
    }
    /* Interrupted, the connect goes on like one that was asked not to wait (failures.md B14). */
    if (error == EINPROGRESS || (error == EINTR && address->sa_family != AF_UNIX)) {
        return EINPROGRESS;
    }
    if (address->sa_family == AF_UNIX && (error == EAGAIN || error == EINTR)) {
        return EAGAIN;
    }
    return fail(dial_socket, "", error);
}

int cp_dial_socket_check(struct cp_dial_socket *dial_socket)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    socklen_t size = sizeof(int);
    int error = 0;

    if (getsockopt(dial_socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error != 0) {
        return fail(dial_socket, "", error);
    }
    /* No error is also what a connect that goes on says; only a connected socket has a peer. */
    if (getpeername(dial_socket->fd, (struct sockaddr *)&peer, &length) != 0) {
        return errno == ENOTCONN ? EINPROGRESS : fail(dial_socket, "getpeername: ", errno);
    }
    return check_connected(dial_socket);
}
