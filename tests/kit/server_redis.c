/* SPDX-License-Identifier: MIT */
/* server_redis: a Redis of the test's own. That it is ready it tells on its output. */
#include "server_redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

#include "server_listener.h"
#include "server_peer.h"
#include "server_process.h"

#define START_ATTEMPTS 5

static bool launch(struct server_redis *redis)
{
    char configuration[SERVER_PATH_SIZE];
    const char *const arguments[] = {"redis-server", configuration, NULL};

    server_folder_write(redis->folder, "redis.conf",
                        "bind 127.0.0.1 -::1\nport %u\nunixsocket %s\nsave \"\"\nappendonly no\ndir %s\n"
                        "databases 1\nmaxclients 512\n",
                        redis->port, redis->path, redis->folder->path);
    server_folder_path(redis->folder, "redis.conf", configuration);
    redis->pid = server_process_start(arguments, &redis->output);
    if (server_process_says(redis->output, "Ready to accept connections")) {
        return true;
    }
    server_redis_kill(redis);
    return false;
}

void server_redis_start(struct server_redis *redis, const struct server_folder *folder)
{
    redis->folder = folder;
    server_folder_path(folder, "redis.sock", redis->path);
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        redis->port = server_listener_random_port(); /* Redis ends where it is taken */
        if (launch(redis)) {
            (void)snprintf(redis->endpoint, sizeof(redis->endpoint), "127.0.0.1:%u", redis->port);
            return;
        }
    }
    fail_msg("redis-server does not start");
}

void server_redis_restart(struct server_redis *redis)
{
    server_redis_kill(redis);
    assert_true(launch(redis));
}

void server_redis_kill(struct server_redis *redis)
{
    server_process_end(&redis->pid, &redis->output);
}

int server_redis_command(int fd, const char *command, char *answer, size_t size)
{
    char line[256];
    int length = snprintf(line, sizeof(line), "%s\r\n", command);

    if (length < 0 || (size_t)length >= sizeof(line) || send(fd, line, (size_t)length, MSG_NOSIGNAL) != length ||
        server_peer_line(fd, line, sizeof(line)) != 0) {
        return -1;
    }
    if (line[0] == '$' && line[1] != '-') {
        return server_peer_line(fd, answer, size);
    }
    return snprintf(answer, size, "%s", line + 1) < (int)size ? 0 : -1;
}
