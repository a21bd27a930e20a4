/* SPDX-License-Identifier: MIT */
/* https_exchange: one request and its response over a TLS connection that does not wait. */
#ifndef HTTPS_EXCHANGE_H
#define HTTPS_EXCHANGE_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "http_response.h"

struct https_exchange {
    SSL *ssl;
    bool is_sent;
    char request[1024];
    struct http_response response;
};

/* false: host and path are too long. */
bool https_exchange_begin(struct https_exchange *exchange, SSL *ssl, const char *host, const char *path);
/* As far as it goes now; MORE: call again at the next edge-triggered event of the socket, for reading or for writing.
 */
enum http_response_progress https_exchange_step(struct https_exchange *exchange);

#endif
