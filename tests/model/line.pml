/* SPDX-License-Identifier: MIT */
/*
 * line: the line of waiters of a pool, its two limits, eviction, hand-over, timeout and close, as Spin sees them.
 *
 * One process is one application thread that acquires and gives back a few times at one endpoint; one more closes the
 * pool; where threads stand in line while they open, one for each endpoint drives on the opens that they leave. README.md
 * has the map from here to the functions of core/, and how the settings are given.
 *
 * What is one atomic step here is one of these in the code:
 *   - a stretch under the pool lock that touches nothing that is read under an endpoint lock alone;
 *   - one critical section of an endpoint lock. It reads two things that others write without that lock (the count of
 *     waiters, the index), and both reads are allowed to be old: see `behind`.
 */

#define CLIENTS 4
#ifndef ENDPOINTS
#define ENDPOINTS 2
#endif
#define NOBODY 15

/* Where a waiter stands. */
#define AWAY 0    /* not in line */
#define WAITING 1 /* in line, asleep */
#define WOKEN 2   /* in line, told to look again */
#define GRANTED 3 /* out of the line, a connection of its endpoint is its */
#define SLOT 4    /* out of the line, a slot is its, with the victim that is to be closed first if there is one */
#define CLOSED 5  /* out of the line, the pool closed */

/* Deliberate mistakes, each to be found: what happens when a part is left out. */
#define BUG_GIVEN_UP_SLOT_WAKES_NOBODY 1   /* cp_line_unreserve: an open failed, a connection was discarded */
#define BUG_GONE_KEEPS_ITS_WAKE 2          /* cp_line_leave without a match, by who is abandoned */
#define BUG_COUNT_READ_BEFORE_LOCK 3       /* connpool_release trusts its first look at the count */
#define BUG_CLOSE_WAKES_NOBODY 4           /* cp_line_close */
#define BUG_INDEX_CLEARED_WITHOUT_LOCK 5   /* cp_due_evict takes an endpoint out of the index after unlocking it */
#define BUG_TIMEOUT_DECIDED_WITHOUT_LOCK 6 /* who is abandoned leaves on a state read before the lock */
#define BUG_GRANT_KEEPS_THE_WAKE 7         /* who was woken and then granted something passes no wake on */
#define BUG_RESCAN_BEFORE_COUNT 8          /* look, then stand in line */
#define BUG_VICTIM_UNCOUNTED_ALIVE 9       /* a victim's endpoint forgets it before it has ended */
#define BUG_INDEX_SET_WAKES_NOBODY 10      /* connpool_release lowers the index without a match */
#define BUG_PARKED_AFTER_CLOSE 11          /* connpool_release does not look whether the endpoint closed */
#define BUG_TAKER_KEEPS_ITS_WAKE 12        /* cp_line_leave without a match, by who found something */
#define BUG_SEARCH_WITHOUT_LOCK 13         /* a woken waiter looks before it takes the pool lock, then sleeps */
#define BUG_OPENED_AFTER_CLOSE 14          /* what was opened is handed out without a look whether it closed */
#define BUG_SLOT_DECIDED_WITHOUT_LOCK 15   /* cp_line_reserve believes sizes read before the lock */
#define BUG_RESCAN_WITHOUT_LOCK 16         /* the look from the line reads the idle count without the endpoint lock */
#define BUG_PASSED_SLOT_WAKES_NOBODY 17    /* cp_line_pass_slot without a match */
#define BUG_WOKEN_TAKES_WITHOUT_LOCK 18    /* a woken waiter takes an idle connection before it takes the pool lock */
#define BUG_CLOSED_STAYS_IN_LINE 19        /* who looks while close empties the line ends, still in it */
#define BUG_OPENER_WANTS_A_SLOT 20         /* first_hungry: an opener is granted, or woken for, a slot */
#define BUG_OPENER_STANDS_WITHOUT_A_LOOK 21 /* it opens, stands in line, and does not look as it enters */
#define BUG_OPENED_KEEPS_ITS_GRANT 22      /* what was granted to an opener before its open was done is in no hand */
#define BUG_OPENED_KEEPS_ITS_WAKE 23       /* cp_line_leave without a match, by an opener whose open has ended */

