/* SPDX-License-Identifier: MIT */
/*
 * Servers that do wrong to a connection that is open: while it is parked and while it is leased. The test plays the
 * server; each case runs without and with the background collector, whose loop must not change what a borrower sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "server_echo.h"
#include "server_listener.h"
#include "server_peer.h"

static struct server_listener listener;
static connpool *context;
static connpool_pool *pool;

static void open_context(const char *collector)
{
    server_listener_open(&listener, "127.0.0.1", 0, 64);
    context = harness_open(
        "{\"pools\": {\"p\": {\"manager\": \"tcp\", \"background_collector\": %s, \"min_idle\": 4}}}", collector);
    pool = harness_pool(context);
}

static int begin(void **state)
{
    (void)state;
    open_context("false");
    return 0;
}

static int begin_with_collector(void **state)
{
    (void)state;
    open_context("true");
    return 0;
}

static int end(void **state)
{
    (void)state;
    harness_close(context);
    server_listener_close(&listener);
    return 0;
}

/* Park one connection; its server's end, and in *fd our own. */
static int park_one(int *fd)
{
    connpool_lease lease = harness_acquire(pool, listener.endpoint);
    int peer = server_listener_accept(&listener);

    *fd = connpool_tcp(&lease);
    harness_release(&lease);
    return peer;
}

/* The parked connection is dead: the next borrower gets a new one that works. */
static void expect_replaced(void)
{
    connpool_lease lease = harness_acquire(pool, listener.endpoint);
    int peer = server_listener_accept(&listener);

    assert_int_equal(harness_info(&lease).is_new, 1);
    assert_int_equal(harness_info(&lease).id, 2);
    server_peer_send(peer, "welcome");
    server_peer_expect(connpool_tcp(&lease), "welcome");
    harness_release(&lease);
    (void)close(peer);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    assert_int_equal(harness_statistics(pool).failed, 0);
}

static void a_silent_connection_is_reused(void **state)
{
    int fd;
    int peer = park_one(&fd);
    connpool_lease lease = harness_acquire(pool, listener.endpoint);

    (void)state;
    assert_int_equal(harness_info(&lease).is_new, 0);
    assert_int_equal(connpool_tcp(&lease), fd);
    harness_release(&lease);
    (void)close(peer);
}

/* A10 */
static void reset_while_parked(void **state)
{
    int fd;
    int peer = park_one(&fd);

    (void)state;
    server_peer_reset(peer);
    server_peer_await(fd);
    expect_replaced();
}

/* A11 */
static void closed_while_parked(void **state)
{
    int fd;
    int peer = park_one(&fd);

    (void)state;
    (void)close(peer);
    server_peer_await(fd);
    expect_replaced();
}

/* A11: the server says that no more will come, but would still read. */
static void half_closed_while_parked(void **state)
{
    int fd;
    int peer = park_one(&fd);

    (void)state;
    server_peer_half_close(peer);
    server_peer_await(fd);
    expect_replaced();
    (void)close(peer);
}

/* A20 */
static void one_byte_while_parked(void **state)
{
    int fd;
    int peer = park_one(&fd);

    (void)state;
    server_peer_send(peer, "x");
    server_peer_await(fd);
    expect_replaced();
    (void)close(peer);
}

/* A20: data, and the end behind it. */
static void a_farewell_while_parked(void **state)
{
    int fd;
    int peer = park_one(&fd);

    (void)state;
    server_peer_send(peer, "idle for too long\n");
    (void)close(peer);
    server_peer_await(fd);
    expect_replaced();
}

struct seen {
    unsigned dead;
    connpool_error error;
};

static void see_dead(void *argument, const struct connpool_event *event)
{
    struct seen *seen = argument;

    seen->dead++;
    seen->error = *event->error;
}

/* The observer is told of what kind of death it was. */
static void the_cause_of_death_is_told(void **state)
{
    struct seen seen = {.dead = 0};
    const struct connpool_observer observer = {.size = sizeof(observer), .argument = &seen, .dead = see_dead};
    int fd;
    int peer;

    (void)state;
    assert_int_equal(connpool_pool_observe(pool, &observer), CONNPOOL_OK);
    peer = park_one(&fd);
    server_peer_send(peer, "x");
    server_peer_await(fd);
    expect_replaced();
    assert_int_equal(seen.dead, 1);
    assert_int_equal(seen.error.error_class, CONNPOOL_ERROR_PROTOCOL);
    (void)close(peer);
}

/* Only the one that died is replaced: the others are looked at and kept. */
static void the_others_live_on(void **state)
{
    connpool_lease leases[3];
    int peers[3];
    int fd;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        leases[i] = harness_acquire(pool, listener.endpoint);
        peers[i] = server_listener_accept(&listener);
    }
    fd = connpool_tcp(&leases[1]);
    for (size_t i = 0; i < 3; i++) {
        harness_release(&leases[i]);
    }
    server_peer_reset(peers[1]);
    server_peer_await(fd);
    for (size_t i = 0; i < 3; i++) {
        leases[i] = harness_acquire(pool, listener.endpoint);
    }
    assert_int_equal(harness_statistics(pool).opened, 4);
    assert_int_equal(harness_statistics(pool).reused, 2);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    for (size_t i = 0; i < 3; i++) {
        harness_release(&leases[i]);
    }
    (void)close(peers[0]);
    (void)close(peers[2]);
}

