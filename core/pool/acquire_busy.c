/* SPDX-License-Identifier: MIT */
/* acquire_busy: see acquire_busy.h. */
#include "pool/acquire_busy.h"

bool cp_acquire_busy_enter(struct cp_acquire *acquire)
{
    struct connpool_pool *pool = acquire->pool;
    bool is_open;

    if (acquire->was_busy) {
        return true;
    }
    cp_lock_take(&pool->lock);
    is_open = !pool->is_closing;
    if (is_open) {
        TAILQ_INSERT_TAIL(&pool->busy, acquire, busy);
        acquire->is_busy = true;
        acquire->was_busy = true;
    }
    cp_lock_give(&pool->lock);
    return is_open;
}

static void remove_busy(struct cp_acquire *acquire)
{
    if (acquire->is_busy) {
        TAILQ_REMOVE(&acquire->pool->busy, acquire, busy);
        acquire->is_busy = false;
    }
}

void cp_acquire_busy_leave(struct cp_acquire *acquire)
{
    if (acquire->was_busy) {
        cp_lock_take(&acquire->pool->lock);
        remove_busy(acquire);
        cp_lock_give(&acquire->pool->lock);
    }
}

void cp_acquire_busy_wake_all(struct connpool_pool *pool)
{
    struct cp_acquire *acquire;
    struct cp_waker *waker;

    while ((acquire = TAILQ_FIRST(&pool->busy)) != NULL) {
        waker = cp_waker_ref(acquire->waiter.waker);
        remove_busy(acquire);
        cp_lock_give(&pool->lock);
        cp_waker_fire(waker);
        cp_lock_take(&pool->lock);
    }
}
