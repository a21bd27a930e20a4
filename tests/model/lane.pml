/* SPDX-License-Identifier: MIT */
/*
 * lane: threads and reactors in one line, where a reactor may come late, or never again: who is called, who keeps
 * watch, what is taken back, and the return to the places in line.
 *
 * One process is a thread that acquires and gives back once, or a reactor with all its requests. README.md has the map
 * from here to the functions of core/. A stretch under the pool lock is one step here: what may happen between two
 * reads of such a stretch is line.pml's. What is done in such a step is written in C, as in core/; what may be this way
 * or that is chosen outside, in Promela.
 */

#define CLIENTS 5
#define ENDPOINTS 2
#define LANES 4
#define THREADS 0 /* the lane of the threads; the others are reactors */
#define NOBODY 15

/* What has become of a waiter, as the line knows it. */
#define OUT 0
#define WAITING 1
#define WOKEN 2
#define GRANTED 3
#define CLOSED 4

/* What it was granted, or has found. */
#define NOTHING 0
#define CONNECTION 1
#define SLOT 2
#define ENDED 3
#define VICTIM 4 /* and more: a slot, after the end of a connection of endpoint gift - VICTIM */

/* What has become of its acquire. */
#define FRESH 0
#define SEEKING 1 /* in line, as the acquirer knows */
#define LEASED 2
#define HELD 3 /* the lease comes back only when nothing else moves */
#define OVER 4

/* Deliberate mistakes, each to be found. */
#define BUG_CALL_SETS_NO_WATCH 1     /* cp_lane_called without set_watches */
#define BUG_WATCH_HAS_NO_HEIR 2      /* cp_lane_leave without set_watches */
#define BUG_RETURN_SETS_NO_WATCH 3   /* cp_line_return without cp_lane_set_watches */
#define BUG_LOOKS_BEFORE_DRAIN 4     /* a dispatch asks only at its beginning whether it was passed over */
#define BUG_PASSED_KEEPS_WAKE 5      /* pass_over without a match for those that were woken */
#define BUG_UNDO_WAKES_NOBODY 6      /* park_granted without a match */
#define BUG_RETURN_WITHOUT_MATCH 7   /* cp_line_return without a match */
#define BUG_RETURN_TO_THE_END 8      /* cp_line_enter gives a new sequence number */
#define BUG_GONE_IS_STILL_CALLED 9   /* leave_line does not answer the call */
#define BUG_VICTIM_GIVEN_BACK_TWICE 10 /* undo_grant gives back a slot of the pool with a victim that has it still */
#define BUG_CLOSED_WHILE_AWAY 11     /* cp_line_return tells nobody that the pool closed */
#define BUG_GRANT_SEEN_BEFORE_LOCK 12 /* accept_grant believes a state that was read before the lock */
#define BUG_NO_KICK 13               /* pass_over does not kick the reactor's loop */
#define BUG_ONE_WATCH_FOR_REACTORS 14 /* set_watches stops at the first reactor */
#define BUG_WATCH_LOOKS_ONCE 15      /* who watches sleeps without a limit */
#define BUG_UNDO_KEEPS_SLOT 16       /* undo_grant leaves the slot with the endpoint of the waiter */

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
hidden byte clients;
hidden byte lane_of[CLIENTS];
hidden byte at[CLIENTS];
hidden byte may_leave[CLIENTS]; /* cancelled, or its time is up */
hidden byte may_stop[LANES];    /* the reactor is not dispatched any more, until nothing else moves */
hidden byte max_size[ENDPOINTS];
hidden byte total_max_size;
hidden byte discards;
hidden byte holds; /* a lease may be held until nothing else moves */

/* Under the pool lock. */
byte size[ENDPOINTS];
byte total;
byte line[CLIENTS]; /* by sequence number */
byte waiters;
byte sequence[CLIENTS];
byte arrived[CLIENTS]; /* the same, were it not for mistakes */
byte next_sequence;
byte state[CLIENTS];
byte gift[CLIENTS];
byte watch[LANES];
byte calls[CLIENTS]; /* the oldest first */
byte call_count;
bool closing;

/* Under an endpoint's lock, which is within a step here. */
byte idle[ENDPOINTS];

