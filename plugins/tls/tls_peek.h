/* SPDX-License-Identifier: MIT */
/*
 * tls_peek: takes in what the peer sent unasked. In TLS 1.3 that can be session tickets and key updates, which are part
 * of a healthy connection's life: neither "readable means dead" nor a look at the socket's first byte is right.
 */
#ifndef TLS_PEEK_H
#define TLS_PEEK_H

#include "tls_connection.h"

/*
 * DONE: there is data for the application, which stays where it is. AGAIN: there is none; the wait names the socket,
 * with BUSY if there was more than one step takes in. Negative: the connection has ended, and the fault says how.
 */
int32_t tls_peek(struct tls_connection *connection, const char *what, struct connpool_wait *wait,
                 struct connpool_fault *fault);

/* A record has come in part: what OpenSSL holds cannot be told yet. */
bool tls_peek_is_amid_record(const struct tls_connection *connection);

/* Put the socket and what the SSL waits for into the wait; AGAIN. */
int32_t tls_peek_wait(const struct tls_connection *connection, struct connpool_wait *wait);

#endif
