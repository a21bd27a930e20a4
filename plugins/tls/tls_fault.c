/* SPDX-License-Identifier: MIT */
/* tls_fault: what OpenSSL's error queue of this thread says, as a fault. */
#include "tls_fault.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/proverr.h>
#include <openssl/ssl.h>
#include <string.h>

#include "../common/fault.h"

#define TEXT_SIZE 160

/* What the queue says in all: each library of OpenSSL numbers its reasons by itself. */
struct queue {
    unsigned long first; /* 0: it was empty */
    int reason;          /* the first of libssl's, 0: none */
    bool lacks_memory;
    bool is_unreadable; /* a record too short to be decrypted, of which libssl says only that something went wrong */
};

/* Empties it. */
static struct queue read_queue(void)
{
    struct queue queue = {.first = 0};
    unsigned long code;

    while ((code = ERR_get_error()) != 0) {
        queue.first = queue.first == 0 ? code : queue.first;
        queue.reason = queue.reason == 0 && ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : queue.reason;
        queue.is_unreadable =
            queue.is_unreadable || (ERR_GET_LIB(code) == ERR_LIB_PROV && ERR_GET_REASON(code) == PROV_R_INVALID_AAD);
        queue.lacks_memory = queue.lacks_memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    }
    return queue;
}

static int32_t fill_from(const struct queue *queue, struct connpool_fault *fault, int32_t error_class, const char *what)
{
    char text[TEXT_SIZE] = "no reason was given";
    bool is_first = fault->error_class == 0;

    if (queue->first != 0) {
        ERR_error_string_n(queue->first, text, sizeof(text));
    }
    (void)fault_fill(fault, queue->lacks_memory ? CONNPOOL_ERROR_RESOURCE_LOCAL : error_class, 0, "%s: %s", what, text);
    if (is_first) {
        fault->library_code = (int64_t)queue->first;
    }
    return -fault->error_class;
}

int32_t tls_fault_queued(struct connpool_fault *fault, int32_t error_class, const char *what)
{
    const struct queue queue = read_queue();

    return fill_from(&queue, fault, error_class, what);
}

bool tls_fault_lacks_memory(void)
{
    return ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
}

/* Alerts about the certificate that we showed, or did not: RFC 8446, 6.2. */
static bool is_refusal_of_us(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

/* The two sides have no version, cipher, group or protocol in common. */
static bool is_lack_of_ability(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
    case SSL_R_UNSUPPORTED_PROTOCOL:
        return true;
    default:
        return false;
    }
}

static int32_t class_of(int reason, bool certificate_was_asked)
{
    /* Before TLS 1.3 a server that misses a certificate has no better alert than this. */
    if (is_refusal_of_us(reason) || (certificate_was_asked && reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)) {
        return CONNPOOL_ERROR_AUTHENTICATION;
    }
    if (is_lack_of_ability(reason)) {
        return CONNPOOL_ERROR_UNSUPPORTED;
    }
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_BAD_SIGNATURE: /* it has the certificate, and not its key */
        return CONNPOOL_ERROR_TRUST;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return CONNPOOL_ERROR_CLOSED;
    case SSL_R_TLSV1_ALERT_INTERNAL_ERROR:
        return CONNPOOL_ERROR_TRANSIENT;
    case 0: /* nothing that the peer sent */
    case ERR_R_INTERNAL_ERROR:
        return CONNPOOL_ERROR_INTERNAL;
    default:
        return CONNPOOL_ERROR_PROTOCOL;
    }
}

static int32_t closed(struct connpool_fault *fault, const char *what, int os_error)
{
    if (os_error == 0) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "%s: the peer closed the connection", what);
    }
    return fault_fill(fault,
                      os_error == ENOMEM || os_error == ENOBUFS ? CONNPOOL_ERROR_RESOURCE_LOCAL : CONNPOOL_ERROR_CLOSED,
                      os_error, "%s: %s", what, strerror(os_error));
}

int32_t tls_fault_of_peer(struct connpool_fault *fault, const char *what, int error, int os_error,
                          bool certificate_was_asked)
{
    const struct queue queue = read_queue();

    if (error == SSL_ERROR_ZERO_RETURN) {
        return closed(fault, what, 0);
    }
    if (error == SSL_ERROR_SYSCALL || queue.first == 0) {
        return closed(fault, what, os_error);
    }
    return fill_from(&queue, fault,
                     queue.is_unreadable ? CONNPOOL_ERROR_PROTOCOL : class_of(queue.reason, certificate_was_asked),
                     what);
}
