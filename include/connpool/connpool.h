/* SPDX-License-Identifier: MIT */
/*
 * connpool/connpool.h: the application's API.
 *
 * A context is what one JSON configuration opens: its plugins, its pools, the threads that serve them. A pool lends
 * connections to endpoints; a lease is the right to use one until it is released.
 *
 * Unless a comment says otherwise, every function may be called from any thread at any time while its context is open,
 * and from no signal handler. "May wait" is said where it is so; all else returns at once. Time limits are milliseconds
 * in an int. A connpool_error argument may be NULL; a call that fails overwrites it, a call that succeeds leaves it as
 * it is. Outputs are written only on success. Functions that free accept NULL; those that take a pool or an endpoint
 * and return a status answer CONNPOOL_NOT_FOUND to NULL, so that a name that is not there is found out there; the
 * others must not be given NULL.
 *
 * Each struct that begins with `size` wants it set by the caller to the struct's sizeof, also where the library fills
 * it: programs and libraries of different ages then understand each other.
 */
#ifndef CONNPOOL_CONNPOOL_H
#define CONNPOOL_CONNPOOL_H

#include <stddef.h>
#include <stdint.h>

#include <connpool/manager.h>
#include <connpool/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CONNPOOL_API        __attribute__((visibility("default")))
#define CONNPOOL_MUST_CHECK __attribute__((warn_unused_result))

/* ---- Status and errors ---- */

typedef enum connpool_status {
    CONNPOOL_OK = 0,
    CONNPOOL_TIMED_OUT,    /* the time limit ran out first */
    CONNPOOL_CLOSED,       /* the context is closing or closed */
    CONNPOOL_FAILED,       /* a connection could not be opened or made ready; error_class says why */
    CONNPOOL_OVERLOADED,   /* max_waiters acquires wait already, or max_endpoints are in use */
    CONNPOOL_NOT_FOUND,    /* no such pool (NULL) or endpoint, or text that names none */
    CONNPOOL_INVALID,      /* an argument or a configuration is wrong */
    CONNPOOL_STALE,        /* the lease was released before */
    CONNPOOL_NO_MEMORY,    /* memory or another resource of this process ran out */
    CONNPOOL_FORKED,       /* the context belongs to the parent process */
    CONNPOOL_PLUGIN_ERROR, /* a plugin could not be loaded, or broke the ABI's rules */
    CONNPOOL_STILL_LEASED  /* close: the limit ran out with connections out */
} connpool_status;

/* The name of a status ("timed out"); lives for ever. */
CONNPOOL_API const char *connpool_status_text(connpool_status status);

/* The name of an error class of manager.h ("authentication"); lives for ever. */
CONNPOOL_API const char *connpool_error_class_text(int32_t error_class);

typedef struct connpool_error {
    connpool_status status;
    int32_t error_class;  /* CONNPOOL_ERROR_… of manager.h, 0: none */
    int32_t os_error;     /* errno, 0: none */
    int64_t library_code; /* the manager's library's own code, 0: none */
    char text[512];       /* a sentence that names pool, endpoint, operation and cause; never a secret */
} connpool_error;

/* The version of the library that runs ("0.1.0"); lives for ever. */
CONNPOOL_API const char *connpool_version(void);

/* ---- Memory ---- */

/*
 * Replaces malloc and free for all memory that the library takes itself, in the whole process, as jansson's and
 * libuv's hooks do: for tests and embedding. The functions must be thread-safe and must not call back.
 */
struct connpool_allocator {
    uint32_t size;
    uint32_t reserved;
    void *argument;
    void *(*allocate)(void *argument, size_t size); /* aligned for any type, zeroed or not; NULL: none left */
    void (*release)(void *argument, void *memory);  /* memory is never NULL */
};
/* NULL: malloc again. CONNPOOL_INVALID: a member is missing, or the library holds memory already: a context was
 * opened before. */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_use_allocator(const struct connpool_allocator *allocator);

/* ---- Contexts ---- */

typedef struct connpool connpool;                   /* a context */
typedef struct connpool_pool connpool_pool;         /* lives as long as its context */
typedef struct connpool_endpoint connpool_endpoint; /* a counted handle */

/* Receives the log of a context, one line without a line end: level is CONNPOOL_LOG_…. Called without locks, from any
 * thread; must not wait. */