/* The acquirer's own, and its driver's. */
byte phase[CLIENTS];
bool signal[CLIENTS];    /* its waker was fired */
bool is_timed[CLIENTS];  /* it sleeps no longer than until a call is too old */
bool was_passed[LANES];  /* was_passed_over */
bool kicked[LANES];      /* its loop was */
bool stopped[LANES];

/* What is true, whatever the pool believes. */
byte alive[ENDPOINTS];
bool shut; /* close has closed what was idle */
bool thaw; /* nothing else moved: leases come back now, and reactors go on */

/* Argument, choice and result of a function in C. */
byte who;
bool patient; /* the first in line has waited over 1 ms */
byte result;
bool out_of_order; /* somebody was granted something who was not the first */

c_code {
    static void set_watches(void);
    static void match(int endpoint);

    static int is_standing(int c)
    {
        return now.state[c] == WAITING || now.state[c] == WOKEN;
    }

    static int lane_calls(int lane)
    {
        int i, n = 0;

        for (i = 0; i < now.call_count; i++) {
            n += lane_of[now.calls[i]] == lane;
        }
        return n;
    }

    /* The waiter of a lane that stands last, NOBODY: none. */
    static int last_of(int lane)
    {
        int i, last = NOBODY;

        for (i = 0; i < now.waiters; i++) {
            if (lane_of[now.line[i]] == lane) {
                last = now.line[i];
            }
        }
        return last;
    }

    static int first_waiter(int endpoint)
    {
        int i;

        for (i = 0; i < now.waiters; i++) {
            if (at[now.line[i]] == endpoint) {
                return now.line[i];
            }
        }
        return NOBODY;
    }

    static int first_hungry(void)
    {
        int i;

        for (i = 0; i < now.waiters; i++) {
            if (now.size[at[now.line[i]]] < max_size[at[now.line[i]]]) {
                return now.line[i];
            }
        }
        return NOBODY;
    }

    /* ---- core/pool/lane.c ---- */

    static void set_watch(int lane)
    {
        if (now.watch[lane] == NOBODY && last_of(lane) != NOBODY) {
            now.watch[lane] = last_of(lane);
            if (now.state[now.watch[lane]] == WAITING) {
                now.signal[now.watch[lane]] = 1;
            }
        }
    }

    static void set_watches(void)
    {
        int lane;

        if (now.call_count == 0) {
            return;
        }
        if (last_of(THREADS) != NOBODY) {
            set_watch(THREADS);
            return;
        }
        for (lane = 1; lane < LANES; lane++) {
            if (lane_calls(lane) != now.call_count) {
                set_watch(lane);
                if (bug == BUG_ONE_WATCH_FOR_REACTORS && now.watch[lane] != NOBODY) {
                    return;
                }
            }
        }
    }

    static void answer(int c)
    {
        int i, j = 0;

        for (i = 0; i < now.call_count; i++) {
            if (now.calls[i] != c) {
                now.calls[j++] = now.calls[i];
            }
        }
        now.call_count = j;
        for (; j < CLIENTS; j++) {
            now.calls[j] = NOBODY;
        }
    }

    static void called(int c)
    {
        if (lane_of[c] == THREADS) {
            return;
        }
        answer(c);
        now.calls[now.call_count++] = c;
        if (bug != BUG_CALL_SETS_NO_WATCH) {
            set_watches();
        }
    }

    static void lane_leave(int c)
    {
        if (now.watch[lane_of[c]] == c) {
            now.watch[lane_of[c]] = NOBODY;
            if (bug != BUG_WATCH_HAS_NO_HEIR) {
                set_watches();
            }
        }
    }

    static int watch_until(int c)
    {
        int lane = lane_of[c];

        if (lane_calls(lane) == now.call_count) {
            now.watch[lane] = now.watch[lane] == c ? NOBODY : now.watch[lane];
            return 0;
        }
        if (now.watch[lane] == NOBODY) {
            now.watch[lane] = c;
        }
        return now.watch[lane] == c && bug != BUG_WATCH_LOOKS_ONCE;
    }

    /* ---- core/pool/line.c ---- */

    static void line_enter(int c)
    {
        int i;

        if (now.sequence[c] == 0 || bug == BUG_RETURN_TO_THE_END) {
            now.sequence[c] = ++now.next_sequence;
            now.arrived[c] = now.arrived[c] == 0 ? now.sequence[c] : now.arrived[c];
        }
        for (i = now.waiters++; i > 0 && now.sequence[now.line[i - 1]] > now.sequence[c]; i--) {
            now.line[i] = now.line[i - 1];
        }
        now.line[i] = c;
        now.state[c] = WAITING;
    }

    static void remove_places(int c)
    {
        int i = 0;

        while (now.line[i] != c) {
            i++;
        }
        now.waiters--;
        for (; i < now.waiters; i++) {
            now.line[i] = now.line[i + 1];
        }
        now.line[i] = NOBODY;
        lane_leave(c);
    }

    static void wake(int c)
    {
        if (c != NOBODY && now.state[c] == WAITING) {
            now.state[c] = WOKEN;
            now.signal[c] = 1;
            called(c);
        }
    }

    static int somewhere_idle(void)
    {
        return now.idle[0] + now.idle[1] != 0;
    }

    static void match(int endpoint)
    {
        if (now.idle[endpoint] != 0) {
            wake(first_waiter(endpoint));
        }
        if (now.total < total_max_size || somewhere_idle()) {
            wake(first_hungry());
        }
    }

    static void line_leave(int c)
    {
        if (bug != BUG_GONE_IS_STILL_CALLED) {
            answer(c);
        }
        remove_places(c);
        now.state[c] = OUT;
        now.sequence[c] = 0;
        match(at[c]);
    }

    static void grant(int c, int what)
    {
        int was_asleep = now.state[c] == WAITING;
        int i;

        for (i = 0; i < now.waiters; i++) {
            now.out_of_order |= at[now.line[i]] == at[c] && now.arrived[now.line[i]] < now.arrived[c];
        }
        remove_places(c);
        now.state[c] = GRANTED;
        now.gift[c] = what;
        called(c);
        if (was_asleep) {
            now.signal[c] = 1;
        } else {
            match(at[c]);
        }
    }

    static void unreserve(int endpoint)
    {
        int hungry;

        now.total--;
        now.size[endpoint]--;
        hungry = first_hungry();
        if (hungry != NOBODY && now.total < total_max_size && now.patient) {
            now.total++;
            now.size[at[hungry]]++;
            grant(hungry, SLOT);
        }
        match(endpoint);
    }

    static int hand_over(int endpoint)
    {
        int i;

        for (i = 0; i < now.waiters; i++) {
            int c = now.line[i];

            if (at[c] == endpoint) {
                grant(c, CONNECTION);
                return 1;
            }
            if (now.total >= total_max_size && now.size[at[c]] < max_size[at[c]]) {
                now.size[at[c]]++;
                grant(c, VICTIM + endpoint);
                return 1;
            }
        }
        return 0;
    }

    /* ---- What a reactor does not come for ---- */

    /* The result is VICTIM + endpoint where a connection of that endpoint is to be ended. */
    static int undo_grant(int c)
    {
        int what = now.gift[c];

        now.state[c] = OUT;
        now.gift[c] = NOTHING;
        if (what == CONNECTION && now.shut) {
            return VICTIM + at[c];
        }
        if (what == CONNECTION) {
            now.idle[at[c]]++;
            if (bug != BUG_UNDO_WAKES_NOBODY && now.waiters != 0) {
                match(at[c]);
            }
            return NOTHING;
        }
        if (what == SLOT) {
            unreserve(at[c]);
            return NOTHING;
        }
        if (bug != BUG_UNDO_KEEPS_SLOT) {
            now.size[at[c]]--;
        }
        if (bug == BUG_VICTIM_GIVEN_BACK_TWICE) {
            now.total--;
        }
        return what;
    }

    static int pass_over(int c)
    {
        int woken[CLIENTS], count = 0, victim = NOTHING, i, lane = lane_of[c];

        now.was_passed[lane] = 1;
        now.kicked[lane] = bug == BUG_NO_KICK ? now.kicked[lane] : 1;
        while ((i = last_of(lane)) != NOBODY) {
            int was_woken = now.state[i] == WOKEN;

            remove_places(i);
            now.state[i] = OUT;
            if (was_woken) {
                answer(i);
                woken[count++] = i;
            }
        }
        if (now.state[c] == GRANTED) {
            answer(c);
            victim = undo_grant(c);
        }
        for (i = 0; i < count && bug != BUG_PASSED_KEEPS_WAKE; i++) {
            match(at[woken[i]]);
        }
        return victim;
    }

    static void line_return(int c)
    {
        if (now.state[c] != OUT || now.sequence[c] == 0) {
            return;
        }
        if (now.closing) {
            now.signal[c] = now.signal[c] || bug != BUG_CLOSED_WHILE_AWAY;
            return;
        }
        line_enter(c);
        if (bug != BUG_RETURN_WITHOUT_MATCH) {
            match(at[c]);
        }
        if (bug != BUG_RETURN_SETS_NO_WATCH) {
            set_watches();
        }
    }

    /* ---- core/pool/acquire_search.c, core/pool/acquire.c ---- */

    static void away(int c)
    {
        now.state[c] = OUT;
        now.sequence[c] = 0;
        now.arrived[c] = 0;
        now.gift[c] = NOTHING;
        now.is_timed[c] = 0;
    }

    /* look, look_in_line: what was found; NOTHING: it is in line. */
    static int look(int c)
    {
        int what, endpoint;

        answer(c);
        if (now.state[c] == GRANTED) {
            what = now.gift[c];
            away(c);
            return what;
        }
        if (now.closing) {
            if (is_standing(c)) {
                line_leave(c);
            }
            away(c);
            return ENDED;
        }
        if (now.state[c] == WAITING && now.watch[lane_of[c]] == c) {
            return NOTHING;
        }
        if (now.state[c] == OUT) {
            line_enter(c);
        }
        what = NOTHING;
        if (now.idle[at[c]] != 0) {
            now.idle[at[c]]--;
            what = CONNECTION;
        } else if (now.size[at[c]] < max_size[at[c]] && now.total < total_max_size) {
            now.total++;
            now.size[at[c]]++;
            what = SLOT;
        } else if (now.size[at[c]] < max_size[at[c]] && somewhere_idle()) {
            endpoint = now.idle[0] != 0 ? 0 : 1;
            now.idle[endpoint]--;
            now.size[at[c]]++;
            what = VICTIM + endpoint;
        }
        if (what == NOTHING) {
            now.state[c] = WAITING;
        } else {
            line_leave(c);
            away(c);
        }
        return what;
    }

    /* leave_line: what was granted meanwhile. */
    static int leave(int c)
    {
        int what = NOTHING;

        if (bug != BUG_GONE_IS_STILL_CALLED) {
            answer(c);
        }
        if (is_standing(c)) {
            line_leave(c);
        } else if (now.state[c] == GRANTED) {
            what = now.gift[c];
        }
        away(c);
        return what;
    }

    static void close_line(void)
    {
        int c;

        now.closing = 1;
        while (now.waiters != 0) {
            c = now.line[0];
            remove_places(c);
            answer(c);
            now.state[c] = CLOSED;
            now.signal[c] = 1;
        }
    }

    /* ---- For the processes ---- */

    /* A dispatch of this reactor would do something. */
    static int is_readable(int lane)
    {
        int c;

        for (c = 0; c < clients; c++) {
            if (lane_of[c] == lane && (now.signal[c] || now.is_timed[c] || now.phase[c] == FRESH)) {
                return 1;
            }
        }
        return now.kicked[lane];
    }

    static int is_over(int lane)
    {
        int c;

        for (c = 0; c < clients; c++) {
            if (lane_of[c] == lane && now.phase[c] != OVER) {
                return 0;
            }
        }
        return 1;
    }

    /* What a waiter that can come could have, were a grant of a stopped reactor not in the way: nothing is right. */
    static int is_kept_from(int c)
    {
        int other, hungry = now.size[at[c]] < max_size[at[c]];

        if (now.phase[c] != SEEKING || now.stopped[lane_of[c]]) {
            return 0;
        }
        if (now.idle[at[c]] != 0 || hungry && (now.total < total_max_size || somewhere_idle())) {
            return 1;
        }
        for (other = 0; other < clients; other++) {
            if (now.state[other] == GRANTED && (at[other] == at[c] || hungry)) {
                return 1;
            }
        }
        return 0;
    }
};

