/* SPDX-License-Identifier: MIT */
/*
 * lock_gap: what another thread may do between two locks that a call takes, done in the calling thread: before its
 * n-th lock a function of the test runs. A test that tries every n has tried every place where the call can be
 * overtaken. Link with -Wl,--wrap=pthread_mutex_lock -Wl,--wrap=pthread_mutex_unlock.
 */
#ifndef KIT_LOCK_GAP_H
#define KIT_LOCK_GAP_H

#include <stdbool.h>
#include <stdint.h>

/* Call function before the n-th lock from now (from 1) that this thread takes while it holds none. */
void lock_gap_set(uint64_t n, void (*function)(void *argument), void *argument);
/* Whether it was called since; if not, it will not be. */
bool lock_gap_end(void);

#endif
