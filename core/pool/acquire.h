/* SPDX-License-Identifier: MIT */
/*
 * acquire: one acquisition, as a step function. Whoever drives it (the blocking driver; a reactor) does nothing else.
 *
 *   SEARCH  an idle connection of an endpoint that may serve; else a slot; else a place in line, and again
 *   LOCAL   the local check of an idle connection
 *   IDLE    a busy connection's own exchange, where nothing else is to be had
 *   CHECK   the round trip of one that was unused for long, or is suspect
 *   EVICT   the end of another endpoint's idle connection, whose slot is ours
 *   OPEN    a new connection
 *   PREPARE the last step before the hand-out
 *
 * A connection that turns out dead leads back to SEARCH, with the same place in line and the same deadline.
 *
 * While it opens, an acquire stands in line as an opener where somebody else could drive its open on (line.h): an idle
 * connection that comes sooner goes through LOCAL and so on; where it is of no use the open is gone on with. Whoever
 * ends, or has to sleep on another connection, leaves the open to be carried on (carry.h): it feeds the pool.
 */
#ifndef CP_ACQUIRE_H
#define CP_ACQUIRE_H

#include "engine/operation.h"
#include "pool/line.h"
#include "pool/pool.h"

enum cp_acquire_phase {
    CP_ACQUIRE_SEARCH,
    CP_ACQUIRE_LOCAL,
    CP_ACQUIRE_IDLE,
    CP_ACQUIRE_CHECK,
    CP_ACQUIRE_EVICT,
    CP_ACQUIRE_OPEN,
    CP_ACQUIRE_PREPARE,
    CP_ACQUIRE_PHASE_COUNT
};

struct cp_acquire {
    struct cp_operation operation;
    struct connpool_pool *pool;
    struct connpool_endpoint *const *endpoints; /* the caller's */
    size_t count;
    uint64_t excluded; /* one bit for each endpoint whose open failed or is held down */
    int64_t deadline;  /* CP_NEVER: none; 0: only what needs no round trip */
    int64_t timeout;   /* as it was given, for the message */
    uint32_t flags;    /* CONNPOOL_WAIT_FOR_LOOP */
    enum cp_acquire_phase phase;
    struct connpool_connection *connection; /* in hand; not the one that opens */
    struct connpool_connection *opening;    /* its open is under way, this acquire drives it */
    uint32_t needs;
    bool is_new; /* this acquire opened the connection */
    struct connpool_connection *victim;
    struct connpool_endpoint *reserved; /* whose slot is held, with no connection in it yet */
    struct cp_connection_list skipped;  /* busy, or wanting a round trip that there is no time for: CHECKING */
    bool is_in_line;                    /* as the acquirer knows: it may have been granted something since */
    bool has_waited;
    bool was_busy; /* acquire_busy.h: the acquirer's own */
    bool is_busy;  /* in the pool's list; guarded by the pool's lock, as the next */
    TAILQ_ENTRY(cp_acquire) busy;
    struct cp_waiter waiter;
    /* The result. */
    connpool_status status;
    connpool_lease lease;
    connpool_error error;
    struct cp_leak_site site; /* where it was called from; unset unless the pool looks for leaks */
};

/* To be driven; places: one for each endpoint, lives as long. timeout in nanoseconds, CP_NEVER: none; 0: try. */
void cp_acquire_init(struct cp_acquire *acquire, struct connpool_endpoint *const *endpoints, size_t count,
                     struct cp_place *places, int64_t timeout);
/* Begin with a connection that cp_endpoint_take gave, instead of a search. */
void cp_acquire_begin_with(struct cp_acquire *acquire, struct connpool_connection *connection, uint32_t needs);

#endif