/* A choice that is forgotten with the step that it is for. */
inline choose_patience()
{
    if
    :: patient = true
    :: patient = false
    fi;
    skip
}

/*
 * For a waiter that is about to sleep: what others do not come for. How old the calls are is a free choice, but that
 * the first is too old where the watch's time has come.
 */
inline take_back(c)
{
    do
    :: call_count > 0 && lane_of[calls[0]] != lane_of[c] ->
        choose_patience();
        d_step {
            rung = false;
            who = calls[0];
            assert(state[who] == WOKEN || state[who] == GRANTED);
            c_code { now.result = pass_over(now.who); };
            if
            :: result >= VICTIM -> doomed[result - VICTIM]++
            :: else
            fi;
            result = 0;
            who = 0;
            patient = false
        }
    :: !rung || call_count == 0 || lane_of[calls[0]] == lane_of[c] -> break
    od;
    skip
}

/* cp_line_unreserve, in an atomic step. */
inline give_slot_back(endpoint)
{
    choose_patience();
    d_step {
        who = endpoint;
        c_code { unreserve(now.who); };
        who = 0;
        patient = false;
        assert(!out_of_order)
    }
}

/* cp_connection_end of what nobody uses any more. */
inline end_doomed()
{
    do
    :: doomed[0] > 0 -> atomic { doomed[0]--; alive[0]--; give_slot_back(0) }
    :: doomed[1] > 0 -> atomic { doomed[1]--; alive[1]--; give_slot_back(1) }
    :: else -> break
    od
}

