/* SPDX-License-Identifier: MIT */
/* postgres_harness: what the tests of the manager postgres do all the time. */
#ifndef POSTGRES_HARNESS_H
#define POSTGRES_HARNESS_H

#include <connpool/postgres.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include "harness.h"
#include "server_postgres.h"

/* The environment variable that the tests' configurations take the password from. */
#define POSTGRES_HARNESS_SECRET "CONNPOOL_TEST_POSTGRES_PASSWORD"

/* Put the password of `app` there. */
void postgres_harness_init(void);
/* Open one pool with these further keys of the pool, and of its endpoint "main" with these options; each ends with a
 * comma or is empty. JSON with ' for ". Plain connections over TCP as `app`. Its log is kept, see below. */
connpool *postgres_harness_open(const struct server_postgres *postgres, const char *keys, const char *options);
/* The same from whole JSON, with ' for ". */
connpool *postgres_harness_open_json(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What such JSON is refused with. */
void postgres_harness_refused(const char *expected, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether a line of the log since the last open holds the text. */
bool postgres_harness_logged(const char *text);

/* Run SQL on a lease; the first column of the first row, valid until the next call, or "". */
const char *postgres_harness_ask(const connpool_lease *lease, const char *sql);
/* The process of the server that serves the lease. */
int postgres_harness_process(const connpool_lease *lease);
/* What SQL fails with: its SQLSTATE, "": the connection was lost. */
const char *postgres_harness_fails(const connpool_lease *lease, const char *sql);
/* Wait until the server has no session of `app` any more, at most HARNESS_LIMIT_MS. */
void postgres_harness_await_no_session(const struct server_postgres *postgres);
/* An acquire from "main" that fails with this class and SQLSTATE ("": none). */
connpool_error postgres_harness_acquire_fails(connpool *context, int32_t error_class, const char *sqlstate);

#endif
