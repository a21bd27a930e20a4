/* SPDX-License-Identifier: MIT */
/*
 * postgres_hosts: which servers an endpoint means, as libpq wants them: lists of names, of numeric addresses and of
 * ports, with commas between them. libpq itself would look names up in the calling thread, for as long as that takes;
 * the host does it on a worker. A name with several addresses becomes as many entries.
 */
#ifndef POSTGRES_HOSTS_H
#define POSTGRES_HOSTS_H

#include <connpool/manager.h>

#include <stdbool.h>

#include "postgres_buffer.h"

struct postgres_options;

/* The lists, being made. Zeroed is a valid beginning. */
struct postgres_hosts {
    PQExpBufferData names, addresses, ports; /* valid once is_started */
    struct connpool_resolve *resolve;        /* of the entry `next`, NULL: none under way */
    const char *next;                        /* the next entry of the options, NULL: past the last */
    bool is_started;
    bool has_any;
    struct connpool_fault first; /* why the first of those that failed did */
};

/* One entry of the options. */
struct postgres_host {
    char name[256];
    bool is_path; /* a Unix socket's folder or abstract name */
    uint32_t port;
};

/*
 * Read the entry at *next, which is moved behind it, to NULL at the end: a name, an IPv4 or IPv6 address, each may be
 * followed by `:port` (an IPv6 address then has brackets); or the absolute path of a folder or `@` and an abstract
 * name. 0, or the negative of an error class with the fault filled: it has no right form.
 */
int32_t postgres_hosts_entry(const struct postgres_options *options, const char **next, struct postgres_host *entry,
                             struct connpool_fault *fault);
/* A step: resolve what is to be resolved. DONE: there is an entry at least; those that could not be resolved are left
 * out. */
int32_t postgres_hosts_step(struct postgres_hosts *hosts, const struct connpool_head *head, struct connpool_wait *wait,
                            struct connpool_fault *fault);
/* In any state. */
void postgres_hosts_fini(struct postgres_hosts *hosts, const struct connpool_host *host);

#endif
