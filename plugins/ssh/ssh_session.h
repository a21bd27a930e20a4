/* SPDX-License-Identifier: MIT */
/*
 * ssh_session: a connection of this manager: a socket, a libssh2 session over it, and what is going on with them.
 *
 * libssh2 reads and writes the socket through us, so that a step of ours ends also where the peer floods, no SIGPIPE
 * comes, and the socket is out of reach once a session is being destroyed: then nothing that libssh2 still wants to
 * say or hear can wait.
 */
#ifndef SSH_SESSION_H
#define SSH_SESSION_H

#include <connpool/ssh.h>
#include <libssh2.h>

#include "../common/stream.h"
#include "ssh_agent.h"
#include "ssh_auth.h"
#include "ssh_memory.h"
#include "ssh_options.h"
#include "ssh_probe.h"

enum ssh_phase { SSH_PHASE_DIAL = 0, SSH_PHASE_HANDSHAKE, SSH_PHASE_LOGIN, SSH_PHASE_READY, SSH_PHASE_FAILED };

struct ssh_session {
    struct stream stream; /* first: it has the head */
    enum ssh_phase phase;
    LIBSSH2_SESSION *libssh2; /* NULL before it is dialled */
    struct ssh_memory memory;
    size_t clean_count; /* blocks when nothing is open in it */

    int32_t reads_left; /* that libssh2 may make before the step must end */
    bool is_short;      /* of memory, in this step */
    bool is_cut;        /* libssh2 reaches the socket no more */
    bool is_lost;       /* the peer closed, or the socket failed */
    bool is_spoiled;    /* an operation on it was left in the middle: nobody else may have it */
    int lost_error;     /* errno of that, 0: the peer closed */
    int32_t goodbye;    /* the reason code of the peer's DISCONNECT, 0: none came */
    char goodbye_text[80];

    struct ssh_auth auth;
    struct ssh_agent agent;
    struct ssh_probe probe;
    bool is_parked;                    /* idle was asked since the last lease */
    int64_t next_probe;                /* when an idle session is probed, 0: never */
    struct connpool_ssh_runner runner; /* what native gives */
};

/* Members of struct connpool_manager. */
connpool_step_fn ssh_session_open;
connpool_step_fn ssh_session_prepare;
connpool_step_fn ssh_session_reset;
connpool_step_fn ssh_session_close;
void ssh_session_destroy(void *connection);
int32_t ssh_session_descriptors(void *connection, int32_t *descriptors, int32_t capacity);

/* Before libssh2 is called in a step: it shall not wait, and not read for ever. */
void ssh_session_begin_step(struct ssh_session *session);
/* After it answered LIBSSH2_ERROR_EAGAIN: AGAIN, with what it waits for in wait. */
int32_t ssh_session_again(struct ssh_session *session, struct connpool_wait *wait);
/* What libssh2's error means: the text is `what`, then what is known of the cause. error_class: of an error of libssh2
 * where the connection is not lost. */
int32_t ssh_session_fail(struct ssh_session *session, int error, int32_t error_class, const char *what,
                         struct connpool_fault *fault);

#endif
