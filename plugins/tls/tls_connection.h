/* SPDX-License-Identifier: MIT */
/* tls_connection: the states that the manager has of a pool, an endpoint and a connection. */
#ifndef TLS_CONNECTION_H
#define TLS_CONNECTION_H

#include <connpool/tls.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "../common/stream.h"
#include "tls_bio.h"
#include "tls_options.h"
#include "tls_sessions.h"

struct tls_pool {
    struct connpool_head head;
    SSL_CTX *context;
};

struct tls_endpoint {
    struct connpool_head head;
    struct tls_sessions sessions;
};

struct tls_connection {
    struct stream stream; /* first, its head is the ABI's */
    SSL *ssl;             /* NULL until the socket is connected */
    const BIO *own_bio;   /* over bio; the SSL's to free */
    struct tls_bio bio;
    struct connpool_fault *fault; /* of the step that runs, for OpenSSL's callbacks */
    int64_t confirm_until;        /* 0: the handshake is not over */
    bool was_asked;               /* by the server, for a certificate */
    bool has_session;             /* the server gave one to resume */
    bool is_closing;              /* the goodbye has begun */
    int64_t record_until;         /* while it is idle: when a record that came in part is to be whole; 0: none did */
    struct connpool_tls_information information;
};

static inline const struct tls_options *tls_connection_options(const struct tls_connection *connection)
{
    return connection->stream.head.options;
}

static inline struct tls_endpoint *tls_connection_endpoint(const struct tls_connection *connection)
{
    return connection->stream.head.parent;
}

#endif
