/* SPDX-License-Identifier: MIT */
/*
 * reactor: a loop of one thread of the application, with the requests (request.h) that it runs, and what else is done
 * in that thread: a release's reset and close, an open whose request left. All functions: the reactor's own thread,
 * unless they say otherwise.
 */
#ifndef CP_REACTOR_H
#define CP_REACTOR_H

#include <connpool/async.h>
#include <pthread.h>

#include "pool/context.h"
#include "pool/lane.h"
#include "pool/request.h"

struct connpool_reactor {
    struct connpool *context; /* counted */
    pthread_t owner;
    struct cp_loop *loop;
    struct cp_driven_loop driven;           /* in the context's list, for clocks that move */
    LIST_ENTRY(connpool_reactor) of_thread; /* in its thread's list */
    atomic_bool was_passed_over;            /* written by any thread */
    bool is_closing;                        /* no request is accepted any more */
    bool has_left;                          /* nothing more is begun in it */
    bool is_retiring; /* what ends now ends because the context closes; told at the next dispatch */
    struct cp_requests requests;
    struct cp_lane lanes[]; /* one for each of the context's pools */
};

/* Whether the calling process is a fork of the reactor's, and whether the calling thread is its own. Any thread. */
static inline bool cp_reactor_is_forked(const struct connpool_reactor *reactor)
{
    return reactor->context->fork_generation != cp_fork_generation;
}
static inline bool cp_reactor_is_mine(const struct connpool_reactor *reactor)
{
    return pthread_equal(reactor->owner, pthread_self()) != 0;
}

/*
 * What ends or steps something of a reactor does so between these two: the calling thread is inside a dispatch of it,
 * as far as observers, hooks and callbacks can tell, and it is not cancelled (failures.md B12).
 */
struct cp_reactor_visit {
    struct connpool_reactor *outer;
    int cancel_state;
};
struct cp_reactor_visit cp_reactor_enter(struct connpool_reactor *reactor);
void cp_reactor_exit(struct cp_reactor_visit visit);

/* Whether the calling thread is between cp_reactor_enter and _exit. Any thread. */
bool cp_reactor_is_dispatching(void);
/* The loop of a reactor of this context in the calling thread, the one that is being dispatched first; NULL: none. Any
 * thread. */
struct cp_loop *cp_reactor_loop_of_thread(const struct connpool *context);

/*
 * connpool_close has begun: if the calling thread is not inside a dispatch, end what its reactors of that context run:
 * no one would while it waits. Requests are told of at the next dispatch; the rest goes on where connpool_close drives
 * it. Any thread.
 */
void cp_reactor_retire_of_thread(const struct connpool *context);

#endif
