/* SPDX-License-Identifier: MIT */
/* dial: what is refused at once, what a connected socket is like, the race of addresses, and that nothing stays behind
 * wherever it is stopped. (Unix sockets: dial_unix_test.c.) */
#include "dial_fixture.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "network/dial_race.h"
#include "server_folder.h"
#include "server_listener.h"

static int option_of(int fd, int level, int option)
{
    socklen_t size = sizeof(int);
    int value = -1;

    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

static void refuses_bad_options(void **state)
{
    static const struct {
        struct connpool_dial_options options;
        const char *text;
    } cases[] = {
        {{.port = 1}, "neither host nor path is given, expected one of them"},
        {{.port = 1, .host = "h", .path = "/p"}, "host and path are both given, expected one of them"},
        {{.host = "127.0.0.1"}, "port is 0, expected 1 to 65535"},
        {{.host = "127.0.0.1", .port = 65536}, "port is 65536, expected 1 to 65535"},
        {{.host = "127.0.0.1", .port = 1, .bind_port = 65536}, "bind_port is 65536, expected 0 to 65535"},
        {{.host = "127.0.0.1", .port = 1, .bind_host = "here"},
         "bind_host 'here': expected a numeric address of this machine"},
        {{.host = "127.0.0.1", .port = 1, .keepalive_idle = 40000 * CP_SECOND},
         "keepalive_idle is 40000.000 s, expected 0 to 32767.000 s"},
        {{.host = "127.0.0.1", .port = 1, .keepalive_interval = -1},
         "keepalive_interval is -0.000 s, expected 0 to 32767.000 s"},
        {{.host = "127.0.0.1", .port = 1, .keepalive_count = 128}, "keepalive_count is 128, expected 0 to 127"},
        {{.host = "127.0.0.1", .port = 1, .user_timeout = INT64_MAX},
         "user_timeout is 9223372036.855 s, expected 0 to 2147483.647 s"},
        {{.host = "127.0.0.1", .port = 1, .flags = CONNPOOL_DIAL_IPV6}, "host '127.0.0.1': expected an IPv6 address"},
        {{.host = "127.0.0.1", .port = 1, .flags = CONNPOOL_DIAL_IPV4 | CONNPOOL_DIAL_IPV6},
         "only IPv4 and only IPv6 addresses are asked for at once, expected at most one of them"},
        {{.path = "relative"}, "path 'relative': expected an absolute path, or '@' and an abstract name"},
        {{.path = "@"}, "path '@': expected an absolute path, or '@' and an abstract name"},
        {{.path = ""}, "path '': expected an absolute path, or '@' and an abstract name"},
    };
    unsigned before = fixture_descriptors();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct connpool_dial_options options = cases[i].options;
        struct connpool_fault fault;

        options.size = sizeof(options);
        cp_fault_init(&fault);
        assert_null(cp_dial_start(&fixture.host.table, &options, &fault));
        assert_string_equal(fault.text, cases[i].text);
        assert_int_equal(fault.error_class, CONNPOOL_ERROR_CONFIGURATION);
    }
    assert_int_equal(fixture_descriptors(), before);
}

/* A24 beside: the options, and that the descriptor is the caller's. */
static void connects_with_all_settings(void **state)
{
    struct server_listener listener;
    int fd;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    fd = connect_to(OPTIONS(.host = "127.0.0.1", .port = listener.port, .keepalive_idle = 1500 * CP_MILLISECOND,
                            .keepalive_interval = 3 * CP_SECOND, .keepalive_count = 5,
                            .user_timeout = 7001 * CP_MILLISECOND - 1));
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* B24 */
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 2);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 3);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 7001);
    (void)close(fd);
    fd = connect_to(OPTIONS(.host = "127.0.0.1", .port = listener.port, .flags = CONNPOOL_DIAL_DELAY));
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    (void)close(fd);
    server_listener_close(&listener);
}

/* A plugin that was compiled before the members from bind_host on were there. */
static void shorter_options_have_defaults(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    (void)close(connect_to(&(struct connpool_dial_options){.size = offsetof(struct connpool_dial_options, bind_host),
                                                           .host = "127.0.0.1",
                                                           .port = listener.port,
                                                           .bind_host = "none",
                                                           .keepalive_count = UINT32_MAX}));
    server_listener_close(&listener);
}

