/* SPDX-License-Identifier: MIT */
/*
 * clock: the time of a context. All times in the library are int64_t nanoseconds of it, above 0; 0 means none. The
 * system's clock is read without an indirect call, because acquire and release do it on their hot path.
 */
#ifndef CP_CLOCK_H
#define CP_CLOCK_H

#include <connpool/connpool.h>
#include <stdbool.h>
#include <time.h>

#define CP_SECOND      INT64_C(1000000000)
#define CP_MILLISECOND INT64_C(1000000)

/* No time at all: later than every other. */
#define CP_NEVER INT64_MAX

struct cp_clock {
    struct connpool_clock replaced; /* now is NULL: the system's clock */
};

static inline bool cp_clock_is_replaced(const struct cp_clock *clock)
{
    return clock->replaced.now != NULL;
}

static inline int64_t cp_clock_read(const struct cp_clock *clock, uint32_t which, clockid_t system)
{
    struct timespec time;

    if (__builtin_expect(clock->replaced.now != NULL, 0)) {
        return clock->replaced.now(clock->replaced.argument, which);
    }
    (void)clock_gettime(system, &time);
    return (int64_t)time.tv_sec * CP_SECOND + time.tv_nsec;
}

/* Exact (24 ns a call, measured on the platform of the failures' list). */
static inline int64_t cp_clock_precise(const struct cp_clock *clock)
{
    return cp_clock_read(clock, CONNPOOL_CLOCK_PRECISE, CLOCK_MONOTONIC);
}

/* Up to a few milliseconds behind (6 ns a call). */
static inline int64_t cp_clock_coarse(const struct cp_clock *clock)
{
    return cp_clock_read(clock, CONNPOOL_CLOCK_COARSE, CLOCK_MONOTONIC_COARSE);
}

/* Goes on while the machine sleeps. */
static inline int64_t cp_clock_boot(const struct cp_clock *clock)
{
    return cp_clock_read(clock, CONNPOOL_CLOCK_BOOT, CLOCK_BOOTTIME);
}

/* time + span, CP_NEVER where that would overflow; both at least 0. */
static inline int64_t cp_time_add(int64_t time, int64_t span)
{
    int64_t sum;

    return __builtin_add_overflow(time, span, &sum) ? CP_NEVER : sum;
}

/* The earlier of two times of which 0 means none. */
static inline int64_t cp_time_earlier(int64_t a, int64_t b)
{
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

#endif
