/* SPDX-License-Identifier: MIT */
/* ssh_probe: see ssh_probe.h. */
#include "ssh_probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "../common/fault.h"
#include "ssh_session.h"

#define WINDOW_SIZE 32768 /* nothing is ever sent through it */

/* The channel is open, or was refused; or AGAIN. */
static int32_t open_channel(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int error;

    session->probe.channel = libssh2_channel_open_ex(session->libssh2, "session", sizeof("session") - 1, WINDOW_SIZE,
                                                     LIBSSH2_CHANNEL_PACKET_DEFAULT, NULL, 0);
    if (session->probe.channel != NULL) {
        return CONNPOOL_STEP_DONE;
    }
    error = libssh2_session_last_errno(session->libssh2);
    if (error == LIBSSH2_ERROR_EAGAIN) {
        return ssh_session_again(session, wait);
    }
    return error == LIBSSH2_ERROR_CHANNEL_FAILURE && !session->is_lost
               ? CONNPOOL_STEP_DONE
               : ssh_session_fail(session, error, CONNPOOL_ERROR_CLOSED, "probe", fault);
}

static int32_t close_channel(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int result = libssh2_channel_free(session->probe.channel);

    if (result == LIBSSH2_ERROR_EAGAIN) {
        return ssh_session_again(session, wait);
    }
    session->probe.channel = NULL;
    return session->is_lost ? ssh_session_fail(session, result, CONNPOOL_ERROR_CLOSED, "probe", fault)
                            : CONNPOOL_STEP_DONE;
}

static int32_t step(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result = CONNPOOL_STEP_DONE;

    ssh_session_begin_step(session);
    session->probe.is_running = true;
    if (session->probe.channel == NULL) {
        result = open_channel(session, wait, fault);
    }
    if (result == CONNPOOL_STEP_DONE && session->probe.channel != NULL) {
        result = close_channel(session, wait, fault);
    }
    session->probe.is_running = result == CONNPOOL_STEP_AGAIN;
    return result;
}

/* What the last lease left: our socket, at whose other end the server still is. */
static int32_t check_left(struct ssh_session *session, struct connpool_fault *fault)
{
    int32_t result = stream_check(&session->stream, fault);

    if (result == 0 && session->is_lost) {
        return ssh_session_fail(session, LIBSSH2_ERROR_SOCKET_DISCONNECT, CONNPOOL_ERROR_CLOSED, "the last lease",
                                fault);
    }
    return result;
}

int32_t ssh_probe_check(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result = check_left(connection, fault);

    return result == 0 ? step(connection, wait, fault) : result;
}

/* ---- A parked session */

/* Where to wait until the server says something or the next probe is due. */
static int32_t rest(const struct ssh_session *session, struct connpool_wait *wait)
{
    wait->fd = session->stream.fd;
    wait->events = CONNPOOL_EVENT_READ;
    wait->at = session->next_probe;
    return CONNPOOL_STEP_AGAIN;
}

static int32_t step_idle_probe(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct ssh_options *options = session->stream.head.options;
    int32_t result;

    if (!session->probe.is_running) {
        session->probe.deadline = wait->now + options->probe_timeout;
    } else if (wait->now >= session->probe.deadline) {
        return fault_fill(fault, CONNPOOL_ERROR_TIMEOUT, 0, "the server did not answer a probe within probe_timeout");
    }
    result = step(session, wait, fault);
    if (result == CONNPOOL_STEP_AGAIN) {
        wait->flags |= CONNPOOL_WAIT_BUSY;
        wait->at = session->probe.deadline;
        return result;
    }
    if (result != CONNPOOL_STEP_DONE) {
        return result;
    }
    session->next_probe = options->probe_interval == 0 ? 0 : wait->now + options->probe_interval;
    return rest(session, wait);
}

/* Only a look: whether anything is there to be read, and not the end. */
static int32_t look(const struct ssh_session *session, struct connpool_fault *fault)
{
    char byte;
    ssize_t found = recv(session->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (found == 0) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "the server closed the idle connection");
    }
    if (found < 0 && errno != EAGAIN && errno != EINTR) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, errno, "the idle connection was lost: %s", strerror(errno));
    }
    return found > 0 ? CONNPOOL_STEP_DONE : CONNPOOL_STEP_AGAIN;
}

int32_t ssh_probe_idle(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct ssh_session *session = connection;
    const struct ssh_options *options = session->stream.head.options;
    int32_t seen = check_left(session, fault);

    if (seen < 0) {
        return seen;
    }
    seen = CONNPOOL_STEP_AGAIN;
    if (session->probe.is_running) {
        return step_idle_probe(session, wait, fault);
    }
    if (!session->is_parked) {
        session->is_parked = true;
        session->next_probe = options->probe_interval == 0 ? 0 : wait->now + options->probe_interval;
        return rest(session, wait);
    }
    if (wait->ready != 0) {
        seen = look(session, fault);
        if (seen < 0) {
            return seen;
        }
    }
    if (seen == CONNPOOL_STEP_DONE || (session->next_probe != 0 && wait->now >= session->next_probe)) {
        return step_idle_probe(session, wait, fault);
    }
    return rest(session, wait);
}
