/* SPDX-License-Identifier: MIT */
/*
 * pool_driver: who runs the acquires of the tests of the pool. The environment's CONNPOOL_TEST_DRIVER says it: nothing
 * or "thread": connpool_acquire; "reactor": a request of a reactor of the calling thread, which is dispatched until it
 * is told; "mixed": in turn a thread, a reactor, another reactor. Within a callback of a reactor it is always a thread.
 */
#ifndef KIT_POOL_DRIVER_H
#define KIT_POOL_DRIVER_H

#include <connpool/connpool.h>

/* As connpool_acquire. */
connpool_status pool_driver_acquire(connpool_pool *pool, const char *endpoint, int timeout_ms, connpool_lease *lease,
                                    connpool_error *error);
/* As connpool_acquire_any. */
connpool_status pool_driver_acquire_any(connpool_endpoint *const *endpoints, size_t count, int timeout_ms,
                                        connpool_lease *lease, connpool_error *error);

#endif
