/* SPDX-License-Identifier: MIT */
/* five_servers: see five_servers.h. */
#include "five_servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/postgres.h>
#include <connpool/ssh.h>
#include <connpool/tcp.h>
#include <connpool/tls.h>
#include <connpool/unix.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <libssh2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certificates.h"
#include "harness.h"
#include "server_folder.h"
#include "server_postgres.h"
#include "server_redis.h"
#include "server_sshd.h"
#include "server_tls.h"

#define PASSWORD "CONNPOOL_TEST_POSTGRES_PASSWORD"

const char *const five_names[FIVE_COUNT] = {"tcp", "unix", "tls", "postgres", "ssh"};

static struct {
    struct server_folder folder;
    struct certificates certificates;
    struct server_redis redis; /* of tcp and of unix */
    struct server_tls tls;
    struct server_postgres postgres;
    struct server_sshd sshd;
    char options[FIVE_COUNT][1024]; /* of the pool */
} five;

static void describe(void)
{
    (void)snprintf(five.options[FIVE_TLS], sizeof(five.options[FIVE_TLS]), "\"ca_file\": \"%s/ca.pem\"",
                   five.folder.path);
    (void)snprintf(five.options[FIVE_POSTGRES], sizeof(five.options[FIVE_POSTGRES]),
                   "\"dbname\": \"app\", \"user\": \"app\", \"password\": {\"env\": \"" PASSWORD
                   "\"}, \"sslmode\": \"disable\"");
    (void)snprintf(five.options[FIVE_SSH], sizeof(five.options[FIVE_SSH]),
                   "\"user\": \"" SERVER_SSHD_USER "\", \"known_hosts\": \"%s\", \"private_key\": \"%s\"",
                   five.sshd.known_hosts, five.sshd.private_key);
}

int five_servers_begin(void **state)
{
    (void)state;
    assert_int_equal(setenv(PASSWORD, SERVER_POSTGRES_PASSWORD, 1), 0);
    server_folder_init(&five.folder);
    certificates_init(&five.certificates, &five.folder);
    certificates_issue(&five.certificates, "server", NULL);
    server_redis_start(&five.redis, &five.folder);
    server_tls_start(&five.tls, &five.folder, NULL);
    server_postgres_start(&five.postgres, &five.folder, "postgres", NULL);
    server_sshd_start(&five.sshd, &five.folder, "");
    describe();
    return 0;
}

int five_servers_end(void **state)
{
    (void)state;
    server_redis_kill(&five.redis);
    server_tls_stop(&five.tls);
    server_postgres_stop(&five.postgres, SERVER_POSTGRES_IMMEDIATE);
    server_sshd_kill(&five.sshd);
    server_folder_fini(&five.folder);
    return 0;
}

/* Where the server is. */
static const char *host_of(enum five_manager manager)
{
    return manager == FIVE_UNIX ? five.redis.path : "127.0.0.1";
}

static unsigned port_of(enum five_manager manager)
{
    const unsigned ports[FIVE_COUNT] = {five.redis.port, 0, five.tls.port, five.postgres.port, five.sshd.port};

    return ports[manager];
}

void five_servers_at(enum five_manager manager, const char *host, unsigned port, char *options, size_t size)
{
    if (manager == FIVE_UNIX) {
        (void)snprintf(options, size, "\"path\": \"%s\"", host);
    } else if (manager == FIVE_SSH) {
        (void)snprintf(options, size, "\"host\": \"%s\", \"port\": %u, \"host_key_alias\": \"[127.0.0.1]:%u\"", host,
                       port, five.sshd.port);
    } else {
        (void)snprintf(options, size, "\"host\": \"%s\", \"port\": %u", host, port);
    }
}

connpool *five_servers_open(enum five_manager manager, const char *bad, const char *keys)
{
    char good[256];

    five_servers_at(manager, host_of(manager), port_of(manager), good, sizeof(good));
    return harness_open("{\"pools\": {\"p\": {\"manager\": \"%s\", \"options\": {%s}, \"endpoints\": {"
                        "\"good\": {%s}%s%s%s}%s}}}",
                        five_names[manager], five.options[manager], good, bad[0] == '\0' ? "" : ", \"bad\": {", bad,
                        bad[0] == '\0' ? "" : "}", keys);
}

void five_servers_proxy(enum five_manager manager, struct server_proxy *proxy)
{
    char target[64], path[SERVER_PATH_SIZE + 8];

    if (manager == FIVE_UNIX) {
        (void)snprintf(path, sizeof(path), "%s/proxy", five.folder.path);
        server_proxy_start_unix(proxy, path, five.redis.path);
        return;
    }
    (void)snprintf(target, sizeof(target), "127.0.0.1:%u", port_of(manager));
    server_proxy_start(proxy, target);
}

static bool is_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    assert_true(flags >= 0);
    return (flags & O_NONBLOCK) != 0;
}

bool five_servers_is_nonblocking(enum five_manager manager, const connpool_lease *lease)
{
    switch (manager) {
    case FIVE_TCP:
        return is_nonblocking(connpool_tcp(lease));
    case FIVE_UNIX:
        return is_nonblocking(connpool_unix(lease));
    case FIVE_TLS:
        return is_nonblocking(SSL_get_fd(connpool_tls(lease)));
    case FIVE_POSTGRES:
        return PQisnonblocking(connpool_postgres(lease)) != 0;
    default:
        return libssh2_session_get_blocking(connpool_ssh(lease)) == 0;
    }
}

static void ask_redis(int fd)
{
    char answer[16];

    assert_int_equal(server_redis_command(fd, "PING", answer, sizeof(answer)), 0);
    assert_string_equal(answer, "PONG");
}

static void ask_tls(SSL *ssl)
{
    char answer[4];
    size_t length;

    assert_int_equal(SSL_write_ex(ssl, "echo", sizeof(answer), &length), 1);
    assert_int_equal(SSL_read_ex(ssl, answer, sizeof(answer), &length), 1);
    assert_int_equal(length, sizeof(answer));
    assert_memory_equal(answer, "echo", sizeof(answer));
}

static void ask_postgres(PGconn *session)
{
    PGresult *result = PQexec(session, "SELECT 1");

    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
}

/* Not by connpool_ssh_run, which does not mind how the session is. */
static void ask_ssh(LIBSSH2_SESSION *session)
{
    LIBSSH2_CHANNEL *channel = libssh2_channel_open_session(session);
    char answer[16];

    assert_non_null(channel);
    assert_int_equal(libssh2_channel_exec(channel, "echo here"), 0);
    assert_int_equal(libssh2_channel_read(channel, answer, sizeof(answer)), strlen("here\n"));
    assert_int_equal(libssh2_channel_close(channel), 0);
    assert_int_equal(libssh2_channel_free(channel), 0);
}

void five_servers_ask(enum five_manager manager, const connpool_lease *lease)
{
    switch (manager) {
    case FIVE_TCP:
        ask_redis(connpool_tcp(lease));
        break;
    case FIVE_UNIX:
        ask_redis(connpool_unix(lease));
        break;
    case FIVE_TLS:
        ask_tls(connpool_tls(lease));
        break;
    case FIVE_POSTGRES:
        ask_postgres(connpool_postgres(lease));
        break;
    default:
        ask_ssh(connpool_ssh(lease));
    }
}
