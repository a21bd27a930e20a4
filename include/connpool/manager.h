/* SPDX-License-Identifier: MIT */
/*
 * connpool/manager.h: the plugin ABI. All that the author of a connection manager reads.
 *
 * A plugin is one shared object, connpool_<name>.so, that exports one symbol, `connpool_manager`: a const table. The
 * host (libconnpool) hands the plugin tables in return, so a plugin has no undefined symbol of the host. The major
 * number is 0 until 1.0 freezes this file.
 *
 * Rules of the file: members of fixed width only; every struct begins with its size (the manager's table with its
 * magic) and grows only at its end; a member that came later is used only after a test of the size; no memory changes
 * owner across the boundary unless its comment says so; text is UTF-8 and NUL-terminated.
 *
 * Thread tags used below:
 *   [one thread]  called once at a time for this object, but not always from the same thread
 *   [any thread]  may be called from several threads at once
 * and for waiting:
 *   [never waits] must return in less than a millisecond
 *   [may block]   may take as long as it needs
 */
#ifndef CONNPOOL_MANAGER_H
#define CONNPOOL_MANAGER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes "connpool" read as a little-endian number. */
#define CONNPOOL_MANAGER_MAGIC UINT64_C(0x6c6f6f706e6e6f63)
/* Must be equal in host and plugin. */
#define CONNPOOL_ABI_MAJOR 0
/* Informs only: raised when a table grows. */
#define CONNPOOL_ABI_MINOR 1

/* ---- Errors ---- */

/* What kind of thing went wrong; decides what the pool does next. A step function returns the negative of one of these.
 */
#define CONNPOOL_ERROR_TRANSIENT       1  /* may work when tried again */
#define CONNPOOL_ERROR_REFUSED         2  /* the peer's machine answered, nobody listens */
#define CONNPOOL_ERROR_UNREACHABLE     3  /* no route, no such host */
#define CONNPOOL_ERROR_AUTHENTICATION  4  /* who we are was not accepted; never retried */
#define CONNPOOL_ERROR_TRUST           5  /* who the peer is was not proven; never retried */
#define CONNPOOL_ERROR_CONFIGURATION   6  /* cannot work with these options; never retried */
#define CONNPOOL_ERROR_PROTOCOL        7  /* the peer does not speak as expected */
#define CONNPOOL_ERROR_CLOSED          8  /* the peer ended the connection; normal for one that was idle */
#define CONNPOOL_ERROR_TIMEOUT         9  /* a time limit of the operation ran out */
#define CONNPOOL_ERROR_RESOURCE_LOCAL  10 /* this process or machine lacks something: memory, descriptors, ports */
#define CONNPOOL_ERROR_RESOURCE_REMOTE 11 /* the peer takes no more connections now */
#define CONNPOOL_ERROR_UNSUPPORTED     12 /* a library or peer lacks the ability */
#define CONNPOOL_ERROR_MISBEHAVING     13 /* the plugin broke a rule of this file */
#define CONNPOOL_ERROR_INTERNAL        14 /* a bug */

/* How far a fault reaches. */
#define CONNPOOL_SCOPE_CONNECTION 0 /* this connection only */
#define CONNPOOL_SCOPE_ADDRESS    1 /* the address it was connected to */
#define CONNPOOL_SCOPE_ENDPOINT   2 /* everything at the endpoint */

/*
 * struct connpool_fault: what went wrong, filled by the plugin. Owned by the caller, which zeroes it and sets size. The
 * first error stays: fill it only where error_class is 0. The text is a sentence without a final stop that names the
 * cause; never a secret.
 */
struct connpool_fault {
    uint32_t size;
    int32_t error_class;  /* CONNPOOL_ERROR_…, 0: none */
    int32_t scope;        /* CONNPOOL_SCOPE_… */
    int32_t os_error;     /* errno, 0: none */
    int64_t library_code; /* the library's own code, 0: none */
    char text[232];
};

/* ---- Steps ---- */

/* What a step function returns when it did not fail. */
#define CONNPOOL_STEP_DONE  0 /* the operation is complete */
#define CONNPOOL_STEP_AGAIN 1 /* call again when what was put into the wait has come */

/* connpool_wait.events and .ready */
#define CONNPOOL_EVENT_READ   1u
#define CONNPOOL_EVENT_WRITE  2u
#define CONNPOOL_EVENT_HANGUP 4u /* in ready only: error or hang-up */

