/* SPDX-License-Identifier: MIT */
/*
 * lane: the waiters of a pool that one thing runs: its threads (each runs itself), or one reactor. All lanes stand in
 * one line (line.h); the lane only says who comes when it is called.
 *
 * A thread that is woken comes. A reactor's waiter comes when the reactor is dispatched, which is up to the
 * application. So what a reactor's waiter is called for (woken, or granted something) is noted in the order of the
 * calls, and whoever would otherwise wait takes back what is older than CP_PATIENCE: all waiters of that reactor leave
 * the line until it is dispatched, then they return to their places; a grant returns to the pool, for the first of
 * those that are there.
 *
 * That must also happen where everybody sleeps already. While calls of others are unanswered, one waiter of the threads
 * is the watch: it sleeps no longer than until the first of the calls is too old. Where no thread waits, one waiter of
 * each other reactor is. The watch is the waiter that came last: it stands longest.
 */
#ifndef CP_LANE_H
#define CP_LANE_H

#include <bsd/sys/queue.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connpool_pool;
struct cp_loop;
struct cp_waiter;
struct cp_wakes;

TAILQ_HEAD(cp_lane_waiters, cp_waiter);

struct cp_lane {
    struct cp_loop *loop; /* the reactor's; NULL: the threads */
    atomic_bool
        *was_passed_over; /* the reactor's: its waiters left the line, and must be woken when it is dispatched */
    /* Guarded by the pool's lock. */
    struct cp_lane_waiters waiters; /* in line, in the order of entering */
    struct cp_waiter *watch;        /* one of them, or NULL */
    int64_t watch_until;            /* when it looks at the calls at the latest; 0: it was told to do so now */
    size_t calls;                   /* unanswered ones of its waiters */
    LIST_ENTRY(cp_lane) entry;      /* in the pool's list of reactors */
};

/* What a pool keeps of its lanes; guarded by its lock. */
struct cp_lanes {
    struct cp_lane threads;
    LIST_HEAD(, cp_lane) reactors;
    struct cp_lane_waiters calls; /* of reactors' waiters, the oldest first; some are of times to come */
    size_t call_count;
};

void cp_lanes_init(struct cp_lanes *lanes);
/* A reactor's lane is there from its making until its end. No lock held. */
void cp_lane_init(struct cp_lane *lane, struct connpool_pool *pool, struct cp_loop *loop, atomic_bool *was_passed_over);
/* No waiter of it is left. No lock held. */
void cp_lane_fini(struct cp_lane *lane, struct connpool_pool *pool);

/* For the line; the pool's lock is held for all of these. */

/* A waiter stands in line now, or does not any more. */
void cp_lane_enter(struct connpool_pool *pool, struct cp_waiter *waiter);
void cp_lane_leave(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes);
/* A waiter that was passed over stands in line again without having looked itself: while others are called it may have
 * to be the watch. */
void cp_lane_returned(struct connpool_pool *pool, struct cp_wakes *wakes);
/* A waiter was woken or granted something; nothing for a thread's. */
void cp_lane_called(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes);
/* A waiter is to come by itself at a time; nothing for a thread's. */
void cp_lane_expect(struct connpool_pool *pool, struct cp_waiter *waiter, int64_t at, struct cp_wakes *wakes);
/* It has come, or need not any more. Nothing where it was not called. */
void cp_lane_answer(struct connpool_pool *pool, struct cp_waiter *waiter);
/* The waiter whose call is the oldest, if it is too old at that time and another lane's. NULL: none. */
struct cp_waiter *cp_lane_overdue(const struct connpool_pool *pool, const struct cp_lane *by, int64_t now);
/* The waiter is about to sleep: when it is to look at the calls, 0: it need not, another is the watch or there are
 * none. */
int64_t cp_lane_watch_until(struct connpool_pool *pool, struct cp_waiter *waiter);

#endif