/* cp_connection_end_keep_slot, cp_line_pass_slot: the victim that came with a slot. */
inline end_victim()
{
    d_step {
        who = what - VICTIM;
        alive[who]--;
        size[who]--;
        c_code { match(now.who); };
        who = 0
    }
}

/* A step of an acquire: a look, and what follows from what it found or was granted. */
inline step(c)
{
    atomic {
        if
        :: bug == BUG_GRANT_SEEN_BEFORE_LOCK && state[c] == GRANTED -> what = ENDED
        :: else
        fi
    }
    atomic {
        if
        :: what == ENDED ->
            what = gift[c];
            assert(what != NOTHING);
            d_step { who = c; c_code { answer(now.who); away(now.who); }; who = 0 }
        :: what != ENDED && phase[c] == FRESH && idle[at[c]] > 0 -> idle[at[c]]--; what = CONNECTION
        :: what != ENDED && state[c] == CLOSED ->
            d_step { who = c; c_code { away(now.who); }; who = 0 };
            what = ENDED
        :: what != ENDED && state[c] != CLOSED && !(phase[c] == FRESH && idle[at[c]] > 0) ->
            d_step { who = c; c_code { now.result = look(now.who); }; who = 0; what = result; result = 0 }
        fi;
        if
        :: what == NOTHING ->
            take_back(c);
            d_step { who = c; c_code { now.is_timed[now.who] = watch_until(now.who); }; who = 0 };
            phase[c] = SEEKING
        :: else
        fi;
        rung = false;
        assert(!out_of_order)
    }
    if
    :: what == NOTHING
    :: what == ENDED -> atomic { phase[c] = OVER; signal[c] = false; what = NOTHING }
    :: what == CONNECTION || what == SLOT
    :: what >= VICTIM -> end_victim(); what = SLOT
    fi;
    if
    :: what != NOTHING ->
        atomic {
            if
            :: what == SLOT ->
                alive[at[c]]++;
                assert(alive[at[c]] <= max_size[at[c]] && alive[0] + alive[1] <= total_max_size)
            :: else
            fi;
            what = NOTHING;
            signal[c] = false;
            if
            :: shut -> doomed[at[c]]++; phase[c] = OVER
            :: !shut -> phase[c] = LEASED
            :: !shut && !thaw && holds -> phase[c] = HELD
            fi
        }
    :: else
    fi;
    end_doomed()
}

