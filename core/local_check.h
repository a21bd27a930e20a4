/* SPDX-License-Identifier: MIT */
/*
 * local_check: what can be known of a parked connection without a round trip: a poll of what its `idle` waits for and
 * one step of it, or, for managers without one, a poll of its descriptors. No lock held.
 */
#ifndef CP_LOCAL_CHECK_H
#define CP_LOCAL_CHECK_H

#include "connection.h"

enum cp_local_check {
    CP_LOCAL_ALIVE,
    CP_LOCAL_BUSY, /* healthy, but in the middle of an exchange */
    CP_LOCAL_DEAD, /* the connection's fault says why */
};

/* Never waits. now: precise. */
enum cp_local_check cp_local_check(struct connpool_connection *connection, int64_t now);

#endif
