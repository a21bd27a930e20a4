/* SPDX-License-Identifier: MIT */
/*
 * loop: the descriptor of a loop, as its application polls it: nothing that there is to do is forgotten, whichever
 * threads wake and kick, and no memory is touched that is gone.
 *
 * One process is the loop's own thread (a reactor's, with its application), which sleeps until the descriptor is
 * readable, then dispatches; others wake its tasks, kick it, move the clock, make a descriptor ready. README.md has the
 * map from here to the functions of core/. One step is a stretch under the loop's lock, a stretch under the pool's lock
 * (where somebody that wakes takes a reference on whom it wakes), a system call, or a look at a clock.
 */

#define TASKS 2
#define NEVER 3 /* the clock ends before */

/* Deliberate mistakes, each to be found. */
#define BUG_SIGNAL_ENDS_BEFORE_READ 1    /* collect_events calls end_signal first */
#define BUG_SIGNAL_ENDS_AFTER_CLOCK 2    /* begin_round ends the signal, after collect_times */
#define BUG_WAKE_WITHOUT_REFERENCE 3     /* cp_wakes_add takes no reference */
#define BUG_OWNER_CLOSES_DESCRIPTORS 4   /* cp_loop_free does not wait for the last task (C25) */
#define BUG_QUEUED_UNTIL_STEPPED 5       /* take_queued leaves is_queued until after the step */
#define BUG_SIGNALLED_IS_QUEUED 6        /* wake_task does nothing where the loop was signalled */
#define BUG_PASSED_IS_ASKED_BEFORE 7     /* connpool_reactor_dispatch does not ask again after the loop's */
#define BUG_ALARM_RINGS_ONCE 8           /* collect_event leaves loop->alarm */
#define BUG_ALARM_BEFORE_STEPS 9         /* set_alarm before the steps */
#define BUG_READY_BEFORE_ARMED 10        /* descriptors are armed with EPOLLET, and never again */
#define BUG_EVENT_IS_NOT_READ 11         /* collect_event leaves the eventfd */
#define BUG_AGAIN_WITHOUT_SIGNAL 12      /* queue_for_next does not signal */
#define BUG_ABANDONED_STAYS_QUEUED 13    /* detach leaves the task in the queue */
#define BUG_KICK_BEFORE_FLAG 14          /* pass_over kicks, then says why */

c_decl {
\#include <stdlib.h>
    static int setting(const char *name)
    {
        const char *text = getenv(name);
        return text == NULL ? 0 : atoi(text);
    }
};

/* The settings of a run; constant once it began. */
hidden byte bug;
hidden byte replaced; /* the clock is: there is no timerfd, who moves it kicks */
/* Who is there. */
hidden byte wakers, passers, movers, peers;
hidden byte may_leave; /* the first task may be abandoned at any time */
hidden byte may_ask;   /* a step may ask for another at once */

/* Under the loop's lock. */
bool live[TASKS];
bool queued[TASKS];
bool for_next[TASKS]; /* queued since begin_round */
bool signalled;

/* The loop's thread only. */
byte time_of[TASKS]; /* when it wants to be stepped, NEVER: at no time */
byte alarm;          /* what the loop believes that the timerfd is set to */
bool is_stepping;    /* the round has begun */

/* The system's. */
bool eventfd;
byte timerfd = NEVER;
byte clock;
bool armed[TASKS];
bool ready[TASKS]; /* its descriptor */
bool edge[TASKS];  /* it became so while armed */

/* What a task is to notice, and a reactor. */
bool in_line[TASKS]; /* somebody may wake it */
bool news[TASKS];
bool passed;

/* Memory. */
byte references[TASKS];
byte loop_references = TASKS + 1;
bool closed;

/* Who else is still there, and who of them the loop may not be freed under: they hold a lock that the owner takes
 * first. */
byte others;
byte holders;
bool gone;
bool leaves[TASKS]; /* it is abandoned at any time */
bool stops;         /* all is */

/* Nothing happened since the dispatch looked for events. */
bool quiet;

#define HAS_EVENT(task)                                                                                                \
    (armed[task] && (bug == BUG_READY_BEFORE_ARMED -> edge[task] : ready[task]))
#define READABLE (eventfd || clock >= timerfd || HAS_EVENT(0) || HAS_EVENT(1))

/* unlock_and_signal: the lock was held until here; the write comes after it. */
inline signal()
{
    writes = !signalled;
    signalled = true
}

inline write()
{
    if
    :: writes -> atomic { assert(!closed); eventfd = true; quiet = false; writes = false }
    :: else
    fi
}

