/* SPDX-License-Identifier: MIT */
/* simple_pool: the pool that one would write without a library, to measure against: a mutex, a condition, a stack. It
 * knows no limits in time, no errors, no fairness, and nobody's health. */
#ifndef SIMPLE_POOL_H
#define SIMPLE_POOL_H

struct simple_pool;

/* A pool of this many connections, numbered from 1; NULL: no memory. */
struct simple_pool *simple_pool_new(int connections);
/* Accepts NULL. Nobody uses the pool any more. */
void simple_pool_free(struct simple_pool *pool);
/* A connection's number. Waits until there is one. */
int simple_pool_acquire(struct simple_pool *pool);
void simple_pool_release(struct simple_pool *pool, int connection);

#endif
