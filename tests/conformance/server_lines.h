/* SPDX-License-Identifier: MIT */
/*
 * server_lines: a server in a process of its own that sends back every byte it gets, at a port of 127.0.0.1 or a path.
 * It ends with the process that started it.
 */
#ifndef CONFORM_SERVER_LINES_H
#define CONFORM_SERVER_LINES_H

#include <stdint.h>
#include <sys/types.h>

struct server_lines {
    pid_t pid;
    uint16_t port; /* 0: a path */
};

/* Start it at a free port, or with path not NULL there. Fails the test where that is not possible. */
void server_lines_start(struct server_lines *server, const char *path);
void server_lines_end(struct server_lines *server);

#endif
