/* SPDX-License-Identifier: MIT */
/*
 * scripted_dial: a host's table whose dial does as the test says, so that a manager's steps can be driven by hand. It
 * gives out one end of a pair of sockets.
 */
#ifndef SCRIPTED_DIAL_H
#define SCRIPTED_DIAL_H

#include <connpool/manager.h>

struct scripted_dial {
    struct connpool_host table;           /* first: what the manager gets */
    unsigned agains;                      /* steps that answer AGAIN first */
    int32_t failure;                      /* then the error class that it fails with; 0: it succeeds */
    struct connpool_dial_options options; /* what was asked; text as long as the manager's options live */
    unsigned starts, stops, live;         /* calls; dials started and not stopped */
    int fd, peer;                         /* of the last success: what the manager got, and the other end */
};

void scripted_dial_init(struct scripted_dial *dial);
/* A wait as a host makes it before a step. */
struct connpool_wait scripted_dial_wait(uint32_t flags, uint32_t ready);

#endif