/* connpool_wait.flags: set by the host before the step. */
#define CONNPOOL_WAIT_FOR_LOOP                                                                                         \
    1u /* prepare: the connection will be used from an event loop: make its handle non-blocking; else blocking */
#define CONNPOOL_WAIT_CUT 2u /* close: this step is the only one, no other will follow */
/* connpool_wait.flags: answers of the step, cleared by the host before it. */
#define CONNPOOL_WAIT_WAKE 256u /* host->wake(token) will end the wait */
#define CONNPOOL_WAIT_BUSY 512u /* idle: healthy, but in the middle of an exchange: not to be leased now */

/*
 * struct connpool_wait: what a step function gets, and what it answers with AGAIN: a descriptor with events
 * (level-triggered), an absolute time `at`, CONNPOOL_WAIT_WAKE, or several of these; whichever comes first ends the
 * wait. AGAIN without any of them fails as misbehaving. Before each step the host sets fd to -1, events and at to 0,
 * and clears the answer flags. All times are nanoseconds of the host's clock.
 */
struct connpool_wait {
    uint32_t size;
    uint32_t flags;  /* CONNPOOL_WAIT_… */
    int32_t fd;      /* answer: descriptor to wait for, -1: none; may change from step to step */
    uint32_t events; /* answer: CONNPOOL_EVENT_READ and/or _WRITE */
    uint32_t ready;  /* host: what became ready; 0 on the first call and when called for time or a wake */
    uint32_t reserved;
    int64_t now;      /* host: the time of this call */
    int64_t deadline; /* host: the operation's own limit, 0: none. For information: the host ends the operation, the
                         plugin handles no timeout */
    int64_t at;       /* answer: call again at this time, 0: none */
    uint64_t token;   /* host: what host->wake wants; valid until the operation ends, a later wake does nothing */
};

/*
 * A step function does what can be done now without waiting, then says DONE, AGAIN, or the negative of an error class
 * (and fills the fault). Progress lives in the connection. The host calls again with the same connection until the
 * result is not AGAIN; a call before anything is ready is legal and must answer AGAIN unchanged. Operations of one
 * connection never run at the same time, but may come from different threads. [one thread] [never waits], unless the
 * operation's bit is set in blocking_operations: then [may block], and it never answers AGAIN.
 */
typedef int32_t connpool_step_fn(void *connection, struct connpool_wait *wait, struct connpool_fault *fault);

/* ---- The host's table ---- */

struct connpool_dial;    /* one stream socket being connected; opaque */
struct connpool_resolve; /* one name being resolved; opaque */
struct connpool_offload; /* one blocking call on a worker; opaque */

/* Levels of the log. */
#define CONNPOOL_LOG_ERROR   0
#define CONNPOOL_LOG_WARNING 1
#define CONNPOOL_LOG_INFO    2
#define CONNPOOL_LOG_DEBUG   3

/* What to connect. Zeroed members mean the default. All text is copied by dial_start. */
struct connpool_dial_options {
    uint32_t size;
    uint32_t port;          /* 1 … 65535 for a host; ignored with path */
    const char *host;       /* name or numeric address, without brackets; NULL with path */
    const char *path;       /* a Unix socket: absolute path, or '@' and an abstract name; NULL with host */
    const char *bind_host;  /* numeric local address, NULL: any */
    uint32_t bind_port;     /* local port, 0: any */
    uint32_t flags;         /* CONNPOOL_DIAL_… */
    int64_t keepalive_idle; /* ns unused before the first keep-alive probe (TCP_KEEPIDLE, whole seconds, rounded up), 0:
                               no keep-alive */
    int64_t keepalive_interval; /* ns between probes (TCP_KEEPINTVL), 0: the kernel's */
    uint32_t keepalive_count;   /* unanswered probes until the connection is dead (TCP_KEEPCNT), 0: the kernel's */
    uint32_t reserved;
    int64_t user_timeout; /* ns that sent data may stay unacknowledged (TCP_USER_TIMEOUT, whole ms), 0: the kernel's */
};

#define CONNPOOL_DIAL_DELAY 1u /* leave Nagle's algorithm on (it is off by default: TCP_NODELAY) */
#define CONNPOOL_DIAL_IPV4  2u /* only IPv4 addresses */
#define CONNPOOL_DIAL_IPV6  4u /* only IPv6 addresses */

