/* SPDX-License-Identifier: MIT */
/*
 * host: the tables that plugins get, and what stands behind them. A cp_services is one context's: its clock, its log
 * and its two sets of worker threads (resolvers; offload). It is counted, because a lookup cannot be cancelled: a
 * worker that is still in one keeps it. A cp_host is one table: one for each endpoint, pool state and manager.
 */
#ifndef CP_HOST_H
#define CP_HOST_H

#include <connpool/manager.h>

#include "base/clock.h"
#include "base/log.h"

struct cp_services;

/* NULL: no memory. resolvers and workers: most threads of each set (they are started when work comes). */
struct cp_services *cp_services_new(const struct cp_clock *clock, const struct cp_log *log, unsigned resolvers,
                                    unsigned workers);
struct cp_services *cp_services_ref(struct cp_services *services);
/* The context is gone: nothing is logged and its clock is not read any more; threads end when their call returns,
 * nobody waits for them. */
void cp_services_close(struct cp_services *services);
void cp_services_unref(struct cp_services *services);

struct cp_host {
    struct connpool_host table; /* first: a plugin's host pointer is this */
    struct cp_services *services;
    uint32_t lookups; /* name resolutions of this endpoint under way or queued; guarded by the resolver set's lock */
};

/* Fill a table; a reference on services is taken. The memory is the caller's and must outlive the plugin objects whose
 * heads name it. */
void cp_host_init(struct cp_host *host, struct cp_services *services);
void cp_host_fini(struct cp_host *host);

#endif
