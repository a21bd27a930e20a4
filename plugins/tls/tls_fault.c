/* SPDX-License-Identifier: MIT */
/* tls_fault: what OpenSSL's error queue of this thread says, as a fault. */
#include "tls_fault.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "../common/fault.h"

#define TEXT_SIZE 160

int32_t tls_fault_queued(struct connpool_fault *fault, int32_t error_class, const char *what)
{
    unsigned long code = ERR_peek_error();
    char text[TEXT_SIZE] = "no reason was given";
    bool is_first = fault->error_class == 0;

    if (code != 0) {
        ERR_error_string_n(code, text, sizeof(text));
    }
    ERR_clear_error();
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
        error_class = CONNPOOL_ERROR_RESOURCE_LOCAL;
    }
    (void)fault_fill(fault, error_class, 0, "%s: %s", what, text);
    if (is_first) {
        fault->library_code = (int64_t)code;
    }
    return -fault->error_class;
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
        return CONNPOOL_ERROR_TRUST;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return CONNPOOL_ERROR_CLOSED;
    case SSL_R_TLSV1_ALERT_INTERNAL_ERROR:
        return CONNPOOL_ERROR_TRANSIENT;
    default:
        return CONNPOOL_ERROR_PROTOCOL;
    }
}

static int32_t closed(struct connpool_fault *fault, const char *what, int os_error)
{
    ERR_clear_error();
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
    unsigned long code = ERR_peek_error();

    if (error == SSL_ERROR_ZERO_RETURN) {
        return closed(fault, what, 0);
    }
    if (error == SSL_ERROR_SYSCALL || code == 0) {
        return closed(fault, what, os_error);
    }
    return tls_fault_queued(fault, class_of(ERR_GET_REASON(code), certificate_was_asked), what);
}
