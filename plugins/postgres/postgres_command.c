/* SPDX-License-Identifier: MIT */
/* postgres_command: see postgres_command.h. */
#include "postgres_command.h"

#include "../common/fault.h"
#include "postgres_fault.h"

static int32_t lost(const PGconn *pg, const char *what, struct connpool_fault *fault)
{
    return postgres_fault_say(fault, CONNPOOL_ERROR_CLOSED, what, PQerrorMessage(pg));
}

static int32_t send_query(PGconn *pg, const char *sql, const char *what, struct connpool_fault *fault)
{
    /* libpq's own sockets never block; this lets it not wait for them. It has nothing to send here, so it does not
     * wait to send it. */
    if ((!PQisnonblocking(pg) && PQsetnonblocking(pg, 1) != 0) || !PQsendQuery(pg, sql)) {
        return lost(pg, what, fault);
    }
    return CONNPOOL_STEP_DONE;
}

static int32_t judge(const PGconn *pg, const PGresult *result, const char *what, struct connpool_fault *fault)
{
    switch (PQresultStatus(result)) {
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        return CONNPOOL_STEP_DONE;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%sCOPY from or to the client has no place here",
                          what);
    default:
        return postgres_fault_result(fault, what, pg, result);
    }
}

/* Read what has come: DONE, the answer is complete; AGAIN; or an error. */
static int32_t receive(PGconn *pg, const char *what, struct connpool_fault *fault)
{
    while (!PQisBusy(pg)) {
        PGresult *result = PQgetResult(pg);
        int32_t judged;

        if (result == NULL) {
            return CONNPOOL_STEP_DONE;
        }
        judged = judge(pg, result, what, fault);
        PQclear(result);
        if (judged < 0) {
            return judged;
        }
    }
    return CONNPOOL_STEP_AGAIN;
}

int32_t postgres_command_step(PGconn *pg, bool *is_sent, const char *sql, const char *what, struct connpool_wait *wait,
                              struct connpool_fault *fault)
{
    int32_t result;
    int left;

    if (!*is_sent) {
        result = send_query(pg, sql, what, fault);
        if (result < 0) {
            return result;
        }
        *is_sent = true;
    }
    left = PQflush(pg);
    if (left < 0 || !PQconsumeInput(pg)) {
        return lost(pg, what, fault);
    }
    result = receive(pg, what, fault);
    if (result != CONNPOOL_STEP_AGAIN) {
        *is_sent = false;
        return result;
    }
    wait->fd = PQsocket(pg);
    wait->events = CONNPOOL_EVENT_READ | (left > 0 ? CONNPOOL_EVENT_WRITE : 0);
    return CONNPOOL_STEP_AGAIN;
}
