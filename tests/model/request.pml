/* SPDX-License-Identifier: MIT */
/*
 * request: what an application is told of its requests: each that was accepted ends in one callback or in one cancel
 * that was in time, never both, whatever it does in its callbacks and hooks, and whatever closes.
 *
 * It is all one thread: the reactor's. What is this way or that is the application, which submits and cancels outside a
 * dispatch, in callbacks, in hooks that a step calls, and in observers that an abandoned acquire calls; and others, who
 * grant. README.md has the map from here to the functions of core/.
 */

#define RECORDS 2
#define REQUESTS 3 /* as the application counts them; more than records, so that one is used again */
#define NOBODY 15

/* Where a record is. */
#define FREE 0
#define RUNNING 1
#define ENDED 2 /* not told yet */
#define TELLING 3

/* Deliberate mistakes, each to be found. */
#define BUG_CANCEL_KEEPS_GENERATION 1 /* done, of a cancelled one, without generation++ */
#define BUG_TOLD_BEFORE_GENERATION 2  /* tell raises the generation after the callback */
#define BUG_STEP_CANCELS_ITSELF 3     /* connpool_request_cancel does not look at is_in_step */
#define BUG_CANCELLED_IS_TOLD 4       /* done does not look at is_cancelled */
#define BUG_ENDED_STAYS 5             /* cancel of one that ended leaves it in the list of those to be told */
#define BUG_CLOSE_FORGETS_ENDED 6     /* connpool_reactor_close without cp_requests_tell */
#define BUG_RETIRED_IS_TOLD 7         /* done does not look at is_retiring */
#define BUG_GRANT_IS_KEPT 8           /* abandon does not leave the line */
#define BUG_CANCELLED_FOR_EVER 9      /* start leaves is_cancelled */
#define BUG_ENDED_IS_ABANDONED 10     /* cancel does not look at is_ended */
#define BUG_CLOSE_ACCEPTS 11          /* refuse does not look at is_closing; close looks at each request once */
#define BUG_FREED_BEFORE_TOLD 12      /* tell puts the record back before the callback */

c_decl {
\#include <stdlib.h>
    static int setting(const char *name)
    {
        const char *text = getenv(name);
        return text == NULL ? 0 : atoi(text);
    }
};

hidden byte bug;

/* The record. */
byte place[RECORDS];
byte generation[RECORDS];
byte request_of[RECORDS]; /* callback and argument */
bool is_in_step[RECORDS];
bool is_cancelled[RECORDS];
bool is_ended[RECORDS];
bool is_live[RECORDS]; /* its task is in the loop */
bool granted[RECORDS]; /* somebody handed it a connection */

/* The reactor. */
bool dispatching;
bool closing;
bool retiring;
bool retired; /* the context closes */

/* What the application knows. */
byte submitted;
byte record_of[REQUESTS]; /* the handle: a record, */
byte number_of[REQUESTS]; /* and its generation then */
bool told[REQUESTS];      /* its callback was called, or is about to be */
bool cancelled[REQUESTS];
byte leases; /* granted and not given back, nor told of */

/* connpool_acquire_async. */
inline submit()
{
    atomic {
        if
        :: submitted < REQUESTS && (!closing || bug == BUG_CLOSE_ACCEPTS) && !retired &&
               (place[0] == FREE || place[1] == FREE) ->
            free = (place[0] == FREE -> 0 : 1);
            place[free] = RUNNING;
            is_live[free] = true;
            is_cancelled[free] = is_cancelled[free] && bug == BUG_CANCELLED_FOR_EVER;
            is_ended[free] = false;
            request_of[free] = submitted;
            record_of[submitted] = free;
            number_of[submitted] = generation[free];
            submitted++;
            free = 0
        :: else
        fi
    }
}

/* put_record. */
inline put(record)
{
    assert(place[record] != FREE);
    place[record] = FREE
}

/* The acquire's abandon: what it was granted goes back. */
inline leave_line(record)
{
    if
    :: granted[record] && bug != BUG_GRANT_IS_KEPT -> granted[record] = false; leases--
    :: else
    fi
}

/* done, where the request was cancelled. */
inline done_cancelled(record)
{
    generation[record] = generation[record] + (bug == BUG_CANCEL_KEEPS_GENERATION -> 0 : 1);
    put(record)
}

/* connpool_request_cancel, with the answer that the application relies on. Where an acquire is abandoned, request is
 * still it: then come the observers, and end_cancel. */
inline begin_cancel(request)
{
    atomic {
        if
        :: number_of[request] != generation[record_of[request]] ->
            assert(told[request] || cancelled[request]); /* STALE */
            request = NOBODY
        :: number_of[request] == generation[record_of[request]] && is_in_step[record_of[request]] &&
               bug != BUG_STEP_CANCELS_ITSELF ->
            assert(!told[request] && !cancelled[request]); /* INVALID */
            request = NOBODY
        :: else ->
            assert(!told[request]); /* OK */
            cancelled[request] = true;
            if
            :: is_ended[record_of[request]] && bug != BUG_ENDED_IS_ABANDONED ->
                generation[record_of[request]]++;
                if
                :: bug == BUG_ENDED_STAYS -> place[record_of[request]] = ENDED
                :: else -> put(record_of[request])
                fi;
                request = NOBODY
            :: else ->
                is_cancelled[record_of[request]] = true;
                /* cp_loop_abandon */
                if
                :: !is_live[record_of[request]] -> request = NOBODY
                :: else -> is_live[record_of[request]] = false
                fi
            fi
        fi
    }
}

