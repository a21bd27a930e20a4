/* SPDX-License-Identifier: MIT */
/* release: the way back of a connection. */
#ifndef CP_RELEASE_H
#define CP_RELEASE_H

#include "pool/connection.h"

/*
 * A connection that is healthy and of no more use to who had it (CHECKING, LEASED or RESETTING, reset): hand it to a
 * waiter, park it, or close it where it is spent. No lock held; may wait, as closes do, where there is no collector.
 */
void cp_release_settle(struct connpool_connection *connection);

/* A connection that was taken and looked at, but not used (CHECKING): idle again, as if it had not been touched; one
 * that may not be used any more is cut. No lock held; does not wait. */
void cp_release_put_back(struct connpool_connection *connection);

/* The same, but one that may not be used any more is CLOSING, for the caller to dispose of: false. */
bool cp_release_put_back_or_doom(struct connpool_connection *connection);

/* Close everything that is due. Returns how many. May wait up to dispose_timeout. */
size_t cp_release_collect(struct connpool_pool *pool, int64_t now);

#endif
