/* SPDX-License-Identifier: MIT */
/*
 * postgres_open: resolve, connect, log in, run the statements.
 *
 * libpq must be asked to go on only when what it waited for has come, and may be on another socket each time, even one
 * with the same number. What it says of a failure is text in some language; so what can be seen is looked at first, by
 * a peek at the socket, and SQLSTATEs are read from its verbose texts.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../common/fault.h"
#include "postgres.h"
#include "postgres_command.h"
#include "postgres_conninfo.h"
#include "postgres_fault.h"
#include "postgres_files.h"
#include "postgres_notice.h"
#include "postgres_tls.h"

#define RETRY_INTERVAL                                                                                                 \
    INT64_C(10000000) /* 10 ms: a listening Unix socket with a full queue answers nothing to wait for */
#define TRICKLE_WAIT   INT64_C(5000000) /* 5 ms: a message that has come in part */
#define PEEK_SIZE      4096
#define MESSAGE_HEAD   5 /* a type's letter and four bytes of length */
#define AUTH_CLEARTEXT 3 /* of AuthenticationCleartextPassword (PostgreSQL's manual, message formats) */

static int32_t wait_for(const struct postgres *postgres, struct connpool_wait *wait)
{
    wait->fd = PQsocket(postgres->pg);
    wait->events = postgres->events;
    return CONNPOOL_STEP_AGAIN;
}

/* ---- Connecting ---- */

static void forget(struct postgres *postgres)
{
    (void)shutdown(PQsocket(postgres->pg), SHUT_RDWR);
    PQfinish(postgres->pg);
    postgres->pg = NULL;
}

static int32_t failed(struct postgres *postgres, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct connpool_fault found = {.size = sizeof(found)};

    (void)postgres_fault_connect(&found, postgres->pg, &postgres->sight);
    if (found.os_error == EAGAIN) {
        /* So says connect(2) of a Unix socket whose queue is full: there is nothing to wait for but time. */
        forget(postgres);
        postgres->phase = POSTGRES_STARTING;
        postgres->retry_at = wait->now + RETRY_INTERVAL;
        wait->at = postgres->retry_at;
        return CONNPOOL_STEP_AGAIN;
    }
    *fault = fault->error_class == 0 ? found : *fault;
    return -found.error_class;
}

static int32_t begin(struct postgres *postgres, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct postgres_options *options = postgres->head.options;
    const struct postgres_conninfo_target target = {postgres->hosts.names.data, postgres->hosts.addresses.data,
                                                    postgres->hosts.ports.data};
    PQExpBufferData conninfo;
    int32_t result = postgres_conninfo_init(&conninfo, options, &target, fault);

    if (result == 0) {
        postgres->pg = PQconnectStart(conninfo.data);
    }
    postgres_conninfo_fini(&conninfo);
    if (result != 0) {
        return result;
    }
    if (postgres->pg == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "out of memory");
    }
    if (PQstatus(postgres->pg) == CONNECTION_BAD) {
        postgres->sight = (struct postgres_sight){.is_starting = true};
        return failed(postgres, wait, fault);
    }
    (void)PQsetErrorVerbosity(postgres->pg, PQERRORS_VERBOSE);
    postgres_notice_attach(postgres);
    postgres->phase = POSTGRES_CONNECTING;
    postgres->events = CONNPOOL_EVENT_WRITE;
    return wait_for(postgres, wait);
}

static bool is_local(const PGconn *pg)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } address = {.room = {0}};
    socklen_t length = sizeof(address);

    return getsockname(PQsocket(pg), &address.any, &length) == 0 && address.any.sa_family == AF_UNIX;
}

static uint32_t number_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Whether a request for the password in clear text begins anywhere in what has come: libpq 15 goes on behind what it
 * read of a message, which may be less than the length that the message says. */
static bool asks_cleartext(const unsigned char *bytes, size_t length)
{
    for (; length >= MESSAGE_HEAD + 4; bytes++, length--) {
        if (bytes[0] == 'R' && number_at(bytes + 1) < PEEK_SIZE && number_at(bytes + MESSAGE_HEAD) == AUTH_CLEARTEXT) {
            return true;
        }
    }
    return false;
}

