/* SPDX-License-Identifier: MIT */
/* pool: one manager with its policy and its endpoints. */
#ifndef CP_POOL_H
#define CP_POOL_H

#include "base/fork.h"
#include "configuration/config.h"
#include "pool/context.h"
#include "pool/due.h"
#include "pool/endpoint.h"
#include "pool/leak.h"
#include "pool/line.h"
#include "pool/supply.h"

/* A manager's pool state: one for each distinct set of shared options. */
struct cp_pool_state {
    struct cp_option_block *options;
    struct cp_host host;
    struct cp_pool_state *next;
    max_align_t plugin_state[];
};

RB_HEAD(cp_hungry_tree, connpool_endpoint);
TAILQ_HEAD(cp_endpoint_list, connpool_endpoint);
TAILQ_HEAD(cp_acquire_list, cp_acquire);

/* What the application set, and what it had set before: somebody may be in it. */
struct cp_observer {
    struct connpool_observer functions;
    struct cp_observer *before;
};

struct connpool_pool {
    /* Constant once the context is open. */
    struct connpool *context;
    char *name;
    const struct connpool_manager *manager;
    struct cp_policy policy;
    uint32_t needs; /* CP_NEEDS_… that the manager can need at all */
    struct cp_option_block *defaults;
    struct cp_pool_state *states;
    struct connpool_endpoint **named; /* in the configuration's order */
    size_t named_count;
    struct connpool_endpoint *named_by_name; /* uthash, read only: no lock */
    connpool_configure_fn *configure;
    void *configure_argument;
    _Atomic(struct cp_observer *) observer; /* NULL: none; set at any time, as the next */
    _Atomic bool is_observed;
    bool finds_leaks; /* leak_after is set for it or one of its endpoints */
    int64_t shortest_leak_after;
    bool parks_at_once;  /* nothing is to be reset or told when a lease ends */
    bool leases_at_once; /* nobody is to be told, and nothing configured, when a lease begins */

    /* Read on the hot path. */
    _Atomic uint32_t waiters; /* acquires in line, but openers; written under the lock */
    _Atomic int64_t next_due; /* nothing is due before; written under the lock */

    struct cp_lock lock;
    /* Guarded by lock. */
    bool is_closing;
    uint64_t total; /* slots in use */
    uint64_t next_id;
    uint64_t next_sequence;
    uint64_t random;
    struct cp_due_tree due;
    struct cp_hungry_tree hungry;
    struct cp_lanes lanes;             /* who waits */
    struct cp_acquire_list busy;       /* acquires that sleep on a connection's operation (acquire_busy.h) */
    struct cp_endpoint_list endpoints; /* all in use */
    struct cp_endpoint_list lingering;
    struct cp_endpoint_list free_endpoints;
    struct cp_endpoint_list restless;      /* watch.h */
    LIST_HEAD(, cp_watch) watches_to_bury; /* their connections have ended */
    uint64_t sweep;                        /* counts the sweeps of the watch */
    struct cp_connection_list free_connections;
    struct connpool_endpoint *by_name;    /* uthash: run-time endpoints by the text that made them */
    struct connpool_endpoint *by_options; /* uthash: all endpoints by what their options hash to */
    uint64_t run_time_endpoints;
    struct cp_observer *observers; /* all that were set, the last first */
    struct cp_counters retired;    /* of run-time endpoints that are gone */
    struct connpool_histograms histograms;
    struct cp_leak_list tracked; /* the connections whose leases are noted */
    int64_t next_leak_sweep;     /* the collector's own */

    struct cp_supply supply; /* the collector's own */

    int64_t sweep_at; /* the watch's next sweep; 0: when something was parked. The collector's thread only */

    size_t index; /* in the context's array; constant */
};

/* From a checked configuration; takes over the option blocks. NULL: the error. May wait for files (pool_init). */
struct connpool_pool *cp_pool_new(struct connpool *context, struct cp_config_pool *config, connpool_error *error);
/* Nothing is open any more. Accepts NULL. */
void cp_pool_free(struct connpool_pool *pool);

/* Refuse new acquires, wake all waiters, and move every idle connection to `doomed`, in the order in which they are to
 * be closed: one of each endpoint in turn, base before extra. */
void cp_pool_close(struct connpool_pool *pool, struct cp_connection_list *doomed);

/* The manager's pool state for these options, NULL: it has none. */
struct cp_pool_state *cp_pool_state_for(struct connpool_pool *pool, const struct cp_option_block *options);

/* The next number of the pool's random source, 0 <= number < 1. The pool's lock is held. */
double cp_pool_random(struct connpool_pool *pool);

/* Whether anybody stands in line for what is released at an endpoint: waiters of all endpoints, since it may be evicted
 * for them, but only its own openers: what happens elsewhere while one opens costs nothing more. Right under the
 * endpoint's lock (line.h); any time as a hint. */
static inline bool cp_pool_has_waiters_for(const struct connpool_endpoint *endpoint)
{
    return atomic_load_explicit(&endpoint->pool->waiters, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&endpoint->opener_count, memory_order_relaxed) != 0;
}

/* Whether the calling process is a fork of the one that opened the pool's context. */
static inline bool cp_pool_is_forked(const struct connpool_pool *pool)
{
    return pool->context->fork_generation != cp_fork_generation;
}

#endif
