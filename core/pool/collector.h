/* SPDX-License-Identifier: MIT */
/*
 * collector: one thread with a loop for a context. It closes what is due in the pools that want it, watches what is
 * parked there, reports leases that do not come back, drives the resets and closes that callers left, and makes parked
 * connections suspect after the machine slept.
 */
#ifndef CP_COLLECTOR_H
#define CP_COLLECTOR_H

#include "pool/context.h"

/* Start the thread. NULL: the error. */
struct cp_collector *cp_collector_start(struct connpool *context, connpool_error *error);
/* Abandon what its loop still drives, end the thread, wait for it, free. Accepts NULL. May wait. */
void cp_collector_stop(struct cp_collector *collector);
/* Something is due earlier than the context's collector, if it has one, knows. Any thread, no lock held. */
void cp_collector_kick_of(struct connpool *context);
struct cp_loop *cp_collector_loop(struct cp_collector *collector);

#endif
