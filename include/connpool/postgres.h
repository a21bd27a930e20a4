/* SPDX-License-Identifier: MIT */
/* connpool/postgres.h: what a lease of the manager postgres lends: a session of libpq's. Header only. */
#ifndef CONNPOOL_POSTGRES_H
#define CONNPOOL_POSTGRES_H

#include <connpool/connpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As libpq-fe.h declares it; a program that only passes it on need not include that. */
typedef struct pg_conn PGconn;

/* The name of the manager's native type, with the SONAME of libpq (libpq.so.5): a PGconn. */
#define CONNPOOL_POSTGRES_TYPE "libpq.PGconn/5"

/*
 * The session of a lease's connection; NULL: the lease holds nothing, or a connection of another manager. It is the
 * pool's: no PQfinish, no PQreset, and nothing with it after the release. Read each result to its end before the
 * release: with a query running, an unread result, COPY or pipeline mode the connection is closed. connpool_acquire
 * gives a blocking session (PQisnonblocking 0). A PQcancel must have returned before the release.
 */
static inline PGconn *connpool_postgres(const connpool_lease *lease)
{
    return (PGconn *)connpool_lease_native(lease, CONNPOOL_POSTGRES_TYPE);
}

/* Writes the SQLSTATE that an error of this manager carries ("28P01") as text, empty: it carries none. Returns text. */
static inline const char *connpool_postgres_sqlstate(const connpool_error *error, char text[6])
{
    int64_t code = error->library_code;
    int i;

    for (i = 0; i < 5 && error->library_code != 0; i++) {
        text[i] = (char)((code & 0x3F) + '0');
        code >>= 6;
    }
    text[i] = '\0';
    return text;
}

#ifdef __cplusplus
}
#endif

#endif
