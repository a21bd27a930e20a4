/* SPDX-License-Identifier: MIT */
/* Servers that refuse, keep silent, trickle, talk rubbish or die: every operation ends by its limit, with an error that
 * says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <libssh2.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_peer.h"
#include "server_proxy.h"
#include "server_sshd.h"
#include "ssh_harness.h"

#define SHORT_LIMIT ", \"connect_timeout\": 0.2"

static struct server_folder folder;
static struct server_sshd sshd;

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "");
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return 0;
}

/* Options of an endpoint that stands in for the server at another port; known by the same keys. */
static connpool *open_at(uint16_t port, const char *pool)
{
    char alias[64];

    (void)snprintf(alias, sizeof(alias), "[127.0.0.1]:%u", sshd.port);
    return harness_open("{\"pools\": {\"shells\": {\"manager\": \"ssh\", \"endpoints\": {\"there\": {\"host\":"
                        " \"127.0.0.1\", \"port\": %u, \"user\": \"" SERVER_SSHD_USER "\", \"known_hosts\": \"%s\","
                        " \"private_key\": \"%s\", \"host_key_alias\": \"%s\"}}%s}}}",
                        port, sshd.known_hosts, sshd.private_key, alias, pool);
}

/* ---- Limits of the server */

/* A35: the session stays as good as it was. */
static void no_more_channels_in_a_session(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease;
    LIBSSH2_CHANNEL *first;
    struct connpool_ssh_command command = {.size = sizeof(command), .timeout_ms = HARNESS_LIMIT_MS, .command = "true"};
    connpool_error error = {.text = ""};

    (void)state;
    server_sshd_restart(&sshd, "MaxSessions 1\n");
    lease = harness_acquire(pool, "there");
    first = libssh2_channel_open_session(connpool_ssh(&lease));
    assert_non_null(first);
    assert_int_equal(connpool_ssh_run(&lease, &command, &error), CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_RESOURCE_REMOTE);
    assert_int_equal(error.library_code, LIBSSH2_ERROR_CHANNEL_FAILURE);
    assert_non_null(strstr(error.text, "MaxSessions"));
    assert_int_equal(libssh2_channel_free(first), 0);
    ssh_harness_expect(&lease, "echo still", "still\n");
    harness_release(&lease);
    ssh_harness_use(pool);
    assert_int_equal(harness_statistics(pool).opened, 1);
    server_sshd_restart(&sshd, "");
    harness_close(context);
}

/* A35: where no channel at all is allowed, a refusal is a probe's answer. */
static void a_refused_probe_is_an_answer(void **state)
{
    connpool *context = open_at(sshd.port, ", \"check_after\": 0");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    server_sshd_restart(&sshd, "MaxSessions 0\n");
    for (int i = 0; i < 3; i++) {
        connpool_lease lease = harness_acquire(pool, "there");

        harness_release(&lease);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    server_sshd_restart(&sshd, "");
    harness_close(context);
}

/* A connection to the server that says nothing. */
static int connect_silently(void)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(sshd.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    server_peer_await(fd); /* its banner */
    return fd;
}

/* A36: the second connection that has not logged in is dropped before the server says a word. */
static void too_many_that_have_not_logged_in(void **state)
{
    connpool *context = open_at(sshd.port, "");
    connpool_error error;
    int silent;

    (void)state;
    server_sshd_restart(&sshd, "MaxStartups 1:100:1\n");
    silent = connect_silently();
    error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_RESOURCE_REMOTE);
    assert_non_null(strstr(error.text, "MaxStartups"));
    (void)close(silent);
    server_sshd_restart(&sshd, "");
    ssh_harness_use(harness_pool(context));
    harness_close(context);
}

/* ---- Silence, trickle, rubbish: A6 */

static void expect_limit(connpool *context, int32_t error_class)
{
    int64_t begin = harness_now_ms();
    connpool_error error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);

    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS / 2);
    if (error.error_class != error_class) {
        fail_msg("%s", error.text);
    }
    harness_close(context);
}

static void a_server_that_says_nothing(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 5);
    expect_limit(open_at(listener.port, SHORT_LIMIT), CONNPOOL_ERROR_TIMEOUT);
    server_listener_close(&listener);
}

/* In the middle of the banner, of the exchange of keys, of the login. */
static void a_server_that_falls_silent(void **state)
{
    static const size_t places[] = {5, 60, 1000, 1300};
    struct server_proxy proxy;

    (void)state;
    server_proxy_start(&proxy, sshd.endpoint);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const struct server_proxy_rule rule = {
            .fault = SERVER_PROXY_SILENCE, .side = SERVER_PROXY_SERVER, .after = places[i]};

        server_proxy_set_rule(&proxy, &rule);
        expect_limit(open_at(proxy.listener.port, SHORT_LIMIT), CONNPOOL_ERROR_TIMEOUT);
    }
    server_proxy_stop(&proxy);
}

static void a_server_that_trickles(void **state)
{
    const struct server_proxy_rule slowly = {.fault = SERVER_PROXY_TRICKLE, .interval_ms = 5};
    const struct server_proxy_rule in_pieces = {.fault = SERVER_PROXY_TRICKLE};
    struct server_proxy proxy;
    connpool *context;

    (void)state;
    server_proxy_start(&proxy, sshd.endpoint);
    server_proxy_set_rule(&proxy, &slowly);
    expect_limit(open_at(proxy.listener.port, SHORT_LIMIT), CONNPOOL_ERROR_TIMEOUT);
    server_proxy_set_rule(&proxy, &in_pieces);
    context = open_at(proxy.listener.port, "");
    ssh_harness_use(harness_pool(context));
    harness_close(context);
    server_proxy_stop(&proxy);
}

