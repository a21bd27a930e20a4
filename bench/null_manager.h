/* SPDX-License-Identifier: MIT */
/* null_manager: a manager in this program whose connections are nothing, so that what is measured is the pool. */
#ifndef NULL_MANAGER_H
#define NULL_MANAGER_H

#include <connpool/connpool.h>

struct null_pool {
    connpool *context;
    connpool_pool *pool;
    connpool_endpoint *endpoint; /* its only one, "only" */
};

/* Open a pool of so many connections at the most. Failure ends the process. */
void null_pool_open(struct null_pool *pool, int connections);
void null_pool_close(struct null_pool *pool);
/* Take so many connections at once, and give them back: then they lie idle. */
void null_pool_take(const struct null_pool *pool, connpool_lease *leases, int count);
void null_pool_give(connpool_lease *leases, int count);

#endif
