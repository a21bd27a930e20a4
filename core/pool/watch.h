/* SPDX-License-Identifier: MIT */
/*
 * watch: parked connections of a pool with the collector are served by their manager's `idle` in the collector's loop
 * (the key watch; plugin-abi.md, A step, rules 4 and 8); those of a manager without one are dead once any of their
 * descriptors is readable or hung up. A manager whose idle is marked as blocking is not watched: each look would hold
 * a worker, and the connection with it.
 *
 * Nothing of this is in acquire and release. A sweep of the collector finds what was parked meanwhile and starts a
 * watch for it, in the loop: an operation that takes the connection (CHECKING), makes a step of its idle, puts it back
 * to its place and waits for what the step named. What a sweep has not seen parked before is left for the next one, so
 * that a connection in use is not armed each time that it is idle for a moment: its answers would wake the collector.
 *
 * An endpoint is restless from the first parking until all that is parked there is watched; only restless endpoints are
 * swept, and while there is none the collector sleeps. A quiet endpoint's gate (endpoint.h) is CP_NEVER, so that the
 * next parking there comes through cp_line_parked, as one that lowers the index of what is due does: this costs
 * release nothing. From parking to watch is at most two sweeps, 40 ms.
 *
 * One pass over an endpoint holds its lock for the connections parked since the last but one sweep, and starts at most
 * 64 watches; only after a promotion or the like it goes over all that are idle there.
 */
#ifndef CP_WATCH_H
#define CP_WATCH_H

#include "pool/pool.h"

/* A duty of the collector, in whose thread and with whose loop: start the watches of what a sweep finds, if one is due.
 * When the next one is; CP_NEVER: at the next kick. No lock held. */
int64_t cp_watch_sweep(struct connpool_pool *pool, struct cp_loop *loop, int64_t now);

/* Whether the endpoints of a pool with this policy are watched. */
bool cp_watch_is_wanted(const struct connpool_manager *manager, const struct cp_policy *policy);

/* Something was parked at a quiet endpoint. The record may be another's by now, which does no harm. True: the collector
 * must look again. The pool's lock is held; takes the endpoint's. */
bool cp_watch_parked(struct connpool_endpoint *endpoint);

/* A run-time endpoint goes away. The pool's lock is held. */
void cp_watch_forget(struct connpool_endpoint *endpoint);

/* A connection becomes FREE: its watches end. Both locks are held. */
void cp_watch_connection_ended(struct connpool_connection *connection);

#endif
