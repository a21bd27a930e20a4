/* SPDX-License-Identifier: MIT */
/*
 * acquire_call: what every call that acquires has in common, whoever drives it: the refusals, the time limit, and what
 * is left to do when an acquire has ended: the application's configuration of a new connection, counters, observers.
 */
#ifndef CP_ACQUIRE_CALL_H
#define CP_ACQUIRE_CALL_H

#include "pool/acquire.h"

/* They fill *error (may be NULL) and return its status. An endpoint or pool that was looked up and not found is often
 * passed on unseen. */
connpool_status cp_acquire_call_refuse_null(const char *what, connpool_error *error);
connpool_status cp_acquire_call_refuse_forked(const struct connpool_pool *pool, connpool_error *error);

/* A list to acquire from: 1 to CP_ANY_ENDPOINTS handles of one pool, which is this process's. */
connpool_status cp_acquire_call_check_list(struct connpool_endpoint *const *endpoints, size_t count,
                                           connpool_error *error);

/* What timeout_ms means at that endpoint, in nanoseconds (CP_NEVER: no limit). CONNPOOL_INVALID: the error. */
connpool_status cp_acquire_call_timeout(const struct connpool_endpoint *endpoint, int timeout_ms, int64_t *timeout,
                                        connpool_error *error);

/* Before the acquire is driven: when it began, 0 unless observed. */
int64_t cp_acquire_call_began(const struct connpool_pool *pool);
/* After its operation has ended: acquire->status, lease and error are final when this returns. Calls the application;
 * no lock held; its hook may wait. */
void cp_acquire_call_ended(struct cp_acquire *acquire, int64_t began);

#endif
