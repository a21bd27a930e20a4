/* SPDX-License-Identifier: MIT */
/*
 * blocking: an operation that its manager marked as blocking, as one call on a worker. Its driver waits for a WAKE and
 * may leave at any time; then the connection keeps its slot until the call returns, and is destroyed by the worker.
 */
#ifndef CP_BLOCKING_H
#define CP_BLOCKING_H

#include "pool/connection.h"

/* Start the connection's operation on a worker, or ask whether it has returned: as cp_run_step. */
int32_t cp_blocking_step(struct connpool_connection *connection, struct connpool_wait *wait);
/* Leave the call to the worker; it ends the connection when it returns. Only where connection->blocking is not NULL. */
void cp_blocking_abandon(struct connpool_connection *connection);

#endif
