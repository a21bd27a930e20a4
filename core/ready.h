/* SPDX-License-Identifier: MIT */
/*
 * ready: whether the named endpoints with `prewarm` have min_idle connections open and usable, idle or leased, and who
 * waits for that (connpool_wait_ready). The collector notes when it sees an endpoint so, and wakes who waits when that
 * is new; a waiter stands in the list before it looks, so it misses no change.
 */
#ifndef CP_READY_H
#define CP_READY_H

#include <bsd/sys/queue.h>
#include <stdint.h>

struct connpool;
struct connpool_endpoint;
struct cp_ready_waiter;

LIST_HEAD(cp_ready_waiters, cp_ready_waiter);

/* The collector looks at an endpoint. No lock held. */
void cp_ready_look(struct connpool_endpoint *endpoint, int64_t now);
/* Everybody who waits looks again: the context closes. No lock held. */
void cp_ready_wake_all(struct connpool *context);

#endif
