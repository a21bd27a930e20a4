/* SPDX-License-Identifier: MIT */
/*
 * postgres_fault: what went wrong, as the host wants it: a class by SQLSTATE where the server gave one, the SQLSTATE as
 * the library's code (connpool/postgres.h turns it into text), and what was said in one line.
 */
#ifndef POSTGRES_FAULT_H
#define POSTGRES_FAULT_H

#include <connpool/manager.h>
#include <libpq-fe.h>
#include <stdbool.h>

/* What the manager saw itself of an attempt to connect: libpq's texts are translated, these are not. */
struct postgres_sight {
    bool is_starting; /* libpq refused to begin: an option is wrong */
    bool is_tls;      /* the TLS handshake was going on */
    bool saw_refusal; /* the server refused TLS */
    bool saw_garbage; /* the server answered the request for TLS with what is no answer */
    bool saw_end;     /* the server closed */
    bool is_late;     /* past the login, or not yet talking */
};

/* The error class of an SQLSTATE; what is not known is transient. */
int32_t postgres_fault_class(const char *sqlstate);
/* An SQLSTATE as a number: six bits for each character, as the server's own MAKE_SQLSTATE. */
int64_t postgres_fault_code(const char *sqlstate);

/* Fill the fault with `what` and a text of libpq's, made one line. Returns -error_class. */
int32_t postgres_fault_say(struct connpool_fault *fault, int32_t error_class, const char *what, const char *text);
/* From a result that is an error; or, where it has no SQLSTATE, from what libpq says of a lost connection. */
int32_t postgres_fault_result(struct connpool_fault *fault, const char *what, const PGconn *pg, const PGresult *result);
/* Of an attempt to connect that failed; pg speaks with PQERRORS_VERBOSE. */
int32_t postgres_fault_connect(struct connpool_fault *fault, const PGconn *pg, const struct postgres_sight *sight);

/* For the unit test: the last SQLSTATE in a text of PQERRORS_VERBOSE, or none. */
bool postgres_fault_find(const char *text, char sqlstate[6]);
/* For the unit test: a text in one line, without where in the server's source it was said and without a
 * final stop. */
void postgres_fault_flatten(const char *text, char *line, size_t size);

#endif
