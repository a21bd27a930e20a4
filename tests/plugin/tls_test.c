/* SPDX-License-Identifier: MIT */
/*
 * The manager tls, step by step, without the library: the test is the host and the server, in one thread, so that any
 * step that waits hangs the test. Early calls, both modes of the handle, the wait for the server's word, an end after
 * each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../plugins/tls/tls_connection.h"
#include "certificates.h"
#include "scripted_dial.h"

#define CONFIRM_TIMEOUT 1000
#define STEPS_MAXIMUM   32

extern const struct connpool_manager connpool_manager;

static struct server_folder folder;
static struct certificates certificates;
static char authority_path[SERVER_PATH_SIZE];

static struct scripted_dial script;
static struct tls_options options;
static struct tls_pool pool;
static struct tls_endpoint endpoint;
static struct tls_connection connection;
static struct connpool_wait wait_of_step;
static struct connpool_fault fault;

static SSL_CTX *server_context;
static SSL *server;

/* ---- The version of the library, as the plugin asks for it */

static unsigned loaded_version = OPENSSL_VERSION_MAJOR;

unsigned __wrap_OPENSSL_version_major(void);
unsigned __wrap_OPENSSL_version_major(void)
{
    return loaded_version;
}

/* ---- Both sides */

static int begin_group(void **state)
{
    (void)state;
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    certificates_path(&certificates, "ca", "pem", authority_path);
    return connpool_manager.load(NULL, &(struct connpool_fault){.size = sizeof(struct connpool_fault)});
}

static int end_group(void **state)
{
    (void)state;
    server_folder_fini(&folder);
    return 0;
}

static SSL_CTX *new_server(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    char path[SERVER_PATH_SIZE];

    certificates_path(&certificates, "server", "pem", path);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(context, path), 1);
    certificates_path(&certificates, "server", "key", path);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM), 1);
    return context;
}

static void new_connection(void)
{
    memset(&connection, 0, sizeof(connection));
    connection.stream.head = (struct connpool_head){&script.table, &options, &endpoint};
    fault = (struct connpool_fault){.size = sizeof(fault)};
}

static int begin(void **state)
{
    (void)state;
    scripted_dial_init(&script);
    options = (struct tls_options){.dial = {.host = "localhost", .port = 443},
                                   .ca_file = authority_path,
                                   .max_version = 1,
                                   .sessions = 4,
                                   .confirm_timeout = CONFIRM_TIMEOUT};
    memset(&pool, 0, sizeof(pool));
    memset(&endpoint, 0, sizeof(endpoint));
    pool.head = (struct connpool_head){&script.table, &options, NULL};
    endpoint.head = (struct connpool_head){&script.table, &options, &pool};
    new_connection();
    assert_int_equal(connpool_manager.pool_init(&pool, &fault), 0);
    assert_int_equal(connpool_manager.endpoint_init(&endpoint, &fault), 0);
    server_context = new_server();
    return 0;
}

static void end_connection(void)
{
    connpool_manager.destroy(&connection);
    assert_int_equal(script.live, 0);
    SSL_free(server);
    server = NULL;
    if (script.peer >= 0) {
        (void)close(script.peer);
        script.peer = -1;
    }
}

static int end(void **state)
{
    (void)state;
    end_connection();
    SSL_CTX_free(server_context);
    connpool_manager.endpoint_fini(&endpoint);
    connpool_manager.pool_fini(&pool);
    return 0;
}

static int32_t step(connpool_step_fn *function, uint32_t flags, uint32_t ready, int64_t now)
{
    wait_of_step = scripted_dial_wait(flags, ready);
    wait_of_step.now = now;
    return function(&connection, &wait_of_step, &fault);
}

static void expect_wait(uint32_t events, int64_t at)
{
    assert_int_equal(wait_of_step.fd, script.fd);
    assert_int_equal(wait_of_step.events, events);
    assert_int_equal(wait_of_step.at, at);
}

/* A step of the server's handshake. */
static void serve(void)
{
    if (server == NULL) {
        server = SSL_new(server_context);
        assert_int_equal(SSL_set_fd(server, script.peer), 1);
    }
    ERR_clear_error();
    (void)SSL_accept(server);
}

