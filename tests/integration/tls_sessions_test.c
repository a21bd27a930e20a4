/* SPDX-License-Identifier: MIT */
/* Sessions that the manager tls resumes, as both sides count them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_peer.h"
#include "tls_harness.h"

#define KEPT_BY_DEFAULT 8

static const struct connpool_tls_information *information(const connpool_lease *lease)
{
    const struct connpool_tls_information *found = connpool_tls_information(lease);

    assert_non_null(found);
    assert_int_equal(found->size, sizeof(*found));
    return found;
}

/* Open a connection, use it (which takes its tickets in), and throw it away: whether it was resumed. */
static unsigned open_and_discard(connpool_pool *pool)
{
    connpool_lease lease = harness_acquire(pool, "s");
    unsigned was_resumed = information(&lease)->is_resumed;

    assert_int_equal(SSL_session_reused(connpool_tls(&lease)), was_resumed);
    tls_harness_echo(&lease, "hello");
    harness_discard(&lease);
    return was_resumed;
}

static void later_connections_are_resumed(int version)
{
    connpool *context;
    connpool_lease lease;

    tls_harness_serve(&(struct server_tls_options){.maximum_version = version});
    context = tls_harness_open("");
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(open_and_discard(harness_pool(context)), i > 0);
    }
    assert_int_equal(server_tls_full(&tls_harness.server), 1);
    assert_int_equal(server_tls_resumed(&tls_harness.server), 4);
    lease = harness_acquire(harness_pool(context), "s");
    assert_int_equal(information(&lease)->full_handshakes, 1);
    assert_int_equal(information(&lease)->resumed_handshakes, 5);
    harness_release(&lease);
    harness_close(context);
    tls_harness_stop();
}

static void resumed_in_tls_1_3(void **state)
{
    (void)state;
    later_connections_are_resumed(TLS1_3_VERSION);
}

static void resumed_in_tls_1_2(void **state)
{
    (void)state;
    later_connections_are_resumed(TLS1_2_VERSION);
}

/* One connection and its session's tickets; then two at once, before these had tickets of their own. */
static void two_at_once(int version, unsigned resumed)
{
    connpool *context;
    connpool_lease leases[2];

    tls_harness_serve(&(struct server_tls_options){.maximum_version = version, .has_tickets = true, .tickets = 1});
    context = tls_harness_open("");
    (void)open_and_discard(harness_pool(context));
    for (size_t i = 0; i < 2; i++) {
        leases[i] = harness_acquire(harness_pool(context), "s");
    }
    assert_int_equal(information(&leases[0])->is_resumed + information(&leases[1])->is_resumed, resumed);
    for (size_t i = 0; i < 2; i++) {
        tls_harness_echo(&leases[i], "hello");
        harness_release(&leases[i]);
    }
    harness_close(context);
    tls_harness_stop();
}

/* RFC 8446, C.4 */
static void a_ticket_of_tls_1_3_is_used_once(void **state)
{
    (void)state;
    two_at_once(TLS1_3_VERSION, 1);
}

static void a_session_of_tls_1_2_is_used_again(void **state)
{
    (void)state;
    two_at_once(TLS1_2_VERSION, 2);
}

/* A14: as many as the server gives, but not more than are wanted. */
static void the_number_of_tickets_is_the_servers(void **state)
{
    static const unsigned given[] = {0, 2, 16};

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        unsigned kept = given[i] < KEPT_BY_DEFAULT ? given[i] : KEPT_BY_DEFAULT;
        connpool_lease lease;
        connpool *context;

        tls_harness_serve(&(struct server_tls_options){.has_tickets = true, .tickets = given[i]});
        context = tls_harness_open("");
        lease = harness_acquire(harness_pool(context), "s");
        tls_harness_echo(&lease, "hello");
        assert_int_equal(information(&lease)->sessions, kept);
        harness_release(&lease);
        harness_close(context);
        tls_harness_stop();
    }
}