/* cp_waker_unref, dispose_task, loop_unref. */
inline unref(task)
{
    atomic {
        references[task]--;
        if
        :: references[task] == 0 ->
            loop_references--;
            closed = closed || loop_references == 0
        :: else
        fi
    }
}

/* cp_wakes_add, cp_wakes_fire: wake_task. Twice: the second one may meet a task that has been woken. */
proctype waker(byte task)
{
    bool writes = false;

    /* The pool's lock. */
    atomic {
        if
        :: !in_line[task] -> goto done
        :: else
        fi;
        news[task] = true;
        if
        :: bug == BUG_WAKE_WITHOUT_REFERENCE
        :: else -> references[task]++
        fi
    }
    atomic {
        assert(references[task] > 0 && !closed);
        if
        :: bug == BUG_SIGNALLED_IS_QUEUED && signalled
        :: live[task] && !queued[task] && !(bug == BUG_SIGNALLED_IS_QUEUED && signalled) ->
            queued[task] = true;
            for_next[task] = is_stepping;
            signal()
        :: else
        fi
    }
    write();
    if
    :: bug == BUG_WAKE_WITHOUT_REFERENCE
    :: else -> unref(task)
    fi;
done:
    others--
}

/* cp_loop_kick, by who passed the reactor over. The reactor is not closed meanwhile: the pool's lock is held. */
proctype passer()
{
    bool writes = false;

    atomic {
        if
        :: gone -> goto done
        :: else -> holders++
        fi
    }
    if
    :: bug == BUG_KICK_BEFORE_FLAG
    :: else -> passed = true
    fi;
    atomic { signal() }
    write();
    if
    :: bug == BUG_KICK_BEFORE_FLAG -> passed = true
    :: else
    fi;
    holders--;
done:
    others--
}

/* Time goes on; a replaced clock is moved, and that is told. */
proctype mover()
{
    bool writes = false;

    do
    :: clock < NEVER - 1 ->
        atomic { clock++; quiet = false }
        if
        :: replaced ->
            atomic {
                if
                :: gone -> break
                :: else -> holders++
                fi
            }
            atomic { signal() }
            write();
            holders--
        :: else
        fi
    :: else -> break
    od;
    others--
}

proctype peer(byte task)
{
    atomic { ready[task] = true; edge[task] = armed[task]; quiet = false; others-- }
}

/* ---- The loop's thread ---- */

/* detach, done, and the loop's reference. */
inline finish(task)
{
    atomic {
        time_of[task] = NEVER;
        live[task] = false;
        if
        :: bug == BUG_ABANDONED_STAYS_QUEUED
        :: else -> queued[task] = false
        fi;
        for_next[task] = false
    }
    atomic { in_line[task] = false; news[task] = false }
    unref(task)
}

/* step_task. */
inline step(task)
{
    atomic {
        assert(live[task] && references[task] > 0);
        found = true;
        time_of[task] = NEVER;
        news[task] = false;
        armed[task] = false
    }
    if
    :: ready[task] -> ready[task] = false
    :: else
    fi;
    if
    :: finish(task)
    :: skip /* AGAIN: until it is woken */
    :: movers > 0 -> time_of[task] = clock + 1
    :: peers > 0 -> atomic { armed[task] = true; edge[task] = false }
    :: may_ask && !again -> /* at a time that is past */
        atomic {
            again = true;
            if
            :: queued[task]
            :: else ->
                queued[task] = true;
                for_next[task] = true;
                if
                :: bug == BUG_AGAIN_WITHOUT_SIGNAL
                :: else -> signal()
                fi
            fi
        }
        write()
    fi
}

inline set_alarm()
{
    atomic {
        first = (time_of[0] < time_of[1] -> time_of[0] : time_of[1]);
        if
        :: !replaced && first != NEVER && first < alarm -> timerfd = first; alarm = first
        :: else
        fi;
        first = 0
    }
}

/* take_queued: the tasks stand in no order here. */
inline step_all()
{
    do
    :: atomic {
        (queued[0] && !for_next[0]) || (queued[1] && !for_next[1]) ->
            if
            :: queued[0] && !for_next[0] -> task = 0
            :: queued[1] && !for_next[1] -> task = 1
            fi;
            if
            :: bug == BUG_QUEUED_UNTIL_STEPPED -> for_next[task] = true
            :: else -> queued[task] = false
            fi
        }
        step(task);
        atomic {
            if
            :: bug == BUG_QUEUED_UNTIL_STEPPED -> queued[task] = false
            :: else
            fi;
            task = 0
        }
    :: else -> break
    od
}

