/* SPDX-License-Identifier: MIT */
/* five_servers: a real server for each manager of the product, for tests that hold all of them to the same. */
#ifndef FIVE_SERVERS_H
#define FIVE_SERVERS_H

#include <connpool/connpool.h>
#include <stdbool.h>
#include <stddef.h>

#include "server_proxy.h"

enum five_manager { FIVE_TCP, FIVE_UNIX, FIVE_TLS, FIVE_POSTGRES, FIVE_SSH, FIVE_COUNT };
extern const char *const five_names[FIVE_COUNT];

/* Setup and teardown of a group: all servers. Redis serves tcp and unix. */
int five_servers_begin(void **state);
int five_servers_end(void **state);

/*
 * Open a context with one pool of that manager, without a collector, whose endpoint "good" is the server; and with an
 * endpoint "bad" of those options unless they are empty. keys: further members of the pool, each after a comma.
 */
connpool *five_servers_open(enum five_manager manager, const char *bad, const char *keys);
/* The options of an endpoint that lead to a host and a port, and have the manager take whom it finds there for the
 * server; of the manager unix the host is a path. */
void five_servers_at(enum five_manager manager, const char *host, unsigned port, char *options, size_t size);
/* Start a proxy in front of the server of a manager; of the manager unix at a path. */
void five_servers_proxy(enum five_manager manager, struct server_proxy *proxy);

/* Whether what the lease lends does not wait. */
bool five_servers_is_nonblocking(enum five_manager manager, const connpool_lease *lease);
/* Ask the server something and read its answer, over a handle that waits. */
void five_servers_ask(enum five_manager manager, const connpool_lease *lease);

#endif