c_decl {
\#include <stdlib.h>
\#include <string.h>
    static int setting(const char *name)
    {
        const char *text = getenv(name);
        return text == NULL ? 0 : atoi(text);
    }
    static unsigned char digit(const char *name, unsigned place)
    {
        const char *text = getenv(name);
        return (unsigned char)(text == NULL || strlen(text) <= place ? 0 : text[place] - '0');
    }
};

/* The settings of a run; constant once it began. */
hidden byte bug;
hidden byte max_size[ENDPOINTS];
hidden byte total_max_size; /* of the pool */
hidden byte grants;         /* a waiter may have waited over 1 ms */
hidden byte opens_fail;
hidden byte holds; /* a lease may be held until nothing else moves */
hidden byte discards; /* a connection may be given back broken */
hidden byte openers;  /* who opens stands in line meanwhile */

#define CARRIER 99 /* as rounds: the process that drives on what was left */

/* Under the pool lock. */
bool pool_locked;
byte size[ENDPOINTS];
byte total;
byte line[CLIENTS]; /* in order of arrival */
byte waiters;       /* how many: also read without the pool lock */
byte state[CLIENTS];
byte victim[CLIENTS]; /* with SLOT: the endpoint of the victim, or NOBODY */
bool opens[CLIENTS];  /* in line as an opener: it has a slot */
bool closing;

/* Written under both locks, read under either. */
bool indexed[ENDPOINTS]; /* bound is not CP_NEVER: the endpoint may have idle connections */

/* Under the endpoint's lock. */
byte idle[ENDPOINTS];
bool shut[ENDPOINTS]; /* close has been here */

/*
 * The memory model. waiters is a relaxed atomic: a thread that holds only an endpoint lock may read 0 although somebody
 * counted itself, until whoever counted (or anybody who held the pool lock after that) has unlocked that same endpoint
 * lock: only then does the count happen before the read. One bit for each endpoint lock says that its holder may read
 * the old 0. (That a thread knows more than the lock is left out, which allows more than C11 does.)
 */
bool behind[ENDPOINTS];

hidden byte at[CLIENTS];     /* a client's endpoint */
bool signal[CLIENTS]; /* its waker was fired */

/* What is true, whatever the pool believes. */
byte alive[ENDPOINTS]; /* connections that are opening or open */
bool swept;            /* close has closed what was idle */
bool thaw;             /* nothing else moved: the leases held come back now, the opens that hang end */
byte left[ENDPOINTS];  /* opens that were left, and connections that are given back, in the loop */
byte dead[ENDPOINTS];  /* opens that failed, to be ended in the loop */
byte running;          /* clients that are not through */

/* Scratch of one d_step. */
hidden byte i, e, who;

#define LOCK_POOL !pool_locked -> pool_locked = true
#define UNLOCK_POOL pool_locked = false
/* Ends an atomic sequence that comes here from another one: Spin would go on with both as one. */
#define STEP true
#define HAND_OUT assert(!swept)
#define PUT_DOWN(client) wakes = wakes | (1 << client)
#define IS_NOT_HUNGRY(client) \
    ((opens[client] && bug != BUG_OPENER_WANTS_A_SLOT) || size[at[client]] >= max_size[at[client]])

/* cp_line_enter. The pool lock is held. */
inline enter()
{
    d_step {
        state[me] = WAITING;
        line[waiters] = me;
        waiters++;
        if
        :: waiters == 1 ->
            e = 0;
            do
            :: e < ENDPOINTS -> behind[e] = true; e++
            :: else -> break
            od
        :: else
        fi;
        e = 0
    }
}

