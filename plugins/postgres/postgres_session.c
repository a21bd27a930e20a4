/* SPDX-License-Identifier: MIT */
/* postgres_session: an open connection's care: prepared, checked, watched while it is parked, ended. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../common/fault.h"
#include "postgres.h"
#include "postgres_command.h"
#include "postgres_fault.h"
#include "postgres_notice.h"

#define MOST_READS 16 /* of one step: each reads what fits into libpq's buffer, 16 KiB or more */

bool postgres_is_ours(const struct postgres *postgres)
{
    struct stat status;

    return postgres->inode != 0 && fstat(PQsocket(postgres->pg), &status) == 0 && status.st_dev == postgres->device &&
           status.st_ino == postgres->inode;
}

int32_t postgres_prepare(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct postgres *postgres = connection;
    int is_nonblocking = (wait->flags & CONNPOOL_WAIT_FOR_LOOP) != 0;

    if (PQisnonblocking(postgres->pg) != is_nonblocking && PQsetnonblocking(postgres->pg, is_nonblocking) != 0) {
        return postgres_fault_say(fault, CONNPOOL_ERROR_CLOSED, "", PQerrorMessage(postgres->pg));
    }
    return CONNPOOL_STEP_DONE;
}

/* An empty query: a round trip that begins no transaction. */
int32_t postgres_check(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct postgres *postgres = connection;

    return postgres_command_step(postgres->pg, &postgres->is_sent, "", "check: ", wait, fault);
}

/* ---- Parked ---- */

static int32_t dead(const struct postgres *postgres, const char *text, struct connpool_fault *fault)
{
    const struct connpool_fault *said = &postgres->last_words;

    if (said->error_class != 0 && fault->error_class == 0) {
        *fault = *said;
        fault->error_class = CONNPOOL_ERROR_CLOSED;
        return -CONNPOOL_ERROR_CLOSED;
    }
    return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "%s", text);
}

/* libpq takes notices, settings and notifications in; none of them is the next borrower's. */
static void take_in(struct postgres *postgres)
{
    PGnotify *notification;

    while ((notification = PQnotifies(postgres->pg)) != NULL) {
        PQfreemem(notification);
    }
}

static int32_t read_all(struct postgres *postgres, struct connpool_fault *fault)
{
    char byte;

    for (int i = 0; i < MOST_READS; i++) {
        ssize_t length;

        if (!PQconsumeInput(postgres->pg)) {
            take_in(postgres);
            return dead(postgres, "the server closed the idle connection", fault);
        }
        take_in(postgres);
        if (postgres->last_words.error_class != 0) {
            return dead(postgres, "", fault);
        }
        if (postgres->is_confused || PQtransactionStatus(postgres->pg) != PQTRANS_IDLE) {
            return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0,
                              "the server sent on an idle connection what has no place there");
        }
        /* The end of the stream comes behind what there was to read, and libpq has not looked for it. */
        length = recv(PQsocket(postgres->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
            return dead(postgres, "the server closed the idle connection", fault);
        }
        if (length < 0) {
            break;
        }
    }
    return CONNPOOL_STEP_AGAIN;
}

int32_t postgres_idle(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct postgres *postgres = connection;
    int32_t result = CONNPOOL_STEP_AGAIN;

    if (PQstatus(postgres->pg) != CONNECTION_OK) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "the connection was lost");
    }
    if (!postgres_is_ours(postgres)) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, EBADF,
                          "the application closed or replaced the connection's descriptor");
    }
    if (wait->ready != 0) {
        postgres_notice_watch(postgres);
        result = read_all(postgres, fault);
        postgres_notice_watch(NULL);
    }
    if (result == CONNPOOL_STEP_AGAIN) {
        wait->fd = PQsocket(postgres->pg);
        wait->events = CONNPOOL_EVENT_READ;
    }
    return result;
}

/* ---- The end ---- */

/* Whether libpq has said all it had to say: the rest of a COPY or of a pipeline it would wait for room to send. */
static bool is_silent(const PGconn *pg)
{
    return PQisnonblocking(pg) ||
           (PQtransactionStatus(pg) != PQTRANS_ACTIVE && PQpipelineStatus(pg) == PQ_PIPELINE_OFF);
}

/* PQfinish says Terminate, as far as the socket takes it at once. */
int32_t postgres_close(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct postgres *postgres = connection;

    (void)wait;
    if (!postgres_is_ours(postgres)) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, EBADF,
                          "the application closed or replaced the connection's descriptor");
    }
    if (is_silent(postgres->pg) && (PQisnonblocking(postgres->pg) || PQsetnonblocking(postgres->pg, 1) == 0)) {
        PQfinish(postgres->pg);
        postgres->pg = NULL;
    }
    return CONNPOOL_STEP_DONE;
}

void postgres_destroy(void *connection)
{
    struct postgres *postgres = connection;
    const struct connpool_host *host = postgres->head.host;

    postgres_hosts_fini(&postgres->hosts, host);
    if (postgres->pg == NULL) {
        return;
    }
    /* Of a connection that it found lost libpq itself closed the socket. */
    if (postgres->inode != 0 && PQsocket(postgres->pg) >= 0 && !postgres_is_ours(postgres)) {
        /* PQfinish would write to and close what is another's by now: rather lose the memory. */
        host->log(host, CONNPOOL_LOG_ERROR, "postgres: the application closed or replaced a connection's descriptor");
        return;
    }
    (void)shutdown(PQsocket(postgres->pg), SHUT_RDWR);
    PQfinish(postgres->pg);
}
