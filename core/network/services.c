/* SPDX-License-Identifier: MIT */
/* services: see host.h and services.h. References: the context's, one for each table, one for each lookup that a worker
 * is in. */
#include "network/services.h"

#include "base/memory.h"

/* A thread that had no work for so long ends. */
#define IDLE_TIME (10 * CP_SECOND)

static void dispose(struct cp_services *services)
{
    cp_workers_free(services->resolvers);
    cp_workers_free(services->offload);
    cp_lookups_fini(&services->lookups);
    cp_free(services);
}

struct cp_services *cp_services_new(const struct cp_clock *clock, const struct cp_log *log, unsigned resolvers,
                                    unsigned workers)
{
    struct cp_services *services = cp_alloc(sizeof(*services));

    if (services == NULL) {
        return NULL;
    }
    atomic_init(&services->references, 1);
    atomic_init(&services->closed, false);
    services->clock = *clock;
    services->log = *log;
    services->resolvers = cp_workers_new("connpool-name", resolvers, IDLE_TIME);
    services->offload = cp_workers_new("connpool-work", workers, IDLE_TIME);
    cp_lookups_init(&services->lookups, services->resolvers, resolvers);
    if (services->resolvers == NULL || services->offload == NULL) {
        dispose(services);
        return NULL;
    }
    return services;
}

struct cp_services *cp_services_ref(struct cp_services *services)
{
    (void)atomic_fetch_add_explicit(&services->references, 1, memory_order_relaxed);
    return services;
}

void cp_services_close(struct cp_services *services)
{
    atomic_store(&services->closed, true);
    cp_workers_close(services->resolvers);
    cp_workers_close(services->offload);
}

void cp_services_unref(struct cp_services *services)
{
    if (services != NULL && atomic_fetch_sub_explicit(&services->references, 1, memory_order_acq_rel) == 1) {
        dispose(services);
    }
}
