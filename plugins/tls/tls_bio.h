/* SPDX-License-Identifier: MIT */
/*
 * tls_bio: the socket under an SSL. OpenSSL's own writes with write(2), which raises SIGPIPE once the peer is gone,
 * from any of its functions; this one sends with MSG_NOSIGNAL. And while a step of ours drives the SSL it never waits,
 * whether the socket blocks or not: the socket's mode is for the application, whose calls go through here too.
 */
#ifndef TLS_BIO_H
#define TLS_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>
#include <stdint.h>

/* Belongs to the connection, and outlives the BIO. */
struct tls_bio {
    int32_t fd;
    int error;         /* errno of the last failure, 0: none */
    bool is_driven;    /* by a step: never wait */
    bool is_empty;     /* the last read found nothing */
    bool is_ended;     /* the last read found the end */
    bool is_cut_short; /* a part of what was to be written is still to come */
};

/* Make the kind of BIO; once, before all others. False: no memory. [any thread] */
bool tls_bio_prepare(void);
/* A BIO over state, whose fd is set. NULL: no memory. */
BIO *tls_bio_new(struct tls_bio *state);

#endif