/* remove_places. The pool lock is held. */
inline remove(client)
{
    d_step {
        i = 0;
        do
        :: line[i] != client -> i++
        :: else -> break
        od;
        waiters--;
        do
        :: i < waiters -> line[i] = line[i + 1]; i++
        :: else -> break
        od;
        line[waiters] = NOBODY;
        i = 0
    }
}

/* cp_line_match. The pool lock is held; has_idle takes the endpoint's. */
inline match(endpoint)
{
    d_step {
        behind[endpoint] = false;
        i = 0;
        do
        :: i < waiters && at[line[i]] != endpoint -> i++
        :: else -> break
        od;
        if
        :: i < waiters && state[line[i]] == WAITING && idle[endpoint] > 0 ->
            state[line[i]] = WOKEN;
            PUT_DOWN(line[i])
        :: else
        fi;
        /* first_hungry */
        i = 0;
        do
        :: i < waiters && IS_NOT_HUNGRY(line[i]) -> i++
        :: else -> break
        od;
        e = 0;
        do
        :: e < ENDPOINTS && !indexed[e] -> e++
        :: else -> break
        od;
        if
        :: i < waiters && state[line[i]] == WAITING && (total < total_max_size || e < ENDPOINTS) ->
            state[line[i]] = WOKEN;
            PUT_DOWN(line[i])
        :: else
        fi;
        i = 0
    }
}

/* grant. The pool lock is held; `found` is out of line afterwards, and is woken unless a wake is under way. */
inline grant(what)
{
    d_step {
        if
        :: state[found] == WAITING -> PUT_DOWN(found)
        :: else
        fi;
        state[found] = what
    }
    remove(found)
}

/* What follows a grant: the granted waiter passes on the wake that may have been under way to it. */
inline pass_on()
{
    if
    :: found != NOBODY && bug != BUG_GRANT_KEEPS_THE_WAKE -> match(at[found])
    :: else
    fi;
    found = NOBODY
}

/* first_hungry: the first waiter, in order of arrival, whose endpoint may have one connection more. */
inline find_hungry()
{
    d_step {
        i = 0;
        do
        :: i < waiters && IS_NOT_HUNGRY(line[i]) -> i++
        :: else -> break
        od;
        found = (i < waiters -> line[i] : NOBODY);
        i = 0
    }
}

/* Whom cp_line_hand_over gives a connection of `mine` to: the first waiter of that endpoint, or, where the pool is
 * full, a hungry one that came before. */
inline find_heir()
{
    d_step {
        i = 0;
        do
        :: i < waiters && at[line[i]] != mine &&
               (total < total_max_size || IS_NOT_HUNGRY(line[i])) -> i++
        :: else -> break
        od;
        found = (i < waiters -> line[i] : NOBODY);
        i = 0
    }
}

/* cp_line_leave, with or without a find. The pool lock is held. */
inline leave(forgets)
{
    remove(me);
    state[me] = AWAY;
    if
    :: bug == forgets
    :: else -> match(mine)
    fi
}

/* cp_wakes_fire. No lock is held. */
inline fire()
{
    d_step {
        i = 0;
        do
        :: i < CLIENTS ->
            if
            :: wakes & (1 << i) -> signal[i] = true
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0;
        wakes = 0
    }
}

#define FIRE if :: wakes != 0 -> fire() :: else fi