/* Both sides in turn, until open is no more to be called again. */
static int32_t open_with_server(int64_t now)
{
    int32_t result;

    while ((result = step(connpool_manager.open, 0, CONNPOOL_EVENT_READ, now)) == CONNPOOL_STEP_AGAIN &&
           wait_of_step.at == 0) {
        serve();
    }
    return result;
}

static void open_done(void)
{
    if (open_with_server(1) != CONNPOOL_STEP_DONE) {
        fail_msg("open: %s", fault.text);
    }
    serve();
}

static bool is_blocking(void)
{
    return (fcntl(script.fd, F_GETFL) & O_NONBLOCK) == 0;
}

/* ---- The tests */

static void early_calls_change_nothing(void **state)
{
    int32_t descriptor = -1;
    unsigned rounds = 0;
    void *out = NULL;

    (void)state;
    script.agains = 2;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(step(connpool_manager.open, 0, 0, 1), CONNPOOL_STEP_AGAIN);
        assert_int_equal(connpool_manager.descriptors(&connection, &descriptor, 1), 0);
        assert_int_equal(connpool_manager.native(&connection, CONNPOOL_TLS_TYPE, &out), -CONNPOOL_ERROR_UNSUPPORTED);
    }
    while (step(connpool_manager.open, 0, 0, 1) == CONNPOOL_STEP_AGAIN) {
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(step(connpool_manager.open, 0, 0, 1), CONNPOOL_STEP_AGAIN);
            expect_wait(CONNPOOL_EVENT_READ, 0);
        }
        serve();
        rounds++;
    }
    assert_int_equal(fault.error_class, 0);
    assert_true(rounds > 0);
    assert_int_equal(connpool_manager.descriptors(&connection, &descriptor, 1), 1);
    assert_int_equal(descriptor, script.fd);
    assert_int_equal(connpool_manager.native(&connection, CONNPOOL_TLS_TYPE, &out), 0);
    assert_ptr_equal(out, connection.ssl);
    assert_int_equal(connpool_manager.native(&connection, "openssl.SSL/1.1", &out), -CONNPOOL_ERROR_UNSUPPORTED);
}

static void prepare_makes_the_handle_as_it_is_wanted(void **state)
{
    char byte;

    (void)state;
    open_done();
    assert_int_equal(step(connpool_manager.prepare, CONNPOOL_WAIT_FOR_LOOP, 0, 1), CONNPOOL_STEP_DONE);
    assert_false(is_blocking());
    assert_int_equal(SSL_read(connection.ssl, &byte, 1), -1);
    assert_int_equal(SSL_get_error(connection.ssl, -1), SSL_ERROR_WANT_READ);
    assert_int_equal(step(connpool_manager.prepare, 0, 0, 1), CONNPOOL_STEP_DONE);
    assert_true(is_blocking());
}

