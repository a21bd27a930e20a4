/* SPDX-License-Identifier: MIT */
/*
 * server_sshd: an OpenSSH server of the test's own on 127.0.0.1, unprivileged: where the test is root it runs as
 * `nobody`. It knows one user, "tester", whoever that is to the system (libnss-wrapper), with the shell /bin/sh, the
 * folder's sub-folder "sshd" as home, any of the keys of that user, and a password.
 */
#ifndef SERVER_SSHD_H
#define SERVER_SSHD_H

#include <stdint.h>
#include <sys/types.h>

#include "server_folder.h"

#define SERVER_SSHD_USER     "tester"
#define SERVER_SSHD_PASSWORD "correct horse"

struct server_sshd {
    const struct server_folder *folder;
    pid_t pid;  /* 0: not running */
    int output; /* what it prints before it serves; later it writes into the folder's sshd/log */
    uint16_t port;
    char endpoint[32];                  /* 127.0.0.1:4711 */
    char private_key[SERVER_PATH_SIZE]; /* the user's, ed25519 */
    char known_hosts[SERVER_PATH_SIZE]; /* names the server at its endpoint, with all its keys */
};

/*
 * Make its keys and start it; connections are accepted when this returns. It has an ed25519 and an ecdsa host key, the
 * user an ed25519 key that it accepts. configuration: lines for sshd_config that come first, so that they win, each
 * with its line end ("MaxSessions 1\n"); "" for none. A HostKey there takes the place of both.
 */
void server_sshd_start(struct server_sshd *sshd, const struct server_folder *folder, const char *configuration);
/* End it and all its connections at once. */
void server_sshd_kill(struct server_sshd *sshd);
/* Start it again on the same port with the same keys; configuration as above. Existing connections stay where it was
 * not killed before. */
void server_sshd_restart(struct server_sshd *sshd, const char *configuration);
/* Stop it and all processes of its connections (SIGSTOP): they are silent when this returns. */
void server_sshd_stop(const struct server_sshd *sshd);
/* Let them go on. */
void server_sshd_continue(const struct server_sshd *sshd);
/* End the processes of its connections, while the server goes on. */
void server_sshd_kill_sessions(const struct server_sshd *sshd);
/* Processes that serve a connection now. */
unsigned server_sshd_sessions(const struct server_sshd *sshd);

/* Make a key pair NAME and NAME.pub in the folder: type as of ssh-keygen -t, bits of -b, 0: the type's usual, comment
 * and passphrase "" for none. */
void server_sshd_make_key(const struct server_folder *folder, const char *name, const char *type, unsigned bits,
                          const char *passphrase);
/* Let the server read that file of the folder, and nobody else. */
void server_sshd_give(const struct server_sshd *sshd, const char *name);
/* Let the user log in with that key of the folder too (NAME.pub). */
void server_sshd_accept_key(const struct server_sshd *sshd, const char *name);

#endif
