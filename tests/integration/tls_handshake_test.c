/* SPDX-License-Identifier: MIT */
/*
 * Opening a TLS connection: what is agreed on, peers with whom nothing can be, and peers that go wrong at each byte of
 * the handshake. With the default disposition of SIGPIPE (B15).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "server_nginx.h"
#include "server_proxy.h"
#include "tls_harness.h"

#define SHORT_LIMIT ", \"connect_timeout\": 0.1"
#define SHORT_MS    100
#define CUT_STRIDE  5 /* bytes between two cuts of a handshake, so that a run is short; every byte of its beginning */
#define FIRST_BYTES 16

/* ---- What is agreed on */

static connpool_lease agree(const struct server_tls_options *server, const char *options, connpool **context)
{
    tls_harness_serve(server);
    *context = tls_harness_open(options);
    return harness_acquire(harness_pool(*context), "s");
}

static void part(connpool_lease *lease, connpool *context)
{
    tls_harness_echo(lease, "hello");
    harness_release(lease);
    harness_close(context);
    tls_harness_stop();
}

static void the_newest_version_and_the_name(void **state)
{
    connpool *context;
    connpool_lease lease = agree(NULL, "", &context);

    (void)state;
    assert_int_equal(SSL_version(connpool_tls(&lease)), TLS1_3_VERSION);
    assert_string_equal(SSL_get_servername(connpool_tls(&lease), TLSEXT_NAMETYPE_host_name), "localhost");
    assert_int_equal(SSL_get_verify_result(connpool_tls(&lease)), X509_V_OK);
    part(&lease, context);
}

/* RFC 6066, 3: an address is no name. */
static void an_address_is_not_sent_as_a_name(void **state)
{
    connpool *context;
    connpool_lease lease = agree(NULL, ", \"server_name\": \"127.0.0.1\"", &context);

    (void)state;
    assert_null(SSL_get_servername(connpool_tls(&lease), TLSEXT_NAMETYPE_host_name));
    part(&lease, context);
}

static void versions_ciphers_and_groups_as_told(void **state)
{
    connpool *context;
    connpool_lease lease = agree(NULL,
                                 ", \"max_version\": \"TLSv1.2\", \"ciphers\": \"ECDHE-ECDSA-AES256-GCM-SHA384\","
                                 " \"groups\": \"P-521:P-256\"",
                                 &context);

    (void)state;
    assert_int_equal(SSL_version(connpool_tls(&lease)), TLS1_2_VERSION);
    assert_string_equal(SSL_get_cipher_name(connpool_tls(&lease)), "ECDHE-ECDSA-AES256-GCM-SHA384");
    assert_int_equal(SSL_get_negotiated_group(connpool_tls(&lease)), NID_secp521r1);
    part(&lease, context);
    lease = agree(NULL, ", \"ciphersuites\": \"TLS_CHACHA20_POLY1305_SHA256\", \"groups\": \"P-384:P-256\"", &context);
    assert_string_equal(SSL_get_cipher_name(connpool_tls(&lease)), "TLS_CHACHA20_POLY1305_SHA256");
    assert_int_equal(SSL_get_negotiated_group(connpool_tls(&lease)), NID_secp384r1);
    part(&lease, context);
}

static void the_protocol_that_both_speak(void **state)
{
    const unsigned char *protocol;
    unsigned length;
    connpool *context;
    connpool_lease lease =
        agree(&(struct server_tls_options){.protocol = "http/1.1"}, ", \"alpn\": [\"h2\", \"http/1.1\"]", &context);

    (void)state;
    SSL_get0_alpn_selected(connpool_tls(&lease), &protocol, &length);
    assert_int_equal(length, 8);
    assert_memory_equal(protocol, "http/1.1", 8);
    part(&lease, context);
}

/* ---- Nothing in common */

static void disagree(const struct server_tls_options *server, const char *options, int error_class)
{
    connpool *context;

    tls_harness_serve(server);
    context = tls_harness_open(options);
    (void)tls_harness_fail(context, error_class, NULL);
    harness_close(context);
    tls_harness_stop();
}

