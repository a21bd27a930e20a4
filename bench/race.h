/* SPDX-License-Identifier: MIT */
/* race: the same work by several threads for a given time, counted. */
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

/* CLOCK_MONOTONIC, nanoseconds. */
int64_t race_now(void);

/* The middle one of count values, which are sorted. */
double race_median(double *values, int count);

#endif
