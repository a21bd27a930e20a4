/* SPDX-License-Identifier: MIT */
/*
 * ready: whether the named endpoints with `prewarm` have min_idle connections open and usable, idle or leased, and who
 * waits for that (connpool_wait_ready). The collector notes when it sees an endpoint so, and wakes who waits when that
 * is new; a waiter stands in the list before it looks, so it misses no change.
 */
#ifndef CP_READY_H
#define CP_READY_H

#include <bsd/sys/queue.h>
#include <connpool/connpool.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/operation.h"

struct connpool;
struct connpool_endpoint;

/* One call of connpool_wait_ready, in its own memory. */
struct cp_ready_waiter {
    struct cp_operation operation;
    struct connpool *context;
    int64_t began;
    int64_t deadline; /* CP_NEVER: none */
    bool is_listed;
    LIST_ENTRY(cp_ready_waiter) entry;   /* in the context's list; guarded by its lock, as the next */
    uint64_t woken;                      /* the round in which it was woken last */
    struct connpool_endpoint *not_ready; /* the first that was found so */
    connpool_status status;
};

LIST_HEAD(cp_ready_waiters, cp_ready_waiter);

/* The collector looks at an endpoint. No lock held. */
void cp_ready_look(struct connpool_endpoint *endpoint, int64_t now);
/* Everybody who waits looks again: the context closes. No lock held. */
void cp_ready_wake_all(struct connpool *context);

#endif
