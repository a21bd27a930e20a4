/* SPDX-License-Identifier: MIT */
/* https_exchange: see https_exchange.h. */
#include "https_exchange.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

bool https_exchange_begin(struct https_exchange *exchange, SSL *ssl, const char *host, const char *path)
{
    int length =
        snprintf(exchange->request, sizeof(exchange->request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);

    exchange->ssl = ssl;
    exchange->is_sent = false;
    http_response_init(&exchange->response);
    return length > 0 && (size_t)length < sizeof(exchange->request);
}

/* All of it, as partial writes are off. */
static int write_request(struct https_exchange *exchange)
{
    size_t written;
    int result = SSL_write_ex(exchange->ssl, exchange->request, strlen(exchange->request), &written);

    exchange->is_sent = result == 1;
    return result;
}

static int read_response(struct https_exchange *exchange, enum http_response_progress *progress)
{
    char bytes[16384]; /* a record of TLS */
    size_t size;
    int result = SSL_read_ex(exchange->ssl, bytes, sizeof(bytes), &size);

    if (result == 1) {
        *progress = http_response_read(&exchange->response, bytes, size);
    }
    return result;
}

enum http_response_progress https_exchange_step(struct https_exchange *exchange)
{
    enum http_response_progress progress = HTTP_RESPONSE_MORE;

    while (progress == HTTP_RESPONSE_MORE) {
        int result;

        ERR_clear_error(); /* or SSL_get_error may find what an earlier call left */
        result = exchange->is_sent ? read_response(exchange, &progress) : write_request(exchange);
        switch (SSL_get_error(exchange->ssl, result)) {
        case SSL_ERROR_NONE:
            break;
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return HTTP_RESPONSE_MORE;
        case SSL_ERROR_ZERO_RETURN: /* the server's goodbye; an end without one proves nothing */
            return http_response_end(&exchange->response);
        default:
            return HTTP_RESPONSE_BROKEN;
        }
    }
    return progress;
}
