/* SPDX-License-Identifier: MIT */
/*
 * line: slots, and the one line of waiters of a pool.
 *
 * A waiter stands in the line of each endpoint that it would take a connection from, at the place of its sequence
 * number, and keeps that place until it leaves. It sleeps only after it has looked again with its place taken:
 *
 *   acquirer                                    releaser
 *   pool lock: count, take place                endpoint lock: park, then read the counts
 *   endpoint lock: look for idle: none          (not 0:) pool lock: match
 *   sleep
 *
 * Both critical sections are under the endpoint's lock: if the look came first, the releaser's read sees the count; if
 * the parking came first, the look sees the connection. No fence is needed beyond the locks. A waiter that could evict
 * looks, under the pool's lock, at every endpoint in the index of what is due; an endpoint enters that index under the
 * pool's lock, and its releaser matches in the same section. tests/model has this as a model, with what happens when a
 * part of it is left out.
 *
 * A wake is a hint: the woken waiter searches like a newcomer and may find nothing, because newcomers may overtake. One
 * wake under way for the head of an endpoint's line is enough; who leaves the line matches, so the wake is passed on.
 * Once a waiter has waited CP_PATIENCE, what is freed is handed to it instead (granted), and nobody can overtake. What
 * a reactor's waiter was woken for or granted and did not come for is taken back (lane.h).
 *
 * An opener is an acquire whose own open is under way, where somebody else could drive that on (cp_carry_is_there). It
 * stands in the same line, at the place of the same sequence number, but wants only a connection, for it has a slot:
 * nothing is evicted for it, no slot is granted to it, max_waiters and the statistics do not count it; nor does the
 * pool, but each endpoint where it stands, so that a release elsewhere costs no more while it opens. So an endpoint's
 * places are two lists in the order of arrival. Who is first of both is first for a connection; who is first of those
 * without a slot is first for a slot, and alone makes the endpoint hungry. While it is not woken an opener takes
 * nothing, as if it slept, though its open's steps run: it looks when it enters, when it was woken, and at its
 * deadline. An opener that takes a connection leaves its open to be carried on; one whose open ends leaves the line,
 * which passes on its wake, and gives back what it was granted.
 */
#ifndef CP_LINE_H
#define CP_LINE_H

#include "pool/endpoint.h"
#include "pool/lane.h"

/* design: eventual fairness, as in parking_lot's mutexes, by the releaser's clock. */
#define CP_PATIENCE CP_MILLISECOND

enum cp_waiter_state {
    CP_WAITER_OUT,     /* not in line, or passed over */
    CP_WAITER_WAITING, /* in line, asleep or about to be */
    CP_WAITER_WOKEN,   /* in line, was woken and has not looked yet */
    CP_WAITER_GRANTED, /* out of line, holds what it was given */
    CP_WAITER_CLOSED,  /* out of line, the context closes */
};

struct cp_waiter;

struct cp_place {
    struct cp_waiter *waiter;
    struct connpool_endpoint *endpoint;
    TAILQ_ENTRY(cp_place) entry;
};

/* One acquisition that waits; in its acquirer's memory. All guarded by the pool's lock. */
struct cp_waiter {
    enum cp_waiter_state state;
    uint64_t sequence; /* order of arrival; 0: never stood in line */
    int64_t since;     /* precise */
    bool is_opener;    /* it wants no slot; changes only while out of line */
    int64_t looks_at;  /* it will look by itself then, when an endpoint where none may be opened may be asked again; 0:
                          not */
    struct cp_waker *waker; /* borrowed from the driver; a reference is taken for each wake */
    struct cp_place *places;
    size_t count;
    struct cp_lane *lane; /* whose it is; NULL until it enters: the threads' */
    TAILQ_ENTRY(cp_waiter) in_lane;
    TAILQ_ENTRY(cp_waiter) called;
    int64_t called_at; /* precise; 0: it was not called, or has come */
    /* What it was granted. */
    struct connpool_endpoint *endpoint;     /* whose connection or slot */
    struct connpool_connection *connection; /* CHECKING, its endpoint's; NULL: a slot */
    struct connpool_connection *victim; /* CLOSING, of another endpoint: its slot passes to this one when it has ended;
                                           NULL: the slot is free */
};

/* The wakes that a change under the pool's lock asks for; fired after unlocking. Each holds a reference. A waiter that
 * leaves passes on at most one wake for each endpoint that it stood at, and one for a slot; a release that grants adds
 * its own. Where reactors do not come there may be more: what does not fit is fired at once, under the lock, which is
 * slow and does no other harm. */