/* The acquire is given up: what was granted goes back. */
inline abandon(c)
{
    d_step {
        who = c;
        c_code { now.result = leave(now.who); };
        who = 0;
        what = result;
        result = 0;
        phase[c] = (what == CONNECTION -> LEASED : OVER);
        signal[c] = false
    }
    if
    :: what >= VICTIM -> end_victim(); what = SLOT
    :: else
    fi;
    if
    :: what == SLOT -> atomic { what = NOTHING; give_slot_back(at[c]) }
    :: else -> what = NOTHING
    fi
}

/* A lease ends: handed to a waiter, parked, or discarded. */
inline give_back(c)
{
    atomic {
        phase[c] = OVER;
        if
        :: shut || discards -> doomed[at[c]]++
        :: !shut && waiters > 0 ->
            d_step {
                who = at[c];
                c_code { now.result = hand_over(now.who); };
                assert(!out_of_order);
                if
                :: !result -> idle[who]++; c_code { match(now.who); }
                :: else
                fi;
                result = 0;
                who = 0
            }
        :: !shut -> idle[at[c]]++; what = waiters
        fi
    }
    if
    :: what > 0 -> d_step { what = 0; who = at[c]; c_code { match(now.who); }; who = 0 }
    :: else
    fi;
    end_doomed()
}