/* The application's calls wait on it, as long as its socket lets them. */
static void a_blocking_handle_waits_for_the_application(void **state)
{
    const struct timeval limit = {.tv_usec = 20000};
    struct timespec before, after;
    char byte;

    (void)state;
    open_done();
    assert_int_equal(step(connpool_manager.prepare, 0, 0, 1), CONNPOOL_STEP_DONE);
    assert_int_equal(setsockopt(script.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(SSL_read(connection.ssl, &byte, 1), -1);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 19000000);
}

/* A14: tickets are there, then nothing is; neither is waited for more. */
static void idle_does_not_wait_on_a_blocking_handle(void **state)
{
    (void)state;
    open_done();
    assert_int_equal(step(connpool_manager.prepare, 0, 0, 1), CONNPOOL_STEP_DONE);
    assert_int_equal(step(connpool_manager.idle, 0, 0, 1), CONNPOOL_STEP_AGAIN);
    expect_wait(CONNPOOL_EVENT_READ, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(step(connpool_manager.idle, 0, CONNPOOL_EVENT_READ, 1), CONNPOOL_STEP_AGAIN);
        expect_wait(CONNPOOL_EVENT_READ, 0);
        assert_int_equal(endpoint.sessions.count, 2);
    }
    assert_true(is_blocking());
}

/* ---- What the last holder left */

static void a_record_sent_in_part_is_seen(void **state)
{
    static const char much[1 << 14];

    (void)state;
    open_done();
    while (SSL_write(connection.ssl, much, sizeof(much)) > 0) {
    }
    assert_int_equal(step(connpool_manager.idle, 0, 0, 1), -CONNPOOL_ERROR_PROTOCOL);
}

static void a_shutdown_is_seen(void **state)
{
    (void)state;
    open_done();
    assert_int_equal(SSL_shutdown(connection.ssl), 0);
    assert_int_equal(step(connpool_manager.idle, 0, 0, 1), -CONNPOOL_ERROR_CLOSED);
}

/* B25: another socket has the number; it is neither used nor closed. */
static void another_socket_is_not_taken_for_ours(void **state)
{
    int ends[2];

    (void)state;
    open_done();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(dup2(ends[0], script.fd), script.fd);
    assert_int_equal(step(connpool_manager.close, 0, 0, 1), CONNPOOL_STEP_DONE);
    assert_int_equal(step(connpool_manager.idle, 0, 0, 1), -CONNPOOL_ERROR_CLOSED);
    end_connection();
    assert_int_equal(recv(ends[1], &(char){0}, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(close(script.fd), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    new_connection();
}

/* A16: an end without a goodbye is an error to the application too, never an end of data. */
static void truncation_is_told_to_the_application(void **state)
{
    char byte;

    (void)state;
    open_done();
    assert_int_equal(shutdown(script.peer, SHUT_WR), 0);
    assert_true(SSL_read(connection.ssl, &byte, 1) <= 0);
    assert_int_equal(SSL_get_error(connection.ssl, -1), SSL_ERROR_SSL);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_UNEXPECTED_EOF_WHILE_READING);
    ERR_clear_error();
}

static void close_does_not_wait_on_a_blocking_handle(void **state)
{
    static const char junk[1024];

    (void)state;
    open_done();
    assert_int_equal(step(connpool_manager.prepare, 0, 0, 1), CONNPOOL_STEP_DONE);
    while (send(script.fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    assert_int_equal(step(connpool_manager.close, 0, 0, 1), CONNPOOL_STEP_AGAIN);
    expect_wait(CONNPOOL_EVENT_WRITE, 0);
    assert_int_equal(step(connpool_manager.close, CONNPOOL_WAIT_CUT, 0, 1), CONNPOOL_STEP_AGAIN);
}

/* A7, A8: whatever state it is in, all of it is given back. */
static void an_end_after_each_step(void **state)
{
    unsigned steps = 0;
    int32_t result = CONNPOOL_STEP_AGAIN;

    (void)state;
    for (unsigned most = 0; result == CONNPOOL_STEP_AGAIN; most++) {
        assert_true(most < STEPS_MAXIMUM);
        for (steps = 0; steps < most; steps++) {
            result = step(connpool_manager.open, 0, CONNPOOL_EVENT_READ, 1);
            if (script.peer >= 0) {
                serve();
            }
        }
        end_connection();
        assert_true(script.fd < 0 || fcntl(script.fd, F_GETFD) < 0);
        new_connection();
        tls_sessions_forget(&endpoint.sessions);
    }
    assert_int_equal(result, CONNPOOL_STEP_DONE);
    assert_true(steps >= 2);
}

static void ask_for_a_certificate(int mode, size_t tickets)
{
    SSL_CTX_set_verify(server_context, mode, NULL);
    assert_int_equal(SSL_CTX_set_num_tickets(server_context, tickets), 1);
}

/* A13 */
static void the_servers_silence_is_consent_in_the_end(void **state)
{
    (void)state;
    ask_for_a_certificate(SSL_VERIFY_PEER, 0);
    assert_int_equal(open_with_server(1), CONNPOOL_STEP_AGAIN);
    expect_wait(CONNPOOL_EVENT_READ, 1 + CONFIRM_TIMEOUT);
    serve();
    assert_int_equal(step(connpool_manager.open, 0, 0, CONFIRM_TIMEOUT), CONNPOOL_STEP_AGAIN);
    expect_wait(CONNPOOL_EVENT_READ, 1 + CONFIRM_TIMEOUT);
    assert_int_equal(step(connpool_manager.open, 0, 0, 1 + CONFIRM_TIMEOUT), CONNPOOL_STEP_DONE);
}

/* A13 */
static void a_ticket_is_consent_at_once(void **state)
{
    (void)state;
    ask_for_a_certificate(SSL_VERIFY_PEER, 1);
    assert_int_equal(open_with_server(1), CONNPOOL_STEP_AGAIN);
    serve();
    assert_int_equal(step(connpool_manager.open, 0, CONNPOOL_EVENT_READ, 1), CONNPOOL_STEP_DONE);
}

/* A13: so is a greeting, which stays for the borrower. */
static void a_greeting_is_consent_at_once(void **state)
{
    char text[8] = "";

    (void)state;
    ask_for_a_certificate(SSL_VERIFY_PEER, 0);
    assert_int_equal(open_with_server(1), CONNPOOL_STEP_AGAIN);
    serve();
    assert_int_equal(SSL_write(server, "welcome", 7), 7);
    assert_int_equal(step(connpool_manager.open, 0, CONNPOOL_EVENT_READ, 1), CONNPOOL_STEP_DONE);
    assert_int_equal(SSL_read(connection.ssl, text, sizeof(text) - 1), 7);
    assert_string_equal(text, "welcome");
}

/* A13 */
static void a_refusal_fails_the_open(void **state)
{
    (void)state;
    ask_for_a_certificate(SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, 0);
    assert_int_equal(open_with_server(1), CONNPOOL_STEP_AGAIN);
    serve();
    assert_int_equal(step(connpool_manager.open, 0, CONNPOOL_EVENT_READ, 1), -CONNPOOL_ERROR_AUTHENTICATION);
    assert_non_null(strstr(fault.text, "certificate required"));
}

/* E15: another OpenSSL in the process than the one that the plugin was made for. */
static void another_version_of_the_library_is_refused(void **state)
{
    (void)state;
    loaded_version = OPENSSL_VERSION_MAJOR + 1;
    assert_int_equal(connpool_manager.load(NULL, &fault), -CONNPOOL_ERROR_UNSUPPORTED);
    loaded_version = OPENSSL_VERSION_MAJOR;
    assert_non_null(strstr(fault.text, "OpenSSL"));
}

static int32_t check_alpn(const char *const *names, uint32_t count)
{
    options.alpn = (struct connpool_list){.items = names, .count = count};
    fault = (struct connpool_fault){.size = sizeof(fault)};
    return tls_options_check(&options, &fault);
}

/* RFC 7301, 3.1 */
static void protocols_fit_into_their_extension(void **state)
{
    static const char *const usual[] = {"h2", "http/1.1"};
    static char longest[256];
    const char *const two[] = {longest, "x"};
    unsigned char wire[TLS_ALPN_SIZE];

    (void)state;
    assert_int_equal(check_alpn(usual, 2), 0);
    assert_int_equal(tls_options_alpn(&options, wire), 12);
    assert_memory_equal(wire, "\x02h2\x08http/1.1", 12);
    memset(longest, 'l', 255);
    assert_int_equal(check_alpn(two, 1), 0);
    assert_int_equal(tls_options_alpn(&options, wire), TLS_ALPN_SIZE);
    assert_int_equal(check_alpn(two, 2), -CONNPOOL_ERROR_CONFIGURATION);
    assert_int_equal(check_alpn((const char *const[]){""}, 1), -CONNPOOL_ERROR_CONFIGURATION);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(early_calls_change_nothing),
        TEST(prepare_makes_the_handle_as_it_is_wanted),
        TEST(a_blocking_handle_waits_for_the_application),
        TEST(idle_does_not_wait_on_a_blocking_handle),
        TEST(a_record_sent_in_part_is_seen),
        TEST(a_shutdown_is_seen),
        TEST(another_socket_is_not_taken_for_ours),
        TEST(truncation_is_told_to_the_application),
        TEST(close_does_not_wait_on_a_blocking_handle),
        TEST(an_end_after_each_step),
        TEST(the_servers_silence_is_consent_in_the_end),
        TEST(a_ticket_is_consent_at_once),
        TEST(a_greeting_is_consent_at_once),
        TEST(a_refusal_fails_the_open),
        TEST(another_version_of_the_library_is_refused),
        TEST(protocols_fit_into_their_extension),
    };

    return cmocka_run_group_tests(tests, begin_group, end_group);
}