/*
 * struct connpool_host: what the host offers. Lives as long as the object whose head names it (or, given to load, for
 * ever); the functions live for ever. The three sub-operations (dial, resolve, offload) are driven by a step function
 * inside its own operation: start, then step on each of its own steps until the result is not AGAIN (the sub-operation
 * fills the caller's wait, which is returned as it is), then take, then stop. stop accepts NULL and any state, never
 * waits, and must be called for each start that returned non-NULL.
 */
struct connpool_host {
    uint32_t size;
    uint32_t reserved;
    const char *name;    /* "libconnpool" */
    const char *version; /* "0.1.0" */
    void *context;       /* the host's own; pass the table itself to the functions */

    /* Write to the application's log. text: one line, no secret; copied. [any thread] [never waits] */
    void (*log)(const struct connpool_host *host, int32_t level, const char *text);

    /* The time now in nanoseconds of the host's monotonic clock (replaced in tests: never use another). [any thread]
     * [never waits] */
    int64_t (*clock)(const struct connpool_host *host);

    /* End the wait of the operation that was given this token; late, repeated and early wakes are harmless. Any thread,
     * at any time, also after the connection was destroyed. [any thread] [never waits] */
    void (*wake)(const struct connpool_host *host, uint64_t token);

    /* An extension of the host by id, or NULL. Lives for ever. [any thread] [never waits] */
    const void *(*get_extension)(const struct connpool_host *host, const char *id);

    /* Connect a stream socket: all addresses of a name, racing as in RFC 8305, keep-alive, no-delay, close-on-exec,
     * non-blocking. NULL: the fault says why. */
    struct connpool_dial *(*dial_start)(const struct connpool_host *host, const struct connpool_dial_options *options,
                                        struct connpool_fault *fault);
    int32_t (*dial_step)(struct connpool_dial *dial, struct connpool_wait *wait, struct connpool_fault *fault);
    /* The connected descriptor, now the caller's (non-blocking, close-on-exec); -1 before DONE or when it was taken. */
    int32_t (*dial_take)(struct connpool_dial *dial);
    void (*dial_stop)(struct connpool_dial *dial);

    /* Resolve a name to numeric addresses, on a worker thread of the host. flags: CONNPOOL_DIAL_IPV4, _IPV6 or 0. NULL:
     * the fault says why. */
    struct connpool_resolve *(*resolve_start)(const struct connpool_host *host, const char *name, uint32_t flags,
                                              struct connpool_fault *fault);
    int32_t (*resolve_step)(struct connpool_resolve *resolve, struct connpool_wait *wait, struct connpool_fault *fault);
    /* The index-th address as numeric text, in the resolver's order (RFC 6724); NULL past the last or before DONE.
     * Lives until stop. */
    const char *(*resolve_take)(struct connpool_resolve *resolve, uint32_t index);
    void (*resolve_stop)(struct connpool_resolve *resolve);

    /*
     * Run call(job) on a worker thread of the host: [may block]. The job is heap memory that the worker owns from here
     * until call has returned, never the connection: when the operation is given up the call goes on, and release(job)
     * is called after it, exactly once, by whichever side is last. Where NULL is returned (the fault says why) the job
     * is still the caller's and release is not called.
     */
    struct connpool_offload *(*offload_start)(const struct connpool_host *host, void (*call)(void *job),
                                              void (*release)(void *job), void *job, struct connpool_fault *fault);
    int32_t (*offload_step)(struct connpool_offload *offload, struct connpool_wait *wait, struct connpool_fault *fault);
    /* The job, its call complete; still owned by the host, lives until stop. NULL before DONE. */
    void *(*offload_take)(struct connpool_offload *offload);
    void (*offload_stop)(struct connpool_offload *offload);
};

/* ---- Options ---- */

/* Where an option may stand. */
#define CONNPOOL_LEVEL_POOL     1u /* under the pool's "options" */
#define CONNPOOL_LEVEL_ENDPOINT 2u /* under an endpoint, or in run-time text */
#define CONNPOOL_LEVEL_BOTH     3u /* in both; the pool's value is the endpoint's default */

/* What an option holds, and what the host stores at its offset. Text lives as long as the options; absent text is NULL.
 */
