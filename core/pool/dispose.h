/* SPDX-License-Identifier: MIT */
/* dispose: bringing CLOSING connections to their end: politely, within dispose_timeout, in the collector's thread or
 * here; or cut. No lock is held by callers. */
#ifndef CP_DISPOSE_H
#define CP_DISPOSE_H

#include "engine/loop.h"
#include "pool/connection.h"

/* End a connection now: where it is polite after one step of close that is told it is the only one (skipped where close
 * may block). Never waits. */
void cp_dispose_cut(struct connpool_connection *connection);
/* The same, but its slot passes to another by name. */
void cp_dispose_cut_keep_slot(struct connpool_connection *connection);

/*
 * End connections, the polite ones with a full goodbye: where the context has a loop for it (its collector's, or that
 * of connpool_close) that loop drives them and this returns at once; else here, all of them sharing one
 * dispose_timeout. The list is empty afterwards. May wait.
 */
void cp_dispose_all(struct connpool_pool *pool, struct cp_connection_list *doomed);

/* The same on a given loop; returns at once. */
void cp_dispose_in_loop(struct cp_loop *loop, struct cp_connection_list *doomed);

#endif
