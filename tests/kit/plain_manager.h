/* SPDX-License-Identifier: MIT */
/*
 * plain_manager: the manager "plain", which has no lock and no memory between its connections, so that a forked child
 * may use it whatever the parent's threads were doing. A connection is a pair of sockets; its open and its reset send a
 * byte through it and wait for that. One endpoint, without options. Native: CONNPOOL's "fd", an int32_t.
 */
#ifndef KIT_PLAIN_MANAGER_H
#define KIT_PLAIN_MANAGER_H

#include <connpool/connpool.h>

extern const struct connpool_manager plain_manager;

/* A context with one pool of it, with these keys as JSON, each with a comma before it; "": none. Any process. NULL: the
 * error. */
connpool *plain_manager_open(const char *keys, connpool_error *error);

#endif
