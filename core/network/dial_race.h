/* SPDX-License-Identifier: MIT */
/*
 * dial_race: the addresses of a name race for the connection as in RFC 8305, Happy Eyeballs: families take turns,
 * beginning with that of the first address; the next attempt starts when one fails or after the Connection Attempt
 * Delay; the first to connect wins, the others are closed.
 */
#ifndef CP_DIAL_RACE_H
#define CP_DIAL_RACE_H

#include <stdbool.h>
#include <stdint.h>

#include <connpool/manager.h>

#include "network/address.h"
#include "network/dial_socket.h"

/* Connection Attempt Delay: RFC 8305, section 8, recommends 250 ms. */
#define CP_DIAL_ATTEMPT_DELAY INT64_C(250000000)

/* What a race that nobody won leaves. */
struct cp_dial_failure {
    int os_error;     /* the most telling of all; 0: none yet */
    int last_error;   /* of the attempt that ended last */
    const char *call; /* the call that failed with os_error */
    const char *text; /* the address that failed with os_error */
};

struct cp_dial_runner;

struct cp_dial_race {
    const struct cp_dial_settings *settings;
    const struct cp_addresses *addresses; /* borrowed */
    uint16_t port;
    uint32_t count;                 /* addresses that take part */
    uint32_t started;               /* of them, in order */
    uint32_t running;               /* started and not ended */
    struct cp_dial_runner *runners; /* count of them, in the order of their start */
    int epoll;                      /* watches all that run, once there were two; -1: none */
    int64_t next;                   /* the next attempt starts at this time, whatever the others do */
    struct cp_dial_failure failure;
    struct cp_dial_socket winner;
};

/* Ready for fini, whatever comes. */
void cp_dial_race_init(struct cp_dial_race *race);
/* addresses and settings are borrowed until fini; where settings bind to an address, only addresses of that family take
 * part: count may become 0. False: no memory. */
bool cp_dial_race_start(struct cp_dial_race *race, const struct cp_addresses *addresses, uint16_t port,
                        const struct cp_dial_settings *settings);
/* CONNPOOL_STEP_DONE: winner is connected. CONNPOOL_STEP_AGAIN with the wait filled. -1: all failed. */
int cp_dial_race_step(struct cp_dial_race *race, struct connpool_wait *wait);
/* Close what is open, but not a winner that was taken. May be called again. */
void cp_dial_race_fini(struct cp_dial_race *race);

#endif
