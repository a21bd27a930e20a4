/* SPDX-License-Identifier: MIT */
/* acquire_error: what an acquire that failed tells: what it waited for, what the endpoint looks like, and the last
 * connect error. */
#ifndef CP_ACQUIRE_ERROR_H
#define CP_ACQUIRE_ERROR_H

#include "pool/acquire.h"

/* No lock held. */
void cp_acquire_error_timed_out(struct cp_acquire *acquire);
/* The connection's open failed, or its first prepare. No lock held. */
void cp_acquire_error_failed(struct cp_acquire *acquire, const struct connpool_connection *connection);
/* The pool's lock is held. */
void cp_acquire_error_held(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint, int64_t now);
/* The same: what another acquire tried while this one waited does not pass by itself. */
void cp_acquire_error_refused(struct cp_acquire *acquire, const struct connpool_endpoint *endpoint);
/* No lock held. */
void cp_acquire_error_overloaded(struct cp_acquire *acquire);

/* connpool_wait_ready: this endpoint has fewer connections than min_idle. Returns CONNPOOL_TIMED_OUT. */
connpool_status cp_acquire_error_not_ready(struct connpool_endpoint *endpoint, int timeout_ms, connpool_error *error);

#endif
