/* SPDX-License-Identifier: MIT */
/*
 * endpoint: where connections of one kind go, its idle connections and its counts.
 *
 * Idle connections stand in two lists: base, reused first-in-first-out, and extra, reused last-in-first-out. What is
 * guarded by the endpoint's own lock is all that the hot path needs; slots and waiters are guarded by the pool's lock.
 * A record that was leased from is never freed before its pool, as a connection's is not: a stale lease may lock it.
 */
#ifndef CP_ENDPOINT_H
#define CP_ENDPOINT_H

#include "base/tree.h"
#include <bsd/sys/queue.h>
#include <connpool/connpool.h>

#include "base/lock.h"
#include "base/table.h"
#include "network/host.h"
#include "options/options.h"
#include "options/policy.h"
#include "pool/connection.h"
#include "pool/counters.h"
#include "pool/recovery.h"

struct cp_place; /* a waiter's place in an endpoint's line (line.h) */
TAILQ_HEAD(cp_places, cp_place);

/* What makes an endpoint untidy does so for two sweeps: in the first one it may be too new. */
#define CP_UNTIDY 2

/* The two lists of idle connections. */
enum cp_class { CP_CLASS_EXTRA, CP_CLASS_BASE, CP_CLASS_COUNT };

struct connpool_endpoint {
    /* These stay when the record is recycled: a stale lease, or a release that was overtaken, may still look. */
    struct cp_lock lock;
    struct connpool_pool *pool;    /* constant */
    bool was_leased_from;          /* such a record is recycled, not freed. Guarded by the pool's lock */
    _Atomic uint32_t opener_count; /* of openers, below; written under the pool's lock, read on the hot path */

    /* Guarded by lock. */
    bool is_closing; /* nothing is parked or leased any more */
    struct cp_connection_list idle[CP_CLASS_COUNT];
    uint32_t count[CP_STATE_COUNT];
    uint64_t parkings; /* counts parkings, to tell what was parked before an event */
    struct cp_counters counters;
    uint64_t suspect; /* parked up to this number: a round trip is due before it is handed out */
    uint64_t cut;     /* parked up to this number: dead without a look */
    uint64_t drained; /* connections with an id up to this are closed, not parked */
    int64_t gate; /* who parks what is due before goes on with cp_line_parked: the bound, or, while the watch wants to
                     hear of it, CP_NEVER. Written under both locks */

    /* Constant while the endpoint is in use. */
    struct cp_policy policy;
    char *name;
    bool is_watched;
    bool is_named; /* from the configuration: lives as long as the pool */
    struct cp_option_block *options;
    struct cp_host host;
    void *plugin_state; /* behind the record in the same block; NULL: the manager has none */

    /* Guarded by the pool's lock. */
    uint64_t size;            /* slots in use */
    uint64_t references;      /* handles, waiters' places and slots; of a run-time endpoint the last one ends it */
    struct cp_places places;  /* of waiters that want a connection or a slot */
    struct cp_places openers; /* of those that open a connection and want one that is there sooner (line.h) */
    uint64_t waiters;         /* places of the first kind */
    RB_ENTRY(connpool_endpoint) hungry; /* in the pool's tree of those whose first waiter could use a slot */
    uint64_t hungry_sequence;
    int64_t blocked_until; /* the peer takes no more connections: no open is started before */
    int64_t held_until;    /* hold-down after a failed connect */
    struct connpool_fault last_fault;
    struct cp_recovery recovery; /* of the opens, where it is kept */
    int64_t ready_at;            /* the collector saw it ready last (ready.h) */
    uint32_t supply_opens;       /* under way; only the collector's thread */
    bool is_ready;               /* as the collector saw it, or a waiter since */
    bool is_hungry;              /* in the tree */
    bool is_lingering;           /* in the list: unused, but held down */
    TAILQ_ENTRY(connpool_endpoint) lingering;
    TAILQ_ENTRY(connpool_endpoint) restless; /* in the pool's list of those that are to be swept */
    uint64_t sweep;                          /* the one that was here last */
    RB_ENTRY(connpool_endpoint) indexed;     /* in the pool's index of what is due */
    TAILQ_ENTRY(connpool_endpoint) listed;   /* in the pool's list, or among its free records */
    UT_hash_handle by_name;
    UT_hash_handle by_options;
    uint64_t options_hash;