static void peers_without_anything_in_common(void **state)
{
    (void)state;
    disagree(&(struct server_tls_options){.minimum_version = TLS1_VERSION, .maximum_version = TLS1_1_VERSION}, "",
             CONNPOOL_ERROR_UNSUPPORTED);
    disagree(&(struct server_tls_options){.maximum_version = TLS1_2_VERSION}, ", \"min_version\": \"TLSv1.3\"",
             CONNPOOL_ERROR_UNSUPPORTED);
    disagree(&(struct server_tls_options){.minimum_version = TLS1_3_VERSION}, ", \"max_version\": \"TLSv1.2\"",
             CONNPOOL_ERROR_UNSUPPORTED);
    disagree(
        &(struct server_tls_options){.maximum_version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
        ", \"ciphers\": \"ECDHE-ECDSA-AES256-GCM-SHA384\"", CONNPOOL_ERROR_UNSUPPORTED);
    disagree(&(struct server_tls_options){.protocol = "h2"}, ", \"alpn\": [\"http/1.1\"]", CONNPOOL_ERROR_UNSUPPORTED);
}

static void a_server_that_speaks_no_tls(void **state)
{
    struct server_nginx nginx;
    connpool *context;

    (void)state;
    server_nginx_start(&nginx, &tls_harness.folder, 60, 100);
    context = tls_harness_open_at(nginx.port, "", "");
    (void)tls_harness_fail(context, CONNPOOL_ERROR_PROTOCOL, "wrong version number");
    harness_close(context);
    server_nginx_kill(&nginx);
}

/* ---- Peers that go wrong */

static struct server_proxy proxy;

static int begin_proxy(void **state)
{
    (void)state;
    tls_harness_serve(&(struct server_tls_options){.has_tickets = true});
    server_proxy_start(&proxy, tls_harness.server.listener.endpoint);
    return 0;
}

static int end_proxy(void **state)
{
    (void)state;
    server_proxy_stop(&proxy);
    tls_harness_stop();
    return 0;
}

static void set_fault(enum server_proxy_fault fault, size_t after)
{
    server_proxy_set_rule(&proxy, &(struct server_proxy_rule){.fault = fault, .after = after});
}

/* What the server says in a handshake, in bytes; sessions are not resumed, so it is about the same each time. */
static size_t handshake_length(connpool *context)
{
    connpool_lease lease;
    size_t length;

    set_fault(SERVER_PROXY_FORWARD, 0);
    lease = harness_acquire(harness_pool(context), "s");
    length = server_proxy_counts(&proxy).from_server; /* before the end, to which the server has a word too */
    harness_discard(&lease);
    return length;
}

/* Fails, of the connection's end, or was complete before that came. True: it failed. */
static bool open_fails(connpool *context, size_t after)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_error error = {.text = ""};
    connpool_status status = connpool_acquire(harness_pool(context), "s", HARNESS_LIMIT_MS, &lease, &error);

    if (status == CONNPOOL_OK) {
        harness_discard(&lease);
        return false;
    }
    if (status != CONNPOOL_FAILED || error.error_class != CONNPOOL_ERROR_CLOSED) {
        fail_msg("after %zu bytes: %s", after, error.text);
    }
    return true;
}

static void cut_everywhere(enum server_proxy_fault fault)
{
    connpool *context = tls_harness_open_at(proxy.listener.port, ", \"sessions\": 0", "");
    size_t length = handshake_length(context);
    unsigned failed = 0;
    unsigned tries = 0;

    for (size_t after = 0; after < length; after += after < FIRST_BYTES ? 1 : CUT_STRIDE) {
        set_fault(fault, after);
        failed += open_fails(context, after);
        tries++;
    }
    /* The last byte may differ by the length of a signature. */
    if (length < 400 || tries < 90 || failed + 2 < tries) {
        fail_msg("%zu bytes: %u of %u failed", length, failed, tries);
    }
    assert_int_equal(harness_statistics(harness_pool(context)).opened - 1, tries - failed);
    harness_close(context);
}

/* A8, B15 */
static void reset_in_the_handshake(void **state)
{
    (void)state;
    cut_everywhere(SERVER_PROXY_RESET);
}

