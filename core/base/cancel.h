/* SPDX-License-Identifier: MIT */
/*
 * cancel: stretches of code that pthread_cancel must not end half-way (failures.md B12): plugins and the application's
 * callbacks contain cancellation points (close(2) is one). Drivers and loops guard themselves; so do the places that
 * call plugins apart from them.
 */
#ifndef CP_CANCEL_H
#define CP_CANCEL_H

#include <pthread.h>

/* Returns the state to be given to cp_cancel_restore. */
static inline int cp_cancel_disable(void)
{
    int state;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}

static inline void cp_cancel_restore(int state)
{
    (void)pthread_setcancelstate(state, NULL);
}

#endif
