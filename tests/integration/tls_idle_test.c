/* SPDX-License-Identifier: MIT */
/* What happens to a TLS connection between two leases: what is a part of its life, what ended it, what its last holder
 * left behind, and how it ends. With the default disposition of SIGPIPE (B15). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_peer.h"
#include "tls_harness.h"

#define WRITES_AFTER_RESET 5
#define GOODBYE_LENGTH     24 /* of TLS 1.3: head, two bytes, the true type, a tag of 16 */

static connpool *context;
static connpool_pool *pool;
static connpool_error cause; /* of the last death */

static void note_dead(void *argument, const struct connpool_event *event)
{
    (void)argument;
    cause = *event->error;
}

static void open_pool(const char *keys)
{
    const struct connpool_observer observer = {.size = sizeof(observer), .dead = note_dead};

    context = tls_harness_open_at(tls_harness.server.port, "", keys);
    pool = harness_pool(context);
    assert_int_equal(connpool_pool_observe(pool, &observer), CONNPOOL_OK);
    cause = (connpool_error){.error_class = 0};
}

static int begin_version(int version)
{
    tls_harness_serve(&(struct server_tls_options){.maximum_version = version});
    open_pool("");
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return begin_version(TLS1_3_VERSION);
}

static int begin_old(void **state)
{
    (void)state;
    return begin_version(TLS1_2_VERSION);
}

static int end(void **state)
{
    (void)state;
    if (context != NULL) {
        harness_close(context);
        context = NULL;
    }
    tls_harness_stop();
    return 0;
}

/* Open a connection, take in its tickets, park it. Its socket. */
static int park_one(void)
{
    connpool_lease lease = harness_acquire(pool, "s");
    int fd = SSL_get_fd(connpool_tls(&lease));

    tls_harness_echo(&lease, "hello");
    harness_release(&lease);
    return fd;
}

/* Wait for the end, whatever comes before it. */
static void await_hangup(int fd)
{
    struct pollfd poll_fd = {.fd = fd};

    assert_int_equal(poll(&poll_fd, 1, HARNESS_LIMIT_MS), 1);
}

/* Wait for as many bytes. */
static void await_bytes(int fd, int count)
{
    int64_t limit = harness_now_ms() + HARNESS_LIMIT_MS;
    int found = 0;

    while (found < count) {
        assert_int_equal(ioctl(fd, FIONREAD, &found), 0);
        assert_true(harness_now_ms() < limit);
        (void)sched_yield();
    }
}

static void expect_reused(void)
{
    connpool_lease lease = harness_acquire(pool, "s");

    assert_int_equal(harness_info(&lease).is_new, 0);
    tls_harness_echo(&lease, "as before");
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).opened, 1);
}

/* The parked connection is dead, of that; the next borrower gets a new one that works. */
static void expect_replaced(int error_class)
{
    connpool_lease lease = harness_acquire(pool, "s");

    assert_int_equal(harness_info(&lease).is_new, 1);
    tls_harness_echo(&lease, "anew");
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    assert_int_equal(harness_statistics(pool).failed, 0);
    if (cause.error_class != error_class) {
        fail_msg("class %s: %s", connpool_error_class_text(cause.error_class), cause.text);
    }
}

/* ---- While it is parked */

static void a_quiet_connection_is_reused(void **state)
{
    (void)state;
    (void)park_one();
    expect_reused();
}

/* A14: neither readable, nor one byte that can be peeked, means dead. */
static void tickets_are_taken_in(void **state)
{
    int fd = park_one();

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        server_tls_send_ticket(&tls_harness.server, 0);
    }
    server_peer_await(fd);
    expect_reused();
}

/* A18: the answer to it goes with the next write. */
static void a_key_update_is_followed(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_update_keys(&tls_harness.server, 0);
    server_peer_await(fd);
    expect_reused();
    server_tls_update_keys(&tls_harness.server, 0);
    server_peer_await(fd);
    expect_reused();
}

