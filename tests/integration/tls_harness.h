/* SPDX-License-Identifier: MIT */
/* tls_harness: what the tests of the manager tls do all the time: an authority and a server of the test's own, and a
 * pool that trusts it. */
#ifndef TLS_HARNESS_H
#define TLS_HARNESS_H

#include <connpool/tls.h>

#include "certificates.h"
#include "harness.h"
#include "server_folder.h"
#include "server_tls.h"

struct tls_harness {
    struct server_folder folder;
    struct certificates certificates; /* "ca" and "server" */
    struct server_tls server;
    bool is_serving;
};
extern struct tls_harness tls_harness;

/* Setup and teardown of a group: the folder with its certificates. */
int tls_harness_begin(void **state);
int tls_harness_end(void **state);

/* Start the server, as of server_tls_start; tls_harness_stop ends it, as does the next start after a test that failed.
 */
void tls_harness_serve(const struct server_tls_options *options);
void tls_harness_stop(void);

/*
 * Open a context whose first pool, of the manager tls, has the endpoint "s": localhost at that port. options are
 * further ones as JSON: a comma and members, or nothing; "@/" in them is the folder, and "ca_file" is set unless they
 * begin with "!" instead of a comma. keys are members of the pool, likewise.
 */
connpool *tls_harness_open_at(unsigned port, const char *options, const char *keys);
/* The same at the server's port. */
connpool *tls_harness_open(const char *options);
/* Such options must be refused when a context opens; the text is the error's. */
void tls_harness_refuse(const char *options, const char *text);
/* Opening a connection to "s" must fail with that class; the text (NULL: any) is part of the error's. */
connpool_error tls_harness_fail(connpool *context, int error_class, const char *text);

/* Write the text and read it back. */
void tls_harness_echo(const connpool_lease *lease, const char *text);
/* Acquire, echo, release. */
void tls_harness_use(connpool_pool *pool);
/* Read a part of what the server sent. */
void tls_harness_expect(const connpool_lease *lease, const char *text);

#endif
