/* SPDX-License-Identifier: MIT */
/*
 * resolve: names to addresses. A numeric name is done in place; any other is looked up on a resolver thread, once for
 * all who ask for it meanwhile. The functions that a plugin calls are described in connpool/manager.h, struct
 * connpool_host.
 */
#ifndef CP_RESOLVE_H
#define CP_RESOLVE_H

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <connpool/manager.h>

#include "engine/worker.h"
#include "network/address.h"

struct cp_host;
struct cp_lookup;

RB_HEAD(cp_lookup_tree, cp_lookup);

/* The lookups of a context, embedded in its services. */
struct cp_lookups {
    pthread_mutex_t lock; /* guards all of this, every lookup, and the `lookups` of every host */
    struct cp_workers *resolvers;
    uint32_t share;                   /* most lookups on threads, or in line for one, of one endpoint */
    struct cp_lookup_tree unfinished; /* by name and family */
    TAILQ_HEAD(, cp_lookup) held;     /* those of them that wait until one who asks is below its share, oldest first */
};

/* most: the size of the set of resolvers, of which an endpoint gets a quarter, at least one. */
void cp_lookups_init(struct cp_lookups *lookups, struct cp_workers *resolvers, unsigned most);
void cp_lookups_fini(struct cp_lookups *lookups);
/* The endpoint of that table is going away: lookups that go on count for nobody. */
void cp_lookups_forget(struct cp_lookups *lookups, const struct cp_host *host);

struct connpool_resolve *cp_resolve_start(const struct connpool_host *host, const char *name, uint32_t flags,
                                          struct connpool_fault *fault);
int32_t cp_resolve_step(struct connpool_resolve *resolve, struct connpool_wait *wait, struct connpool_fault *fault);
const char *cp_resolve_take(struct connpool_resolve *resolve, uint32_t index);
void cp_resolve_stop(struct connpool_resolve *resolve);

/* What take shows in part: borrowed, lives until stop; NULL before DONE. */
const struct cp_addresses *cp_resolve_addresses(const struct connpool_resolve *resolve);

/* getaddrinfo(3); tests replace it before the first lookup. Called on resolver threads. */
extern int (*cp_resolve_getaddrinfo)(const char *node, const char *service, const struct addrinfo *hints,
                                     struct addrinfo **result);
/* freeaddrinfo(3), likewise. */
extern void (*cp_resolve_freeaddrinfo)(struct addrinfo *result);

#endif
