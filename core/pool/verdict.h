/* SPDX-License-Identifier: MIT */
/* verdict: what the outcome of a connection's operation means for the connection and its endpoint. No lock held. */
#ifndef CP_VERDICT_H
#define CP_VERDICT_H

#include "pool/connection.h"

/* Open is done: the connection's life begins, and its endpoint is in order. */
void cp_verdict_opened(struct connpool_connection *connection);

/* Open failed (OPENING), or the first prepare or configuration of an open connection: the fault is remembered for the
 * endpoint, connects are held down; the connection ends. True: the peer takes no more connections now, but the endpoint
 * has another one that may be waited for. */
bool cp_verdict_open_failed(struct connpool_connection *connection);

/* A connection that was to be reused is dead (CHECKING), as its fault says: what was parked before it is suspect. It
 * ends. */
void cp_verdict_dead(struct connpool_connection *connection);

/* Connections that an acquire doomed as it searched are reported where they are dead, and end in this thread, those
 * that were only too old with one step of close. */
void cp_verdict_doomed(struct cp_connection_list *doomed);

/* The caller leaves an operation that neither a collector nor anybody else drives on: the connection ends without a
 * verdict. */
void cp_verdict_abandoned(struct connpool_connection *connection);

#endif
