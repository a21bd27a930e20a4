/* SPDX-License-Identifier: MIT */
/* waker: counting and firing; what a wake does is its owner's. */
#include "engine/waker.h"

#include <assert.h>
#include <stddef.h>

void cp_waker_init(struct cp_waker *waker, void (*wake)(struct cp_waker *), void (*dispose)(struct cp_waker *))
{
    waker->wake = wake;
    waker->dispose = dispose;
    atomic_init(&waker->references, 1);
}

struct cp_waker *cp_waker_ref(struct cp_waker *waker)
{
    /* Whoever takes a reference holds or is lent one, so there is nothing to be ordered with. */
    unsigned before = atomic_fetch_add_explicit(&waker->references, 1, memory_order_relaxed);

    assert(before > 0);
    (void)before;
    return waker;
}

void cp_waker_unref(struct cp_waker *waker)
{
    unsigned before;

    if (waker == NULL) {
        return;
    }
    before = atomic_fetch_sub_explicit(&waker->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        waker->dispose(waker);
    }
}

void cp_waker_fire(struct cp_waker *waker)
{
    if (waker == NULL) {
        return;
    }
    waker->wake(waker);
    cp_waker_unref(waker);
}
