/* SPDX-License-Identifier: MIT */
/*
 * acquire_busy: the acquires of a pool that sleep on a connection's own operation (an open, a check), not in line.
 * connpool_close wakes them as it wakes the line: they leave the operation and end with CONNPOOL_CLOSED.
 */
#ifndef CP_ACQUIRE_BUSY_H
#define CP_ACQUIRE_BUSY_H

#include "pool/acquire.h"

/* Before the acquire sleeps: its waker must be known. False: the pool is closing. Takes the pool's lock. */
bool cp_acquire_busy_enter(struct cp_acquire *acquire);
/* The acquire ends. Takes the pool's lock if it ever entered. */
void cp_acquire_busy_leave(struct cp_acquire *acquire);
/* Wake all. The pool's lock is held; it is given back and taken again while they are woken. */
void cp_acquire_busy_wake_all(struct connpool_pool *pool);

#endif
