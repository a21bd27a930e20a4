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
    /* Where it listens, of TCP. Its connections, and sockets that either side forgot (CLOSE_WAIT), are counted there.
     */
    uint16_t port;
    /* Not of TCP: the connections that it holds now. */
    unsigned (*connections)(void *server);
};

/* Do it, and fail the test where something does not hold. collector: whether the pool has one. */
void siege_run(const struct siege *siege, bool collector);

/* The whole test of a manager that is besieged in both ways, between cmocka's start and stop of its server; what main
 * returns. run: calls siege_run. */
int siege_tests(void (*run)(bool collector), int (*start)(void **state), int (*stop)(void **state));

#endif