inline end_cancel(request)
{
    atomic {
        if
        :: request != NOBODY ->
            leave_line(record_of[request]);
            done_cancelled(record_of[request]);
            request = NOBODY
        :: else
        fi
    }
}

inline choose(request)
{
    atomic {
        request = 0;
        do
        :: request + 1 < submitted -> request++
        :: break
        od
    }
}

/* What an observer does while an acquire is abandoned: cancel any request, this one too; its own observers do nothing. */
inline observe()
{
    if
    :: submitted > 0 -> choose(inner); begin_cancel(inner); end_cancel(inner)
    :: submit()
    :: true
    fi
}

/* What a callback or a hook does, or the application between two dispatches. */
inline act()
{
    if
    :: submitted > 0 ->
        choose(outer);
        begin_cancel(outer);
        if
        :: outer != NOBODY -> observe()
        :: else
        fi;
        end_cancel(outer)
    :: submit()
    :: true
    fi
}

/* tell: cp_acquire_call_ended with its hooks, then the callback. */
inline tell(record)
{
    atomic {
        if
        :: bug == BUG_TOLD_BEFORE_GENERATION
        :: else -> generation[record]++
        fi;
        place[record] = TELLING;
        request = request_of[record];
        assert(dispatching && !told[request] && !cancelled[request]);
        told[request] = true;
        if
        :: granted[record] -> granted[record] = false; leases--
        :: else
        fi;
        if
        :: bug == BUG_FREED_BEFORE_TOLD -> put(record)
        :: else
        fi
    }
    act();
    atomic {
        assert(request_of[record] == request); /* the error and the lease that the callback was lent */
        request = 0;
        if
        :: bug == BUG_TOLD_BEFORE_GENERATION -> generation[record]++
        :: else
        fi;
        if
        :: bug == BUG_FREED_BEFORE_TOLD
        :: else -> put(record)
        fi
    }
}

/* done. */
inline done(record)
{
    if
    :: is_cancelled[record] && bug != BUG_CANCELLED_IS_TOLD -> atomic { done_cancelled(record) }
    :: !(is_cancelled[record] && bug != BUG_CANCELLED_IS_TOLD) && retiring && bug != BUG_RETIRED_IS_TOLD ->
        atomic { is_ended[record] = true; place[record] = ENDED }
    :: else -> tell(record)
    fi
}

/* cp_requests_tell. */
inline tell_ended()
{
    do
    :: place[0] == ENDED -> tell(0)
    :: place[1] == ENDED -> tell(1)
    :: else -> break
    od
}

/* cp_requests_close: cp_loop_abandon of the first, until there is none. */
inline close_requests()
{
    once = 0;
    do
    :: atomic {
            (place[0] == RUNNING && is_live[0] && !(once & 1)) || (place[1] == RUNNING && is_live[1] && !(once & 2)) ->
            if
            :: place[0] == RUNNING && is_live[0] && !(once & 1) -> record = 0
            :: place[1] == RUNNING && is_live[1] && !(once & 2) -> record = 1
            fi;
            once = (bug == BUG_CLOSE_ACCEPTS -> once | (1 << record) : 0);
            is_live[record] = false
        }
        observe();
        leave_line(record);
        done(record)
    :: else -> break
    od;
    once = 0;
    record = 0
}

/* A step of a request: the hooks that it calls, then its end, or not yet. */
inline step()
{
    is_in_step[record] = true;
    act();
    is_in_step[record] = false;
    assert(is_live[record]);
    if
    :: is_live[record] = false; done(record)
    :: !granted[record]
    fi
}

proctype reactor()
{
    byte record = 0;
    byte request = 0;
    byte outer = NOBODY;
    byte inner = NOBODY;
    byte free = 0;
    byte once = 0;

    do
    :: true -> act()
    :: atomic { is_live[0] && !granted[0] -> granted[0] = true; leases++ }
    :: atomic { is_live[1] && !granted[1] -> granted[1] = true; leases++ }
    :: dispatching = true;
        tell_ended();
        if
        :: is_live[0] -> record = 0; step()
        :: is_live[1] -> record = 1; step()
        :: true
        fi;
        record = 0;
        dispatching = false
    :: !retired -> /* connpool_close: cp_reactor_retire_of_thread */
        retired = true;
        retiring = true;
        close_requests();
        retiring = false
    :: break
    od;
    /* connpool_reactor_close */
    dispatching = true;
    closing = true;
    if
    :: bug == BUG_CLOSE_FORGETS_ENDED
    :: else -> tell_ended()
    fi;
    close_requests();
    dispatching = false;
    do
    :: record < submitted -> assert(told[record] + cancelled[record] == 1); record++
    :: else -> break
    od;
    assert(place[0] == FREE && place[1] == FREE && leases == 0)
}

init
{
    atomic {
        c_code { bug = setting("BUG"); };
        run reactor()
    }
}