static void connects_numeric_ipv6_with_scope(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open(&listener, "::1", 0, 4);
    (void)close(connect_to(OPTIONS(.host = "::1", .port = listener.port)));
    (void)close(connect_to(OPTIONS(.host = "::1%1", .port = listener.port, .flags = CONNPOOL_DIAL_IPV6)));
    server_listener_close(&listener);
}

static void closes_what_was_not_taken(void **state)
{
    struct server_listener listener;
    struct connpool_dial *dial;
    struct fixture_drive drive;
    unsigned before;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    before = fixture_descriptors();
    dial = start(OPTIONS(.host = "127.0.0.1", .port = listener.port));
    assert_int_equal(fixture_run(&drive, step, dial), CONNPOOL_STEP_DONE);
    cp_dial_stop(dial);
    assert_int_equal(fixture_descriptors(), before);
    cp_dial_stop(NULL);
    server_listener_close(&listener);
}

static void binds_the_local_address(void **state)
{
    struct server_listener listener;
    struct sockaddr_in local;
    socklen_t length = sizeof(local);
    uint16_t port;
    int fd;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    fd = connect_to(OPTIONS(.host = "127.0.0.1", .port = listener.port, .bind_host = "127.0.0.5"));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &length), 0);
    assert_int_equal(ntohl(local.sin_addr.s_addr), 0x7f000005);
    (void)close(fd);
    port = server_listener_random_port();
    fd = connect_to(OPTIONS(.host = "127.0.0.1", .port = listener.port, .bind_port = port));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &length), 0);
    assert_int_equal(ntohs(local.sin_port), port);
    (void)close(fd);
    server_listener_close(&listener);
}

static void reports_a_local_address_that_is_not_ours(void **state)
{
    struct connpool_fault fault;

    (void)state;
    fault = fail_to_connect(OPTIONS(.host = "127.0.0.1", .port = 1, .bind_host = "192.0.2.1"));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_RESOURCE_LOCAL); /* A5 */
    assert_int_equal(fault.os_error, EADDRNOTAVAIL);
    assert_string_equal(fault.text,
                        "cannot connect to 127.0.0.1 port 1 at 127.0.0.1: bind: Cannot assign requested address");
}

/* ---- The race */

static void refused_at_once_a1(void **state)
{
    struct server_listener deaf;
    struct connpool_fault fault;
    char text[200];

    (void)state;
    server_listener_open_deaf(&deaf);
    fault = fail_to_connect(OPTIONS(.host = "127.0.0.1", .port = deaf.port));
    (void)snprintf(text, sizeof(text), "cannot connect to 127.0.0.1 port %u at 127.0.0.1: Connection refused",
                   deaf.port);
    assert_string_equal(fault.text, text);
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_REFUSED);
    assert_int_equal(fault.os_error, ECONNREFUSED);
    assert_int_equal(fault.scope, CONNPOOL_SCOPE_ENDPOINT);
    server_listener_close(&deaf);
}

static void tries_all_addresses_a23(void **state)
{
    static const struct fixture_name names[] = {
        {.name = "two-dead", .addresses = {"127.0.0.81", "127.0.0.82", "127.0.0.1"}},
    };
    struct server_listener listener;
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);
    int fd;

    (void)state;
    fixture_resolve_with(names, 1);
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    fd = connect_to(OPTIONS(.host = "two-dead", .port = listener.port));
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &length), 0);
    assert_int_equal(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
    (void)close(fd);
    server_listener_close(&listener);
}

