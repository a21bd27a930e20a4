/* SPDX-License-Identifier: MIT */
/* services: what a cp_services (host.h) is made of, for the files that serve its tables: dial, resolve, offload. */
#ifndef CP_SERVICES_H
#define CP_SERVICES_H

#include <stdatomic.h>

#include "engine/worker.h"
#include "network/host.h"
#include "network/resolve.h"

struct cp_services {
    _Atomic unsigned references;
    atomic_bool closed; /* the application's log and clock may be gone */
    struct cp_clock clock;
    struct cp_log log;
    struct cp_lookups lookups;
    struct cp_workers *resolvers;
    struct cp_workers *offload;
};

/* The table that a plugin was given, as ours. */
static inline struct cp_host *cp_host_of(const struct connpool_host *table)
{
    return (struct cp_host *)(uintptr_t)table;
}

#endif