typedef void connpool_log_fn(void *argument, int32_t level, const char *text);

/* Which time a clock is asked for. */
#define CONNPOOL_CLOCK_PRECISE 0u /* monotonic, exact */
#define CONNPOOL_CLOCK_COARSE  1u /* monotonic, cheap, a few ms behind */
#define CONNPOOL_CLOCK_BOOT    2u /* as monotonic, but goes on while the machine sleeps */

/* Replaces the clock of a context, for tests and simulations; all times of the context are its. Called under locks:
 * must not call back. */
struct connpool_clock {
    uint32_t size;
    uint32_t reserved;
    void *argument;
    int64_t (*now)(void *argument, uint32_t which); /* nanoseconds, above 0, never falling */
    /* A thread is about to sleep until this time (0: without limit); a virtual clock may move itself forward here.
     * Called without locks; may be NULL */
    void (*sleeping)(void *argument, int64_t until);
};

#define CONNPOOL_OPEN_TRUST_ANY_OWNER                                                                                  \
    1u /* load plugins whoever owns or may write the file and its folders: for build trees only */

/* How to open a context. Zero is the default of every member; set size to sizeof(struct connpool_options). */
struct connpool_options {
    uint32_t size;
    uint32_t flags;     /* CONNPOOL_OPEN_… */
    const char *path;   /* the configuration file, or NULL with json */
    const char *json;   /* the configuration's text, NUL-terminated, or NULL with path */
    const char *folder; /* with json: what relative paths are relative to; NULL: none may be relative */
    const struct connpool_manager *const *managers; /* managers from code, each of another name; they win over files
                                                       of the same name; live as long as the process; NULL: none */
    uint32_t manager_count;
    uint32_t reserved;
    connpool_log_fn *log; /* NULL: no log */
    void *log_argument;
    const struct connpool_clock *clock; /* copied; NULL: the system's */
    uint64_t random_seed;               /* for tests; 0: from the system */
    char *const
        *plugin_path; /* folders searched before those of the configuration, absolute, ended by NULL; NULL: none */
};

/*
 * Open the configuration file at path: load the plugins it names, check everything, connect nothing. NULL: the error
 * says what is wrong, of several mistakes the first (connpool_check finds all). May wait for files. Close with
 * connpool_close.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool *connpool_open(const char *path, connpool_error *error);
CONNPOOL_API CONNPOOL_MUST_CHECK connpool *connpool_open_with(const struct connpool_options *options,
                                                              connpool_error *error);

/* Receives each mistake found in a configuration, one line of text. */
typedef void connpool_mistake_fn(void *argument, const char *text);

/*
 * Do all that connpool_open_with does to see whether it would succeed, report each mistake, open nothing. CONNPOOL_OK:
 * none was found. With understood not NULL, and no mistake, *understood becomes text (JSON, all defaults filled in,
 * secrets redacted), to be freed with connpool_text_free. May wait for files.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_check(const struct connpool_options *options,
                                                                connpool_mistake_fn *mistake, void *argument,
                                                                char **understood, connpool_error *error);
CONNPOOL_API void connpool_text_free(char *text);

/*
 * Close: refuse new acquires and wake all waiters with CONNPOOL_CLOSED at once, close what is idle, wait up to
 * timeout_ms for what is out. CONNPOOL_OK: all is gone. CONNPOOL_STILL_LEASED: *still_leased (may be NULL) connections
 * are out, leased or in the hands of a worker that is inside a plugin; each is destroyed as it comes back. In both
 * cases the context is no longer the caller's; memory lives until the last lease, endpoint handle and reactor return,
 * and an observer or log function may still be told of acquires that end and connections that come back.
 * CONNPOOL_INVALID: timeout_ms is neither 0 or more nor CONNPOOL_WAIT_FOREVER, or not 0 inside a callback of async.h;
 * CONNPOOL_CLOSED: it was closed before; CONNPOOL_FORKED. May wait. NULL is accepted.
 */
CONNPOOL_API connpool_status connpool_close(connpool *context, int timeout_ms, size_t *still_leased);

/* A clock given to connpool_open_with has moved: everything that sleeps in the context looks at it again. */
CONNPOOL_API void connpool_clock_moved(connpool *context);

/* ---- Pools and endpoints ---- */

