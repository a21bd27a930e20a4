/* SPDX-License-Identifier: MIT */
/* tls_handshake: from a connected socket to a verified peer. */
#ifndef TLS_HANDSHAKE_H
#define TLS_HANDSHAKE_H

#include "tls_connection.h"

/* Once, before all others. False: no memory. [any thread] */
bool tls_handshake_prepare(void);
/* Put what the handshakes of all its SSLs need into a context. */
void tls_handshake_set(SSL_CTX *context, const struct tls_options *options);

/* A step of open, once the socket is connected. */
int32_t tls_handshake_step(struct tls_connection *connection, struct connpool_wait *wait, struct connpool_fault *fault);

#endif