proctype thread(byte me)
{
    byte doomed[ENDPOINTS];
    byte what = NOTHING;
    bool rung = false; /* its time as the watch has come */

    do
    :: phase[me] == FRESH -> step(me)
    :: phase[me] == SEEKING && signal[me] -> signal[me] = false; step(me)
    :: phase[me] == SEEKING && is_timed[me] -> rung = true; step(me)
    :: phase[me] == SEEKING && may_leave[me] -> abandon(me)
    :: phase[me] == LEASED || (phase[me] == HELD && thaw) -> give_back(me)
    :: phase[me] == OVER -> break
    od
}

/* ---- core/pool/reactor.c ---- */

/* cp_requests_return_to_line, where it was passed over. */
inline return_to_line()
{
    if
    :: was_passed[me] ->
        was_passed[me] = false;
        do
        :: c < clients ->
            atomic {
                if
                :: lane_of[c] == me && phase[c] == SEEKING ->
                    d_step { who = c; c_code { line_return(now.who); }; who = 0 }
                :: else
                fi;
                c++
            }
        :: else -> break
        od;
        c = 0
    :: else
    fi
}

#define MAY_GIVE_BACK(number) (lane_of[number] == me && (phase[number] == LEASED || (phase[number] == HELD && thaw)))
#define MAY_BE_CANCELLED(number)                                                                                       \
    (lane_of[number] == me && may_leave[number] && phase[number] == SEEKING && !stopped[me])

proctype reactor(byte me)
{
    byte doomed[ENDPOINTS];
    byte what = NOTHING;
    byte c = 0;
    byte queue = 0; /* whose step comes in this dispatch */
    byte late = 0;  /* those of them that are the watch, whose time has come */
    bool rung = false;

    /* The application's turn: a lease comes back, a request is cancelled, or it polls and dispatches. */
application:
    if
    :: c_expr { (is_over)(Preactor->me) } -> goto done
    :: may_stop[me] && !stopped[me] && !thaw -> stopped[me] = true; goto application
    :: stopped[me] && thaw -> stopped[me] = false; goto application
    :: MAY_GIVE_BACK(0) -> c = 0; goto release
    :: MAY_GIVE_BACK(1) -> c = 1; goto release
    :: MAY_GIVE_BACK(2) -> c = 2; goto release
    :: MAY_GIVE_BACK(3) -> c = 3; goto release
    :: MAY_BE_CANCELLED(0) -> c = 0; goto cancel
    :: MAY_BE_CANCELLED(1) -> c = 1; goto cancel
    :: MAY_BE_CANCELLED(2) -> c = 2; goto cancel
    :: MAY_BE_CANCELLED(3) -> c = 3; goto cancel
    :: !stopped[me] && c_expr { (is_readable)(Preactor->me) } -> goto dispatch
    fi;

release:
    give_back(c);
    c = 0;
    goto application;

cancel:
    abandon(c);
    c = 0;
    goto application;

dispatch:
    return_to_line();
    /* cp_loop_dispatch: what is woken from here on is for the next one. */
    atomic {
        kicked[me] = false;
        do
        :: c < clients && lane_of[c] == me && signal[c] -> signal[c] = false; queue = queue | (1 << c); c++
        :: c < clients && lane_of[c] == me && is_timed[c] -> queue = queue | (1 << c); late = late | (1 << c); c++
        :: c < clients && lane_of[c] == me && phase[c] == FRESH -> queue = queue | (1 << c); c++
        :: c < clients && !(lane_of[c] == me && signal[c]) -> c++
        :: c == clients -> break
        od;
        c = 0
    }
    do
    :: atomic {
        queue != 0 ->
            do
            :: !(queue & (1 << c)) -> c++
            :: else -> break
            od;
            queue = queue & ~(1 << c);
            rung = (late & (1 << c)) != 0;
            late = late & ~(1 << c)
        }
        step(c);
        c = 0
    :: queue == 0 -> break
    od;
    if
    :: bug == BUG_LOOKS_BEFORE_DRAIN
    :: else -> return_to_line()
    fi;
    goto application;

done:
    skip
}

