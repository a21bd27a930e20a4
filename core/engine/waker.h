/* SPDX-License-Identifier: MIT */
/*
 * waker: what ends a wait from outside. A waiter knows only a waker: it cannot tell a thread in the blocking driver
 * from an operation in a loop. A waker outlives its wake: whoever will fire one holds a reference, fires after
 * unlocking, then gives the reference back. A late or repeated wake is harmless.
 */
#ifndef CP_WAKER_H
#define CP_WAKER_H

#include <stdatomic.h>

struct cp_waker {
    void (*wake)(struct cp_waker *waker);    /* any thread, no lock held, never waits */
    void (*dispose)(struct cp_waker *waker); /* the last reference is gone */
    _Atomic unsigned references;
};

/* Begin with one reference. */
void cp_waker_init(struct cp_waker *waker, void (*wake)(struct cp_waker *), void (*dispose)(struct cp_waker *));
/* Returns waker, for assignment. */
struct cp_waker *cp_waker_ref(struct cp_waker *waker);
/* Accepts NULL. */
void cp_waker_unref(struct cp_waker *waker);
/* Fire, then give back the reference that the caller holds. Accepts NULL. */
void cp_waker_fire(struct cp_waker *waker);

#endif
