/* SPDX-License-Identifier: MIT */
/*
 * run: the only place that calls a plugin's step functions. It keeps each operation's own limit, checks every answer,
 * records descriptors after each step of open, and runs operations that are marked as blocking on a worker
 * (blocking.h). open, check, reset and close belong to the connection, not to the caller.
 */
#ifndef CP_RUN_H
#define CP_RUN_H

#include "engine/operation.h"
#include "pool/connection.h"

/* Begin an operation with its limit from the endpoint's policy. No other runs. */
void cp_run_start(struct connpool_connection *connection, enum cp_kind kind, int64_t now);

/*
 * One step, at wait->now and with the wait's FOR_LOOP and CUT flags: CONNPOOL_STEP_DONE, CONNPOOL_STEP_AGAIN with the
 * wait filled, or the negative of an error class with connection->fault filled. driven: whose waker a WAKE is to fire;
 * NULL: the wait will not be waited for. A function that the manager does not have is DONE. No lock held; never waits.
 */
int32_t cp_run_step(struct connpool_connection *connection, struct connpool_wait *wait, struct cp_operation *driven);

/* Give the operation up. False: a worker is still inside the plugin; the connection must not be touched any more: it
 * ends when that call returns. */
bool cp_run_abandon(struct connpool_connection *connection);

/* Whether the manager marked the operation as one that may block. */
bool cp_run_is_blocking(const struct connpool_connection *connection, enum cp_kind kind);
/* The manager's function for an operation, NULL: it has none. */
connpool_step_fn *cp_run_function(const struct connpool_connection *connection, enum cp_kind kind);
/* The name of an operation ("open"); lives for ever. */
const char *cp_run_name(enum cp_kind kind);

#endif
