/* SPDX-License-Identifier: MIT */
/*
 * lock: mutexes with an order. A thread takes them only in rising rank, so there is no cycle (failures.md C23), and
 * holds none when it calls a plugin or the application (C15). Both are asserted where asserts are on; else a lock is a
 * plain mutex.
 */
#ifndef CP_LOCK_H
#define CP_LOCK_H

#include <assert.h>
#include <pthread.h>

enum cp_rank {
    CP_RANK_CONTEXT = 1,
    CP_RANK_POOL,
    CP_RANK_ENDPOINT,
};

struct cp_lock {
    pthread_mutex_t mutex;
    enum cp_rank rank;
};

#ifndef NDEBUG
/* One bit for each rank that the thread holds. */
extern _Thread_local unsigned cp_locks_held;
#endif

static inline int cp_lock_init(struct cp_lock *lock, enum cp_rank rank)
{
    lock->rank = rank;
    return pthread_mutex_init(&lock->mutex, NULL);
}

static inline void cp_lock_fini(struct cp_lock *lock)
{
    (void)pthread_mutex_destroy(&lock->mutex);
}

static inline void cp_lock_take(struct cp_lock *lock)
{
#ifndef NDEBUG
    assert((cp_locks_held >> lock->rank) == 0);
    cp_locks_held |= 1u << lock->rank;
#endif
    (void)pthread_mutex_lock(&lock->mutex);
}

static inline void cp_lock_give(struct cp_lock *lock)
{
#ifndef NDEBUG
    cp_locks_held &= ~(1u << lock->rank);
#endif
    (void)pthread_mutex_unlock(&lock->mutex); /* the memory may be gone the moment that another thread has it */
}

/* Before every call into a plugin or the application. */
static inline void cp_lock_assert_none(void)
{
#ifndef NDEBUG
    assert(cp_locks_held == 0);
#endif
}

#endif
