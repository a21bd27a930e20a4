/* SPDX-License-Identifier: MIT */
/* The managers tcp and unix besieged, over Redis on either kind of socket (A21, A22, A42). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <connpool/unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "server_redis.h"
#include "siege.h"

#define ANSWER_SECONDS 5

static struct server_folder folder;
static struct server_redis redis;

static enum siege_answer ask(const connpool_lease *lease, const char *token)
{
    int fd = connpool_tcp(lease) >= 0 ? connpool_tcp(lease) : connpool_unix(lease);
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    char command[48];
    char answer[48];

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)snprintf(command, sizeof(command), "ECHO %s", token);
    if (server_redis_command(fd, command, answer, sizeof(answer)) != 0) {
        return SIEGE_FAILED;
    }
    return strcmp(answer, token) == 0 ? SIEGE_ANSWERED : SIEGE_WRONG;
}

static void kill_redis(void *server)
{
    server_redis_kill(server);
}

static void restart_redis(void *server)
{
    server_redis_restart(server);
}

/* Connected sockets that carry the path: the server's. */
static unsigned connections_unix(void *server)
{
    const struct server_redis *its = server;
    FILE *file = fopen("/proc/net/unix", "re");
    unsigned found = 0;
    unsigned state;
    char line[512];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        found += strstr(line, its->path) != NULL && sscanf(line, "%*s %*s %*s %*s %*s %x", &state) == 1 && state == 3;
    }
    (void)fclose(file);
    return found;
}

static void besiege_tcp(bool collector)
{
    struct siege siege = {.manager = "tcp",
                          .keys = "",
                          .endpoint = redis.endpoint,
                          .progress = 2000,
                          .restarts = 4,
                          .server = &redis,
                          .ask = ask,
                          .kill = kill_redis,
                          .restart = restart_redis,
                          .port = redis.port};

    siege_run(&siege, collector);
}

static void besiege_unix(bool collector)
{
    struct siege siege = {.manager = "unix",
                          .keys = "",
                          .endpoint = redis.path,
                          .progress = 2000,
                          .restarts = 4,
                          .server = &redis,
                          .ask = ask,
                          .kill = kill_redis,
                          .restart = restart_redis,
                          .connections = connections_unix};

    siege_run(&siege, collector);
}

static void tcp_without_a_collector(void **state)
{
    (void)state;
    besiege_tcp(false);
}

static void tcp_with_the_collector(void **state)
{
    (void)state;
    besiege_tcp(true);
}

static void unix_without_a_collector(void **state)
{
    (void)state;
    besiege_unix(false);
}

static void unix_with_the_collector(void **state)
{
    (void)state;
    besiege_unix(true);
}

static int start(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_redis_start(&redis, &folder);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_redis_kill(&redis);
    server_folder_fini(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_without_a_collector),
        cmocka_unit_test(tcp_with_the_collector),
        cmocka_unit_test(unix_without_a_collector),
        cmocka_unit_test(unix_with_the_collector),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
