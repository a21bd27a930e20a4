/* SPDX-License-Identifier: MIT */
/*
 * connection: one open session, and the record that stands for it. A record belongs to its pool for ever: when its
 * connection has ended it waits to be used again, so that a stale lease always points at memory that can tell so. The
 * plugin's state lies behind the record in the same block.
 *
 * A connection's state is one enum, changed in one function, which also moves it between lists and counts:
 *
 *   FREE -> OPENING -> CHECKING -> LEASED -> RESETTING -> BASE or EXTRA -> CHECKING …
 *                                        '-> BASE or EXTRA            '-> CLOSING -> FREE
 *
 * Every state but FREE holds a slot of the endpoint and of the pool.
 */
#ifndef CP_CONNECTION_H
#define CP_CONNECTION_H

#include <bsd/sys/queue.h>
#include <connpool/connpool.h>
#include <stdatomic.h>
#include <stdbool.h>

enum cp_state {
    CP_FREE,      /* no connection */
    CP_OPENING,   /* has a slot; its open runs, or is about to */
    CP_CHECKING,  /* on its way to an acquirer: local check, check, prepare */
    CP_LEASED,    /* the application has it */
    CP_RESETTING, /* released, its reset runs */
    CP_BASE,      /* idle, in the endpoint's base list */
    CP_EXTRA,     /* idle, in the endpoint's extra list */
    CP_CLOSING,   /* will end: its close runs, or is about to */
    CP_STATE_COUNT
};

/* The plugin's operations, in the order of CONNPOOL_BLOCKING_…'s bits. */
enum cp_kind { CP_OPEN, CP_CHECK, CP_PREPARE, CP_RESET, CP_IDLE, CP_CLOSE, CP_KIND_COUNT };

/* Descriptors of a connection that are recorded for a forked child; a manager with more keeps the rest to itself. */
#define CP_CONNECTION_DESCRIPTORS 4

struct connpool_connection {
    /* Read by stale leases at any time, so never overwritten with anything else. */
    struct connpool_pool *pool; /* constant */
    _Atomic(struct connpool_endpoint *) endpoint;
    _Atomic uint64_t generation; /* odd while leased; rises with every lease and release */

    /* What the hot path touches: guarded by the endpoint's lock. What it writes comes first and fills, with the members
     * above, one line of the processor's cache: each line more is one more that threads take from each other. */
    enum cp_state state;
    bool idle_is_named;                    /* idle's first call since the last release was made */
    bool idle_is_busy;                     /* its last answer was BUSY */
    bool was_extra;                        /* CHECKING: where it stood before */
    TAILQ_ENTRY(connpool_connection) link; /* in base, extra, the pool's free records or a list of what is to end */
    int64_t released;                      /* last used */
    int64_t due;                           /* parked: when it is to be closed */
    uint64_t parked;                       /* the endpoint's count of parkings when it was parked */
    uint64_t uses;
    uint64_t id;
    int64_t expires; /* its life is over */
    int64_t created;
    uint64_t checked_at; /* the endpoint's count of parkings when a check of it began */
    uint64_t watched;    /* it is watched since it was parked with this number */
    bool is_looked_at;   /* CHECKING: the watch has it */
    LIST_HEAD(, cp_watch) watches;

    /* The operation that runs; only by whoever drives the connection. */
    enum cp_kind kind;
    bool is_first_step;
    bool is_armed;        /* the token points at a driver's waker */
    bool is_cut;          /* it ended by its limit, with no answer */
    bool is_open_started; /* destroy is owed */
    int64_t limit;        /* when the operation is given up, CP_NEVER: not */
    int64_t limit_span;   /* how long it was given, for the message */
    uint64_t token;
    struct cp_blocking *blocking; /* the call on a worker, if one is under way */
    struct connpool_fault fault;
    connpool_reason reason; /* CLOSING: why it ends */
    bool is_polite;         /* CLOSING: the manager's close is called first */
    int32_t idle_fd;        /* what idle waits for, -1: nothing */
    uint32_t idle_events;
    int64_t opened_at;                                    /* precise, when its open began; 0 unless observed */
    int64_t leased_at;                                    /* precise, 0 unless observed */
    int64_t descriptor_places[CP_CONNECTION_DESCRIPTORS]; /* in the fork table, -1: none */

    struct cp_leak *leak; /* NULL: its leases are not noted */

    void *data; /* the application's */
    void (*data_destructor)(void *data);

    max_align_t plugin_state[]; /* begins with a connpool_head */
};

TAILQ_HEAD(cp_connection_list, connpool_connection);

/* The record's endpoint; never NULL once it was used. */
static inline struct connpool_endpoint *cp_connection_endpoint(const struct connpool_connection *connection)
{
    return atomic_load_explicit(&connection->endpoint, memory_order_relaxed);
}

/* A lease begins or ends: the new generation. The endpoint's lock is held, so this needs no locked instruction (5 ns).
 */
static inline uint64_t cp_connection_next_generation(struct connpool_connection *connection)
{
    uint64_t next = atomic_load_explicit(&connection->generation, memory_order_relaxed) + 1;

    atomic_store_explicit(&connection->generation, next, memory_order_relaxed);
    return next;
}

/* A record for an endpoint's new connection, FREE, with a zeroed plugin state; NULL: no memory, or the pool is closing.
 * A reference on the context is taken, and the connection counts for connpool_close. No lock held. */
struct connpool_connection *cp_connection_new(struct connpool_endpoint *endpoint);
/* The same, OPENING, in a slot that the caller reserved and that is the connection's now; NULL: it is the caller's
 * still. No lock held. */
struct connpool_connection *cp_connection_start(struct connpool_endpoint *endpoint);
/* The one place where a state changes. The endpoint's lock is held. */
void cp_connection_set_state(struct connpool_connection *connection, enum cp_state state);

/* Record the descriptors that the connection holds now, so that a forked child can close them. */
void cp_connection_record_descriptors(struct connpool_connection *connection);

/*
 * The end of a connection whose open was started (or was to be): observers, the application's data, destroy, then its
 * slot is free for whoever waits, and the record goes back. In CLOSING; no lock held; does not wait. The connection is
 * gone afterwards; where a worker is still inside the plugin, it ends when that call returns.
 */
void cp_connection_end(struct connpool_connection *connection);
/* The same but for the slot, which passes to another by name. */
void cp_connection_end_keep_slot(struct connpool_connection *connection);

#endif
