/* SPDX-License-Identifier: MIT */
/* postgres_tls: what libpq does with OpenSSL, and says nothing of. */
#ifndef POSTGRES_TLS_H
#define POSTGRES_TLS_H

#include <libpq-fe.h>
#include <stdbool.h>

struct postgres_options;

/* False: revocation lists are configured, TLS has begun, and no certificate was looked up in them: libpq passes over
 * lists that it cannot read. To be asked before the login goes on. */
bool postgres_tls_heeds_revocations(PGconn *pg, const struct postgres_options *options);

/* Empty this thread's queue of OpenSSL's errors: libpq leaves some there, which would be those of the application's
 * next SSL_read. */
void postgres_tls_clear_errors(void);

#endif
