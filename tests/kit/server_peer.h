/* SPDX-License-Identifier: MIT */
/* server_peer: what one does with either end of a connected socket in a test. All fail the test where it does not work.
 */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* Close with a reset (SO_LINGER 0). */
void server_peer_reset(int fd);
/* Say that no more will come; still reads. */
void server_peer_half_close(int fd);
/* From now on nothing that arrives is seen or acknowledged, as behind a firewall that forgot the connection; on a
 * listening socket: connects are not answered. */
void server_peer_mute(int fd);
/* Whether the system lets this user do that (some let only root filter). */
bool server_peer_can_mute(void);
/* Undo server_peer_mute. */
void server_peer_unmute(int fd);
/* Send all of the text, without SIGPIPE. */
void server_peer_send(int fd, const char *text);
/* Wait until something can be read or the connection ended; at most five seconds. */
void server_peer_await(int fd);
/* Receive exactly that text; at most five seconds for each piece. */
void server_peer_expect(int fd, const char *text);
/* Receive up to the end of a line, which replaces the line end by NUL; -1: the connection ended first. */
int server_peer_line(int fd, char *line, size_t size);
/* An option of the socket, as an int. */
int server_peer_option(int fd, int level, int option);

#endif