static void tells_the_most_telling_error(void **state)
{
    static const struct fixture_name names[] = {
        {.name = "all-dead", .addresses = {"127.0.0.81", "127.255.255.255"}},
        {.name = "dead-too", .addresses = {"127.255.255.255", "127.0.0.81"}},
    };
    struct connpool_fault fault;

    (void)state;
    fixture_resolve_with(names, 2);
    fault = fail_to_connect(OPTIONS(.host = "all-dead", .port = 1));
    assert_string_equal(fault.text, "cannot connect to all-dead port 1 at 127.0.0.81: Connection refused (all 2 "
                                    "addresses failed, the last one: Network is unreachable)");
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_REFUSED);
    fault = fail_to_connect(OPTIONS(.host = "dead-too", .port = 1));
    assert_string_equal(fault.text, "cannot connect to dead-too port 1 at 127.0.0.81: Connection refused (all 2 "
                                    "addresses failed, the last one: Connection refused)");
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_REFUSED);
}

static void black_hole_open(struct black_hole *hole, const char *address, uint16_t port)
{
    server_listener_open(&hole->listener, address, port, 0);
    hole->count = server_listener_fill(&hole->listener, hole->fillers, 8);
}

/* Start, and step until the name is resolved: what the first step of the race answers. */
static struct connpool_dial *start_resolved(const struct connpool_dial_options *options, int64_t now,
                                            struct connpool_wait *wait, int32_t *result)
{
    struct connpool_dial *dial = start(options);

    *result = fixture_step(step, dial, now, wait, NULL);
    while (*result == CONNPOOL_STEP_AGAIN && wait->fd < 0) {
        assert_true((wait->flags & CONNPOOL_WAIT_WAKE) != 0);
        (void)sched_yield(); /* the resolver's thread has nothing to wait for */
        *result = fixture_step(step, dial, now, wait, NULL);
    }
    return dial;
}

