/* SPDX-License-Identifier: MIT */
/* observe: telling a pool's observer, and keeping its histograms. Everything here is for pools that are observed;
 * callers test pool->is_observed. No lock held. */
#ifndef CP_OBSERVE_H
#define CP_OBSERVE_H

#include "pool/pool.h"

void cp_observe_opened(struct connpool_connection *connection, int64_t duration);
void cp_observe_acquired(const connpool_lease *lease, bool is_new, int64_t duration);
void cp_observe_released(struct connpool_connection *connection, int64_t duration);
void cp_observe_dead(struct connpool_connection *connection, const connpool_error *error);
void cp_observe_closed(struct connpool_connection *connection);
/* A lease of that connection is held for so long, and is reported. */
void cp_observe_leaked(struct connpool_endpoint *endpoint, uint64_t connection, int64_t held,
                       const struct connpool_leak *leak);
/* An acquire that ended with an error: timed_out for CONNPOOL_TIMED_OUT, failed for all else. */
void cp_observe_acquire_error(struct connpool_endpoint *endpoint, const connpool_error *error, int64_t duration);

#endif
