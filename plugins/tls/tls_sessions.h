/* SPDX-License-Identifier: MIT */
/*
 * tls_sessions: what an endpoint keeps to resume sessions with, and how often it could. One of TLS 1.3 (a ticket) is
 * used once, so that nobody on the way can tell which connections are the same client's (RFC 8446, C.4); one of
 * TLS 1.2 as long as the server takes it. [any thread] [never waits], but for init and fini.
 */
#ifndef TLS_SESSIONS_H
#define TLS_SESSIONS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>

#include "tls_options.h"

struct tls_sessions {
    pthread_mutex_t lock;
    SSL_SESSION *kept[TLS_SESSIONS_MAXIMUM]; /* the newest last */
    uint32_t count, limit;
    uint64_t full, resumed; /* handshakes */
};

void tls_sessions_init(struct tls_sessions *sessions, uint32_t limit);
void tls_sessions_fini(struct tls_sessions *sessions);

/* Keep a copy of a session; where there are too many the oldest goes. */
void tls_sessions_keep(struct tls_sessions *sessions, SSL_SESSION *session);
/* The newest that may still be used, the caller's to free; NULL: none. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions);
/* Free them all. */
void tls_sessions_forget(struct tls_sessions *sessions);
/* Count a handshake. */
void tls_sessions_count(struct tls_sessions *sessions, int was_resumed);
/* How many handshakes were full and resumed, and how many sessions are kept now. */
void tls_sessions_read(struct tls_sessions *sessions, uint64_t *full, uint64_t *resumed, uint32_t *count);

#endif
