/* SPDX-License-Identifier: MIT */
/* server_redis: a Redis of the test's own on loopback and on a Unix socket; keeps nothing on disk. */
#ifndef SERVER_REDIS_H
#define SERVER_REDIS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server_folder.h"

struct server_redis {
    const struct server_folder *folder;
    pid_t pid;  /* 0: not running */
    int output; /* what it prints */
    uint16_t port;
    char endpoint[32];
    char path[SERVER_PATH_SIZE]; /* of its Unix socket */
};

/* Start it; it serves when this returns. */
void server_redis_start(struct server_redis *redis, const struct server_folder *folder);
/* End it at once; its connections are closed by the kernel. */
void server_redis_kill(struct server_redis *redis);
/* Start it again on the same port and path. */
void server_redis_restart(struct server_redis *redis);

/* Send one inline command ("PING") and read a one-line answer without its type's sign and line end, or for a bulk
 * string the string. 0; -1: the connection failed. */
int server_redis_command(int fd, const char *command, char *answer, size_t size);

#endif
