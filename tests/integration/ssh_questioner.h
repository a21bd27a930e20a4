/* SPDX-License-Identifier: MIT */
/*
 * ssh_questioner: an SSH server in a thread of the test that logs in by questions (keyboard-interactive, RFC 4256) as
 * its script says. It is made of libssh: an OpenSSH server asks questions only through PAM, which needs root.
 */
#ifndef SSH_QUESTIONER_H
#define SSH_QUESTIONER_H

#include <stddef.h>
#include <stdint.h>

#define SSH_QUESTIONER_PASSWORD "correct horse"

/* One request for information. */
struct ssh_questioner_round {
    /* A letter for each question: h hidden, e echoed. "" asks nothing; NULL says nothing more until the client goes. */
    const char *questions;
    const char *answers[2]; /* that are right; with any other one the login is refused */
    unsigned times;         /* that it comes, 0: once */
};

struct ssh_questioner_script {
    unsigned methods;                          /* offered: SSH_AUTH_METHOD_… of libssh; a password is always wrong */
    const struct ssh_questioner_round *rounds; /* after the last one the client is logged in */
    size_t round_count;
};

/* What clients did so far; to be read after the end. */
struct ssh_questioner_record {
    unsigned connections;
    unsigned requests;  /* to be asked */
    unsigned passwords; /* tries of the method password */
    unsigned answered;  /* requests for information */
    unsigned given;     /* answers that are SSH_QUESTIONER_PASSWORD */
};

struct ssh_questioner;

/* Start it at a free port of 127.0.0.1, with a new host key; the script lives longer. It serves one connection after
 * the other. */
struct ssh_questioner *ssh_questioner_start(const struct ssh_questioner_script *script);
uint16_t ssh_questioner_port(const struct ssh_questioner *questioner);
/* Of its host key: SHA256:… */
const char *ssh_questioner_pin(const struct ssh_questioner *questioner);
/* End it, free it; its clients must be gone. */
struct ssh_questioner_record ssh_questioner_end(struct ssh_questioner *questioner);

#endif