/* The pool of that name, NULL: none. Lives as long as the context. */
CONNPOOL_API connpool_pool *connpool_pool_get(connpool *context, const char *name);
/* The index-th pool in the configuration's order, NULL past the last. */
CONNPOOL_API connpool_pool *connpool_pool_at(connpool *context, size_t index);
CONNPOOL_API const char *connpool_pool_name(const connpool_pool *pool);
CONNPOOL_API const char *connpool_pool_manager(const connpool_pool *pool);

/* The limits that hold for a pool, and, with an endpoint's own overrides, for an endpoint. Durations in seconds; -1:
 * none. */
struct connpool_limits {
    uint32_t size;
    uint32_t background_collector;
    uint64_t dispose_batch_size, min_idle, max_size, total_max_size, max_endpoints, max_uses,
        max_waiters; /* of the last two 0: none */
    double idle_timeout, max_lifetime, lifetime_jitter, acquire_timeout, connect_timeout, check_timeout, reset_timeout,
        dispose_timeout, check_after, holddown, leak_after;
    uint32_t retry, watch, prewarm; /* 0 or 1 */
    uint32_t reserved;
};
CONNPOOL_API void connpool_pool_limits(const connpool_pool *pool, struct connpool_limits *limits);
CONNPOOL_API void connpool_endpoint_limits(const connpool_endpoint *endpoint, struct connpool_limits *limits);

/*
 * Look up an endpoint once, to acquire from its handle without hashing: a configured name, or run-time text that the
 * manager understands
 * (`example.org:443`); NULL names the endpoint of a pool that has one. *endpoint is a counted handle: give it back with
 * connpool_endpoint_put, before or after connpool_close. CONNPOOL_NOT_FOUND, CONNPOOL_OVERLOADED, CONNPOOL_NO_MEMORY,
 * CONNPOOL_CLOSED, CONNPOOL_FORKED.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_endpoint_get(connpool_pool *pool, const char *name,
                                                                       connpool_endpoint **endpoint,
                                                                       connpool_error *error);
CONNPOOL_API void connpool_endpoint_put(connpool_endpoint *endpoint);
/* The name it is known by: the configured one, or the text it was first given by. Lives as long as the handle. */
CONNPOOL_API const char *connpool_endpoint_name(const connpool_endpoint *endpoint);
/* The index-th configured endpoint's name, NULL past the last. */
CONNPOOL_API const char *connpool_pool_endpoint_name(const connpool_pool *pool, size_t index);

/* ---- Leases ---- */

#define CONNPOOL_WAIT_FOREVER (-1) /* no time limit */
#define CONNPOOL_WAIT_DEFAULT (-2) /* the pool's acquire_timeout */

/* The right to use one connection: a plain value; a copy is the same lease. Members are private. */
typedef struct connpool_lease {
    struct connpool_connection *connection;
    uint64_t generation;
} connpool_lease;

/* A lease that holds nothing; releasing it is CONNPOOL_STALE without effect. */
#define CONNPOOL_LEASE_NONE                                                                                            \
    {                                                                                                                  \
        NULL, 0                                                                                                        \
    }

/*
 * Acquire a connection from an endpoint by name (as for connpool_endpoint_get). timeout_ms: a limit;
 * CONNPOOL_WAIT_FOREVER; CONNPOOL_WAIT_DEFAULT; 0 takes only what needs no round trip and opens nothing. May wait, up
 * to the limit. CONNPOOL_OK: *lease is the caller's until connpool_release or connpool_discard. CONNPOOL_TIMED_OUT,
 * _CLOSED, _FAILED, _OVERLOADED, _NOT_FOUND (also text that the manager refuses),
 * _INVALID (the timeout), _NO_MEMORY, _FORKED.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_acquire(connpool_pool *pool, const char *endpoint,
                                                                  int timeout_ms, connpool_lease *lease,
                                                                  connpool_error *error);
/* The same from a handle: no hashing. */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_endpoint_acquire(connpool_endpoint *endpoint, int timeout_ms,
                                                                           connpool_lease *lease,
                                                                           connpool_error *error);
/*
 * From whichever of several endpoints of one pool can serve first: idle connections in the order given, then new ones
 * in that order (an endpoint whose open fails is left out, the next is tried), then whichever frees first. count: 1
 * … 64.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_acquire_any(connpool_endpoint *const *endpoints, size_t count,
                                                                      int timeout_ms, connpool_lease *lease,
                                                                      connpool_error *error);
/* connpool_endpoint_acquire with a limit of 0: what can be had at once. CONNPOOL_TIMED_OUT: nothing now (it is counted
 * as a time-out). */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_try_acquire(connpool_endpoint *endpoint,
                                                                      connpool_lease *lease, connpool_error *error);

