/* SPDX-License-Identifier: MIT */
/* The life of connections, pools and contexts as the server sees it: what is opened, kept and closed, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "server_listener.h"
#include "server_peer.h"

static struct server_listener listener;
static connpool *context; /* NULL: the test closed it */
static connpool_pool *pool;

static void open_context(const char *collector)
{
    server_listener_open(&listener, "127.0.0.1", 0, 64);
    context = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\", \"background_collector\": %s, \"max_size\": 2,"
                           " \"total_max_size\": 2}}}",
                           collector);
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

/* The connection was closed in order: its end comes, nothing before it. */
static void expect_closed(int peer)
{
    char byte;

    server_peer_await(peer);
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
    (void)close(peer);
}

static int is_open(int peer)
{
    char byte;

    return recv(peer, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static void a_drained_pool_closes_what_is_idle_now_and_what_is_leased_later(void **state)
{
    connpool_lease leased = harness_acquire(pool, listener.endpoint);
    int leased_peer = server_listener_accept(&listener);
    connpool_lease idle = harness_acquire(pool, listener.endpoint);
    int idle_peer = server_listener_accept(&listener);

    (void)state;
    harness_release(&idle);
    connpool_pool_drain(pool);
    expect_closed(idle_peer);
    assert_true(is_open(leased_peer));
    harness_release(&leased);
    expect_closed(leased_peer);
    leased = harness_acquire(pool, listener.endpoint);
    assert_int_equal(harness_info(&leased).is_new, 1);
    harness_release(&leased);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DRAINED], 2);
}

static void closing_closes_what_is_idle_and_leaves_what_is_leased(void **state)
{
    connpool_lease leased = harness_acquire(pool, listener.endpoint);
    int leased_peer = server_listener_accept(&listener);
    connpool_lease idle = harness_acquire(pool, listener.endpoint);
    int idle_peer = server_listener_accept(&listener);
    size_t still_leased = 0;

    (void)state;
    harness_release(&idle);
    assert_int_equal(connpool_close(context, 0, &still_leased), CONNPOOL_STILL_LEASED);
    context = NULL;
    assert_int_equal(still_leased, 1);
    expect_closed(idle_peer);
    server_peer_send(connpool_tcp(&leased), "still here");
    server_peer_expect(leased_peer, "still here");
    harness_release(&leased);
    expect_closed(leased_peer);
    assert_int_equal(connpool_release(&leased), CONNPOOL_STALE);
}

static void *wait_for_a_connection(void *argument)
{
    connpool_status *status = argument;
    connpool_lease lease;

    *status = connpool_acquire(pool, listener.endpoint, CONNPOOL_WAIT_FOREVER, &lease, NULL);
    return NULL;
}

static void closing_wakes_who_waits(void **state)
{
    connpool_lease leases[2];
    connpool_status status = CONNPOOL_OK;
    pthread_t thread;

    (void)state;
    leases[0] = harness_acquire(pool, listener.endpoint);
    leases[1] = harness_acquire(pool, listener.endpoint);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_connection, &status), 0);
    while (harness_statistics(pool).waiters == 0) {
        (void)sched_yield();
    }
    assert_int_equal(connpool_close(context, 0, NULL), CONNPOOL_STILL_LEASED);
    context = NULL;
    (void)pthread_join(thread, NULL);
    assert_int_equal(status, CONNPOOL_CLOSED);
    harness_release(&leases[0]);
    harness_discard(&leases[1]);
}

/* The pool is full of another endpoint's idle connections: the one due soonest makes room, and its server sees it. */
static void an_idle_connection_makes_room_for_another_endpoint(void **state)
{
    struct server_listener other;
    connpool_lease leases[2];
    connpool_lease lease;
    int peers[2];

    (void)state;
    server_listener_open(&other, "127.0.0.1", 0, 8);
    for (int i = 0; i < 2; i++) {
        leases[i] = harness_acquire(pool, listener.endpoint);
        peers[i] = server_listener_accept(&listener);
    }
    harness_release(&leases[0]);
    lease = harness_acquire(pool, other.endpoint);
    expect_closed(peers[0]);
    assert_true(is_open(peers[1]));
    harness_release(&lease);
    harness_release(&leases[1]);
    (void)close(peers[1]);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_EVICTED], 1);
    server_listener_close(&other);
}

