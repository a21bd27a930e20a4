/* SPDX-License-Identifier: MIT */
/*
 * A12: peers that vanished without a word. The options are on the socket, and they end what is half open. The kernel's
 * timers of one second and more are the subject here, so some tests take that long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "server_listener.h"
#include "server_peer.h"

static struct server_listener listener;

static int begin(void **state)
{
    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 16);
    return 0;
}

static int end(void **state)
{
    (void)state;
    server_listener_close(&listener);
    return 0;
}

static connpool *open_with(const char *options)
{
    return harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\", \"options\": {%s}}}}", options);
}

static void the_defaults_are_on_the_socket(void **state)
{
    connpool *context = open_with("");
    connpool_lease lease = harness_acquire(harness_pool(context), listener.endpoint);
    int fd = connpool_tcp(&lease);

    (void)state;
    assert_int_equal(server_peer_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 90000);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    harness_release(&lease);
    harness_close(context);
}

static void the_options_are_on_the_socket(void **state)
{
    connpool *context = open_with("\"keepalive_idle\": 7, \"keepalive_interval\": 2.5, \"keepalive_count\": 4,"
                                  " \"user_timeout\": 1.5, \"no_delay\": false");
    connpool_lease lease = harness_acquire(harness_pool(context), listener.endpoint);
    int fd = connpool_tcp(&lease);

    (void)state;
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 3);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1500);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    harness_release(&lease);
    harness_close(context);
}

static void no_keep_alive_where_it_is_not_wanted(void **state)
{
    connpool *context = open_with("\"keepalive_idle\": 0, \"user_timeout\": 0");
    connpool_lease lease = harness_acquire(harness_pool(context), listener.endpoint);
    int fd = connpool_tcp(&lease);

    (void)state;
    assert_int_equal(server_peer_option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    harness_release(&lease);
    harness_close(context);
}

/* The peer vanishes while the connection is parked: its probes are not answered, and the next borrower gets a new one.
 */
static void a_parked_connection_whose_peer_vanished(void **state)
{
    connpool *context;
    connpool_pool *pool;
    connpool_lease lease;
    int peer;
    int fd;

    (void)state;
    if (!server_peer_can_mute()) {
        skip(); /* this user may not filter */
    }
    context = open_with("\"keepalive_idle\": 1, \"keepalive_interval\": 1, \"keepalive_count\": 1");
    pool = harness_pool(context);
    lease = harness_acquire(pool, listener.endpoint);
    peer = server_listener_accept(&listener);
    server_peer_mute(peer);
    fd = connpool_tcp(&lease);
    harness_release(&lease);
    server_peer_await(fd);
    lease = harness_acquire(pool, listener.endpoint);
    assert_int_equal(harness_info(&lease).is_new, 1);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    harness_release(&lease);
    harness_close(context);
    (void)close(peer);
}

/* It vanishes under a borrower, whose data is never acknowledged: the read ends by user_timeout, not after 15 minutes.
 */
static void a_leased_connection_whose_peer_vanished(void **state)
{
    connpool *context;
    connpool_lease lease;
    int64_t begin_ms;
    char byte;
    int peer;

    (void)state;
    if (!server_peer_can_mute()) {
        skip(); /* this user may not filter */
    }
    context = open_with("\"user_timeout\": 0.5");
    lease = harness_acquire(harness_pool(context), listener.endpoint);
    peer = server_listener_accept(&listener);
    server_peer_mute(peer);
    begin_ms = harness_now_ms();
    server_peer_send(connpool_tcp(&lease), "question");
    assert_int_equal(recv(connpool_tcp(&lease), &byte, 1, 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(harness_now_ms() - begin_ms < HARNESS_LIMIT_MS);
    harness_discard(&lease);
    harness_close(context);
    (void)close(peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_defaults_are_on_the_socket),          TEST(the_options_are_on_the_socket),
        TEST(no_keep_alive_where_it_is_not_wanted),    TEST(a_parked_connection_whose_peer_vanished),
        TEST(a_leased_connection_whose_peer_vanished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
