/* SPDX-License-Identifier: MIT */
/* race: contestants measured side by side: by several threads for a given time, or in turns by one. */
#ifndef RACE_H
#define RACE_H

#include <stdint.h>

enum { RACE_THREADS = 64 };

/* Do the work so many times, with the same argument in every thread. */
typedef void race_work_fn(void *argument, long times);

struct race {
    double ns_per_operation; /* elapsed time ÷ operations of all threads */
    double fairness;         /* fewest ÷ most operations of a thread */
};

/* Threads (1 … RACE_THREADS) do the work side by side for a time. Ends the process where a thread cannot be had. */
struct race race_run(int threads, int64_t milliseconds, race_work_fn *work, void *argument);

/* ---- In turns ---- */

enum { RACE_CONTESTANTS = 16, RACE_ROUNDS = 1001 };

struct race_turns {
    int rounds;  /* 1 … RACE_ROUNDS */
    long times;  /* operations of a stretch */
    long warmup; /* operations before each stretch that are not measured: they pay for what the one before left cold */
    race_work_fn *const *contestants;
    int count; /* 1 … RACE_CONTESTANTS */
};

struct race_turn {
    double ns;    /* an operation: the median of the rounds */
    double least; /* of the best round: what nothing else on the machine disturbed */
    double ratio; /* the median of each round's time ÷ the first contestant's in the same round */
};

/* In each round each contestant has one stretch, in an order that moves on by one from round to round. turns: count. */
void race_in_turns(const struct race_turns *race, void *argument, struct race_turn *turns);

/* CLOCK_MONOTONIC, nanoseconds. */
int64_t race_now(void);

/* The middle one of count values, which are sorted. */
double race_median(double *values, int count);

#endif
