/* SPDX-License-Identifier: MIT */
/*
 * tls: the manager of TLS connections, over the host's dial and OpenSSL. tls_context.c makes what endpoints share,
 * tls_handshake.c opens, tls_peek.c looks after a parked connection; here is what remains of a connection's life, and
 * the table. tls.md is its manual.
 */
#include <openssl/err.h>
#include <string.h>

#include "../common/fault.h"
#include "../common/host_port.h"
#include "tls_connection.h"
#include "tls_context.h"
#include "tls_handshake.h"
#include "tls_peek.h"

#define RECORD_LIMIT INT64_C(1000000000) /* 1 s, ours: a record of 16 KiB is under way for far less */

/* ---- What connections share */

static int32_t tls_load(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)host;
    if (OPENSSL_version_major() != OPENSSL_VERSION_MAJOR) {
        return fault_fill(fault, CONNPOOL_ERROR_UNSUPPORTED, 0, "OpenSSL %s is loaded, expected a version %d",
                          OpenSSL_version(OPENSSL_VERSION_STRING), OPENSSL_VERSION_MAJOR);
    }
    /* No clean-up at exit: threads of the process may still be inside. */
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) != 1 || !tls_bio_prepare() || !tls_handshake_prepare()) {
        return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "OpenSSL cannot be initialised");
    }
    return 0;
}

static int32_t tls_pool_init(void *state, struct connpool_fault *fault)
{
    struct tls_pool *pool = state;
    const struct tls_options *options = pool->head.options;

    pool->context = tls_context_new(options, fault);
    if (pool->context == NULL) {
        return -fault->error_class;
    }
    tls_handshake_set(pool->context, options);
    if (options->insecure_no_verification) {
        pool->head.host->log(pool->head.host, CONNPOOL_LOG_WARNING,
                             "tls: insecure_no_verification is set: any server is taken for the right one");
    }
    return 0;
}

static void tls_pool_fini(void *state)
{
    struct tls_pool *pool = state;

    SSL_CTX_free(pool->context);
}

static int32_t tls_endpoint_init(void *state, struct connpool_fault *fault)
{
    struct tls_endpoint *endpoint = state;
    const struct tls_options *options = endpoint->head.options;

    tls_sessions_init(&endpoint->sessions, (uint32_t)options->sessions);
    return tls_options_check(options, fault);
}

static void tls_endpoint_fini(void *state)
{
    struct tls_endpoint *endpoint = state;

    tls_sessions_fini(&endpoint->sessions);
}

/* ---- A connection */

static int32_t tls_open(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct tls_connection *connection = state;

    if (connection->ssl == NULL) {
        const struct connpool_dial_options dial = dial_options_of(&tls_connection_options(connection)->dial);
        int32_t result = stream_open(&connection->stream, &dial, wait, fault);

        if (result != CONNPOOL_STEP_DONE) {
            return result;
        }
    }
    return tls_handshake_step(connection, wait, fault);
}

/* What the last holder left: its socket, and nothing half done. */
static int32_t check_left(const struct tls_connection *connection, struct connpool_fault *fault)
{
    if (SSL_get_rbio(connection->ssl) != connection->own_bio || SSL_get_wbio(connection->ssl) != connection->own_bio) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "the application replaced the BIO of the connection");
    }
    if (connection->bio.is_cut_short) {
        return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0, "the last holder left a record that was sent in part");
    }
    if (SSL_get_shutdown(connection->ssl) != 0) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "the TLS session was shut down while it was leased");
    }
    return stream_check(&connection->stream, fault);
}

/* The rest of a record may be an answer to the last holder: nobody is to have the connection before it is there. */
static int32_t judge_record(struct tls_connection *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    if (!tls_peek_is_amid_record(connection)) {
        connection->record_until = 0;
        return CONNPOOL_STEP_AGAIN;
    }
    if (connection->record_until == 0) {
        connection->record_until = wait->now + RECORD_LIMIT;
    }
    if (wait->now >= connection->record_until) {
        return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0, "the server sent a part of a record, and then nothing");
    }
    wait->flags |= CONNPOOL_WAIT_BUSY;
    wait->at = connection->record_until;
    return CONNPOOL_STEP_AGAIN;
}