/*
 * Give the connection back, healthy: it is reset and parked, or closed where it is over its age or uses, or the context
 * is closed. Never fails for the pool's reasons. *lease is emptied. CONNPOOL_STALE: it was released before, nothing
 * happened; CONNPOOL_FORKED: it is the parent process's, nothing happened. A reset begins in the calling thread and,
 * without a collector, is driven to its end here, as are closes that are due: may wait up to reset_timeout +
 * dispose_timeout, but not in a thread that has a reactor (async.h).
 */
CONNPOOL_API connpool_status connpool_release(connpool_lease *lease);
/* Give the connection back broken: it is destroyed without a goodbye. *lease is emptied; it counts as released.
 * CONNPOOL_STALE, CONNPOOL_FORKED: as above. Does not wait, but for what is due on any release. */
CONNPOOL_API connpool_status connpool_discard(connpool_lease *lease);

/* Whether the lease still holds its connection (0 or 1). */
CONNPOOL_API int connpool_lease_valid(const connpool_lease *lease);

struct connpool_lease_info {
    uint32_t size;
    uint32_t is_new; /* 1: this lease is the connection's first */
    uint64_t id;     /* of the connection, unique in its pool, counted from 1 */
    uint64_t uses;   /* leases so far, this one included */
    int64_t age;     /* ns since it was opened */
    connpool_pool *pool;
    const char *endpoint; /* its name; lives as long as the lease */
    const char *manager;
};
/* CONNPOOL_STALE: the lease holds nothing. CONNPOOL_INVALID: info->size is not set. CONNPOOL_FORKED. */
CONNPOOL_API connpool_status connpool_lease_info(const connpool_lease *lease, struct connpool_lease_info *info);

/*
 * What the application works with, by type name (see manager.h, native); NULL: another manager's connection, or a lease
 * that holds nothing. The typed headers (connpool/tcp.h …) wrap this. Valid until the release.
 */
CONNPOOL_API void *connpool_lease_native(const connpool_lease *lease, const char *type);

/* User data that stays with the connection over its leases; the destructor (may be NULL) runs once, without locks, when
 * it is replaced or the connection is destroyed, in whichever thread does it. Only by the holder of the lease.
 * CONNPOOL_STALE, NULL: the lease holds nothing. CONNPOOL_FORKED. */
CONNPOOL_API connpool_status connpool_lease_set_data(const connpool_lease *lease, void *data,
                                                     void (*destructor)(void *data));
CONNPOOL_API void *connpool_lease_data(const connpool_lease *lease);

/*
 * A note on what the lease is for, for the report of leak_after: copied, cut to CONNPOOL_NOTE_SIZE bytes with its NUL;
 * NULL: none. Costs next to nothing where leak_after is not set. Only by the holder of the lease. CONNPOOL_STALE: the
 * lease holds nothing. CONNPOOL_FORKED.
 */
#define CONNPOOL_NOTE_SIZE 64
CONNPOOL_API connpool_status connpool_lease_note(const connpool_lease *lease, const char *text);
/* A note that says the line it stands in: connpool_lease_note(&lease, CONNPOOL_HERE). */
#define CONNPOOL_HERE           __FILE__ ":" CONNPOOL_HERE_TEXT(__LINE__)
#define CONNPOOL_HERE_TEXT(n)   CONNPOOL_HERE_NUMBER(n)
#define CONNPOOL_HERE_NUMBER(n) #n

/* Releases at the end of a block: CONNPOOL_SCOPED connpool_lease lease = CONNPOOL_LEASE_NONE; */
#define CONNPOOL_SCOPED __attribute__((cleanup(connpool_release_scoped)))
static inline void connpool_release_scoped(connpool_lease *lease)
{
    if (lease->connection != NULL) {
        (void)connpool_release(lease);
    }
}

/* ---- Care ---- */

/* Close idle connections now, and leased ones as they are released; connections opened later are not touched. May wait
 * up to dispose_timeout. */
CONNPOOL_API void connpool_pool_drain(connpool_pool *pool);
CONNPOOL_API void connpool_endpoint_drain(connpool_endpoint *endpoint);

