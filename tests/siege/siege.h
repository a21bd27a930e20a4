/* SPDX-License-Identifier: MIT */
/*
 * siege: two hundred threads ask one server over ten pooled connections, while it is killed and started again under
 * them (A21, A22). What is asked and answered is the manager's own; what must hold is the same for all: every acquire
 * ends in its time, no connection is in two hands, no answer is another one's, the pool recovers, its numbers add up,
 * and neither side is left with a socket too many (A42).
 */
#ifndef SIEGE_H
#define SIEGE_H

#include <connpool/connpool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIEGE_CONNECTIONS 10

/* What became of one question. */
enum siege_answer {
    SIEGE_ANSWERED, /* with the token that was sent */
    SIEGE_WRONG,    /* with something else: it was another one's */
    SIEGE_FAILED    /* the connection failed */
};

struct siege {
    const char *manager;
    const char *keys;     /* further keys of the pool, each after a comma: `, "options": {…}`; "" */
    const char *endpoint; /* as acquire takes it; NULL: the pool's only one */
    unsigned progress;    /* questions answered before each kill, and after the last */
    unsigned restarts;
    void *server;
    /* Ask the server for the token back, over the lease, in a limited time. Many threads. */
    enum siege_answer (*ask)(const connpool_lease *lease, const char *token);
    void (*kill)(void *server);
    void (*restart)(void *server);
    /* Connections that the server holds now, as it or the system says. May wait. */
    unsigned (*connections)(void *server);
    /* Sockets whose other end has closed and which nobody closed (CLOSE_WAIT), of either side. */
    unsigned (*forgotten)(void *server);
};

/* Do it, and fail the test where something does not hold. collector: whether the pool has one. */
void siege_run(const struct siege *siege, bool collector);

/* A socket of TCP as /proc/net/tcp has its state. */
#define SIEGE_TCP_ESTABLISHED 1u
#define SIEGE_TCP_CLOSE_WAIT  8u
/* Sockets of this machine in that state whose own port this is, or (either) one of whose ports this is. */
unsigned siege_tcp_sockets(uint16_t port, unsigned state, bool either);

#endif
