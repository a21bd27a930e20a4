/* SPDX-License-Identifier: MIT */
/* peer: who is at the other end of a lease's connection. */
#ifndef PEER_H
#define PEER_H

#include <connpool/connpool.h>

#define PEER_SIZE 256

/* The address in numbers ("127.0.0.1:80", "[::1]:80"), or the path of a Unix socket, '@' before an abstract name; empty
 * text: the manager lends no socket. */
void peer_describe(const connpool_lease *lease, char text[PEER_SIZE]);

#endif