/* A7 */
static void ended_in_the_handshake(void **state)
{
    (void)state;
    cut_everywhere(SERVER_PROXY_END);
}

static void expect_timeout(connpool *context)
{
    int64_t begin_ms = harness_now_ms();

    (void)tls_harness_fail(context, CONNPOOL_ERROR_TIMEOUT, NULL);
    assert_true(harness_now_ms() - begin_ms >= SHORT_MS / 2);
    assert_true(harness_now_ms() - begin_ms < HARNESS_LIMIT_MS / 2);
}

/* A6: before its first word, in the midst of it, before its last byte. */
static void silence_in_the_handshake(void **state)
{
    connpool *context = tls_harness_open_at(proxy.listener.port, ", \"sessions\": 0", SHORT_LIMIT);
    size_t length = handshake_length(context);
    const size_t places[] = {0, 1, length / 2, length - 8};

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        set_fault(SERVER_PROXY_SILENCE, places[i]);
        expect_timeout(context);
    }
    harness_close(context);
}

/* A9: each byte comes, but all of them too late. */
static void a_trickle_is_not_progress(void **state)
{
    connpool *context = tls_harness_open_at(proxy.listener.port, "", SHORT_LIMIT);

    (void)state;
    server_proxy_set_rule(&proxy, &(struct server_proxy_rule){.fault = SERVER_PROXY_TRICKLE, .interval_ms = 1});
    expect_timeout(context);
    harness_close(context);
}

/* A18: no record comes in one piece. */
static void byte_by_byte(void **state)
{
    connpool *context = tls_harness_open_at(proxy.listener.port, "", "");

    (void)state;
    set_fault(SERVER_PROXY_TRICKLE, 0);
    tls_harness_use(harness_pool(context));
    tls_harness_use(harness_pool(context));
    harness_close(context);
}

static void garbage_in_the_handshake(void **state)
{
    connpool *context = tls_harness_open_at(proxy.listener.port, ", \"sessions\": 0", SHORT_LIMIT);
    static const size_t places[] = {0, 200};

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        connpool_error error;

        set_fault(SERVER_PROXY_GARBAGE, places[i]);
        error = harness_acquire_fails(harness_pool(context), "s", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
        /* In the midst of a record it may be the record's length that is missing now. */
        assert_true(error.error_class == CONNPOOL_ERROR_PROTOCOL ||
                    (places[i] > 0 && error.error_class == CONNPOOL_ERROR_TIMEOUT));
    }
    harness_close(context);
}

/* Nothing of a failed open is left. */
static void no_socket_is_left(void **state)
{
    connpool *context = tls_harness_open_at(proxy.listener.port, "", "");
    unsigned before;

    (void)state;
    server_proxy_await_open(&proxy, 0);
    before = harness_sockets();
    for (size_t after = 0; after < 400; after += 50) {
        set_fault(SERVER_PROXY_RESET, after);
        assert_true(open_fails(context, after));
    }
    server_proxy_await_open(&proxy, 0);
    assert_true(harness_sockets() <= before + 8); /* the server's, which it may not have met yet */
    harness_close(context);
}

int main(void)
{
#define PROXIED(name) cmocka_unit_test_setup_teardown(name, begin_proxy, end_proxy)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_version_and_the_name),
        cmocka_unit_test(an_address_is_not_sent_as_a_name),
        cmocka_unit_test(versions_ciphers_and_groups_as_told),
        cmocka_unit_test(the_protocol_that_both_speak),
        cmocka_unit_test(peers_without_anything_in_common),
        cmocka_unit_test(a_server_that_speaks_no_tls),
        PROXIED(reset_in_the_handshake),
        PROXIED(ended_in_the_handshake),
        PROXIED(silence_in_the_handshake),
        PROXIED(a_trickle_is_not_progress),
        PROXIED(byte_by_byte),
        PROXIED(garbage_in_the_handshake),
        PROXIED(no_socket_is_left),
    };

    return cmocka_run_group_tests(tests, tls_harness_begin, tls_harness_end);
}