/* Whether a request has come in part; libpq must not take it before all of it was looked at. One that is longer than a
 * look libpq refuses by itself. */
static bool is_partial(const unsigned char *bytes, size_t length)
{
    while (length >= MESSAGE_HEAD && bytes[0] == 'R') {
        uint32_t size = number_at(bytes + 1) + 1;

        if (size < MESSAGE_HEAD || size > length) {
            return size >= MESSAGE_HEAD && size <= PEEK_SIZE && length < PEEK_SIZE;
        }
        bytes += size;
        length -= size;
    }
    return length > 0 && length < MESSAGE_HEAD && bytes[0] == 'R';
}

/* Whether the server has ended or reset the connection, and said no more than what was peeked at: behind that no peek
 * sees it. First the end, then the count: what comes in between is not overlooked. */
static bool is_all(int fd, size_t length)
{
    struct pollfd ends = {.fd = fd, .events = POLLRDHUP};
    int count = 0;

    return poll(&ends, 1, 0) == 1 && ioctl(fd, FIONREAD, &count) == 0 && (size_t)count == length;
}

/* A password is not told to whoever asks, without TLS or a Unix socket's file between. */
static bool guards_password(const struct postgres *postgres)
{
    const struct postgres_options *options = postgres->head.options;

    return options->password != NULL && !options->cleartext_password && !PQsslInUse(postgres->pg) &&
           !PQgssEncInUse(postgres->pg) && !is_local(postgres->pg);
}

/* The answer to the request for TLS is one letter, behind which the client speaks first. */
static int32_t look_at_tls(struct postgres *postgres, const unsigned char *bytes, size_t length,
                           struct connpool_fault *fault)
{
    const struct postgres_options *options = postgres->head.options;

    postgres->sight.saw_refusal = bytes[0] == 'N' && options->sslmode >= POSTGRES_SSLMODE_REQUIRE;
    postgres->sight.saw_garbage = bytes[0] != 'N' && bytes[0] != 'S' && bytes[0] != 'E';
    if (bytes[0] == 'S' && length > 1) {
        return fault_fill(fault, CONNPOOL_ERROR_TRUST, 0, "the server sent data in clear text where TLS begins");
    }
    return CONNPOOL_STEP_DONE;
}

/* Look at what has come before libpq does. DONE: let it. */
static int32_t look(struct postgres *postgres, struct connpool_wait *wait, struct connpool_fault *fault)
{
    ConnStatusType status = PQstatus(postgres->pg);
    unsigned char bytes[PEEK_SIZE];
    ssize_t length;

    postgres->sight = (struct postgres_sight){
        .is_tls = status == CONNECTION_SSL_STARTUP,
        .is_late = status != CONNECTION_SSL_STARTUP && status != CONNECTION_AWAITING_RESPONSE,
    };
    if (!postgres_tls_heeds_revocations(postgres->pg, postgres->head.options)) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "sslcrl, sslcrldir: libpq could not read the revocation lists, or verifies no certificate");
    }
    if (status == CONNECTION_STARTED || status == CONNECTION_MADE || status == CONNECTION_NEEDED) {
        return CONNPOOL_STEP_DONE; /* nothing to read, and an error of connect(2) is libpq's to see */
    }
    length = recv(PQsocket(postgres->pg), bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    postgres->sight.saw_end = length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR);
    if (postgres->sight.is_tls && !PQsslInUse(postgres->pg) && length > 0) {
        return look_at_tls(postgres, bytes, (size_t)length, fault);
    }
    if (status != CONNECTION_AWAITING_RESPONSE || length <= 0 || !guards_password(postgres)) {
        return CONNPOOL_STEP_DONE;
    }
    if (asks_cleartext(bytes, (size_t)length)) {
        return fault_fill(fault, CONNPOOL_ERROR_TRUST, 0,
                          "the server asks for the password in clear text over a connection without TLS");
    }
    if (is_partial(bytes, (size_t)length)) {
        postgres->sight.saw_end = is_all(PQsocket(postgres->pg), (size_t)length);
        if (!postgres->sight.saw_end) {
            wait->at = wait->now + TRICKLE_WAIT;
            return CONNPOOL_STEP_AGAIN;
        }
    }
    return CONNPOOL_STEP_DONE;
}