proctype client(byte me; byte mine; byte rounds; bool may_time_out)
{
    byte wakes = 0;        /* whom to wake after unlocking */
    byte found = NOBODY;   /* a waiter, or the endpoint that is looked at */
    bool late = false;     /* the deadline has come */
    bool leaves = false;   /* cancelled: it takes nothing any more */
    bool unlisted = false; /* what was parked is not in the index */
    bool hangs = false;    /* its open does not end before nothing else moves */
    bool failed = false;   /* its open has */

again:
    atomic {
        late = false;
        leaves = false;
        found = NOBODY;
        if
        :: rounds == 0 -> running--; goto done
        :: rounds == CARRIER -> goto carrier
        :: else -> rounds--
        fi
    }

    /* ---- core/pool/acquire_search.c ---- */

    /* search: cp_endpoint_take, under the endpoint lock alone. */
    atomic {
        if
        :: idle[mine] > 0 -> idle[mine]--; HAND_OUT; goto leased
        :: else
        fi
    }
    if
    :: bug == BUG_SLOT_DECIDED_WITHOUT_LOCK && size[mine] < max_size[mine] && total < total_max_size ->
        atomic { LOCK_POOL; enter(); goto reserve }
    :: bug == BUG_RESCAN_BEFORE_COUNT ->
        atomic {
            LOCK_POOL;
            if
            :: closing -> UNLOCK_POOL; goto again
            :: size[mine] < max_size[mine] -> enter(); goto look_in_line
            :: else
            fi
        }
        atomic {
            behind[mine] = false;
            if
            :: idle[mine] > 0 -> idle[mine]--; UNLOCK_POOL; HAND_OUT; goto leased
            :: else
            fi
        }
        atomic { enter(); UNLOCK_POOL; goto asleep }
    :: else
    fi;

    /* seek, look: a place in line first. */
    atomic {
        LOCK_POOL;
        if
        :: closing -> UNLOCK_POOL; goto again
        :: else -> enter()
        fi
    }

    /* look_in_line: the pool lock is held until here comes an end of it. */
look_in_line:
    STEP;
    atomic {
        if
        :: bug == BUG_RESCAN_WITHOUT_LOCK
        :: else -> behind[mine] = false
        fi;
        if
        :: idle[mine] > 0 -> idle[mine]--; HAND_OUT; goto take
        :: else
        fi
    }
    atomic {
        if
        :: size[mine] < max_size[mine] && total < total_max_size -> goto reserve
        :: size[mine] < max_size[mine] && total >= total_max_size -> found = 0
        :: else -> goto nothing
        fi
    }

    /* cp_line_reserve, cp_due_evict: every endpoint in the index, each under its lock. */
scan:
    STEP;
    atomic {
        if
        :: found == ENDPOINTS -> found = NOBODY; goto nothing
        :: else
        fi;
        if
        :: !indexed[found] -> found++; goto scan
        :: else
        fi;
        behind[found] = false;
        if
        :: idle[found] > 0 -> idle[found]--; goto evict
        :: idle[found] == 0 && bug != BUG_INDEX_CLEARED_WITHOUT_LOCK -> indexed[found] = false; found++; goto scan
        :: else
        fi
    }
    atomic { indexed[found] = false; found++; goto scan }

nothing:
    STEP;
    atomic {
        if
        :: late -> leave(0); UNLOCK_POOL; goto gone
        :: else -> state[me] = WAITING; UNLOCK_POOL
        fi
    }

    /* cp_drive: until the waker is fired, or the deadline has come (then there is one more step), or it is abandoned */
asleep:
    STEP;
    atomic {
        if
        :: signal[me] -> signal[me] = false
        :: may_time_out -> late = true
        :: may_time_out -> leaves = true
        fi
    }
    if
    :: bug == BUG_TIMEOUT_DECIDED_WITHOUT_LOCK && leaves && (state[me] == WAITING || state[me] == WOKEN) ->
        atomic {
            LOCK_POOL;
            if
            :: state[me] == WAITING || state[me] == WOKEN -> leave(0)
            :: else -> state[me] = AWAY
            fi;
            UNLOCK_POOL;
            goto gone
        }
    :: bug == BUG_SEARCH_WITHOUT_LOCK && !late && !leaves && state[me] == WOKEN ->
        if
        :: idle[mine] > 0 -> goto wake_up
        :: else
        fi;
        if
        :: size[mine] < max_size[mine] -> goto wake_up
        :: else
        fi;
        atomic {
            LOCK_POOL;
            if
            :: state[me] == WOKEN -> state[me] = WAITING; UNLOCK_POOL; goto asleep
            :: else -> UNLOCK_POOL
            fi
        }
    :: bug == BUG_WOKEN_TAKES_WITHOUT_LOCK && !leaves && state[me] == WOKEN ->
        atomic {
            if
            :: idle[mine] > 0 -> idle[mine]--
            :: else -> goto wake_up
            fi
        }
        atomic {
            LOCK_POOL;
            if
            :: state[me] == WAITING || state[me] == WOKEN -> leave(0)
            :: else -> state[me] = AWAY
            fi;
            UNLOCK_POOL;
            goto hand_out
        }
    :: else
    fi;

    /* seek, look, or abandon, leave_line: what has become of this waiter? */
wake_up:
    STEP;
    atomic {
        LOCK_POOL;
        if
        :: state[me] == GRANTED && !leaves -> state[me] = AWAY; UNLOCK_POOL; goto hand_out
        :: state[me] == GRANTED && leaves -> state[me] = AWAY; UNLOCK_POOL; goto settle
        :: state[me] == SLOT ->
            state[me] = AWAY;
            found = victim[me];
            victim[me] = NOBODY;
            UNLOCK_POOL;
            if
            :: found != NOBODY -> goto end_victim
            :: found == NOBODY && !leaves -> goto open
            :: found == NOBODY && leaves -> goto give_slot_back
            fi
        :: state[me] == CLOSED -> state[me] = AWAY; UNLOCK_POOL; goto again
        :: (state[me] == WAITING || state[me] == WOKEN) && !leaves && closing ->
            if
            :: bug == BUG_CLOSED_STAYS_IN_LINE -> state[me] = AWAY
            :: else -> leave(0)
            fi;
            UNLOCK_POOL;
            goto gone
        :: (state[me] == WAITING || state[me] == WOKEN) && !leaves && !closing -> goto look_in_line
        :: (state[me] == WAITING || state[me] == WOKEN) && leaves ->
            leave(BUG_GONE_KEEPS_ITS_WAKE);
            UNLOCK_POOL;
            goto gone
        fi
    }

    /* Something was found from the line: leave it, and pass the wake on. */
take:
    STEP;
    atomic { leave(BUG_TAKER_KEEPS_ITS_WAKE); UNLOCK_POOL }
    FIRE;
    goto leased;

reserve:
    STEP;
    atomic {
        size[mine]++;
        total++;
        assert(size[mine] <= max_size[mine] && total <= total_max_size);
        leave(BUG_TAKER_KEEPS_ITS_WAKE);
        UNLOCK_POOL
    }
    FIRE;
    goto open;

evict:
    STEP;
    atomic {
        size[mine]++;
        assert(size[mine] <= max_size[mine]);
        if
        :: bug == BUG_VICTIM_UNCOUNTED_ALIVE -> size[found]--
        :: else
        fi;
        leave(BUG_TAKER_KEEPS_ITS_WAKE);
        UNLOCK_POOL
    }
    FIRE;

    /* cp_connection_end_keep_slot, cp_line_pass_slot: its own endpoint counts the victim until it has ended. */
end_victim:
    alive[found]--;
    atomic {
        LOCK_POOL;
        if
        :: bug == BUG_VICTIM_UNCOUNTED_ALIVE
        :: else -> size[found]--
        fi;
        if
        :: bug == BUG_PASSED_SLOT_WAKES_NOBODY
        :: else -> match(found)
        fi;
        found = NOBODY;
        UNLOCK_POOL
    }
    FIRE;
    if
    :: leaves -> goto give_slot_back
    :: else
    fi;

open:
    STEP;
    atomic {
        alive[mine]++;
        assert(alive[mine] <= max_size[mine]);
        d_step {
            e = 0;
            i = 0;
            do
            :: e < ENDPOINTS -> i = i + alive[e]; e++
            :: else -> break
            od;
            assert(i <= total_max_size);
            i = 0
        }
    }
    if
    :: openers -> goto opening
    :: else
    fi;
    if
    :: opens_fail -> goto scrap
    :: true
    fi;

hand_out:
    STEP;
    atomic {
        if
        :: shut[mine] && bug != BUG_OPENED_AFTER_CLOSE -> goto scrap
        :: else -> HAND_OUT
        fi
    }

leased:
    if
    :: holds && !thaw -> thaw
    :: true
    fi;

    /* ---- core/pool/release.c ---- */

    /* give_back: the count of waiters without a lock, which may be an old 0; then decide, under the endpoint lock. */
    if
    :: discards -> goto scrap
    :: waiters > 0 -> goto settle
    :: true
    fi;
    atomic {
        if
        :: shut[mine] && bug != BUG_PARKED_AFTER_CLOSE -> goto scrap
        :: else -> idle[mine]++
        fi;
        unlisted = !indexed[mine];
        if
        :: !unlisted && (waiters == 0 || behind[mine] || bug == BUG_COUNT_READ_BEFORE_LOCK) -> goto again
        :: unlisted || waiters > 0 -> goto parked
        fi
    }

    /* cp_release_settle: somebody waits (or a reset has ended). */
settle:
    STEP;
    atomic {
        LOCK_POOL;
        behind[mine] = false;
        if
        :: shut[mine] -> UNLOCK_POOL; goto scrap
        :: else
        fi;
        find_heir();
        if
        :: grants && found != NOBODY ->
            if
            :: at[found] == mine -> grant(GRANTED)
            :: else ->
                victim[found] = mine;
                size[at[found]]++;
                assert(size[at[found]] <= max_size[at[found]]);
                if
                :: bug == BUG_VICTIM_UNCOUNTED_ALIVE -> size[mine]--
                :: else
                fi;
                grant(SLOT)
            fi
        :: true -> found = NOBODY; idle[mine]++; unlisted = !indexed[mine]
        fi
    }
    atomic { pass_on(); UNLOCK_POOL }
    FIRE;

    /* parked: cp_due_lower, cp_line_match. */
parked:
    STEP;
    atomic {
        LOCK_POOL;
        if
        :: unlisted -> indexed[mine] = true; behind[mine] = false
        :: else
        fi
    }
    atomic {
        if
        :: bug == BUG_INDEX_SET_WAKES_NOBODY && unlisted
        :: else -> match(mine)
        fi;
        unlisted = false;
        UNLOCK_POOL;
        goto gone
    }

    /* cp_connection_end: destroyed first, then its slot is free. */
scrap:
    alive[mine]--;

    /* cp_line_unreserve: to the hungry waiter that came first, where it has waited long. */
give_slot_back:
    STEP;
    atomic {
        LOCK_POOL;
        size[mine]--;
        total--;
        find_hungry();
        if
        :: found != NOBODY && grants -> total++; size[at[found]]++; grant(SLOT)
        :: true -> found = NOBODY
        fi
    }
    atomic { pass_on() }
    atomic {
        if
        :: bug == BUG_GIVEN_UP_SLOT_WAKES_NOBODY
        :: else -> match(mine)
        fi;
        UNLOCK_POOL
    }

gone:
    FIRE;
    goto again;

    /* ---- An opener: core/pool/acquire_ready.c (cp_acquire_open), cp_acquire_seek ---- */

opening:
    atomic {
        if
        :: holds -> hangs = true
        :: true
        fi;
        LOCK_POOL;
        if
        :: closing -> hangs = false; UNLOCK_POOL; goto scrap
        :: else -> opens[me] = true; enter()
        fi;
        if
        :: bug == BUG_OPENER_STANDS_WITHOUT_A_LOOK -> UNLOCK_POOL; goto asleep_opening
        :: else
        fi
    }

    /* look_in_line: for an idle connection only */
look_opening:
    STEP;
    atomic {
        behind[mine] = false;
        if
        :: idle[mine] > 0 -> idle[mine]--; HAND_OUT; goto take_opening
        :: else -> state[me] = WAITING; UNLOCK_POOL
        fi
    }

asleep_opening:
    STEP;
    atomic {
        if
        :: signal[me] -> signal[me] = false
        :: !hangs || thaw -> goto opened
        :: (!hangs || thaw) && opens_fail -> failed = true; goto opened
        :: may_time_out -> leaves = true; goto opened
        fi
    }
    atomic {
        LOCK_POOL;
        if
        :: state[me] == GRANTED ->
            state[me] = AWAY;
            opens[me] = false;
            hangs = false;
            left[mine]++;
            UNLOCK_POOL;
            goto hand_out
        :: state[me] == CLOSED ->
            state[me] = AWAY;
            opens[me] = false;
            hangs = false;
            UNLOCK_POOL;
            goto scrap
        :: (state[me] == WAITING || state[me] == WOKEN) && closing ->
            leave(0);
            opens[me] = false;
            hangs = false;
            UNLOCK_POOL;
            goto scrap
        :: state[me] == WOKEN && !closing -> goto look_opening
        :: state[me] == WAITING && !closing -> UNLOCK_POOL; goto asleep_opening
        fi
    }

    /* cp_acquire_leave_open: the open is another's now. */
take_opening:
    STEP;
    atomic {
        leave(BUG_TAKER_KEEPS_ITS_WAKE);
        opens[me] = false;
        hangs = false;
        left[mine]++;
        UNLOCK_POOL
    }
    FIRE;
    goto leased;

    /* Its open has ended, or it leaves: cp_acquire_leave_line. What was granted meanwhile serves it if the open failed,
     * else it is put back; as an open that is left, this is the carrier's here. */
opened:
    STEP;
    atomic {
        LOCK_POOL;
        hangs = false;
        if
        :: state[me] == GRANTED && leaves -> left[mine]++; goto let_go
        :: state[me] == GRANTED && failed -> dead[mine]++; failed = false; goto let_go
        :: state[me] == GRANTED && !leaves && !failed ->
            if
            :: bug == BUG_OPENED_KEEPS_ITS_GRANT
            :: else -> left[mine]++
            fi;
            goto let_go
        :: state[me] == CLOSED -> state[me] = AWAY; opens[me] = false; failed = false; UNLOCK_POOL; goto scrap
        :: state[me] == WAITING || state[me] == WOKEN ->
            leave(BUG_OPENED_KEEPS_ITS_WAKE);
            opens[me] = false;
            UNLOCK_POOL
        fi
    }
    FIRE;
    if
    :: leaves && !closing -> atomic { left[mine]++; goto again }
    :: leaves && closing -> goto scrap
    :: failed -> failed = false; goto scrap
    :: else -> goto hand_out
    fi;

let_go:
    STEP;
    atomic { state[me] = AWAY; opens[me] = false; UNLOCK_POOL }
    if
    :: leaves -> goto settle
    :: else -> goto hand_out
    fi;

    /* core/pool/carry.c: its connection feeds the pool, or its failure gives the slot back. */
carrier:
    atomic {
        if
        :: left[mine] > 0 -> left[mine]--; goto settle
        :: left[mine] > 0 && opens_fail -> left[mine]--; goto scrap
        :: dead[mine] > 0 -> dead[mine]--; goto scrap
        :: running == 0 && left[mine] == 0 && dead[mine] == 0
        fi
    }

done:
    skip
}