/* connpool_close, as far as one pool knows it. */
proctype closer()
{
    c_code { close_line(); };
    d_step {
        shut = true;
        alive[0] = alive[0] - idle[0];
        alive[1] = alive[1] - idle[1];
        size[0] = size[0] - idle[0];
        size[1] = size[1] - idle[1];
        total = total - idle[0] - idle[1];
        idle[0] = 0;
        idle[1] = 0
    }
}

init
{
    byte n = 0;
    bool closes = false;

    atomic {
        c_code {
            int i;

            bug = setting("BUG");
            clients = getenv("AT") == NULL ? 0 : strlen(getenv("AT"));
            total_max_size = setting("TOTAL_MAX_SIZE");
            discards = setting("DISCARDS") != 0;
            holds = setting("HOLDS") != 0;
            Pinit->closes = setting("CLOSE") != 0;
            for (i = 0; i < CLIENTS; i++) {
                at[i] = digit("AT", i);
                lane_of[i] = digit("LANE", i);
                may_leave[i] = digit("MAY_LEAVE", i);
                now.line[i] = now.calls[i] = NOBODY;
                now.phase[i] = i < clients ? FRESH : OVER;
            }
            for (i = 0; i < setting("LEASED"); i++) {
                now.phase[i] = LEASED;
                now.size[at[i]]++;
                now.alive[at[i]]++;
                now.total++;
            }
            for (i = 0; i < LANES; i++) {
                may_stop[i] = digit("MAY_STOP", i);
                now.watch[i] = NOBODY;
            }
            for (i = 0; i < ENDPOINTS; i++) {
                max_size[i] = digit("MAX_SIZE", i);
            }
        };
        /* Any number of connections lies idle at the beginning. */
        do
        :: size[n] < max_size[n] && total < total_max_size -> idle[n]++; size[n]++; alive[n]++; total++
        :: n < ENDPOINTS - 1 -> n++
        :: n == ENDPOINTS - 1 -> break
        od;
        n = 0;
        do
        :: n < clients ->
            if
            :: lane_of[n] == THREADS -> run thread(n)
            :: else
            fi;
            n++
        :: else -> break
        od;
        n = 1;
        do
        :: n < LANES ->
            if
            :: c_expr { !(is_over)(Pinit->n) } -> run reactor(n)
            :: else
            fi;
            n++
        :: else -> break
        od;
        n = 0;
        if
        :: closes -> run closer(); closes = false
        :: else
        fi
    }

    /* Nothing moves any more, but for leases that are held and reactors that stopped: what is free is of no use to
     * anybody who can come, and so is what is granted to those who do not. */
    do
    :: _nr_pr == 1 -> break
    :: timeout ->
        assert(!thaw);
        d_step {
            do
            :: n < clients ->
                assert(c_expr { !(is_kept_from)(Pinit->n) });
                n++
            :: else -> break
            od;
            n = 0;
            thaw = true
        }
    od;
    /* All are through: nothing is lost, nothing is left. */
    atomic {
        assert(waiters == 0 && call_count == 0);
        do
        :: n < LANES -> assert(watch[n] == NOBODY); n++
        :: else -> break
        od;
        assert(size[0] == idle[0] && alive[0] == idle[0]);
        assert(size[1] == idle[1] && alive[1] == idle[1]);
        assert(total == idle[0] + idle[1] && (!shut || total == 0))
    }
}