static int32_t tls_idle(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct tls_connection *connection = state;
    int32_t result = check_left(connection, fault);

    if (result != 0) {
        return result;
    }
    wait->fd = connection->stream.fd;
    wait->events = CONNPOOL_EVENT_READ;
    if (wait->ready != 0 || SSL_has_pending(connection->ssl)) {
        result = tls_peek(connection, "the idle connection", wait, fault);
        ERR_clear_error();
    } else {
        result = CONNPOOL_STEP_AGAIN;
    }
    if (result == CONNPOOL_STEP_DONE) {
        return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, 0, "the server sent data on an idle connection");
    }
    return result == CONNPOOL_STEP_AGAIN ? judge_record(connection, wait, fault) : result;
}

/*
 * The goodbye is to arrive: whatever lies unread in the socket when it is closed makes the kernel send a reset, which
 * overtakes it. So that is taken in first. The server's own goodbye is not waited for (RFC 8446, 6.1).
 */
static int32_t tls_close(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct tls_connection *connection = state;
    struct connpool_fault ended = {.size = sizeof(ended)};
    int result;

    (void)fault;
    if (!connection->is_closing &&
        (check_left(connection, &ended) != 0 || tls_peek(connection, "close", wait, &ended) < 0)) {
        return CONNPOOL_STEP_DONE;
    }
    connection->is_closing = true;
    wait->fd = -1;
    wait->flags &= ~CONNPOOL_WAIT_BUSY;
    connection->bio.is_driven = true;
    result = SSL_shutdown(connection->ssl);
    connection->bio.is_driven = false;
    if (result < 0 && SSL_get_error(connection->ssl, result) == SSL_ERROR_WANT_WRITE) {
        return tls_peek_wait(connection, wait);
    }
    ERR_clear_error();
    return CONNPOOL_STEP_DONE;
}

/* SSL_free sends nothing. */
static void tls_destroy(void *state)
{
    struct tls_connection *connection = state;

    SSL_free(connection->ssl);
    stream_destroy(&connection->stream);
}

static void *tls_information(struct tls_connection *connection)
{
    struct connpool_tls_information *information = &connection->information;

    information->size = sizeof(*information);
    tls_sessions_read(&tls_connection_endpoint(connection)->sessions, &information->full_handshakes,
                      &information->resumed_handshakes, &information->sessions);
    return information;
}

static int32_t tls_native(void *state, const char *type, void **out)
{
    struct tls_connection *connection = state;

    if (connection->ssl == NULL) {
        return -CONNPOOL_ERROR_UNSUPPORTED;
    }
    if (strcmp(type, CONNPOOL_TLS_TYPE) == 0) {
        *out = connection->ssl;
        return 0;
    }
    if (strcmp(type, CONNPOOL_TLS_INFORMATION_TYPE) == 0) {
        *out = tls_information(connection);
        return 0;
    }
    return stream_native(&connection->stream, "fd", type, out);
}

extern const struct connpool_manager connpool_manager;
CONNPOOL_MANAGER_EXPORT const struct connpool_manager connpool_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "tls",
    .version = "1.0.0",
    .summary = "TLS connections, by OpenSSL",
    .options = tls_option_rows,
    .option_count = TLS_OPTION_COUNT,
    .option_stride = sizeof(struct connpool_option),
    .options_size = sizeof(struct tls_options),
    .pool_size = sizeof(struct tls_pool),
    .endpoint_size = sizeof(struct tls_endpoint),
    .connection_size = sizeof(struct tls_connection),
    .load = tls_load,
    .pool_init = tls_pool_init,
    .pool_fini = tls_pool_fini,
    .endpoint_init = tls_endpoint_init,
    .endpoint_fini = tls_endpoint_fini,
    .parse_endpoint = host_port_parse,
    .open = tls_open,
    .prepare = stream_prepare,
    .idle = tls_idle,
    .close = tls_close,
    .destroy = tls_destroy,
    .native = tls_native,
    .descriptors = stream_descriptors,
};