#define CONNPOOL_TYPE_STRING   1u /* const char * */
#define CONNPOOL_TYPE_INTEGER  2u /* int64_t */
#define CONNPOOL_TYPE_NUMBER   3u /* double */
#define CONNPOOL_TYPE_BOOLEAN  4u /* int32_t, 0 or 1 */
#define CONNPOOL_TYPE_DURATION 5u /* int64_t nanoseconds; seconds as a number in the JSON */
#define CONNPOOL_TYPE_SIZE     6u /* int64_t bytes; in the JSON a number, or text with KiB, MiB or GiB */
#define CONNPOOL_TYPE_PATH                                                                                             \
    7u /* const char *; made absolute against the configuration file's folder, except '@…' and '' */
#define CONNPOOL_TYPE_CHOICE 8u  /* int32_t, the index into choices */
#define CONNPOOL_TYPE_LIST   9u  /* struct connpool_list */
#define CONNPOOL_TYPE_SECRET 10u /* const char *; a reference in the JSON; wiped when freed */
#define CONNPOOL_TYPE_MAP    11u /* struct connpool_map: pass-through keywords */

#define CONNPOOL_OPTION_REQUIRED 1u
#define CONNPOOL_OPTION_SHARED                                                                                         \
    2u /* pool_init reads it: endpoints with equal shared values share one pool state; run-time text cannot set it */

struct connpool_list {
    const char *const *items;
    uint32_t count;
    uint32_t reserved;
};

struct connpool_map {
    const char *const *keys;
    const char *const *values;
    uint32_t count;
    uint32_t reserved;
};

/*
 * One row of a manager's option table. A plugin writes no parser: the host parses, checks, stores, compares, redacts,
 * wipes and documents. The size of a row is the table's stride.
 */
struct connpool_option {
    const char *name;         /* [a-z][a-z0-9_]*, not "pool", not beginning with "x-" */
    const char *help;         /* one sentence, no final stop, for people */
    uint32_t level;           /* CONNPOOL_LEVEL_… */
    uint32_t type;            /* CONNPOOL_TYPE_… */
    uint32_t flags;           /* CONNPOOL_OPTION_… */
    uint32_t offset;          /* into the options struct */
    const char *default_text; /* the default as it would be written in run-time text ("30", "true", "a choice"); NULL:
                                 zero or NULL */
    const char
        *minimum; /* smallest value, in the same notation; for text, lists and maps the least length; NULL: none */
    const char *maximum;        /* largest value, likewise */
    const char *const *choices; /* CHOICE: the names, ended by NULL. MAP: keys it refuses, ended by NULL (those with an
                                   option of their own, secrets, those that load programs). Else NULL */
};

/* ---- The manager ---- */

/* Pool, endpoint and connection state begin with a head that the host fills before the first call and that the plugin
 * only reads. */
struct connpool_head {
    const struct connpool_host
        *host; /* for an endpoint and its connections: that endpoint's own table, calls through it count for it */
    const void *options; /* the resolved options struct; outlives every object made from it */
    void *parent; /* connection: its endpoint; endpoint: its pool state; pool: NULL. Shared by threads: lock what you
                     change there */
};

/* connpool_manager.blocking_operations: the operation may block (it runs on a worker where a time limit holds). */
#define CONNPOOL_BLOCKING_OPEN    1u
#define CONNPOOL_BLOCKING_CHECK   2u
#define CONNPOOL_BLOCKING_PREPARE 4u
#define CONNPOOL_BLOCKING_RESET   8u
#define CONNPOOL_BLOCKING_IDLE    16u
#define CONNPOOL_BLOCKING_CLOSE   32u

/* Given to parse_endpoint: store one option, its text being length bytes at start. 0, or the negative of an error class
 * with the fault filled. */
typedef int32_t connpool_set_fn(void *context, const char *option, const char *start, size_t length,
                                struct connpool_fault *fault);

/*
 * struct connpool_manager: what a plugin exports as `const struct connpool_manager connpool_manager`. Only the members
 * marked required must be there; the host copies min(its size, the plugin's) into a private zeroed table and puts
 * defaults into empty slots. All functions that return int32_t without another word return 0, or the negative of an
 * error class with the fault filled.
 */
struct connpool_manager {
    uint64_t magic;     /* CONNPOOL_MANAGER_MAGIC; required. This and the next three are frozen for ever */
    uint16_t abi_major; /* CONNPOOL_ABI_MAJOR; required */
    uint16_t abi_minor; /* CONNPOOL_ABI_MINOR; required */
    uint32_t size;      /* sizeof(struct connpool_manager); required */

