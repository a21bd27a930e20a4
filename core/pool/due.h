/* SPDX-License-Identifier: MIT */
/*
 * due: the pool's index of when idle connections are due, by endpoint. It holds lower bounds: an endpoint whose bound
 * is later than now has nothing due. A bound is written only when it must fall (a release that parks something due
 * earlier) or when somebody who looks finds it too low, so that acquire and release do not touch it. An endpoint
 * without a bound has no idle connection: this is how an acquirer knows which endpoints to look at for one that it may
 * evict.
 */
#ifndef CP_DUE_H
#define CP_DUE_H

#include "pool/endpoint.h"

RB_HEAD(cp_due_tree, connpool_endpoint);

/* Lower an endpoint's bound to `due`, CP_NEVER: leave it. The pool's lock is held; takes the endpoint's. True: the
 * pool's next due time fell: a collector must look again. */
bool cp_due_lower(struct connpool_endpoint *endpoint, int64_t due);

/* Doom (reason EVICTED) the idle connection that is due soonest of all in the pool, extra before base. NULL: none is
 * idle. The pool's lock is held; takes endpoints' locks. */
struct connpool_connection *cp_due_evict(struct connpool_pool *pool);

/* Doom up to `most` idle connections that are due, the ones due soonest first, to the end of the list, and renew the
 * pool's next due time. Returns how many. The pool's lock is held; takes endpoints' locks. */
size_t cp_due_collect(struct connpool_pool *pool, int64_t now, size_t most, struct cp_connection_list *doomed);

/* No endpoint has an idle connection. The pool's lock is held. */
bool cp_due_is_empty(const struct connpool_pool *pool);

/* Set an endpoint's gate from its bound and what the watch wants. Both locks are held. */
void cp_due_renew_gate(struct connpool_endpoint *endpoint);

/* Take an endpoint that goes away out of the index. The pool's lock is held. */
void cp_due_forget(struct connpool_endpoint *endpoint);

#endif
