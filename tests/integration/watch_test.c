/* SPDX-License-Identifier: MIT */
/*
 * The key watch with real servers: parked connections whose peer ends them are gone without a call (A10, A11, A42);
 * what managers do while a connection is parked is done: session tickets (A14), keep-alives of ssh (A12, A37).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_listener.h"
#include "server_peer.h"
#include "server_sshd.h"
#include "tls_harness.h"
#include "virtual_clock.h"

#define COUNT      20
#define CLOSE_WAIT 8 /* as /proc/net/tcp has it */

static connpool *context;

/* ---- Awaiting ---- */

/* Yield until so many connections ended as dead. */
static void await_dead(uint64_t count)
{
    int64_t limit = harness_now_ms() + HARNESS_LIMIT_MS;

    while (harness_statistics(harness_pool(context)).ended[CONNPOOL_REASON_DEAD] != count) {
        assert_true(harness_now_ms() < limit);
        (void)sched_yield();
    }
}

/* Sockets of the system whose peer, at that port, has closed, and that are not closed. */
static unsigned close_waits(unsigned port)
{
    FILE *table = fopen("/proc/net/tcp", "re");
    char line[256];
    unsigned count = 0, remote, state;

    assert_non_null(table);
    while (fgets(line, sizeof(line), table) != NULL) {
        count += sscanf(line, "%*d: %*[0-9A-F]:%*x %*[0-9A-F]:%x %x", &remote, &state) == 2 && remote == port &&
                 state == CLOSE_WAIT;
    }
    (void)fclose(table);
    return count;
}

static void await_close_waits(unsigned port, unsigned count)
{
    int64_t limit = harness_now_ms() + HARNESS_LIMIT_MS;

    while (close_waits(port) != count) {
        assert_true(harness_now_ms() < limit);
        (void)sched_yield();
    }
}

/* ---- tcp ---- */

static struct server_listener listener;
static int peers[COUNT];

/* Park so many connections, whose other ends are the peers. */
static void park(const char *keys)
{
    connpool_lease leases[COUNT];

    server_listener_open(&listener, "127.0.0.1", 0, COUNT);
    context = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\", \"background_collector\": true, "
                           "\"max_size\": %d%s}}}",
                           COUNT, keys);
    for (int i = 0; i < COUNT; i++) {
        leases[i] = harness_acquire(harness_pool(context), listener.endpoint);
        peers[i] = server_listener_accept(&listener);
    }
    for (int i = 0; i < COUNT; i++) {
        harness_release(&leases[i]);
    }
}

static void leave(void)
{
    harness_close(context);
    for (int i = 0; i < COUNT; i++) {
        (void)close(peers[i]);
    }
    server_listener_close(&listener);
}

static void half_closed_ones_do_not_pile_up_A42(void **state)
{
    (void)state;
    park("");
    for (int i = 0; i < COUNT; i++) {
        server_peer_half_close(peers[i]);
    }
    await_dead(COUNT);
    assert_int_equal(close_waits(listener.port), 0);
    leave();
}

/* So the test above sees what it looks for. */
static void unwatched_they_do_A42(void **state)
{
    (void)state;
    park(", \"watch\": false");
    for (int i = 0; i < COUNT; i++) {
        server_peer_half_close(peers[i]);
    }
    await_close_waits(listener.port, COUNT);
    leave();
}

static void reset_ones_and_those_with_stray_data_go_A10_A20(void **state)
{
    (void)state;
    park("");
    for (int i = 0; i < COUNT; i += 2) {
        server_peer_reset(peers[i]);
        peers[i] = -1;
    }
    await_dead(COUNT / 2);
    for (int i = 1; i < COUNT; i += 2) {
        server_peer_send(peers[i], "late");
    }
    await_dead(COUNT);
    leave();
}

/* ---- tls ---- */

static void tickets_are_taken_in_A14(void **state)
{
    connpool_lease lease;
    int fd;

    (void)state;
    tls_harness_serve(&(struct server_tls_options){.maximum_version = TLS1_3_VERSION});
    context = tls_harness_open_at(tls_harness.server.port, "", ", \"background_collector\": true");
    lease = harness_acquire(harness_pool(context), "s");
    fd = SSL_get_fd(connpool_tls(&lease));
    tls_harness_echo(&lease, "hello");
    harness_release(&lease);
    for (int i = 0; i < 3; i++) {
        uint64_t before = harness_received(fd);

        server_tls_send_ticket(&tls_harness.server, 0);
        harness_await_taken_in(fd, before);
    }
    lease = harness_acquire(harness_pool(context), "s");
    assert_int_equal(harness_info(&lease).is_new, 0);
    tls_harness_echo(&lease, "as before");
    harness_release(&lease);
    server_tls_say_goodbye(&tls_harness.server, 0);
    await_dead(1);
    harness_close(context);
    tls_harness_stop();
}

