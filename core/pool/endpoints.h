/* SPDX-License-Identifier: MIT */
/* endpoints: the endpoints of a pool: found by name or by run-time text, counted, and gone with their last use. */
#ifndef CP_ENDPOINTS_H
#define CP_ENDPOINTS_H

#include "pool/pool.h"

/* An endpoint of the configuration. Takes over config's name and options. NULL: the error. */
struct connpool_endpoint *cp_endpoints_add_named(struct connpool_pool *pool, struct cp_config_endpoint *config,
                                                 connpool_error *error);

/* The endpoint of that name, or of that run-time text; NULL names the only one. Counted: cp_endpoints_put. NULL: the
 * error. Takes the pool's lock. */
struct connpool_endpoint *cp_endpoints_get(struct connpool_pool *pool, const char *name, connpool_error *error);
/* No lock held. */
void cp_endpoints_put(struct connpool_endpoint *endpoint);

/* Count and uncount; the pool's lock is held. At zero a run-time endpoint lingers until cp_endpoints_purge. */
void cp_endpoints_ref(struct connpool_endpoint *endpoint);
void cp_endpoints_unref(struct connpool_endpoint *endpoint);

/* Free the run-time endpoints that nothing uses and whose hold-down has run out. No lock held. */
void cp_endpoints_purge(struct connpool_pool *pool, int64_t now);

/* Free everything; the pool goes. */
void cp_endpoints_free_all(struct connpool_pool *pool);

#endif
