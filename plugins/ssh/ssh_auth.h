/* SPDX-License-Identifier: MIT */
/* ssh_auth: logs in, with what is configured and the server takes, in this order: the key file, the agent's keys, the
 * password, the password as the answer to a question. */
#ifndef SSH_AUTH_H
#define SSH_AUTH_H

#include <connpool/manager.h>
#include <stdbool.h>

struct ssh_session;

enum ssh_auth_method {
    SSH_AUTH_LIST = 0, /* what does the server take? */
    SSH_AUTH_KEY,
    SSH_AUTH_AGENT,
    SSH_AUTH_PASSWORD,
    SSH_AUTH_QUESTION,
};

struct ssh_auth {
    enum ssh_auth_method method; /* under way */
    unsigned tried;              /* 1 << method, each */
    bool is_answered;            /* the one question */
    bool is_asked_more;          /* other questions came, and got empty answers */
    char offered[128];           /* methods that the server takes, for people */
};

/* A step of open. */
int32_t ssh_auth_step(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault);

#endif