/* A limit of 0 takes what is there, leaves what is dead, opens nothing. */
static void trying_takes_only_what_is_there(void **state)
{
    connpool_endpoint *endpoint = NULL;
    connpool_lease lease;
    int peer;
    int fd;

    (void)state;
    assert_int_equal(connpool_endpoint_get(pool, listener.endpoint, &endpoint, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_try_acquire(endpoint, &lease, NULL), CONNPOOL_TIMED_OUT);
    assert_false(server_listener_has_pending(&listener));
    assert_int_equal(connpool_endpoint_acquire(endpoint, HARNESS_LIMIT_MS, &lease, NULL), CONNPOOL_OK);
    peer = server_listener_accept(&listener);
    fd = connpool_tcp(&lease);
    harness_release(&lease);
    assert_int_equal(connpool_try_acquire(endpoint, &lease, NULL), CONNPOOL_OK);
    harness_release(&lease);
    server_peer_reset(peer);
    server_peer_await(fd);
    assert_int_equal(connpool_try_acquire(endpoint, &lease, NULL), CONNPOOL_TIMED_OUT);
    assert_false(server_listener_has_pending(&listener));
    connpool_endpoint_put(endpoint);
}

/* Of several endpoints the first that can be connected to serves, and later the one that has an idle connection. */
static void any_of_several_endpoints(void **state)
{
    struct server_listener deaf;
    connpool_endpoint *endpoints[2];
    connpool_lease lease;

    (void)state;
    server_listener_open_deaf(&deaf);
    assert_int_equal(connpool_endpoint_get(pool, deaf.endpoint, &endpoints[0], NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(pool, listener.endpoint, &endpoints[1], NULL), CONNPOOL_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(connpool_acquire_any(endpoints, 2, HARNESS_LIMIT_MS, &lease, NULL), CONNPOOL_OK);
        assert_string_equal(harness_info(&lease).endpoint, listener.endpoint);
        assert_int_equal(harness_info(&lease).is_new, i == 0);
        harness_release(&lease);
        assert_int_equal(listen(deaf.fd, 8), 0);
    }
    assert_false(server_listener_has_pending(&deaf));
    connpool_endpoint_put(endpoints[0]);
    connpool_endpoint_put(endpoints[1]);
    server_listener_close(&deaf);
}

/* All of several fail: so does the acquire, with a cause. */
static void none_of_several_endpoints(void **state)
{
    struct server_listener deaf[2];
    connpool_endpoint *endpoints[2];
    connpool_error error = {.text = ""};
    connpool_lease lease;

    (void)state;
    for (int i = 0; i < 2; i++) {
        server_listener_open_deaf(&deaf[i]);
        assert_int_equal(connpool_endpoint_get(pool, deaf[i].endpoint, &endpoints[i], NULL), CONNPOOL_OK);
    }
    assert_int_equal(connpool_acquire_any(endpoints, 2, HARNESS_LIMIT_MS, &lease, &error), CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_REFUSED);
    for (int i = 0; i < 2; i++) {
        connpool_endpoint_put(endpoints[i]);
        server_listener_close(&deaf[i]);
    }
}

static void a_second_release_does_nothing(void **state)
{
    connpool_lease lease = harness_acquire(pool, listener.endpoint);
    connpool_lease copy = lease;
    connpool_lease next;

    (void)state;
    harness_release(&lease);
    next = harness_acquire(pool, listener.endpoint);
    assert_int_equal(connpool_release(&copy), CONNPOOL_STALE);
    assert_int_equal(connpool_tcp(&copy), -1);
    assert_int_equal(connpool_lease_valid(&next), 1);
    assert_true(connpool_tcp(&next) >= 0);
    harness_release(&next);
}

#define TEST(name)                                                                                                     \
    cmocka_unit_test_setup_teardown(name, begin, end), cmocka_unit_test_setup_teardown(name, begin_with_collector, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_drained_pool_closes_what_is_idle_now_and_what_is_leased_later),
        TEST(closing_closes_what_is_idle_and_leaves_what_is_leased),
        TEST(closing_wakes_who_waits),
        TEST(an_idle_connection_makes_room_for_another_endpoint),
        TEST(trying_takes_only_what_is_there),
        TEST(any_of_several_endpoints),
        TEST(none_of_several_endpoints),
        TEST(a_second_release_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