/* A2, A3: the second address is tried after the Connection Attempt Delay and wins. */
static void second_address_wins_over_a_black_hole_a2_a3(void **state)
{
    static const struct fixture_name names[] = {{.name = "hole", .addresses = {"127.0.0.71", "127.0.0.1"}}};
    struct server_listener listener;
    struct black_hole hole;
    struct connpool_wait wait;
    struct connpool_dial *dial;
    int64_t now = 1000;
    unsigned before;
    int32_t result;
    int first;

    (void)state;
    fixture_resolve_with(names, 1);
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    black_hole_open(&hole, "127.0.0.71", listener.port);
    before = fixture_descriptors();
    dial = start_resolved(OPTIONS(.host = "hole", .port = listener.port), now, &wait, &result);
    assert_int_equal(result, CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.events, CONNPOOL_EVENT_WRITE);
    assert_int_equal(wait.at, now + CP_DIAL_ATTEMPT_DELAY);
    assert_int_equal(fixture_descriptors(), before + 1);
    first = wait.fd;

    assert_int_equal(fixture_step(step, dial, now + CP_DIAL_ATTEMPT_DELAY - 1, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.fd, first);
    assert_int_equal(wait.at, now + CP_DIAL_ATTEMPT_DELAY);
    assert_int_equal(fixture_descriptors(), before + 1);

    result = fixture_step(step, dial, now + CP_DIAL_ATTEMPT_DELAY, &wait, NULL);
    if (result == CONNPOOL_STEP_AGAIN) {
        assert_int_equal(wait.events, CONNPOOL_EVENT_READ);
        assert_int_equal(fcntl(wait.fd, F_GETFD), FD_CLOEXEC); /* B24 */
        assert_int_equal(wait.at, 0);
        assert_int_equal(fixture_descriptors(), before + 3); /* two sockets and the epoll */
        fixture_await_ready(&wait);
        result = fixture_step(step, dial, now + CP_DIAL_ATTEMPT_DELAY, &wait, NULL);
    }
    assert_int_equal(result, CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_descriptors(), before + 1); /* the winner */
    assert_int_equal(fixture_step(step, dial, now, &wait, NULL), CONNPOOL_STEP_DONE);
    cp_dial_stop(dial);
    assert_int_equal(fixture_descriptors(), before);
    black_hole_close(&hole);
    server_listener_close(&listener);
}

/* RFC 8305, section 5: when one of two attempts fails, the third need not wait for its time. */
static void a_failure_starts_the_next_attempt(void **state)
{
    static const struct fixture_name names[] = {
        {.name = "holes", .addresses = {"127.0.0.71", "127.0.0.71", "127.0.0.71"}}};
    struct connpool_wait wait;
    struct connpool_dial *dial;
    struct black_hole hole;
    int32_t result;
    int first;

    (void)state;
    fixture_resolve_with(names, 1);
    black_hole_open(&hole, "127.0.0.71", 0);
    dial = start_resolved(OPTIONS(.host = "holes", .port = hole.listener.port), 1, &wait, &result);
    assert_int_equal(result, CONNPOOL_STEP_AGAIN);
    first = wait.fd;
    assert_int_equal(fixture_step(step, dial, 1 + CP_DIAL_ATTEMPT_DELAY, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.at, 1 + 2 * CP_DIAL_ATTEMPT_DELAY);
    assert_false(fixture_is_ready(&wait));
    assert_int_equal(shutdown(first, SHUT_RDWR), 0); /* fails it: ECONNRESET, as a reset from outside would */
    fixture_await_ready(&wait);
    assert_int_equal(fixture_step(step, dial, 2 + CP_DIAL_ATTEMPT_DELAY, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.at, 0); /* the last address is under way */
    cp_dial_stop(dial);
    black_hole_close(&hole);
}

/* The only attempt fails in its wait, not in connect. */
static void a_failure_of_the_last_attempt_ends_the_race(void **state)
{
    struct connpool_fault fault;
    struct connpool_wait wait;
    struct connpool_dial *dial;
    struct black_hole hole;

    (void)state;
    black_hole_open(&hole, "127.0.0.71", 0);
    dial = start(OPTIONS(.host = "127.0.0.71", .port = hole.listener.port));
    assert_int_equal(fixture_step(step, dial, 1, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.at, 0);
    assert_int_equal(shutdown(wait.fd, SHUT_RDWR), 0);
    cp_fault_init(&fault);
    assert_int_equal(fixture_step(step, dial, 2, &wait, &fault), -CONNPOOL_ERROR_CLOSED);
    assert_non_null(strstr(fault.text, "Connection reset by peer"));
    assert_int_equal(fixture_step(step, dial, 3, &wait, &fault), -CONNPOOL_ERROR_CLOSED);
    cp_dial_stop(dial);
    black_hole_close(&hole);
}

/* RFC 8305, section 4: after an IPv4 address comes an IPv6 one, though the resolver had it last. */
static void families_take_turns(void **state)
{
    static const struct fixture_name names[] = {{.name = "both", .addresses = {"127.0.0.71", "127.0.0.1", "::1"}}};
    struct server_listener ipv4, ipv6;
    struct black_hole hole;
    struct connpool_wait wait;
    struct connpool_dial *dial;
    int32_t result;

    (void)state;
    fixture_resolve_with(names, 1);
    server_listener_open(&ipv4, "127.0.0.1", 0, 4);
    server_listener_open(&ipv6, "::1", ipv4.port, 4);
    black_hole_open(&hole, "127.0.0.71", ipv4.port);
    dial = start_resolved(OPTIONS(.host = "both", .port = ipv4.port), 1, &wait, &result);
    assert_int_equal(result, CONNPOOL_STEP_AGAIN);
    (void)fixture_step(step, dial, 1 + CP_DIAL_ATTEMPT_DELAY, &wait, NULL);
    (void)close(server_listener_accept(&ipv6));
    assert_false(server_listener_has_pending(&ipv4));
    cp_dial_stop(dial);
    black_hole_close(&hole);
    server_listener_close(&ipv4);
    server_listener_close(&ipv6);
}

static void a_bound_address_leaves_out_the_other_family(void **state)
{
    static const struct fixture_name names[] = {{.name = "both", .addresses = {"::1", "127.0.0.1"}},
                                                {.name = "six", .addresses = {"::1"}}};
    struct server_listener listener;
    struct connpool_fault fault;

    (void)state;
    fixture_resolve_with(names, 2);
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    (void)close(connect_to(OPTIONS(.host = "both", .port = listener.port, .bind_host = "127.0.0.9")));
    fault = fail_to_connect(OPTIONS(.host = "six", .port = listener.port, .bind_host = "127.0.0.9"));
    assert_string_equal(fault.text, "host 'six' has no address of the family of bind_host 127.0.0.9");
    server_listener_close(&listener);
}

/* The socket is its own peer: bound to the address and port that it connects to. */
static void self_connect_is_refused_a24(void **state)
{
    struct connpool_fault fault;
    uint16_t port = server_listener_random_port();
    struct server_listener listener;

    (void)state;
    fault = fail_to_connect(OPTIONS(.host = "127.0.0.1", .port = port, .bind_host = "127.0.0.1", .bind_port = port));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_REFUSED);
    assert_non_null(strstr(fault.text, "connected to itself"));
    server_listener_open(&listener, "127.0.0.1", port, 1); /* the port is free: no TIME_WAIT */
    server_listener_close(&listener);
}

/* ---- Stopping, and the child */

static void stop_after_each_step_leaves_nothing(void **state)
{
    static const struct fixture_name names[] = {
        {.name = "holes", .addresses = {"127.0.0.71", "127.0.0.81", "127.0.0.71", "127.0.0.71"}}};
    struct black_hole hole;
    unsigned before;

    (void)state;
    fixture_resolve_with(names, 1);
    black_hole_open(&hole, "127.0.0.71", 0);
    before = fixture_descriptors();
    cp_dial_stop(start(OPTIONS(.host = "holes", .port = hole.listener.port)));
    assert_int_equal(fixture_descriptors(), before);
    fixture_resolve_with(names, 1);
    for (int64_t last = 1; last < 8; last++) {
        struct connpool_wait wait;
        int32_t result;
        struct connpool_dial *dial =
            start_resolved(OPTIONS(.host = "holes", .port = hole.listener.port), 1, &wait, &result);

        for (int64_t k = 1; k < last; k++) {
            assert_int_equal(result, CONNPOOL_STEP_AGAIN);
            result = fixture_step(step, dial, 1 + k * CP_DIAL_ATTEMPT_DELAY, &wait, NULL);
        }
        assert_int_equal(result, CONNPOOL_STEP_AGAIN);
        assert_true(fixture_descriptors() > before);
        cp_dial_stop(dial);
        assert_int_equal(fixture_descriptors(), before);
    }
    black_hole_close(&hole);
}

/* In the child: whether the descriptor is closed. */
static int is_closed_in_child(int fd)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        _exit(fcntl(fd, F_GETFD) == -1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void a_child_has_no_socket_that_was_not_taken(void **state)
{
    struct black_hole hole;
    struct connpool_wait wait;
    struct connpool_dial *dial;
    struct server_listener listener;
    int fd;

    (void)state;
    black_hole_open(&hole, "127.0.0.71", 0);
    dial = start(OPTIONS(.host = "127.0.0.71", .port = hole.listener.port));
    assert_int_equal(fixture_step(step, dial, 1, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_true(is_closed_in_child(wait.fd));
    cp_dial_stop(dial);
    black_hole_close(&hole);
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    fd = connect_to(OPTIONS(.host = "127.0.0.1", .port = listener.port));
    assert_false(is_closed_in_child(fd));
    (void)close(fd);
    server_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_options),
        cmocka_unit_test(connects_with_all_settings),
        cmocka_unit_test(shorter_options_have_defaults),
        cmocka_unit_test(connects_numeric_ipv6_with_scope),
        cmocka_unit_test(closes_what_was_not_taken),
        cmocka_unit_test(binds_the_local_address),
        cmocka_unit_test(reports_a_local_address_that_is_not_ours),
        cmocka_unit_test(refused_at_once_a1),
        cmocka_unit_test(tries_all_addresses_a23),
        cmocka_unit_test(tells_the_most_telling_error),
        cmocka_unit_test(second_address_wins_over_a_black_hole_a2_a3),
        cmocka_unit_test(a_failure_starts_the_next_attempt),
        cmocka_unit_test(a_failure_of_the_last_attempt_ends_the_race),
        cmocka_unit_test(families_take_turns),
        cmocka_unit_test(a_bound_address_leaves_out_the_other_family),
        cmocka_unit_test(self_connect_is_refused_a24),
        cmocka_unit_test(stop_after_each_step_leaves_nothing),
        cmocka_unit_test(a_child_has_no_socket_that_was_not_taken),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
