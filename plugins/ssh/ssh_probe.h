/* SPDX-License-Identifier: MIT */
/*
 * ssh_probe: a round trip on a session that nobody uses: a channel is opened and closed again. libssh2 offers no other
 * that shows an answer: of keepalive@libssh2.org the reply is never looked at and stays in the session for ever, and
 * without a channel nothing else reads what the server sent (its own keep-alives, a new key exchange, its goodbye). A
 * server that refuses the channel has answered too.
 */
#ifndef SSH_PROBE_H
#define SSH_PROBE_H

#include <connpool/manager.h>
#include <libssh2.h>
#include <stdbool.h>

struct ssh_probe {
    bool is_running;
    LIBSSH2_CHANNEL *channel; /* once it is open */
    int64_t deadline;         /* of one that idle began, 0: none */
};

/* Members of struct connpool_manager. */
connpool_step_fn ssh_probe_check;
connpool_step_fn ssh_probe_idle;

#endif
