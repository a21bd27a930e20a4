/* SPDX-License-Identifier: MIT */
/*
 * server_process: a server program as a child of the test. It is killed when the thread that started it ends, however
 * that comes, so no server outlives its test; start it from the main thread.
 */
#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Start a program with these arguments, ended by NULL, the first being its name, which is looked up in the system's
 * folders, those for administrators too. *output is the end of a pipe from its stdout and stderr. The test fails where
 * that is not possible. Returns its pid.
 */
pid_t server_process_start(const char *const *arguments, int *output);
/* Read what it prints until the text comes; false: it ended first. */
bool server_process_says(int output, const char *text);
/* Kill it, wait until it is gone, close the pipe; *pid becomes 0. Does nothing for a pid of 0. */
void server_process_end(pid_t *pid, int *output);

#endif
