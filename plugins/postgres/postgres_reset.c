/* SPDX-License-Identifier: MIT */
/* postgres_reset: makes a connection as new, or says why it cannot be. */
#include <stdio.h>

#include "../common/fault.h"
#include "postgres.h"
#include "postgres_command.h"
#include "postgres_notice.h"

#define WHAT "reset: "

/* What the application may have changed in libpq itself; costs nothing. */
static void restore_library(struct postgres *postgres)
{
    PGnotify *notification;

    postgres_notice_attach(postgres);
    (void)PQsetErrorVerbosity(postgres->pg, PQERRORS_DEFAULT);
    (void)PQsetErrorContextVisibility(postgres->pg, PQSHOW_CONTEXT_ERRORS);
    PQuntrace(postgres->pg);
    while ((notification = PQnotifies(postgres->pg)) != NULL) {
        PQfreemem(notification);
    }
}

/* What cannot be undone: the server is in the middle of something. */
static int32_t check(const struct postgres *postgres, struct connpool_fault *fault)
{
    if (PQstatus(postgres->pg) != CONNECTION_OK) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, WHAT "the connection was lost while it was lent");
    }
    if (PQpipelineStatus(postgres->pg) != PQ_PIPELINE_OFF) {
        return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0, WHAT "released in pipeline mode");
    }
    switch (PQtransactionStatus(postgres->pg)) {
    case PQTRANS_IDLE:
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
        return 0;
    default:
        return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0,
                          WHAT "released with a query running, a result not read to its end, or COPY going on");
    }
}

/*
 * The index-th command, empty: nothing to do, false: past the last. Names are qualified, since search_path is the
 * borrower's. DISCARD ALL must be alone; it does what the others do.
 */
static bool command_of(const struct postgres *postgres, uint32_t index, char sql[256])
{
    const struct postgres_options *options = postgres->head.options;
    bool is_open = PQtransactionStatus(postgres->pg) != PQTRANS_IDLE;

    if (index == 0) {
        (void)snprintf(sql, 256, "%s%s%s%s", is_open ? "ROLLBACK;" : "",
                       options->unlisten && !options->discard_all ? "UNLISTEN *;" : "",
                       options->unlock && !options->discard_all ? "SELECT pg_catalog.pg_advisory_unlock_all();" : "",
                       options->reset_settings && !options->discard_all
                           ? "SET SESSION AUTHORIZATION DEFAULT;RESET ROLE;RESET ALL;"
                           : "");
        return true;
    }
    (void)snprintf(sql, 256, "%s", options->discard_all ? "DISCARD ALL" : "");
    return index == 1;
}

/* Whether there is nothing to say to the server, as after most leases. */
static bool is_clean(const struct postgres *postgres)
{
    const struct postgres_options *options = postgres->head.options;

    return PQtransactionStatus(postgres->pg) == PQTRANS_IDLE && !options->unlisten && !options->unlock &&
           !options->reset_settings && !options->discard_all;
}

static int32_t run(struct postgres *postgres, struct connpool_wait *wait, struct connpool_fault *fault)
{
    char sql[256];

    for (; command_of(postgres, postgres->statement, sql); postgres->statement++) {
        /* One that is under way goes on whatever the transaction has become. */
        if (postgres->is_sent || sql[0] != '\0') {
            int32_t result = postgres_command_step(postgres->pg, &postgres->is_sent, sql, WHAT, wait, fault);

            if (result != CONNPOOL_STEP_DONE) {
                return result;
            }
        }
    }
    if (PQtransactionStatus(postgres->pg) != PQTRANS_IDLE) {
        return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0, WHAT "a transaction is still open");
    }
    return CONNPOOL_STEP_DONE;
}

int32_t postgres_reset(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct postgres *postgres = connection;
    int32_t result;

    if (!postgres->is_sent) {
        result = check(postgres, fault);
        if (result != 0) {
            return result;
        }
        if (is_clean(postgres)) {
            restore_library(postgres);
            return CONNPOOL_STEP_DONE;
        }
        if (!postgres_is_ours(postgres)) {
            return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, WHAT "the connection was lost while it was lent");
        }
        postgres->statement = 0;
    }
    result = run(postgres, wait, fault);
    if (result == CONNPOOL_STEP_DONE) {
        restore_library(postgres);
    }
    return result;
}
