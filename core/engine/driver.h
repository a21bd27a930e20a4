/* SPDX-License-Identifier: MIT */
/*
 * driver: the blocking driver. Runs an operation to its end in the calling thread: step, wait for what it asked (a
 * condition for WAKE and time, poll(2) over {fd, the thread's eventfd} when there is an fd), step again. A thread has
 * one parker, made when it first waits, which is its waker.
 */
#ifndef CP_DRIVER_H
#define CP_DRIVER_H

#include <stdbool.h>

#include "base/clock.h"
#include "engine/operation.h"

struct cp_sleepers; /* the threads that sleep by a replaced clock */

/* For one context; NULL: no memory. Tracks threads only where the clock is replaced. */
struct cp_sleepers *cp_sleepers_new(const struct cp_clock *clock);
/* Nobody may sleep in it. Accepts NULL. */
void cp_sleepers_free(struct cp_sleepers *sleepers);
/* The replaced clock moved: every thread that sleeps looks at it again. Any thread, never waits. Accepts NULL. */
void cp_sleepers_kick(struct cp_sleepers *sleepers);

/*
 * Drive operation until it is DONE (true) or the time `deadline` has come (0: no limit; a last step is made at it; then
 * false: it was abandoned, errno is ETIMEDOUT). The first step is made in any case, with the coarse time as its now (so
 * that an operation that need not wait costs one coarse read of the clock); the later ones with the exact time. A step
 * may come early: any wake of the thread ends a wait. The operation's memory is not touched after DONE or abandon. May
 * wait. Not a cancellation point (failures.md B12). Without memory to wait with, the operation is abandoned before that
 * wait: errno says why (ENOMEM …), false. With a replaced clock sleepers must be there;
 * else NULL will do.
 */
bool cp_drive(struct cp_operation *operation, struct cp_sleepers *sleepers, const struct cp_clock *clock,
              int64_t deadline);

/* The calling thread's waker, borrowed; NULL: no memory. An operation asks cp_operation_waker instead. */
struct cp_waker *cp_driver_waker(void);

#endif
