/* SPDX-License-Identifier: MIT */
/*
 * handshake: what a manager's open says and hears, cut at every byte. A proxy stands in front of the real server and
 * passes on exactly so many bytes; then comes silence, a reset, an end, a trickle or garbage (A7, A8, A9). Whatever the
 * byte, the acquire ends by its limit with a class that fits, no connection comes of half a handshake, the slot and
 * every descriptor come back, and the next acquire of a healthy server succeeds.
 *
 * Several workers walk at once, each with a proxy, a context and a clock of its own. A clock stands still until the
 * fault has come and the manager has heard all that came before it; only then it jumps to the end of the wait. So a
 * silence takes no time, and no byte is missed because the machine was busy.
 */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "server_proxy.h"

/* A set of error classes. */
#define HANDSHAKE_CLASS(name) (1u << CONNPOOL_ERROR_##name)

/* How the server's bytes of a handshake are counted. */
enum handshake_end {
    HANDSHAKE_ENDS_WITH_SERVER, /* its last byte is needed */
    HANDSHAKE_ENDS_WITH_CLIENT  /* all but what the server says after the client's last word */
};

struct handshake {
    const char *manager;
    const char *target; /* of the proxy */
    enum handshake_end end;
    /* Bytes by which one handshake may be shorter than another: signatures and numbers of variable length. */
    size_t slack;
    unsigned cut_classes;     /* of an open that was reset or ended */
    unsigned garbage_classes; /* of one that got garbage; a time limit is allowed too */
    /* Write the pool's keys but for its sizes, each after a comma; the endpoint "e" is where the proxy's port is. */
    void (*describe)(uint16_t port, char *keys, size_t size);
};

/* How many bytes are walked. */
struct handshake_length {
    size_t server, client;            /* of a whole handshake, with what the server says at once after it */
    size_t needed;                    /* of the server's, at least, for an open to succeed */
    struct server_proxy_counts turns; /* where one side's words end */
};
struct handshake_length handshake_measure(const struct handshake *handshake);

/* Walk over the bytes of one side: each step-th, the last, and two before and behind each at which the talk changed its
 * direction; where CONNPOOL_TEST_EVERY_BYTE is in the environment each, whatever the step. */
void handshake_walk(const struct handshake *handshake, enum server_proxy_fault fault, enum server_proxy_side side,
                    size_t step);
/* Silence and a trickle at a few bytes, by the system's clock: the limits hold to the millisecond that they can. */
void handshake_keep_time(const struct handshake *handshake);

#endif