/* ---- A server that the test plays */

struct player {
    struct server_listener listener;
    const char *text; /* said over and over */
    unsigned times;
    pthread_t thread;
};

static void *play(void *argument)
{
    const struct player *player = argument;
    int fd = server_listener_accept(&player->listener);
    char byte;

    for (unsigned i = 0; i < player->times; i++) {
        if (send(fd, player->text, strlen(player->text), MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, &byte, 1, 0) > 0) {
    }
    (void)close(fd);
    return NULL;
}

static connpool_error error_of(const char *text, unsigned times)
{
    struct player player = {.text = text, .times = times};
    connpool *context;
    connpool_error error;

    server_listener_open(&player.listener, "127.0.0.1", 0, 5);
    context = open_at(player.listener.port, SHORT_LIMIT);
    assert_int_equal(pthread_create(&player.thread, NULL, play, &player), 0);
    error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    harness_close(context);
    assert_int_equal(pthread_join(player.thread, NULL), 0);
    server_listener_close(&player.listener);
    return error;
}

static void expect_class(const char *text, int32_t error_class)
{
    connpool_error error = error_of(text, 1);

    if (error.error_class != error_class) {
        fail_msg("after %s: %s: %s", text, connpool_error_class_text(error.error_class), error.text);
    }
}

/* A36: lines before the banner are allowed (RFC 4253, 4.2), so what is no server of SSH shows by its end. */
static void a_server_that_is_none(void **state)
{
    (void)state;
    expect_class("HTTP/1.1 400 Bad Request\r\n\r\n", CONNPOOL_ERROR_PROTOCOL);
    expect_class("220 mail.example ESMTP\r\n", CONNPOOL_ERROR_PROTOCOL);
    expect_class("", CONNPOOL_ERROR_RESOURCE_REMOTE);
    expect_class("SSH-2.0-none\r\nthis is no packet at all", CONNPOOL_ERROR_PROTOCOL);
}

/* Each line is legal; the limit holds all the same, and no step goes on as long as they come. */
static void a_server_that_floods(void **state)
{
    int64_t begin = harness_now_ms();

    (void)state;
    assert_int_equal(error_of("all is well, please wait\r\n", 10000000).error_class, CONNPOOL_ERROR_TIMEOUT);
    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS / 2);
}

/* ---- A parked session: A37 */

/* A parked session whose server, after a second of silence, asks whether we are alive. The pool has room for no other,
 * so an acquire waits for what the session has to say. */
static connpool_pool *park_until_asked(connpool *context)
{
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease;
    int fd;

    server_sshd_restart(&sshd, "ClientAliveInterval 1\nClientAliveCountMax 20\n");
    lease = harness_acquire(pool, "there");
    ssh_harness_expect(&lease, "echo here", "here\n");
    fd = connpool_ssh_descriptor(&lease);
    harness_release(&lease);
    server_peer_await(fd);
    return pool;
}

/* The answer is given, and the session is as good as it was. */
static void a_server_that_asks_whether_we_are_alive(void **state)
{
    connpool *context = ssh_harness_open_with_pool(&sshd, "", ", \"max_size\": 1, \"total_max_size\": 1");
    connpool_pool *pool = park_until_asked(context);

    (void)state;
    ssh_harness_use(pool);
    assert_int_equal(harness_statistics(pool).opened, 1);
    server_sshd_restart(&sshd, "");
    harness_close(context);
}

/* A probe has a limit of its own: it asked and fell silent. */
static void a_server_that_asks_and_stops(void **state)
{
    connpool *context =
        ssh_harness_open_with_pool(&sshd, ", \"probe_timeout\": 0.1", ", \"max_size\": 1, \"total_max_size\": 1");
    connpool_pool *pool = park_until_asked(context);
    int64_t begin = harness_now_ms();

    (void)state;
    server_sshd_stop(&sshd);
    (void)harness_acquire_fails(pool, "there", 300, CONNPOOL_TIMED_OUT);
    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS / 2);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    server_sshd_continue(&sshd);
    server_sshd_restart(&sshd, "");
    harness_close(context);
}

static void a_session_that_was_killed(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    ssh_harness_use(pool);
    server_sshd_kill_sessions(&sshd);
    ssh_harness_use(pool);
    assert_int_equal(harness_statistics(pool).opened, 2);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    harness_close(context);
}

/* A round trip before the lease finds a server that only looks alive, within check_timeout. */
static void a_stopped_server_fails_the_check(void **state)
{
    connpool *context = open_at(sshd.port, ", \"check_after\": 0, \"check_timeout\": 0.1");
    connpool_pool *pool = harness_pool(context);
    int64_t begin;

    (void)state;
    ssh_harness_use(pool);
    server_sshd_stop(&sshd);
    begin = harness_now_ms();
    (void)harness_acquire_fails(pool, "there", 300, CONNPOOL_TIMED_OUT);
    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS / 2);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    server_sshd_continue(&sshd);
    ssh_harness_use(pool);
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_channels_in_a_session),
        cmocka_unit_test(a_refused_probe_is_an_answer),
        cmocka_unit_test(too_many_that_have_not_logged_in),
        cmocka_unit_test(a_server_that_says_nothing),
        cmocka_unit_test(a_server_that_falls_silent),
        cmocka_unit_test(a_server_that_trickles),
        cmocka_unit_test(a_server_that_is_none),
        cmocka_unit_test(a_server_that_floods),
        cmocka_unit_test(a_server_that_asks_whether_we_are_alive),
        cmocka_unit_test(a_server_that_asks_and_stops),
        cmocka_unit_test(a_session_that_was_killed),
        cmocka_unit_test(a_stopped_server_fails_the_check),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