/* A14: nobody reads on a connection that was opened and parked, its next check does. */
static void tickets_of_a_parked_connection_are_taken_in(void **state)
{
    connpool *context;
    connpool_lease lease;
    int fd;

    (void)state;
    tls_harness_serve(NULL);
    context = tls_harness_open("");
    lease = harness_acquire(harness_pool(context), "s");
    fd = SSL_get_fd(connpool_tls(&lease));
    harness_release(&lease);
    server_peer_await(fd);
    lease = harness_acquire(harness_pool(context), "s");
    assert_int_equal(SSL_get_fd(connpool_tls(&lease)), fd);
    assert_int_equal(harness_info(&lease).is_new, 0);
    assert_true(information(&lease)->sessions > 0);
    tls_harness_echo(&lease, "hello");
    harness_release(&lease);
    harness_close(context);
    tls_harness_stop();
}

static void resumption_can_be_switched_off(void **state)
{
    connpool *context;

    (void)state;
    tls_harness_serve(NULL);
    context = tls_harness_open(", \"sessions\": 0");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(open_and_discard(harness_pool(context)), 0);
    }
    assert_int_equal(server_tls_full(&tls_harness.server), 3);
    harness_close(context);
    tls_harness_stop();
}

/* C21: what was proven to one endpoint is nothing to another, though the server is the same. */
static void endpoints_share_no_sessions(void **state)
{
    connpool *context;
    connpool_lease lease;

    (void)state;
    tls_harness_serve(NULL);
    context = tls_harness_open("");
    (void)open_and_discard(harness_pool(context));
    lease = harness_acquire(harness_pool(context), tls_harness.server.listener.endpoint);
    assert_int_equal(information(&lease)->is_resumed, 0);
    assert_int_equal(information(&lease)->full_handshakes, 1);
    harness_release(&lease);
    harness_close(context);
    tls_harness_stop();
}

/* A21: tickets that the server gave before it was restarted are as good as those of today. */
static void sessions_outlive_a_restart(void **state)
{
    connpool *context;

    (void)state;
    tls_harness_serve(NULL);
    context = tls_harness_open("");
    tls_harness_use(harness_pool(context));
    server_tls_kill(&tls_harness.server);
    server_tls_restart(&tls_harness.server);
    tls_harness_use(harness_pool(context));
    assert_int_equal(server_tls_accepted(&tls_harness.server), 1);
    assert_int_equal(server_tls_resumed(&tls_harness.server), 1);
    assert_int_equal(harness_statistics(harness_pool(context)).ended[CONNPOOL_REASON_DEAD], 1);
    harness_close(context);
    tls_harness_stop();
}

/* The server's certificate is not shown again: a session is of no more use once it is over. */
static void a_session_ends_with_its_certificate(void **state)
{
    const struct certificate_request over = {.begins = -2 * CERTIFICATES_HOUR, .ends = -CERTIFICATES_HOUR};
    connpool *context;

    (void)state;
    certificates_issue(&tls_harness.certificates, "over", &over);
    tls_harness_serve(&(struct server_tls_options){.certificate = "over"});
    context = tls_harness_open(", \"insecure_no_verification\": true");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(open_and_discard(harness_pool(context)), 0);
    }
    harness_close(context);
    tls_harness_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumed_in_tls_1_3),
        cmocka_unit_test(resumed_in_tls_1_2),
        cmocka_unit_test(a_ticket_of_tls_1_3_is_used_once),
        cmocka_unit_test(a_session_of_tls_1_2_is_used_again),
        cmocka_unit_test(the_number_of_tickets_is_the_servers),
        cmocka_unit_test(tickets_of_a_parked_connection_are_taken_in),
        cmocka_unit_test(resumption_can_be_switched_off),
        cmocka_unit_test(endpoints_share_no_sessions),
        cmocka_unit_test(sessions_outlive_a_restart),
        cmocka_unit_test(a_session_ends_with_its_certificate),
    };

    return cmocka_run_group_tests(tests, tls_harness_begin, tls_harness_end);
}
