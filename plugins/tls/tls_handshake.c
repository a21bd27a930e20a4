/* SPDX-License-Identifier: MIT */
/* tls_handshake: from a connected socket to a verified peer. */
#include "tls_handshake.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>

#include "../common/fault.h"
#include "tls_fault.h"
#include "tls_peek.h"

#define NAME_SIZE    256 /* of a host, as host_port allows it */
#define SUBJECT_SIZE 96

/* ---- OpenSSL's callbacks */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int connection_index = -1; /* of an SSL's connection in its extra data */

static void make_index(void)
{
    connection_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

bool tls_handshake_prepare(void)
{
    (void)pthread_once(&once, make_index);
    return connection_index >= 0;
}

static struct tls_connection *connection_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, connection_index);
}

/* What is wrong with a certificate is known here only: which of the chain, and whose it is. */
static int tell_verification(int is_good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct connpool_fault *fault = connection_of(ssl)->fault;
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    char subject[SUBJECT_SIZE] = "none";

    if (!is_good && fault != NULL && fault->error_class == 0) {
        if (certificate != NULL) {
            (void)X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof(subject));
        }
        (void)fault_fill(fault, tls_fault_lacks_memory() ? CONNPOOL_ERROR_RESOURCE_LOCAL : CONNPOOL_ERROR_TRUST, 0,
                         "the server's certificate: %s (depth %d, subject %s)", X509_verify_cert_error_string(error),
                         X509_STORE_CTX_get_error_depth(store), subject);
        fault->library_code = error;
    }
    return is_good;
}

static int note_request(SSL *ssl, void *argument)
{
    (void)argument;
    connection_of(ssl)->was_asked = true;
    return 1;
}

/* Also called in the midst of the application's SSL_read. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_connection *connection = connection_of(ssl);

    connection->has_session = true;
    (void)ERR_set_mark();
    tls_sessions_keep(&tls_connection_endpoint(connection)->sessions, session);
    (void)ERR_pop_to_mark(); /* that a session could not be kept is no error of the call that brought it */
    return 0;
}

void tls_handshake_set(SSL_CTX *context, const struct tls_options *options)
{
    if (options->insecure_no_verification) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    } else {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, tell_verification);
    }
    SSL_CTX_set_cert_cb(context, note_request, NULL);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
}

/* ---- Before the first byte */

/* As certificates and SNI have it: without the dot of an absolute name and the scope of an address. */
static void plain_name(const char *name, char plain[NAME_SIZE])
{
    size_t length = strcspn(name, "%");

    if (length > 0 && name[length - 1] == '.') {
        length--;
    }
    length = length < NAME_SIZE ? length : NAME_SIZE - 1;
    memcpy(plain, name, length);
    plain[length] = '\0';
}

