/* SPDX-License-Identifier: MIT */
/* tls_peek: takes in what the peer sent unasked. */
#include "tls_peek.h"

#include <openssl/err.h>
#include <string.h>

#include "tls_fault.h"

/* Most records of the protocol's own that one step takes in: two tickets and a goodbye are usual. */
#define RECORDS_MAXIMUM 32

int32_t tls_peek_wait(const struct tls_connection *connection, struct connpool_wait *wait)
{
    wait->fd = connection->stream.fd;
    wait->events = SSL_want_write(connection->ssl) ? CONNPOOL_EVENT_WRITE : CONNPOOL_EVENT_READ;
    return CONNPOOL_STEP_AGAIN;
}

/* Of a record's head the bytes so far are pending; behind the head OpenSSL reads a body ("RB", SSL_rstate_string(3)).
 */
bool tls_peek_is_amid_record(const struct tls_connection *connection)
{
    return SSL_has_pending(connection->ssl) || strcmp(SSL_rstate_string(connection->ssl), "RB") == 0;
}

/* Record by record, until there is data, an error (see *result), or nothing more. False: there may be more. */
static bool peek_records(struct tls_connection *connection, int *result)
{
    char byte;

    for (int i = 0; i < RECORDS_MAXIMUM; i++) {
        connection->bio.is_empty = false;
        *result = SSL_peek(connection->ssl, &byte, 1);
        if (*result > 0 || SSL_get_error(connection->ssl, *result) != SSL_ERROR_WANT_READ || connection->bio.is_empty) {
            return true;
        }
    }
    return false;
}

int32_t tls_peek(struct tls_connection *connection, const char *what, struct connpool_wait *wait,
                 struct connpool_fault *fault)
{
    SSL *ssl = connection->ssl;
    long mode = SSL_get_mode(ssl);
    bool is_all;
    int result;
    int error;

    ERR_clear_error();
    connection->bio.is_driven = true;
    (void)SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY); /* one record at a time */
    is_all = peek_records(connection, &result);
    (void)SSL_set_mode(ssl, mode);
    connection->bio.is_driven = false;
    if (result > 0) {
        return CONNPOOL_STEP_DONE;
    }
    error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        wait->flags |= is_all ? 0 : CONNPOOL_WAIT_BUSY;
        return tls_peek_wait(connection, wait);
    }
    return tls_fault_of_peer(fault, what, error, connection->bio.error, connection->was_asked);
}
