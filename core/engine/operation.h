/* SPDX-License-Identifier: MIT */
/*
 * operation: what a driver runs. {step, abandon}, embedded in whatever is being done (an acquire, a close). A step
 * never waits: it does what can be done now and answers DONE, or AGAIN with the wait filled (fd and events, at, the
 * WAKE flag). A result lives in the embedding object, not in the answer. A driver that stops before DONE must call
 * abandon, once, and never step again. The operation's memory is not touched by its driver after DONE or abandon.
 */
#ifndef CP_OPERATION_H
#define CP_OPERATION_H

#include <connpool/manager.h>

#include "engine/waker.h"

struct cp_operation {
    /* CONNPOOL_STEP_DONE or CONNPOOL_STEP_AGAIN. wait->now, ->ready and ->flags (FOR_LOOP) are the driver's; fd,
     * events, at, WAKE are the answer. */
    int32_t (*step)(struct cp_operation *operation, struct connpool_wait *wait);
    void (*abandon)(struct cp_operation *operation);
    /* The driver's, as all below: set before the first step; the operation asks cp_operation_waker. */
    struct cp_waker *waker;
    struct cp_waker *(*find_waker)(void);
};

/*
 * The waker that ends this operation's waits, borrowed: valid until DONE or abandon. To be asked for only within a
 * step, and only by one that may answer AGAIN with WAKE: the blocking driver makes a thread's waker when it is first
 * needed. A wake from the moment of this call on is not lost. NULL: no memory; the operation may go on without (the
 * blocking driver then ends it with ENOMEM before it would wait).
 */
struct cp_waker *cp_operation_waker(struct cp_operation *operation);

/* A wait as a step function finds it: size, now, ready and the host's flags set, the answer cleared. token and deadline
 * are left 0. */
void cp_wait_init(struct connpool_wait *wait, int64_t now, uint32_t ready, uint32_t flags);

#endif
