/* SPDX-License-Identifier: MIT */
/*
 * local_check: what can be known of a parked connection without a round trip: a poll of what its `idle` waits for and
 * one step of it, or, for managers without one, a poll of its descriptors. No lock held.
 */
#ifndef CP_LOCAL_CHECK_H
#define CP_LOCAL_CHECK_H

#include "engine/operation.h"
#include "pool/connection.h"

enum cp_local_check {
    CP_LOCAL_ALIVE,
    CP_LOCAL_BUSY, /* healthy, but in the middle of an exchange */
    CP_LOCAL_DEAD, /* the connection's fault says why */
};

/* Never waits. now: precise. */
enum cp_local_check cp_local_check(struct connpool_connection *connection, int64_t now);

/* Its parts, for who serves parked connections. One step of idle, which the manager has and which does not block, at
 * wait->now with wait->ready (0: only to name what to wait for, or for time). What it waits for is remembered, and left
 * in the wait, which names nothing where idle wants nothing more. driven: whose waker it is to fire; NULL: nobody
 * waits. */
enum cp_local_check cp_local_check_step(struct connpool_connection *connection, struct connpool_wait *wait,
                                        struct cp_operation *driven);
/* What is ready now of what the last step of idle waits for, as CONNPOOL_EVENT_…. */
uint32_t cp_local_check_ready(const struct connpool_connection *connection);
/* A poll of the manager's `descriptors`, which are left in the array (CP_CONNECTION_DESCRIPTORS) with their number. */
enum cp_local_check cp_local_check_descriptors(struct connpool_connection *connection, int32_t *descriptors,
                                               int32_t *count);

#endif