/* connpool_close, as far as one pool knows it. */
proctype closer()
{
    byte wakes = 0;
    byte endpoint = 0;
    byte count = 0;

    /* cp_line_close: CP_WAKES at a time, between which the lock is given back; here one at a time. */
    atomic { LOCK_POOL; closing = true }
    do
    :: waiters > 0 ->
        atomic {
            who = line[0];
            assert(state[who] == WAITING || state[who] == WOKEN);
            remove(who);
            state[who] = CLOSED;
            if
            :: bug == BUG_CLOSE_WAKES_NOBODY
            :: else -> PUT_DOWN(who)
            fi;
            who = 0;
            UNLOCK_POOL
        }
        FIRE;
        STEP;
        atomic { LOCK_POOL }
    :: else -> break
    od;
    UNLOCK_POOL;
    do
    :: endpoint < ENDPOINTS ->
        atomic {
            shut[endpoint] = true;
            count = idle[endpoint];
            idle[endpoint] = 0
        }
        alive[endpoint] = alive[endpoint] - count;
        atomic {
            LOCK_POOL;
            size[endpoint] = size[endpoint] - count;
            total = total - count;
            UNLOCK_POOL;
            count = 0;
            endpoint++
        }
    :: else -> break
    od;
    swept = true
}

init
{
    byte n = 0;
    byte sum = 0;
    byte where = 0;
    byte rounds = 0;
    byte clients = 0;
    bool late = false;
    bool closes = false;

    atomic {
        c_code {
            Pinit->clients = (uchar)(getenv("AT") == NULL ? 0 : strlen(getenv("AT")));
            Pinit->closes = setting("CLOSE") != 0;
            bug = (uchar)setting("BUG");
            total_max_size = (uchar)setting("TOTAL_MAX_SIZE");
            grants = setting("GRANTS") != 0;
            opens_fail = setting("OPENS_FAIL") != 0;
            holds = setting("HOLDS") != 0;
            discards = setting("DISCARDS") != 0;
            openers = setting("OPENERS") != 0;
        };
        do
        :: n < CLIENTS -> line[n] = NOBODY; victim[n] = NOBODY; n++
        :: else -> break
        od;
        /* Any number of connections lies idle at the beginning, and the index may say that there are some where there
         * are none. */
        n = 0;
        do
        :: n < ENDPOINTS ->
            c_code { max_size[Pinit->n] = digit("MAX_SIZE", Pinit->n); };
            do
            :: idle[n] < max_size[n] && sum < total_max_size -> idle[n]++; sum++
            :: break
            od;
            size[n] = idle[n];
            alive[n] = idle[n];
            if
            :: indexed[n] = true
            :: idle[n] == 0
            fi;
            n++
        :: else -> break
        od;
        total = sum;
        n = 0;
        do
        :: n < clients ->
            c_code {
                Pinit->where = digit("AT", Pinit->n);
                Pinit->rounds = digit("ROUNDS", Pinit->n);
                Pinit->late = digit("MAY_TIME_OUT", Pinit->n);
            };
            at[n] = where;
            run client(n, where, rounds, late);
            n++
        :: else -> break
        od;
        running = clients;
        n = 0;
        do
        :: openers && n < ENDPOINTS -> run client(NOBODY, n, CARRIER, false); n++
        :: else -> break
        od;
        if
        :: closes -> run closer()
        :: else
        fi;
        n = 0;
        sum = 0;
        where = 0;
        rounds = 0;
        clients = 0;
        late = false;
        closes = false
    }

    /*
     * Those who hold a lease may hold it until nothing else moves any more. Then all that is free is of no use to any
     * that sleep.
     */
    do
    :: _nr_pr == 1 -> break
    :: timeout ->
        assert(!thaw && !pool_locked);
        atomic {
            do
            :: n < waiters ->
                assert(idle[at[line[n]]] == 0);
                assert(opens[line[n]] || size[at[line[n]]] >= max_size[at[line[n]]] || total >= total_max_size);
                where = 0;
                do
                :: where < ENDPOINTS ->
                    assert(opens[line[n]] || size[at[line[n]]] >= max_size[at[line[n]]] || idle[where] == 0);
                    where++
                :: else -> break
                od;
                n++
            :: else -> break
            od;
            n = 0;
            where = 0;
            thaw = true
        }
    od;
    /* All are through: nothing is lost, nothing is left. */
    atomic {
        assert(waiters == 0 && !pool_locked);
        do
        :: n < ENDPOINTS ->
            assert(size[n] == idle[n] && alive[n] == idle[n]);
            assert(idle[n] == 0 || indexed[n] || closing);
            sum = sum + idle[n];
            n++
        :: else -> break
        od;
        assert(total == sum && (!closing || total == 0))
    }
}