static bool is_address(const char *name)
{
    struct in6_addr address;

    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

static bool set_name(SSL *ssl, const struct tls_options *options)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    char name[NAME_SIZE];
    bool is_numeric;

    plain_name(tls_options_name(options), name);
    is_numeric = is_address(name);
    if (!is_numeric && SSL_set_tlsext_host_name(ssl, name) != 1) {
        return false;
    }
    if (options->insecure_no_verification) {
        return true;
    }
    /* A subject's common name is no host name (RFC 6125, 6.4.4). */
    X509_VERIFY_PARAM_set_hostflags(parameters,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return is_numeric ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 : SSL_set1_host(ssl, name) == 1;
}

static bool set_alpn(SSL *ssl, const struct tls_options *options)
{
    unsigned char wire[TLS_ALPN_SIZE];
    unsigned size = tls_options_alpn(options, wire);

    return size == 0 || SSL_set_alpn_protos(ssl, wire, size) == 0;
}

/* Best effort: what cannot be resumed is a full handshake. */
static void set_session(struct tls_connection *connection)
{
    SSL_SESSION *session = tls_sessions_take(&tls_connection_endpoint(connection)->sessions);

    if (session != NULL) {
        (void)SSL_set_session(connection->ssl, session);
        SSL_SESSION_free(session);
    }
}

static bool set_bio(struct tls_connection *connection)
{
    BIO *bio = tls_bio_new(&connection->bio);

    if (bio == NULL) {
        return false;
    }
    connection->own_bio = bio;
    SSL_set_bio(connection->ssl, bio, bio);
    return true;
}

static int32_t start(struct tls_connection *connection, struct connpool_fault *fault)
{
    const struct tls_options *options = tls_connection_options(connection);
    struct tls_pool *pool = tls_connection_endpoint(connection)->head.parent;

    connection->bio.fd = connection->stream.fd;
    connection->ssl = SSL_new(pool->context);
    if (connection->ssl == NULL || SSL_set_ex_data(connection->ssl, connection_index, connection) != 1 ||
        !set_bio(connection) || !set_name(connection->ssl, options) || !set_alpn(connection->ssl, options)) {
        return tls_fault_queued(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, "a new SSL");
    }
    set_session(connection);
    SSL_set_connect_state(connection->ssl);
    return 0;
}

/* ---- The handshake */

static int32_t shake_hands(struct tls_connection *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int result;
    int error;

    connection->bio.is_driven = true;
    connection->fault = fault;
    result = SSL_do_handshake(connection->ssl);
    connection->fault = NULL;
    connection->bio.is_driven = false;
    if (result == 1) {
        return CONNPOOL_STEP_DONE;
    }
    error = SSL_get_error(connection->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return tls_peek_wait(connection, wait);
    }
    return tls_fault_of_peer(fault, "TLS handshake", error, connection->bio.error, connection->was_asked);
}

/* Some cipher lists of TLS 1.2 allow handshakes without any certificate: those prove nothing. */
static int32_t check_peer(const struct tls_connection *connection, struct connpool_fault *fault)
{
    long result = SSL_get_verify_result(connection->ssl);

    if (tls_connection_options(connection)->insecure_no_verification) {
        return 0;
    }
    if (SSL_get0_peer_certificate(connection->ssl) == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_TRUST, 0, "the server showed no certificate");
    }
    if (result != X509_V_OK) {
        return fault_fill(fault, CONNPOOL_ERROR_TRUST, 0, "the server's certificate: %s",
                          X509_verify_cert_error_string(result));
    }
    return 0;
}

/* In TLS 1.3 the client is done before the server has looked at its certificate; a resumed session asks for none. */
static bool is_to_be_confirmed(const struct tls_connection *connection)
{
    return connection->was_asked && SSL_version(connection->ssl) >= TLS1_3_VERSION &&
           tls_connection_options(connection)->confirm_timeout > 0;
}

static int32_t finish(struct tls_connection *connection, int64_t now, struct connpool_fault *fault)
{
    int32_t result = check_peer(connection, fault);
    int was_resumed = SSL_session_reused(connection->ssl);

    if (result != 0) {
        return result;
    }
    tls_sessions_count(&tls_connection_endpoint(connection)->sessions, was_resumed);
    connection->information.is_resumed = was_resumed != 0;
    connection->confirm_until = now;
    if (is_to_be_confirmed(connection)) {
        connection->confirm_until += tls_connection_options(connection)->confirm_timeout;
    }
    return 0;
}

/* A server that refuses says so at once; one that accepts sends a ticket, if it gives any, or its greeting. */
static int32_t confirm(struct tls_connection *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result;

    if (!is_to_be_confirmed(connection)) {
        return CONNPOOL_STEP_DONE;
    }
    result = tls_peek(connection, "TLS, after the handshake", wait, fault);
    if (result != CONNPOOL_STEP_AGAIN) {
        return result;
    }
    if (connection->has_session || wait->now >= connection->confirm_until) {
        return CONNPOOL_STEP_DONE;
    }
    wait->flags &= ~CONNPOOL_WAIT_BUSY;
    wait->at = connection->confirm_until;
    return CONNPOOL_STEP_AGAIN;
}

int32_t tls_handshake_step(struct tls_connection *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result = 0;

    ERR_clear_error();
    if (connection->ssl == NULL) {
        result = start(connection, fault);
    }
    if (result == 0 && connection->confirm_until == 0) {
        result = shake_hands(connection, wait, fault);
        if (result == CONNPOOL_STEP_DONE) {
            result = finish(connection, wait->now, fault);
        }
    }
    if (result == 0) {
        result = confirm(connection, wait, fault);
    }
    if (result < 0) {
        /* It may have failed for the session that it was to resume: one of TLS 1.2 would be tried again for ever. */
        tls_sessions_forget(&tls_connection_endpoint(connection)->sessions);
    }
    ERR_clear_error();
    return result;
}
