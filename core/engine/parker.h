/* SPDX-License-Identifier: MIT */
/*
 * parker: where one thread sleeps, and the waker that ends its sleep. Heap memory counted through the waker, so that a
 * late wake finds it after its thread is gone. A wake is latched until the next sleep: none is lost between a step and
 * the sleep after it.
 */
#ifndef CP_PARKER_H
#define CP_PARKER_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/operation.h"

struct cp_parker {
    struct cp_waker waker; /* first: the waker is the parker */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool latched;        /* guarded by lock, as the next two */
    bool sleeps;         /* the thread waits on the condition */
    bool polls;          /* the thread polls the eventfd */
    int event;           /* eventfd, -1 until the thread polls a descriptor; the thread's own */
    uint32_t generation; /* of forks, when it was made */
};

/* The calling thread's, made at the first call; NULL: no memory. */
struct cp_parker *cp_parker_of_thread(void);
/* Count as woken, by the parker's own thread. */
void cp_parker_latch(struct cp_parker *parker);

enum cp_parker_result {
    CP_PARKER_WOKEN, /* by a wake, or something is ready */
    CP_PARKER_TIME,
    CP_PARKER_FAILED /* errno says why */
};

#define CP_PARKER_PAST 1 /* as until: do not sleep, only look */

/*
 * Sleep until a wake, what wait asks of its descriptor (then *ready is set), or until (the system's monotonic clock,
 * 0: no limit). may_wake: a wake must end it also while it polls a descriptor. Only the parker's own thread. May wait.
 */
enum cp_parker_result cp_parker_sleep(struct cp_parker *parker, const struct connpool_wait *wait, bool may_wake,
                                      int64_t until, uint32_t *ready);

#endif
