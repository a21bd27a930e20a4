/* SPDX-License-Identifier: MIT */
/* dial_socket: one socket being connected to one address, recorded for a fork until it is taken. Nothing waits. */
#ifndef CP_DIAL_SOCKET_H
#define CP_DIAL_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "network/address.h"

/* What a TCP socket is to be like; the members as in struct connpool_dial_options, checked. */
struct cp_dial_settings {
    bool delay;              /* Nagle's algorithm stays on */
    bool bind;               /* to local_port, and to local unless its length is 0 */
    uint16_t local_port;     /* 0: any */
    struct cp_address local; /* of the family of those to connect to */
    int keepalive_idle;      /* seconds, 0: no keep-alive */
    int keepalive_interval;  /* seconds, 0: the kernel's */
    int keepalive_count;     /* 0: the kernel's */
    unsigned user_timeout;   /* milliseconds, 0: the kernel's */
};

struct cp_dial_socket {
    int fd;           /* -1: closed or taken */
    int64_t place;    /* cp_fork_record's */
    const char *call; /* the call that failed, for errors */
};

/* No socket yet. */
void cp_dial_socket_init(struct cp_dial_socket *dial_socket);
/* A new non-blocking, close-on-exec stream socket. 0 or an errno; then it is closed. */
int cp_dial_socket_open(struct cp_dial_socket *dial_socket, int family);
/* Set up a socket of that family, AF_INET or AF_INET6; 0 or an errno; then it is closed. */
int cp_dial_socket_configure(struct cp_dial_socket *dial_socket, int family, const struct cp_dial_settings *settings);
/* 0: connected. EINPROGRESS: writable when there is more to know. EAGAIN: a Unix socket's backlog is full, the socket
 * can be tried again. Another errno: it failed and is closed. */
int cp_dial_socket_connect(struct cp_dial_socket *dial_socket, const struct sockaddr *address, socklen_t length);
/* What has become of EINPROGRESS: the same values (no EAGAIN). A socket that was connected to itself is reset and
 * counts as ECONNREFUSED (failures.md A24). */
int cp_dial_socket_check(struct cp_dial_socket *dial_socket);
/* The descriptor, now the caller's and not recorded any more; -1: none. */
int cp_dial_socket_take(struct cp_dial_socket *dial_socket);
/* May be called in any state, and again. */
void cp_dial_socket_close(struct cp_dial_socket *dial_socket);

#endif