proctype owner()
{
    bool writes = false;
    bool found = false;  /* something was to be done in this dispatch */
    bool called = false; /* the eventfd was among the events */
    bool again = false;  /* a step asked for another at once */
    byte task = 0;
    byte first = 0;

    do
    :: READABLE ->
        atomic {
            found = passed;
            passed = false
        }
        /* collect_events: epoll_wait says what is ready, and one-shot events are over; then each is seen to. */
        atomic {
            called = eventfd;
            quiet = true;
            if
            :: clock >= timerfd ->
                timerfd = NEVER;
                alarm = (bug == BUG_ALARM_RINGS_ONCE -> alarm : NEVER)
            :: else
            fi;
            do
            :: task < TASKS && HAS_EVENT(task) ->
                armed[task] = false;
                for_next[task] = false;
                queued[task] = live[task];
                task++
            :: task < TASKS && !HAS_EVENT(task) -> task++
            :: task == TASKS -> break
            od;
            task = 0
        }
        if
        :: called && bug == BUG_SIGNAL_ENDS_BEFORE_READ -> signalled = false
        :: else
        fi;
        if
        :: called && bug != BUG_EVENT_IS_NOT_READ -> eventfd = false
        :: else
        fi;
        if
        :: called && bug != BUG_SIGNAL_ENDS_AFTER_CLOCK && bug != BUG_SIGNAL_ENDS_BEFORE_READ -> signalled = false
        :: else
        fi;
        /* collect_times */
        atomic {
            do
            :: task < TASKS && time_of[task] <= clock && time_of[task] != NEVER ->
                time_of[task] = NEVER;
                for_next[task] = false;
                queued[task] = true;
                task++
            :: task < TASKS && (time_of[task] > clock || time_of[task] == NEVER) -> task++
            :: task == TASKS -> break
            od;
            task = 0
        }
        /* begin_round */
        atomic {
            is_stepping = true;
            signalled = signalled && !(called && bug == BUG_SIGNAL_ENDS_AFTER_CLOCK);
            called = false
        }
        if
        :: bug == BUG_ALARM_BEFORE_STEPS -> set_alarm()
        :: else
        fi;
        step_all();
        if
        :: bug == BUG_ALARM_BEFORE_STEPS
        :: else -> set_alarm()
        fi;
        atomic {
            is_stepping = false;
            for_next[0] = false;
            for_next[1] = false;
            if
            :: bug == BUG_PASSED_IS_ASKED_BEFORE
            :: else -> found = found || passed; passed = false
            fi;
            /* Who came for nothing is not told to come again. */
            assert(found || !quiet || !READABLE);
            found = false;
            quiet = false
        }
    /* Nothing moves any more. */
    :: others == 0 && !READABLE && !stops ->
        assert(!passed && !eventfd && !signalled);
        assert(!news[0] && !queued[0] && (time_of[0] > clock || time_of[0] == NEVER) && !(armed[0] && ready[0]));
        assert(!news[1] && !queued[1] && (time_of[1] > clock || time_of[1] == NEVER) && !(armed[1] && ready[1]));
        stops = true
    :: live[0] && (leaves[0] || stops) -> finish(0) /* cp_loop_abandon */
    :: live[1] && (leaves[1] || stops) -> finish(1)
    :: !live[0] && !live[1] && (leaves[0] || stops) -> break
    od;
    /* cp_loop_free */
    atomic { holders == 0 -> gone = true }
    atomic {
        loop_references--;
        closed = loop_references == 0 || bug == BUG_OWNER_CLOSES_DESCRIPTORS
    }
}

init
{
    byte n = 0;

    atomic {
        c_code {
            bug = setting("BUG");
            replaced = setting("REPLACED") != 0;
            wakers = setting("WAKERS");
            passers = setting("PASSERS");
            movers = setting("MOVERS");
            peers = setting("PEERS");
            may_leave = setting("MAY_LEAVE") != 0;
            may_ask = setting("MAY_ASK") != 0;
        };
        /* cp_loop_start */
        live[0] = true;
        live[1] = true;
        in_line[0] = true;
        in_line[1] = true;
        queued[0] = true;
        queued[1] = true;
        signalled = true;
        eventfd = true;
        references[0] = 1;
        references[1] = 1;
        time_of[0] = NEVER;
        time_of[1] = NEVER;
        alarm = NEVER;
        if
        :: may_leave -> leaves[0] = true
        :: true
        fi;
        others = wakers + passers + movers + peers;
        run owner();
        do
        :: n < wakers -> run waker(0); n++
        :: else -> break
        od;
        if
        :: passers -> run passer()
        :: else
        fi;
        if
        :: movers -> run mover()
        :: else
        fi;
        if
        :: peers -> run peer(0)
        :: else
        fi;
        n = 0
    }
    atomic {
        _nr_pr == 1 -> assert(closed && references[0] == 0 && references[1] == 0)
    }
}
