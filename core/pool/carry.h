/* SPDX-License-Identifier: MIT */
/*
 * carry: driving a connection's own operation (open, check, reset, close) apart from any acquire: on the context's
 * loop, or in the calling thread. What it comes to is decided here too: a connection that is ready goes on its way,
 * another one ends. No lock is held by callers.
 */
#ifndef CP_CARRY_H
#define CP_CARRY_H

#include "engine/loop.h"
#include "pool/connection.h"

/*
 * Drive the operation that was started, on the loop that serves the connection's pool: the collector's, or
 * connpool_close's while it waits; else on that of a reactor of the calling thread. Returns at once. False: there is
 * none, or no memory; nothing was done.
 */
bool cp_carry_elsewhere(struct connpool_connection *connection);
/* Whether there is such a loop for the calling thread, while the context does not close. Takes no lock. */
bool cp_carry_is_there(const struct connpool_pool *pool);
/* On this loop; returns at once. False: no memory; nothing was done. */
bool cp_carry_in_loop(struct connpool_connection *connection, struct cp_loop *loop);
/* The context has begun to close: the loops end what would make connections ready that nobody wants any more (an open,
 * a check), without a verdict. */
void cp_carry_end_all(struct connpool *context);
/* In the calling thread, to its end. May wait, as long as the operation's limit; in a reactor's thread it is abandoned
 * instead. */
void cp_carry_here(struct connpool_connection *connection);
/* Start an operation: its first step in the calling thread, which costs less than to wake another; the rest, if there
 * is one, elsewhere where that can be, else here: as cp_carry_here. */
void cp_carry_start(struct connpool_connection *connection, enum cp_kind kind);

#endif
