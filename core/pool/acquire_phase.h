/* SPDX-License-Identifier: MIT */
/*
 * acquire_phase: what the phases of an acquire share. acquire.c runs them; acquire_search.c finds a connection or a
 * slot (SEARCH); acquire_ready.c makes a connection ready (the other phases).
 */
#ifndef CP_ACQUIRE_PHASE_H
#define CP_ACQUIRE_PHASE_H

#include "pool/acquire.h"

/* What a phase says. */
enum cp_course {
    CP_GO_ON, /* with what acquire->phase says now */
    CP_STAND, /* the wait says what for */
    CP_END    /* status, lease and error are set */
};

typedef enum cp_course cp_acquire_phase_fn(struct cp_acquire *acquire, struct connpool_wait *wait);

/* The phases. No lock held; they never wait. */
cp_acquire_phase_fn cp_acquire_search;
cp_acquire_phase_fn cp_acquire_check_locally;
cp_acquire_phase_fn cp_acquire_drive_idle;
cp_acquire_phase_fn cp_acquire_check;
cp_acquire_phase_fn cp_acquire_evict;
cp_acquire_phase_fn cp_acquire_open;
cp_acquire_phase_fn cp_acquire_prepare;

static inline enum cp_course cp_acquire_go_on(struct cp_acquire *acquire, enum cp_acquire_phase phase)
{
    acquire->phase = phase;
    return CP_GO_ON;
}

/* The acquire has to make do with what is there now. */
static inline bool cp_acquire_is_try(const struct cp_acquire *acquire)
{
    return acquire->deadline == 0;
}

static inline bool cp_acquire_is_late(const struct cp_acquire *acquire, const struct connpool_wait *wait)
{
    return acquire->deadline <= wait->now;
}

/* Back from a connection that was of no use: to the open that is under way, or to the search. */
enum cp_course cp_acquire_resume(struct cp_acquire *acquire);

/* Look for a connection or a slot with a place in line, or sleep there. An opener: its open has just answered AGAIN,
 * with this wait. */
enum cp_course cp_acquire_seek(struct cp_acquire *acquire, struct connpool_wait *wait);
/* Out of line; what was granted meanwhile is in hand. */
void cp_acquire_leave_line(struct cp_acquire *acquire);
/* Take an idle connection as a newcomer does. What is in hand then is gone on with by cp_acquire_use_idle. */
bool cp_acquire_take_idle(struct cp_acquire *acquire, int64_t now);
enum cp_course cp_acquire_use_idle(struct cp_acquire *acquire);

/* The operation that is under way, of the connection in hand or the one that opens, goes on without this acquire: where
 * somebody can drive it, and the connection feeds the pool; else it ends, without a verdict. Nothing where there is
 * none. */
void cp_acquire_leave_connection(struct cp_acquire *acquire);
void cp_acquire_leave_open(struct cp_acquire *acquire);

/* The wait that a phase answered, to end by the deadline too. */
enum cp_course cp_acquire_stand(const struct cp_acquire *acquire, struct connpool_wait *wait);

/* The ends. What was looked at and not used is idle again, an open is left; the error is set for the first two, by the
 * caller for the third. */
enum cp_course cp_acquire_end_with_time(struct cp_acquire *acquire);
enum cp_course cp_acquire_end_closed(struct cp_acquire *acquire);
enum cp_course cp_acquire_end(struct cp_acquire *acquire, connpool_status status);

/* The connection in hand is put aside: busy, or wanting what there is no time for. */
enum cp_course cp_acquire_skip(struct cp_acquire *acquire);
/* What was put aside is idle again. */
void cp_acquire_put_back_skipped(struct cp_acquire *acquire);

/* An idle connection in hand is alive: on to its check, or its hand-out. */
enum cp_course cp_acquire_alive(struct cp_acquire *acquire, const struct connpool_wait *wait);
/* The connection in hand is dead. */
enum cp_course cp_acquire_dead(struct cp_acquire *acquire);

/* The endpoints that are not asked any more: their open failed, or connects to them are held down. */
bool cp_acquire_is_excluded(const struct cp_acquire *acquire, size_t index);
bool cp_acquire_is_all_excluded(const struct cp_acquire *acquire);
void cp_acquire_exclude(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint);

/* Whether connects to an endpoint are held down, or what was refused to another meanwhile would be refused again: the
 * error is set. The pool's lock is held. */
bool cp_acquire_has_no_hope(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint, int64_t now);

/* The slot in hand is not needed. */
void cp_acquire_give_slot_back(struct cp_acquire *acquire);

#endif