#define CP_ANY_ENDPOINTS 64
#define CP_WAKES         (CP_ANY_ENDPOINTS + 4)
struct cp_wakes {
    struct cp_waker *wakers[CP_WAKES];
    size_t count;
};
/* The pool's lock is held. */
void cp_wakes_add(struct cp_wakes *wakes, const struct cp_waiter *waiter);
/* No lock held. */
void cp_wakes_fire(struct cp_wakes *wakes);

/* What cp_line_reserve found. */
enum cp_reservation {
    CP_RESERVED,             /* a slot is the caller's */
    CP_RESERVED_BY_EVICTION, /* a slot is the caller's once *victim (CLOSING) has ended by cp_connection_end_keep_slot
                              */
    CP_NOT_RESERVED,
};
/* A slot for an endpoint, evicting where the pool is full. The pool's lock is held; takes endpoints' locks. */
enum cp_reservation cp_line_reserve(struct connpool_endpoint *endpoint, struct connpool_connection **victim);
/* A slot that is free and that no waiter can use. The pool's lock is held; takes endpoints' locks. */
bool cp_line_reserve_spare(struct connpool_endpoint *endpoint);
/* Give a slot back, to the waiter that came first of all that can use it. The pool's lock is held. */
void cp_line_unreserve(struct connpool_endpoint *endpoint, struct cp_wakes *wakes);
/* The same, no lock held. */
void cp_line_give_back(struct connpool_endpoint *endpoint);
/* A victim of this endpoint has ended; its slot of the pool belongs to another endpoint now. The pool's lock is held.
 */
void cp_line_pass_slot(struct connpool_endpoint *endpoint, struct cp_wakes *wakes);

/* A connection of this endpoint began to close: if no other can be waited for, opens may be tried again though the peer
 * was full. No lock held. */
void cp_line_closing(struct connpool_endpoint *endpoint);

/* Take a place in line (again: the old sequence is kept). The pool's lock is held. */
void cp_line_enter(struct connpool_pool *pool, struct cp_waiter *waiter);
/* In line: neither granted, nor told that the context closes. The pool's lock is held. */
bool cp_line_is_standing(const struct cp_waiter *waiter);
/* An open of what it would try failed while it waited, and will again: it ends with that. The pool's lock is held. */
bool cp_line_is_refused(const struct connpool_endpoint *endpoint, const struct cp_waiter *waiter);
/* First of those that would take a slot there. The pool's lock is held. */
bool cp_line_is_first(const struct connpool_endpoint *endpoint, const struct cp_waiter *waiter);
/* Leave the line and pass on what the wake was for. The pool's lock is held. */
void cp_line_leave(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes);

/* Whether an endpoint has a connection that can be waited for. The pool's lock is held; takes the endpoint's. */
bool cp_line_has_live(struct connpool_endpoint *endpoint);

/* Wake whoever can go on after something at this endpoint became idle or free. The pool's lock is held; takes
 * endpoints' locks. */
void cp_line_match(struct connpool_endpoint *endpoint, struct cp_wakes *wakes);

/* A connection was parked at this endpoint: lower the index to `due` (CP_NEVER: it need not be), have the endpoint
 * swept (watch.h), and match, if anybody waits. True: the collector is to look again: something is due earlier than
 * before, or there was nothing to sweep. The endpoint's record may be another's by now, which does no harm. The pool's
 * lock is held; takes endpoints' locks. */
bool cp_line_parked(struct connpool_endpoint *endpoint, int64_t due, struct cp_wakes *wakes);

/*
 * For a waiter of lane `by` that is about to sleep, or keeps watch: what other lanes were called for and did not come
 * for within CP_PATIENCE is put back into the pool, and whoever is first of those that are there is woken for it, the
 * caller perhaps; those lanes' waiters return to their places when they come. What ends by this (a connection that may
 * not be used any more, a victim that nobody needs) goes to `doomed`. The pool's lock is held; takes endpoints' locks.
 */
void cp_line_take_back(struct connpool_pool *pool, const struct cp_lane *by, struct cp_connection_list *doomed,
                       struct cp_wakes *wakes);

/* The lane of a waiter has come: if it was passed over it stands at its place again, asleep, or woken for what is to be
 * had. Nothing where it was not, or where its acquirer has left. The pool's lock is held; takes endpoints' locks. */
void cp_line_return(struct connpool_pool *pool, struct cp_waiter *waiter, struct cp_wakes *wakes);

/* Hand a connection (LEASED, RESETTING or CHECKING, not to be parked yet) to the waiter that came first, if it has
 * waited long enough. True: it has it. The pool's lock is held; takes the endpoint's. */
bool cp_line_hand_over(struct connpool_connection *connection, struct cp_wakes *wakes);

/* The context closes: every waiter leaves with CLOSED. The pool's lock is held; it is given back and taken again while
 * waiters are woken. */
void cp_line_close(struct connpool_pool *pool);

#endif