/*
 * Wait until every named endpoint with `prewarm`, in all pools, is ready: has, or had since the call, min_idle
 * connections open and usable at one time, idle or leased; OK at once where there is no such endpoint. timeout_ms: 0
 * only looks; CONNPOOL_WAIT_FOREVER. CONNPOOL_TIMED_OUT: the error names the first endpoint that is not ready, what it
 * has and its last connect error; the pools go on trying. CONNPOOL_CLOSED, CONNPOOL_FORKED, CONNPOOL_NO_MEMORY;
 * CONNPOOL_INVALID: a limit that is none of these, or not 0 inside a reactor's dispatch. May wait.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_wait_ready(connpool *context, int timeout_ms,
                                                                     connpool_error *error);

/* Close what is due in all pools, whatever its number; for pools without a collector in an application that went quiet.
 * Returns how many. May wait up to dispose_timeout. */
CONNPOOL_API size_t connpool_maintain(connpool *context);

/*
 * Called once for each new connection after its open, before it is first handed out, in the thread that acquires,
 * without locks; may wait (the acquire's limit does not hold it). The lease is valid for the call only. Another result
 * than CONNPOOL_OK destroys the connection and fails the acquire with CONNPOOL_FAILED and the hook's error. Set before
 * the first acquire. NULL: none.
 */
typedef connpool_status connpool_configure_fn(void *argument, const connpool_lease *lease, connpool_error *error);
CONNPOOL_API void connpool_pool_on_configure(connpool_pool *pool, connpool_configure_fn *configure, void *argument);

/* ---- Statistics and observers ---- */

/* Why a connection ended. */
typedef enum connpool_reason {
    CONNPOOL_REASON_IDLE = 0,  /* idle_timeout */
    CONNPOOL_REASON_LIFETIME,  /* max_lifetime */
    CONNPOOL_REASON_USES,      /* max_uses */
    CONNPOOL_REASON_EVICTED,   /* room for another endpoint */
    CONNPOOL_REASON_DEAD,      /* a check found it dead */
    CONNPOOL_REASON_DISCARDED, /* connpool_discard */
    CONNPOOL_REASON_RESET,     /* its reset failed or took too long */
    CONNPOOL_REASON_DRAINED,   /* connpool_pool_drain, connpool_endpoint_drain */
    CONNPOOL_REASON_OPEN,      /* its open failed */
    CONNPOOL_REASON_ABANDONED, /* its acquirer left while it was opening or being checked */
    CONNPOOL_REASON_CLOSED,    /* the context closed */
    CONNPOOL_REASON_COUNT
} connpool_reason;
CONNPOOL_API const char *connpool_reason_text(connpool_reason reason);

/* A snapshot. Sizes are of the moment, counters since the context opened. */
struct connpool_statistics {
    uint32_t size;
    uint32_t endpoints; /* known now; 1 for an endpoint */
    /* Connections by state: */
    uint64_t opening;
    uint64_t idle_base;  /* idle, of the up to min_idle that are kept until their lifetime ends */
    uint64_t idle_extra; /* idle beyond those, closed after idle_timeout */
    uint64_t leased;     /* with the application, or being checked for it */
    uint64_t resetting;
    uint64_t closing;
    uint64_t waiters; /* acquires in line; not those that open a connection and would take another meanwhile */
    /* Since the context opened: */
    uint64_t acquired;                     /* leases given */
    uint64_t released;                     /* leases returned, discarded ones too */
    uint64_t opened;                       /* opens that succeeded */
    uint64_t timed_out;                    /* acquires whose limit ran out */
    uint64_t failed;                       /* acquires that ended with another error */
    uint64_t reused;                       /* of acquired: with a connection that had been leased before */
    uint64_t waited;                       /* acquires that waited in line at least once, as waiters says */
    uint64_t overloaded;                   /* acquires refused by max_waiters */
    uint64_t ended[CONNPOOL_REASON_COUNT]; /* connections destroyed, by reason */
    uint64_t unopened;                     /* of ended: those whose open never succeeded */
    uint64_t leaked;                       /* leases that were reported because of leak_after */
};
CONNPOOL_API void connpool_pool_statistics(const connpool_pool *pool, struct connpool_statistics *statistics);
CONNPOOL_API void connpool_endpoint_statistics(const connpool_endpoint *endpoint,
                                               struct connpool_statistics *statistics);