static int32_t identify(struct postgres *postgres, struct connpool_fault *fault)
{
    struct stat status;

    if (fstat(PQsocket(postgres->pg), &status) != 0) {
        return fault_fill(fault, CONNPOOL_ERROR_INTERNAL, errno, "the new socket cannot be identified: %s",
                          strerror(errno));
    }
    postgres->device = status.st_dev;
    postgres->inode = status.st_ino;
    (void)PQsetErrorVerbosity(postgres->pg, PQERRORS_DEFAULT);
    postgres->phase = POSTGRES_PREPARING;
    return CONNPOOL_STEP_DONE;
}

/* DONE: logged in. */
static int32_t go_on(struct postgres *postgres, struct connpool_wait *wait, struct connpool_fault *fault)
{
    bool is_trickle = wait->ready == 0 && postgres->events == 0;
    int32_t result;

    if (wait->ready == 0 && !is_trickle) {
        return wait_for(postgres, wait);
    }
    result = look(postgres, wait, fault);
    if (result != CONNPOOL_STEP_DONE) {
        postgres->events = 0; /* the next call comes for time */
        return result;
    }
    switch (PQconnectPoll(postgres->pg)) {
    case PGRES_POLLING_OK:
        return identify(postgres, fault);
    case PGRES_POLLING_READING:
        postgres->events = CONNPOOL_EVENT_READ;
        return wait_for(postgres, wait);
    case PGRES_POLLING_WRITING:
        postgres->events = CONNPOOL_EVENT_WRITE;
        return wait_for(postgres, wait);
    default:
        return failed(postgres, wait, fault);
    }
}

/* ---- After it ---- */

static int32_t run_statements(struct postgres *postgres, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct postgres_options *options = postgres->head.options;

    while (postgres->statement < options->statements.count) {
        char what[32];
        int32_t result;

        (void)snprintf(what, sizeof(what), "statement %u: ", postgres->statement + 1);
        result = postgres_command_step(postgres->pg, &postgres->is_sent, options->statements.items[postgres->statement],
                                       what, wait, fault);
        if (result != CONNPOOL_STEP_DONE) {
            return result;
        }
        postgres->statement++;
    }
    if (PQtransactionStatus(postgres->pg) != PQTRANS_IDLE) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "the statements leave a transaction open");
    }
    postgres->is_open = true;
    return CONNPOOL_STEP_DONE;
}

static int32_t step(struct postgres *postgres, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result;

    postgres->last_words.size = sizeof(postgres->last_words);
    if (postgres->phase == POSTGRES_RESOLVING) {
        result = postgres->hosts.is_started ? 0 : postgres_files_check(postgres->head.options, fault);
        if (result == 0) {
            result = postgres_hosts_step(&postgres->hosts, &postgres->head, wait, fault);
        }
        if (result != CONNPOOL_STEP_DONE) {
            return result;
        }
        postgres->phase = POSTGRES_STARTING;
    }
    if (postgres->phase == POSTGRES_STARTING) {
        if (wait->now < postgres->retry_at) {
            wait->at = postgres->retry_at;
            return CONNPOOL_STEP_AGAIN;
        }
        return begin(postgres, wait, fault);
    }
    if (postgres->phase == POSTGRES_CONNECTING) {
        result = go_on(postgres, wait, fault);
        if (result != CONNPOOL_STEP_DONE) {
            return result;
        }
    }
    return run_statements(postgres, wait, fault);
}

int32_t postgres_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result = step(connection, wait, fault);

    postgres_tls_clear_errors();
    return result;
}