/* A18: it is declined (S6), at which the server, being OpenSSL too, gives up: at once, or so soon that the check which
 * declines sees it. */
static void a_renegotiation_is_declined(void **state)
{
    int fd = park_one();
    connpool_lease lease;

    (void)state;
    server_tls_renegotiate(&tls_harness.server, 0);
    server_peer_await(fd);
    lease = harness_acquire(pool, "s");
    harness_release(&lease);
    assert_int_equal(server_tls_await_end(&tls_harness.server, 0), SERVER_TLS_LOST);
    lease = harness_acquire(pool, "s");
    tls_harness_echo(&lease, "anew");
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
}

/* A10 */
static void reset_while_parked(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_reset(&tls_harness.server, 0);
    server_peer_await(fd);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* A10, A14: the tickets before the reset hide it from who looks at the first byte. */
static void reset_behind_tickets(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_send_ticket(&tls_harness.server, 0);
    server_tls_reset(&tls_harness.server, 0);
    await_hangup(fd);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* A15: the socket stays open, writes would succeed. */
static void a_goodbye_while_parked(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_say_goodbye(&tls_harness.server, 0);
    server_peer_await(fd);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* A15, A14, and D43 of the reference's defects */
static void a_goodbye_behind_tickets(void **state)
{
    int fd = park_one();
    int length = 0;

    (void)state;
    server_tls_send_ticket(&tls_harness.server, 0);
    await_bytes(fd, 1);
    assert_int_equal(ioctl(fd, FIONREAD, &length), 0); /* each ticket is as long as the other */
    server_tls_send_ticket(&tls_harness.server, 0);
    server_tls_say_goodbye(&tls_harness.server, 0);
    await_bytes(fd, 2 * length + GOODBYE_LENGTH);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* A16, A11 */
static void truncated_while_parked(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_truncate(&tls_harness.server, 0);
    server_peer_await(fd);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* A20 */
static void data_while_parked(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_send(&tls_harness.server, 0, "for nobody");
    server_peer_await(fd);
    expect_replaced(CONNPOOL_ERROR_PROTOCOL);
}

/* A20: and nothing of it reaches the next borrower, who reads an echo of its own. */
static void data_and_a_goodbye_while_parked(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_send(&tls_harness.server, 0, "for nobody");
    server_tls_say_goodbye(&tls_harness.server, 0);
    server_peer_await(fd);
    expect_replaced(CONNPOOL_ERROR_PROTOCOL);
}

/* A22: those that were parked with it are looked at too. */
static void a_server_that_was_restarted(void **state)
{
    connpool_lease leases[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        leases[i] = harness_acquire(pool, "s");
    }
    for (size_t i = 0; i < 3; i++) {
        harness_release(&leases[i]);
    }
    server_tls_kill(&tls_harness.server);
    server_tls_restart(&tls_harness.server);
    for (size_t i = 0; i < 3; i++) {
        leases[i] = harness_acquire(pool, "s");
        tls_harness_echo(&leases[i], "hello");
    }
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 3);
    assert_int_equal(server_tls_accepted(&tls_harness.server), 3);
    for (size_t i = 0; i < 3; i++) {
        harness_release(&leases[i]);
    }
}

/* ---- What the last holder left */

/* A41: nothing more comes from the socket, OpenSSL has it already. */
static void an_answer_read_in_part(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");
    char byte;

    (void)state;
    assert_int_equal(SSL_write(connpool_tls(&lease), "question", 8), 8);
    assert_int_equal(SSL_read(connpool_tls(&lease), &byte, 1), 1);
    harness_release(&lease);
    expect_replaced(CONNPOOL_ERROR_PROTOCOL);
}

/* A41 */
static void an_answer_not_read(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");
    int fd = SSL_get_fd(connpool_tls(&lease));

    (void)state;
    tls_harness_echo(&lease, "hello");
    assert_int_equal(SSL_write(connpool_tls(&lease), "question", 8), 8);
    harness_release(&lease);
    server_peer_await(fd);
    expect_replaced(CONNPOOL_ERROR_PROTOCOL);
}

/* The rest of the record would be sent in front of the next borrower's first. */
static void a_record_sent_in_part(void **state)
{
    static char much[1 << 20];
    connpool_lease lease = harness_acquire(pool, "s");
    SSL *ssl = connpool_tls(&lease);

    (void)state;
    tls_harness_echo(&lease, "hello");
    server_tls_hold(&tls_harness.server, true);
    assert_int_equal(fcntl(SSL_get_fd(ssl), F_SETFL, O_NONBLOCK), 0);
    while (SSL_write(ssl, much, sizeof(much)) > 0) {
    }
    assert_int_equal(SSL_get_error(ssl, -1), SSL_ERROR_WANT_WRITE);
    assert_int_equal(fcntl(SSL_get_fd(ssl), F_SETFL, 0), 0);
    harness_release(&lease);
    server_tls_hold(&tls_harness.server, false);
    expect_replaced(CONNPOOL_ERROR_PROTOCOL);
}

static void a_session_that_was_shut_down(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");

    (void)state;
    tls_harness_echo(&lease, "hello");
    assert_int_equal(SSL_shutdown(connpool_tls(&lease)), 0);
    harness_release(&lease);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* B25: neither read nor written to, nor closed. */
static void a_descriptor_that_is_no_longer_ours(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");
    int fd = SSL_get_fd(connpool_tls(&lease));
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)state;
    assert_int_equal(dup2(other, fd), fd);
    harness_release(&lease);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    (void)close(fd);
    (void)close(other);
}

static void a_bio_that_is_no_longer_ours(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");
    SSL *ssl = connpool_tls(&lease);

    (void)state;
    assert_int_equal(SSL_set_fd(ssl, SSL_get_fd(ssl)), 1);
    harness_release(&lease);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* S5: what other code of this thread left in OpenSSL's error queue is no error of ours. */
static void errors_of_others_mean_nothing(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_say_goodbye(&tls_harness.server, 0);
    server_peer_await(fd);
    ERR_raise(ERR_LIB_USER, 1);
    expect_replaced(CONNPOOL_ERROR_CLOSED);
}

/* ---- The end */

static enum server_tls_state close_and_look(void)
{
    harness_close(context);
    context = NULL;
    return server_tls_await_end(&tls_harness.server, 0);
}

/* D47 of the reference's defects */
static void the_goodbye_arrives(void **state)
{
    (void)state;
    (void)park_one();
    assert_int_equal(close_and_look(), SERVER_TLS_GOODBYE);
}

/* Unread bytes in a socket make its close a reset, which overtakes what was sent. */
static void the_goodbye_arrives_though_tickets_were_unread(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");
    int fd = SSL_get_fd(connpool_tls(&lease));

    (void)state;
    server_peer_await(fd);
    harness_release(&lease);
    assert_int_equal(close_and_look(), SERVER_TLS_GOODBYE);
}

static void no_goodbye_of_a_discarded_connection(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");

    (void)state;
    tls_harness_echo(&lease, "hello");
    harness_discard(&lease);
    assert_int_equal(server_tls_await_end(&tls_harness.server, 0), SERVER_TLS_TRUNCATED);
}

/* The one step of a close that gets no other. */
static void an_evicted_connection_says_goodbye(void **state)
{
    connpool_lease lease;

    (void)state;
    harness_close(context);
    open_pool(", \"max_size\": 1, \"total_max_size\": 1");
    (void)park_one();
    lease = harness_acquire(pool, tls_harness.server.listener.endpoint);
    assert_int_equal(server_tls_await_end(&tls_harness.server, 0), SERVER_TLS_GOODBYE);
    harness_release(&lease);
}

/* A server that reads nothing holds up no close. */
static void a_deaf_server_holds_up_nothing(void **state)
{
    int64_t begin_ms;

    (void)state;
    (void)park_one();
    server_tls_hold(&tls_harness.server, true);
    begin_ms = harness_now_ms();
    harness_close(context);
    context = NULL;
    assert_true(harness_now_ms() - begin_ms < HARNESS_LIMIT_MS / 2);
}

/* B15: the server resets; the application writes on, then gives the connection back, and it is closed. */
static void writing_to_a_lost_connection_raises_nothing(void **state)
{
    connpool_lease lease = harness_acquire(pool, "s");
    int fd = SSL_get_fd(connpool_tls(&lease));
    int failed = 0;

    (void)state;
    tls_harness_echo(&lease, "hello");
    server_tls_reset(&tls_harness.server, 0);
    server_peer_await(fd);
    for (int i = 0; i < WRITES_AFTER_RESET; i++) {
        failed += SSL_write(connpool_tls(&lease), "x", 1) <= 0;
    }
    assert_true(failed > 0);
    (void)SSL_shutdown(connpool_tls(&lease));
    harness_release(&lease);
}

/* B15: nobody has noticed yet. */
static void closing_a_lost_connection_raises_nothing(void **state)
{
    int fd = park_one();

    (void)state;
    server_tls_reset(&tls_harness.server, 0);
    server_peer_await(fd);
    harness_close(context);
    context = NULL;
}

/* B9: the child says nothing, and the parent's session goes on. */
static void a_forked_child_does_no_harm(void **state)
{
    int status;
    pid_t child;

    (void)state;
    (void)park_one();
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        connpool_lease lease;

        _exit(connpool_acquire(pool, "s", 0, &lease, NULL) == CONNPOOL_FORKED &&
                      connpool_close(context, 0, NULL) == CONNPOOL_FORKED
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect_reused();
}

int main(void)
{
#define TEST(name)     cmocka_unit_test_setup_teardown(name, begin, end)
#define OLD_TEST(name) cmocka_unit_test_setup_teardown(name, begin_old, end)
    const struct CMUnitTest tests[] = {
        TEST(a_quiet_connection_is_reused),
        TEST(tickets_are_taken_in),
        TEST(a_key_update_is_followed),
        TEST(reset_while_parked),
        TEST(reset_behind_tickets),
        TEST(a_goodbye_while_parked),
        TEST(a_goodbye_behind_tickets),
        TEST(truncated_while_parked),
        TEST(data_while_parked),
        TEST(data_and_a_goodbye_while_parked),
        TEST(a_server_that_was_restarted),
        TEST(an_answer_read_in_part),
        TEST(an_answer_not_read),
        TEST(a_record_sent_in_part),
        TEST(a_session_that_was_shut_down),
        TEST(a_descriptor_that_is_no_longer_ours),
        TEST(a_bio_that_is_no_longer_ours),
        TEST(errors_of_others_mean_nothing),
        TEST(the_goodbye_arrives),
        TEST(the_goodbye_arrives_though_tickets_were_unread),
        TEST(no_goodbye_of_a_discarded_connection),
        TEST(an_evicted_connection_says_goodbye),
        TEST(a_deaf_server_holds_up_nothing),
        TEST(writing_to_a_lost_connection_raises_nothing),
        TEST(closing_a_lost_connection_raises_nothing),
        TEST(a_forked_child_does_no_harm),
    };
    const struct CMUnitTest old_tests[] = {
        OLD_TEST(a_quiet_connection_is_reused),
        OLD_TEST(a_renegotiation_is_declined),
        OLD_TEST(reset_while_parked),
        OLD_TEST(a_goodbye_while_parked),
        OLD_TEST(truncated_while_parked),
        OLD_TEST(data_while_parked),
        OLD_TEST(an_answer_read_in_part),
        OLD_TEST(the_goodbye_arrives),
        OLD_TEST(closing_a_lost_connection_raises_nothing),
    };
    int failed = cmocka_run_group_tests(tests, tls_harness_begin, tls_harness_end);

    return failed + cmocka_run_group_tests(old_tests, tls_harness_begin, tls_harness_end);
}
