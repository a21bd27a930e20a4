/* SPDX-License-Identifier: MIT */
/*
 * server_postgres: a PostgreSQL cluster of the test's own, on loopback and on a Unix socket; nothing of it is synced to
 * disk. Its programs refuse to run as root: then they run as the package's user, in a folder that this user owns.
 *
 * The role `app` logs in with the password "app-secret" (SCRAM) and owns the database `app`. The superuser `postgres`
 * needs none over the Unix socket.
 */
#ifndef SERVER_POSTGRES_H
#define SERVER_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server_folder.h"

#define SERVER_POSTGRES_PASSWORD "app-secret"

struct server_postgres {
    const struct server_folder *folder;
    pid_t pid;  /* 0: not running */
    int output; /* what it prints */
    uint16_t port;
    char name[16];                        /* of its own folder in the test's folder */
    char path[SERVER_PATH_SIZE];          /* its own folder: data/, the socket */
    char authority[SERVER_PATH_SIZE + 8]; /* with TLS: the certificate of the authority, else empty */
};

/*
 * Make a cluster and start it; it serves when this returns. name: of its folder, so that a test may have several.
 * settings: further lines of postgresql.conf, NULL: none.
 */
void server_postgres_start(struct server_postgres *postgres, const struct server_folder *folder, const char *name,
                           const char *settings);
/* The same with TLS, beside plain connections: a certificate for localhost, 127.0.0.1 and ::1. */
void server_postgres_start_tls(struct server_postgres *postgres, const struct server_folder *folder, const char *name,
                               const char *settings);
/* Make a standby of a running cluster, streaming from it, and start it; it serves reads when this returns. */
void server_postgres_start_standby(struct server_postgres *standby, const struct server_postgres *primary,
                                   const char *name);

/* How a server ends. */
enum server_postgres_stop {
    SERVER_POSTGRES_FAST,      /* sessions are told, then ended (SIGINT) */
    SERVER_POSTGRES_IMMEDIATE, /* sessions are cut, no clean end, recovery at the next start (SIGQUIT) */
};
/* End it, wait until it is gone. Does nothing where it does not run. */
void server_postgres_stop(struct server_postgres *postgres, enum server_postgres_stop how);
/* Start it again on the same port and socket, ending it first where it runs. */
void server_postgres_restart(struct server_postgres *postgres, enum server_postgres_stop how);
/* Make a standby a primary; it takes writes when this returns. */
void server_postgres_promote(struct server_postgres *standby);

/* Run SQL as the superuser in the database app. value: receives the first column of the first row, or nothing; may be
 * NULL. The test fails where it does not work. */
void server_postgres_run(const struct server_postgres *postgres, const char *sql, char *value, size_t size);
/* The same for a number. */
long server_postgres_number(const struct server_postgres *postgres, const char *sql);

#endif