/* Who has held a lease for longer than leak_after, as far as it is known. */
struct connpool_leak {
    uint32_t size;
    int32_t thread;            /* that acquired it, as gettid(2) numbers them; of a request its reactor's */
    uint32_t thread_has_ended; /* 1: it is gone, and so perhaps whoever was to release the lease */
    uint32_t reserved;
    const char *thread_name; /* as it was then */
    const char *note;        /* of connpool_lease_note, NULL: none */
    const char *where;       /* the calls that led to the acquire (of a request to connpool_acquire_async), the
                                innermost first: "app+0x11d9 (main) < libc.so.6+0x2724a"; offsets as addr2line(1)
                                takes them, names where an object exports them */
};

/* What an observer is told. Text lives for the call. Durations are exact nanoseconds. */
struct connpool_event {
    uint32_t size;
    uint32_t is_new; /* acquired: the connection was opened for it */
    connpool_pool *pool;
    const char *endpoint;
    uint64_t connection;    /* id, 0: none */
    int64_t duration;       /* opened: of the open; acquired, timed out, failed: of the acquire; released: of the lease;
                               closed, dead: the connection's age; leaked: of the lease so far; 0 where it began before
                               anybody observed */
    connpool_reason reason; /* closed: why; in other events it means nothing */
    const connpool_error *error;      /* dead, timed out, failed: why; else NULL */
    const struct connpool_leak *leak; /* leaked; else NULL */
};
typedef void connpool_observe_fn(void *argument, const struct connpool_event *event);

/*
 * What happens in a pool, as it happens: called without locks, in the thread that does it; must not wait. Members may
 * be NULL. A connection's life is opened, then acquired and released in turn, then closed exactly once (after dead, if
 * it was found dead).
 */
struct connpool_observer {
    uint32_t size;
    uint32_t reserved;
    void *argument;
    connpool_observe_fn *opened, *acquired, *released, *dead, *closed, *timed_out, *failed;
    connpool_observe_fn *leaked; /* once for a lease that is held for longer than leak_after */
};
/* Set the observer (copied), NULL: none. Before the first acquire: what happens in other threads at the time may be
 * told to either, or to none (with `prewarm`: opens ahead of use). CONNPOOL_INVALID: its size is not set.
 * CONNPOOL_NOT_FOUND, CONNPOOL_NO_MEMORY, CONNPOOL_FORKED. */
CONNPOOL_API connpool_status connpool_pool_observe(connpool_pool *pool, const struct connpool_observer *observer);

/* Times by power of two: bucket i counts durations of at least 2^i ns and under 2^(i+1); kept only while an observer is
 * set. */
struct connpool_histogram {
    uint64_t buckets[48];
    uint64_t count, sum;
};
struct connpool_histograms {
    uint32_t size;
    uint32_t reserved;
    struct connpool_histogram acquire, lease, open;
};
CONNPOOL_API void connpool_pool_histograms(const connpool_pool *pool, struct connpool_histograms *histograms);

/* ---- Plugins ---- */

/*
 * Load a plugin as connpool_open would, by manager name or absolute path of the file, without a configuration: *manager
 * is the host's checked copy of its table, lives for ever. folders: searched first, ended by NULL, or NULL. flags:
 * CONNPOOL_OPEN_…. May wait for files.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK connpool_status connpool_plugin_load(const char *name, char *const *folders,
                                                                      uint32_t flags,
                                                                      const struct connpool_manager **manager,
                                                                      connpool_error *error);

/*
 * A JSON schema (draft-07) of configurations with pools of these managers (of connpool_plugin_load, or from code): for
 * editors and for programs that write configurations. It is never stricter than connpool_check, which finds more; pools
 * of other managers are left alone. Text, to be freed with connpool_text_free. NULL: the error: CONNPOOL_INVALID (a
 * table is not sound), CONNPOOL_NO_MEMORY. Any thread, never waits.
 */
CONNPOOL_API CONNPOOL_MUST_CHECK char *connpool_schema(const struct connpool_manager *const *managers, size_t count,
                                                       connpool_error *error);
/* The folder that installed plugins are in, the last of the search; lives for ever. */
CONNPOOL_API const char *connpool_plugin_folder(void);

#ifdef __cplusplus
}
#endif

#endif