/* ---- ssh: keep-alives, by a clock that the test moves ---- */

#define INTERVAL SECONDS(30)

static struct server_sshd sshd;
static struct virtual_clock virtual_time;

static void open_ssh(void)
{
    struct connpool_clock clock;

    virtual_clock_init(&virtual_time);
    atomic_store(&virtual_time.is_manual, true);
    clock = virtual_clock_table(&virtual_time);
    context =
        harness_open_by(&clock,
                        "{\"pools\": {\"p\": {\"manager\": \"ssh\", \"background_collector\": true, "
                        "\"max_size\": 1, \"check_after\": 0, \"endpoints\": {\"there\": {\"host\": \"127.0.0.1\", "
                        "\"port\": %u, \"user\": \"" SERVER_SSHD_USER "\", \"known_hosts\": \"%s\", "
                        "\"private_key\": \"%s\", \"probe_interval\": 30, \"probe_timeout\": 10}}}}}",
                        sshd.port, sshd.known_hosts, sshd.private_key);
    virtual_time.context = context;
}

static void close_ssh(void)
{
    virtual_time.context = NULL;
    harness_close(context);
}

/* Park a session; its socket. Where there was one already, it is checked before it is lent, so that all that the server
 * had to say after the login is read. */
static int park_session(void)
{
    connpool_lease lease = harness_acquire(harness_pool(context), "there");
    int fd = -1;

    for (int i = 3; i < 1024 && fd < 0; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof(address);

        if (getpeername(i, (struct sockaddr *)&address, &size) == 0 && address.sin_family == AF_INET &&
            ntohs(address.sin_port) == sshd.port) {
            fd = i;
        }
    }
    assert_true(fd >= 0);
    harness_release(&lease);
    return fd;
}

static void pass(int64_t time)
{
    virtual_clock_advance(&virtual_time, time);
    virtual_clock_settle(&virtual_time);
}

/* It is watched from now on. */
static void settle(void)
{
    for (int i = 0; i < 3; i++) {
        pass(MILLISECONDS(20));
    }
}

static void probes_are_sent_in_idle_time_A37(void **state)
{
    (void)state;
    open_ssh();
    (void)park_session();
    for (int i = 0; i < 3; i++) {
        int fd = park_session(); /* waits for a probe to end */
        uint64_t sent, received;

        settle();
        sent = harness_sent(fd);
        received = harness_received(fd);
        pass(INTERVAL - SECONDS(1));
        assert_int_equal(harness_sent(fd), sent);
        pass(SECONDS(1));
        assert_true(harness_sent(fd) > sent);
        harness_await_taken_in(fd, received);
    }
    (void)park_session();
    assert_int_equal(harness_statistics(harness_pool(context)).opened, 1);
    close_ssh();
}

static void a_session_whose_server_is_silent_is_gone_A12(void **state)
{
    (void)state;
    open_ssh();
    (void)park_session();
    (void)park_session();
    settle();
    server_sshd_stop(&sshd);
    pass(INTERVAL);
    assert_int_equal(harness_statistics(harness_pool(context)).idle_base, 1);
    pass(SECONDS(10));
    await_dead(1);
    server_sshd_continue(&sshd);
    close_ssh();
}

static void a_session_that_its_server_ends_is_gone_A11(void **state)
{
    (void)state;
    open_ssh();
    (void)park_session();
    settle();
    server_sshd_kill_sessions(&sshd);
    await_dead(1);
    close_ssh();
}

static int begin(void **state)
{
    int result = tls_harness_begin(state);

    server_sshd_start(&sshd, &tls_harness.folder, "");
    return result;
}

static int end(void **state)
{
    server_sshd_kill(&sshd);
    return tls_harness_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_closed_ones_do_not_pile_up_A42),
        cmocka_unit_test(unwatched_they_do_A42),
        cmocka_unit_test(reset_ones_and_those_with_stray_data_go_A10_A20),
        cmocka_unit_test(tickets_are_taken_in_A14),
        cmocka_unit_test(probes_are_sent_in_idle_time_A37),
        cmocka_unit_test(a_session_whose_server_is_silent_is_gone_A12),
        cmocka_unit_test(a_session_that_its_server_ends_is_gone_A11),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
