/* SPDX-License-Identifier: MIT */
/*
 * leak: leases that are held longer than leak_after, each reported once: to the log, the observer, and a counter.
 *
 * Where the key is set, each connection has a record, in which each of its leases is noted: when it began, in which
 * thread, and where from. Nothing is undone when a lease ends: a note names its lease by the generation, and is void
 * once the connection's went on. The records stand in a list of their pool, that a sweep walks. Where the key is not
 * set there are no records, and what the hot path does is the same.
 */
#ifndef CP_LEAK_H
#define CP_LEAK_H

#include <bsd/sys/queue.h>
#include <connpool/connpool.h>
#include <stdbool.h>
#include <sys/types.h>

/* The caller's frames that are kept of a call. */
#define CP_LEAK_FRAMES 8
/* Those of the library between the application and the walk of the stack, at most. */
#define CP_LEAK_OWN_FRAMES 6
/* The kernel's limit of a thread's name. */
#define CP_LEAK_THREAD_NAME 16

struct connpool_connection;
struct connpool_endpoint;
struct connpool_pool;

/* Return addresses, the innermost first. */
struct cp_leak_site {
    int count;
    void *frames[CP_LEAK_FRAMES];
};

/* What is known of a lease. */
struct cp_leak_note {
    uint64_t generation; /* of the lease, 0: none */
    int64_t since;       /* precise */
    bool is_reported;
    pid_t thread;
    char thread_name[CP_LEAK_THREAD_NAME];
    char text[CONNPOOL_NOTE_SIZE]; /* the application's, "": none */
    struct cp_leak_site site;
};

struct cp_leak {
    struct connpool_connection *connection;
    TAILQ_ENTRY(cp_leak) entry; /* guarded by the pool's lock */
    struct cp_leak_note note;   /* guarded by the endpoint's lock */
};

TAILQ_HEAD(cp_leak_list, cp_leak);

/* A pool, before it is used: whether it has to look for leaks, and how often. */
void cp_leak_prepare_pool(struct connpool_pool *pool);

/* Where a public function was called from: return_address is its own __builtin_return_address(0), and the walk is made
 * in the same call. For pools that look for leaks only: costs a walk of the stack. */
void cp_leak_site_capture(struct cp_leak_site *site, void *return_address);

/* A new connection's record, where its endpoint has leak_after; in no list yet. False: no memory. */
bool cp_leak_init(struct connpool_connection *connection, const struct connpool_endpoint *endpoint);
/* From here on a sweep looks at it. No lock held. */
void cp_leak_track(struct connpool_connection *connection);
/* The record goes. The pool's and the endpoint's lock are held. */
void cp_leak_untrack(struct connpool_connection *connection);
/* As cp_leak_untrack for a record that is in no list. */
void cp_leak_fini(struct connpool_connection *connection);

/* A lease began, in this thread. No lock held. */
void cp_leak_begin(const connpool_lease *lease, const struct cp_leak_site *site);
/* A lease ended, of a connection that is the caller's now: reports it if it is due and no sweep did. No lock held;
 * calls the application. */
void cp_leak_end(struct connpool_connection *connection);

/* Report what is due. Returns when the next sweep is due: so early that each leak is reported within a tenth of its
 * leak_after, whatever was acquired meanwhile. No lock held; calls the application. */
int64_t cp_leak_sweep(struct connpool_pool *pool, int64_t now);

#endif