    const char *name;    /* [a-z][a-z0-9-]{0,31}, equal to the one in the file's name; required */
    const char *version; /* the plugin's own; required */
    const char *summary; /* one line for people; required */

    const struct connpool_option *options; /* the rows; NULL: none */
    uint32_t option_count;
    uint32_t option_stride; /* sizeof(struct connpool_option) */
    uint32_t options_size;  /* of the plugin's resolved options struct; 0: none */

    uint32_t pool_size; /* of the pool state, 0: none. The host allocates these three zeroed and aligned for any type;
                           each begins with a head */
    uint32_t endpoint_size;   /* of the endpoint state, 0: none */
    uint32_t connection_size; /* of the connection state; required */

    uint32_t blocking_operations; /* CONNPOOL_BLOCKING_…, 0: none blocks */
    uint32_t reserved;

    /* Once after loading; may come again from another host in the process: idempotent. Serialised by the host. [may
     * block] */
    int32_t (*load)(const struct connpool_host *host, struct connpool_fault *fault);

    /* Read files and build what endpoints share. When the context opens, once for each distinct set of values of the
     * shared rows; reads only those. No network. [one thread] [may block]. pool_fini also follows a pool_init that
     * failed. [one thread] */
    int32_t (*pool_init)(void *pool, struct connpool_fault *fault);
    void (*pool_fini)(void *pool);

    /* Memory work for one endpoint. endpoint_fini also follows an endpoint_init that failed. [one thread] [never waits]
     */
    int32_t (*endpoint_init)(void *endpoint, struct connpool_fault *fault);
    void (*endpoint_fini)(void *endpoint);

    /* Take apart text given at run time (such as host:port): call set(context, option, start, length, fault) for each
     * option found. The host copies and checks. NULL: only named endpoints. [any thread] [never waits] */
    int32_t (*parse_endpoint)(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault);

    connpool_step_fn *open; /* connect, handshake, log in; required */
    /* A round trip that proves the connection alive. NULL: the local check is all there is */
    connpool_step_fn *check;
    /* Before every hand-out, the first too. Never answers AGAIN, sends nothing; with CONNPOOL_WAIT_FOR_LOOP makes the
     * handle non-blocking, else blocking, only on change. A failure on a reused connection means dead, on a new one a
     * failed open. NULL: nothing to do */
    connpool_step_fn *prepare;
    /* After every release: make the connection as new. NULL: nothing to do */
    connpool_step_fn *reset;
    /* The machine of a parked connection. A first call (ready 0) after each release names fd and events; later calls
     * come with what is ready. AGAIN: leasable; AGAIN with CONNPOOL_WAIT_BUSY: healthy, not now; negative: dead; DONE:
     * needs no watching. NULL: dead when any of its descriptors is readable or hung up */
    connpool_step_fn *idle;
    /* The goodbye. Skipped after a failed open, check, prepare, reset or idle, an abandoned operation and a discard.
     * NULL: nothing to say */
    connpool_step_fn *close;

    /* Give back all that the connection holds, whoever failed open in the middle of whatever. Once for each connection
     * whose open was started. Never fails, never runs beside another operation, never in a forked child. Over a library
     * that may write or wait when it frees, call shutdown(fd, SHUT_RDWR) first. Required. [one thread] [never waits] */
    void (*destroy)(void *connection);

    /* What the application works with. type carries the SONAME: "fd" (*out is an int32_t *), "openssl.SSL/3",
     * "libpq.PGconn/5", "libssh2.SESSION/1". *out lives as long as the connection. 0, or -CONNPOOL_ERROR_UNSUPPORTED
     * for another type. NULL: no handle. [one thread] [never waits] */
    int32_t (*native)(void *connection, const char *type, void **out);

    /* The sockets and files that the connection holds now (no eventfd, timerfd or epoll fd): writes at most capacity of
     * them, returns how many there are. Asked after every step of open, so that a forked child can close them. NULL:
     * none. [one thread] [never waits] */
    int32_t (*descriptors)(void *connection, int32_t *descriptors, int32_t capacity);

    /* An extension by id ("connpool.<name>/<revision>", reverse domain names for third parties), or NULL. Lives for
     * ever. NULL: none. [any thread] [never waits] */
    const void *(*get_extension)(const char *id);
};

/* Put before the definition of the table in a plugin that is built with hidden visibility (as it should be). */
#define CONNPOOL_MANAGER_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
}
#endif

#endif
