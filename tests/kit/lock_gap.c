/* SPDX-License-Identifier: MIT */
/* lock_gap: see lock_gap.h. */
#include "lock_gap.h"

#include <pthread.h>
#include <stddef.h>

#include "base/lock.h"

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

static _Thread_local unsigned held;
static _Thread_local uint64_t left; /* gaps until the function is called; 0: it is not */
static _Thread_local void (*in_gap)(void *argument);
static _Thread_local void *gap_argument;

/* Where asserts are on the library has noted the lock that it is about to take. */
static void call_as_another_thread(void)
{
#ifndef NDEBUG
    unsigned noted = cp_locks_held;

    cp_locks_held = 0;
#endif
    in_gap(gap_argument);
#ifndef NDEBUG
    cp_locks_held = noted;
#endif
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (held == 0 && left != 0 && --left == 0) {
        call_as_another_thread();
    }
    held++;
    return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    held--;
    return __real_pthread_mutex_unlock(mutex);
}

void lock_gap_set(uint64_t n, void (*function)(void *argument), void *argument)
{
    left = n;
    in_gap = function;
    gap_argument = argument;
}

bool lock_gap_end(void)
{
    bool was_called = left == 0;

    left = 0;
    return was_called;
}
