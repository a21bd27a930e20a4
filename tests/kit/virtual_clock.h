/* SPDX-License-Identifier: MIT */
/*
 * virtual_clock: the time of a context in a test. It stands still until the test moves it, or until the thread that
 * made it is about to sleep: then it jumps to the end of that sleep. So an hour of expiry takes no time, and the order
 * of what happens is always the same. With several threads (or a collector) the clock is moved by hand.
 */
#ifndef KIT_VIRTUAL_CLOCK_H
#define KIT_VIRTUAL_CLOCK_H

#include <connpool/connpool.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MILLISECONDS(n) ((int64_t)(n)*INT64_C(1000000))
#define SECONDS(n)      ((int64_t)(n)*INT64_C(1000000000))

/* Called in place of a jump when the owner is about to sleep until a time (0: without limit), without any lock held:
 * may call the library. Only once; it may set the next one. */
typedef void virtual_clock_sleep_fn(void *argument, int64_t until);

struct virtual_clock {
    _Atomic int64_t now;
    _Atomic int64_t boot_lead;  /* how far the boot-time clock is ahead */
    _Atomic int64_t coarse_lag; /* how far the coarse clock is behind */
    _Atomic uint64_t reads[3];  /* by CONNPOOL_CLOCK_… */
    _Atomic uint64_t sleeps;    /* times that any thread was about to sleep */
    _Atomic int64_t until; /* when another thread than the owner that was about to sleep wants to go on, 0: never */
    _Atomic int64_t step;  /* how far each precise read moves it, for waits that end at once */
    atomic_bool is_manual; /* the owner's sleep moves nothing either */
    pthread_t owner;
    connpool *context; /* told when the clock moves, NULL: nobody */
    virtual_clock_sleep_fn *on_sleep;
    void *on_sleep_argument;
};

/* Begins at 1000 s; the calling thread is the owner. */
void virtual_clock_init(struct virtual_clock *clock);
/* What connpool_open_with takes. */
struct connpool_clock virtual_clock_table(struct virtual_clock *clock);
/* Move it, and tell the context. Any thread, not from within the clock's own calls but on_sleep. */
void virtual_clock_advance(struct virtual_clock *clock, int64_t nanoseconds);
int64_t virtual_clock_now(const struct virtual_clock *clock);
/* Yield until another thread that sleeps by this clock (a collector) has done what there was to do by now. The context
 * must be set. */
void virtual_clock_settle(struct virtual_clock *clock);
/* What to do when the owner is next about to sleep. */
void virtual_clock_on_sleep(struct virtual_clock *clock, virtual_clock_sleep_fn *function, void *argument);

#endif
