/* SPDX-License-Identifier: MIT */
/*
 * server_listener: a server that the test plays itself. The kernel completes connections as far as the queue goes, so
 * the test accepts one when it wants its other end, and then does to it what a bad server would.
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stddef.h>
#include <stdint.h>

struct server_listener {
    int fd;
    uint16_t port;     /* 0: a Unix socket */
    char endpoint[96]; /* as run-time text names it: 127.0.0.1:4711, [::1]:4711, a path, @name */
};

/* Listen at "127.0.0.1" or "::1", port 0: a free one. All of these fail the test where the system refuses. */
void server_listener_open(struct server_listener *listener, const char *address, uint16_t port, int backlog);
/* Listen at a path, or '@' and an abstract name. */
void server_listener_open_unix(struct server_listener *listener, const char *path, int backlog);
/* Stop listening; connections in the queue are reset. May be called twice. */
void server_listener_close(struct server_listener *listener);
/* A port for a server to try: one that the kernel gives to no client. */
uint16_t server_listener_random_port(void);
/* A port of 127.0.0.1 where nobody listens: bound by a socket that does not, so that nobody else takes it. */
void server_listener_open_deaf(struct server_listener *listener);

/* The other end of the oldest connection in the queue; waits up to five seconds, then fails the test. */
int server_listener_accept(const struct server_listener *listener);
/* Whether a connection waits in the queue now. */
int server_listener_has_pending(const struct server_listener *listener);
/* Fill the queue until one more connect is not answered. Writes the fillers' descriptors, at most capacity; returns how
 * many there are. Open with a small backlog. */
size_t server_listener_fill(const struct server_listener *listener, int *fillers, size_t capacity);

#endif
