/* SPDX-License-Identifier: MIT */
/*
 * ssh_agent: logs in with the keys of an ssh-agent (draft-miller-ssh-agent). libssh2 has a client of its own, which
 * waits on a blocking socket that execs inherit; this one is dialled by the host and never waits.
 */
#ifndef SSH_AGENT_H
#define SSH_AGENT_H

#include <connpool/manager.h>
#include <stdbool.h>
#include <stddef.h>

struct ssh_session;

enum ssh_agent_phase { SSH_AGENT_DIAL = 0, SSH_AGENT_LIST, SSH_AGENT_KEY };

struct ssh_agent {
    enum ssh_agent_phase phase;
    struct connpool_dial *dial;
    int32_t fd; /* valid once is_connected */
    bool is_connected;
    bool is_waiting; /* for the agent, not for the server */
    bool is_failed;  /* it did not answer as it should */

    /* An exchange under way: */
    unsigned char *message; /* the request, then the reply; NULL: none */
    size_t size, done;      /* of the message, with its length */
    bool is_sent;

    /* Its keys: */
    unsigned char *keys; /* what it answered */
    const unsigned char *at, *end;
    const unsigned char *key; /* being tried */
    size_t key_length;
    unsigned tried, unusable;
};

/* Try the agent's keys: DONE with *is_accepted when one was taken or all were refused. */
int32_t ssh_agent_step(struct ssh_session *session, bool *is_accepted, struct connpool_wait *wait,
                       struct connpool_fault *fault);
/* Close the way to the agent. */
void ssh_agent_end(struct ssh_session *session);

#endif