/* The server accepts and resets: the connection was open for the kernel, so the borrower meets it. */
static void reset_right_after_accept(void **state)
{
    connpool_lease lease = harness_acquire(pool, listener.endpoint);
    char byte;

    (void)state;
    server_peer_reset(server_listener_accept(&listener));
    server_peer_await(connpool_tcp(&lease));
    assert_int_equal(recv(connpool_tcp(&lease), &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    harness_discard(&lease);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DISCARDED], 1);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 0);
}

/* A41: the borrower gives up on an answer and discards; when it comes nobody takes it for another one's. */
static void a_late_answer_reaches_nobody(void **state)
{
    connpool_lease lease = harness_acquire(pool, listener.endpoint);
    int peer = server_listener_accept(&listener);
    int other;

    (void)state;
    server_peer_send(connpool_tcp(&lease), "question one");
    server_peer_expect(peer, "question one");
    harness_discard(&lease);
    lease = harness_acquire(pool, listener.endpoint);
    other = server_listener_accept(&listener);
    (void)send(peer, "answer one", 10, MSG_NOSIGNAL);
    server_peer_send(connpool_tcp(&lease), "question two");
    server_peer_expect(other, "question two");
    server_peer_send(other, "answer two");
    server_peer_expect(connpool_tcp(&lease), "answer two");
    harness_release(&lease);
    (void)close(peer);
    (void)close(other);
}

/* A41, A20: it releases where it should have discarded; the late answer is noticed all the same. */
static void a_late_answer_to_a_released_connection_reaches_nobody(void **state)
{
    connpool_lease lease = harness_acquire(pool, listener.endpoint);
    int peer = server_listener_accept(&listener);
    int fd = connpool_tcp(&lease);

    (void)state;
    server_peer_send(fd, "question one");
    harness_release(&lease);
    server_peer_send(peer, "answer one");
    server_peer_await(fd);
    expect_replaced();
    (void)close(peer);
}

#define SLOW_BORROWERS 8

struct borrower {
    connpool_pool *pool;
    const char *endpoint;
    unsigned answered, gave_up, failed;
};

/* Ask three times; give up on an answer after a short time, as an application's own time limit does. */
static void *ask(void *argument)
{
    struct borrower *borrower = argument;

    for (int i = 0; i < 3; i++) {
        struct pollfd poll_fd = {.events = POLLIN};
        connpool_lease lease;
        char byte;

        if (connpool_acquire(borrower->pool, borrower->endpoint, HARNESS_LIMIT_MS, &lease, NULL) != CONNPOOL_OK) {
            borrower->failed++;
            continue;
        }
        poll_fd.fd = connpool_tcp(&lease);
        (void)send(poll_fd.fd, "q", 1, MSG_NOSIGNAL);
        if (poll(&poll_fd, 1, 30) == 1 && recv(poll_fd.fd, &byte, 1, 0) == 1) {
            borrower->answered++;
            (void)connpool_release(&lease);
        } else {
            borrower->gave_up++;
            (void)connpool_discard(&lease);
        }
    }
    return NULL;
}

/* A40: a server that is slow, not dead. Nobody hangs, and when it is quick again so is everybody. */
static void a_server_that_is_slow_for_a_while(void **state)
{
    struct borrower slow[SLOW_BORROWERS];
    pthread_t threads[SLOW_BORROWERS];
    struct server_echo echo;
    char endpoint[32];

    (void)state;
    server_echo_start(&echo);
    memcpy(endpoint, echo.listener.endpoint, sizeof(endpoint));
    server_echo_hold(&echo, true);
    for (size_t i = 0; i < SLOW_BORROWERS; i++) {
        slow[i] = (struct borrower){.pool = pool, .endpoint = endpoint};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &slow[i]), 0);
    }
    for (size_t i = 0; i < SLOW_BORROWERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(slow[i].gave_up, 3);
    }
    assert_int_equal(harness_statistics(pool).leased, 0);
    server_echo_hold(&echo, false);
    for (int i = 0; i < 3; i++) {
        connpool_lease lease = harness_acquire(pool, endpoint);

        server_peer_send(connpool_tcp(&lease), "question");
        server_peer_expect(connpool_tcp(&lease), "question");
        assert_int_equal(harness_info(&lease).is_new, i == 0);
        harness_release(&lease);
    }
    server_echo_kill(&echo);
}

#define TEST(name)                                                                                                     \
    cmocka_unit_test_setup_teardown(name, begin, end), cmocka_unit_test_setup_teardown(name, begin_with_collector, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_silent_connection_is_reused),
        TEST(reset_while_parked),
        TEST(closed_while_parked),
        TEST(half_closed_while_parked),
        TEST(one_byte_while_parked),
        TEST(a_farewell_while_parked),
        TEST(the_cause_of_death_is_told),
        TEST(the_others_live_on),
        TEST(reset_right_after_accept),
        TEST(a_late_answer_reaches_nobody),
        TEST(a_late_answer_to_a_released_connection_reaches_nobody),
        TEST(a_server_that_is_slow_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