    /* Written under both locks. */
    int64_t bound;    /* no idle connection is due before; CP_NEVER: not in the pool's index */
    bool is_restless; /* it is to be swept (watch.h) */

    /* The watch's; guarded by lock. */
    uint32_t untidy;  /* sweeps for which the order of the lists tells nothing about what is watched */
    uint64_t seen;    /* parked up to this number when it was swept last */
    uint64_t settled; /* parked up to this number: watched, unless untidy */
    _Atomic uint32_t looked_at[CP_CLASS_COUNT]; /* connections that it has in hand, which are as good as idle */
};

/* What stands between a taken connection and its hand-out. */
#define CP_NEEDS_LOCAL_CHECK 1u
#define CP_NEEDS_CHECK       2u
#define CP_NEEDS_PREPARE     4u

/* What a connection that was idle needs before its hand-out. The endpoint's lock is held. */
uint32_t cp_endpoint_needs(const struct connpool_connection *connection, int64_t now);

/*
 * Take an idle connection: base first, oldest first; then extra, newest first. What is found over its age, idle too
 * long, or known to be dead goes to `doomed` (CLOSING, reason set) and the search goes on. The one taken is leased
 * (*lease is written) if it needs nothing, else CHECKING, and *needs says what. NULL: none. Takes the endpoint's lock.
 */
struct connpool_connection *cp_endpoint_take(struct connpool_endpoint *endpoint, int64_t now, connpool_lease *lease,
                                             uint32_t *needs, struct cp_connection_list *doomed);

/* Make a connection LEASED and write the lease. The endpoint's lock is held. */
void cp_endpoint_lease(struct connpool_connection *connection, connpool_lease *lease);

/* Park a connection as base or extra. Returns when it is due if the index must be lowered to that (cp_due_lower), else
 * CP_NEVER. The endpoint's lock is held. */
int64_t cp_endpoint_park(struct connpool_connection *connection, int64_t now);

/* The same for one that was opened ahead of use: base also while others are leased, which come back as extra. Where
 * base is full it takes the place of the one whose life ends soonest, if that is by cp_endpoint_replace_until: that one
 * goes to `doomed`. */
int64_t cp_endpoint_park_ahead(struct connpool_connection *connection, int64_t now, struct cp_connection_list *doomed);

/* With `prewarm`: a base connection whose life ends by this time is to be replaced by a new one. */
int64_t cp_endpoint_replace_until(const struct connpool_endpoint *endpoint, int64_t now);

/* Park a connection that was taken, looked at and not used, as if it had not been touched: the same place, last use and
 * time to be closed. Returns as cp_endpoint_park. The endpoint's lock is held. */
int64_t cp_endpoint_put_back(struct connpool_connection *connection);

/* Take an idle connection for the watch: CHECKING until it is put back or doomed, and counted as one that is as good as
 * idle. The endpoint's lock is held. */
void cp_endpoint_look_at(struct connpool_connection *connection);

/* Whether the watch has a connection in hand: an acquirer that found none idle waits for it rather than to open
 * another. The pool's lock is held. */
bool cp_endpoint_is_looked_at(const struct connpool_endpoint *endpoint);

/* Move a connection to CLOSING; where that leaves fewer connections leased and base than min_idle, the extra parked
 * last becomes base. The endpoint's lock is held. */
void cp_endpoint_doom(struct connpool_connection *connection, connpool_reason reason, bool is_polite);

/* A connection that was taken from idle is dead: the ones parked before it are suspect, or, after a check that got no
 * answer, dead too. Dooms it. Takes the endpoint's lock. */
void cp_endpoint_found_dead(struct connpool_connection *connection, bool by_timeout);

/* Whether a connection must end rather than be used again: over age, uses, drained, closing; the reason in *reason. The
 * endpoint's lock is held. */
bool cp_endpoint_is_spent(const struct connpool_connection *connection, int64_t now, connpool_reason *reason);

#endif
