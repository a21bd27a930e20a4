/* SPDX-License-Identifier: MIT */
/* pgbouncer: a PgBouncer in session mode in front of a test's PostgreSQL, to measure against. */
#ifndef PGBOUNCER_H
#define PGBOUNCER_H

#include <server_postgres.h>

struct pgbouncer {
    pid_t pid;
    int output;
    uint16_t port;
};

/* Start it on a free port of 127.0.0.1; it asks clients for no password. It serves when this returns. Ends the process
 * where it cannot be had. */
void pgbouncer_start(struct pgbouncer *pgbouncer, const struct server_postgres *postgres);
void pgbouncer_end(struct pgbouncer *pgbouncer);

#endif
