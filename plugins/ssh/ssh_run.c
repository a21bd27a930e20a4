/* SPDX-License-Identifier: MIT */
/*
 * ssh_run: see ssh_run.h. libssh2 wants one operation at a time, repeated with equal arguments until it is no longer
 * EAGAIN; that loop, with the limit, is here. It waits in poll(2), so its time is the system's and not the host's.
 */
#include "ssh_run.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "../common/fault.h"
#include "ssh_session.h"

#define PIECE_SIZE 16384
#define NO_LIMIT   INT64_MAX

struct run {
    struct ssh_session *session;
    struct connpool_ssh_command *command;
    struct connpool_fault *fault;
    LIBSSH2_CHANNEL *channel;
    int64_t deadline; /* ms of the monotonic clock */
    size_t written;   /* of the input */
    bool is_input_ended;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int32_t time_out(const struct run *run)
{
    return fault_fill(run->fault, CONNPOOL_ERROR_TIMEOUT, 0, "the command did not end within %d ms",
                      run->command->timeout_ms);
}

/* Until the socket is ready for what libssh2 wants: 0, or the limit ran out. */
static int32_t await(const struct run *run)
{
    struct connpool_wait wait = {.size = sizeof(wait)};
    struct pollfd polled = {.fd = run->session->stream.fd};
    int64_t left = run->deadline == NO_LIMIT ? -1 : run->deadline - now_ms();

    if (run->deadline != NO_LIMIT && left <= 0) {
        return time_out(run);
    }
    (void)ssh_session_again(run->session, &wait);
    polled.events = (short)(((wait.events & CONNPOOL_EVENT_READ) != 0 ? POLLIN : 0) |
                            ((wait.events & CONNPOOL_EVENT_WRITE) != 0 ? POLLOUT : 0));
    if (poll(&polled, 1, left > INT32_MAX ? INT32_MAX : (int)left) < 0 && errno != EINTR) {
        return fault_fill(run->fault, CONNPOOL_ERROR_RESOURCE_LOCAL, errno, "poll: %s", strerror(errno));
    }
    return 0;
}

static int32_t fail(const struct run *run, int error, const char *what)
{
    return ssh_session_fail(run->session, error, CONNPOOL_ERROR_PROTOCOL, what, run->fault);
}

/* Repeat an operation of libssh2 until it does not answer EAGAIN: 0, or a failure. */
#define REPEAT(run, result, operation)                                                                                 \
    do {                                                                                                               \
        ssh_session_begin_step((run)->session);                                                                        \
        (result) = (operation);                                                                                        \
    } while ((result) == LIBSSH2_ERROR_EAGAIN && await(run) == 0)

static int32_t end_of(const struct run *run, int result, const char *what)
{
    if (run->fault->error_class != 0) {
        return -run->fault->error_class;
    }
    return result == 0 ? 0 : fail(run, result, what);
}

/* ---- The channel */

static int open_channel(struct run *run)
{
    run->channel = libssh2_channel_open_session(run->session->libssh2);
    return run->channel != NULL ? 0 : libssh2_session_last_errno(run->session->libssh2);
}

/* The server counts a channel that was closed just before until it comes round to clearing it away, which it has when
 * its refusal is here; so one refusal is none. */
static int32_t open_and_start(struct run *run)
{
    int result;

    REPEAT(run, result, open_channel(run));
    if (result == LIBSSH2_ERROR_CHANNEL_FAILURE) {
        REPEAT(run, result, open_channel(run));
    }
    if (result == LIBSSH2_ERROR_CHANNEL_FAILURE && !run->session->is_lost) {
        return ssh_session_fail(run->session, result, CONNPOOL_ERROR_RESOURCE_REMOTE,
                                "the server opens no channel (MaxSessions)", run->fault);
    }
    if (end_of(run, result, "channel") != 0) {
        return -run->fault->error_class;
    }
    REPEAT(run, result,
           libssh2_channel_process_startup(run->channel, "exec", sizeof("exec") - 1, run->command->command,
                                           (unsigned)strlen(run->command->command)));
    return end_of(run, result, "command");
}

/* ---- Its streams */

static void keep(char *bytes, size_t capacity, size_t *size, const char *piece, size_t length)
{
    size_t room = bytes == NULL || *size >= capacity ? 0 : capacity - *size;

    if (room > 0) {
        memcpy(bytes + *size, piece, length < room ? length : room);
    }
    *size += length;
}

static bool is_late(const struct run *run)
{
    return run->deadline != NO_LIMIT && now_ms() >= run->deadline;
}

/* What has come of a stream: 0: all of it, EAGAIN: that was all for now, or another error. A server may send faster
 * than we read, so that this has no end of its own. */
static int read_stream(struct run *run, int stream)
{
    struct connpool_ssh_command *command = run->command;
    char piece[PIECE_SIZE];
    ssize_t length;

    ssh_session_begin_step(run->session);
    while ((length = libssh2_channel_read_ex(run->channel, stream, piece, sizeof(piece))) > 0) {
        if (stream == 0) {
            keep(command->output, command->output_capacity, &command->output_size, piece, (size_t)length);
        } else {
            keep(command->errors, command->errors_capacity, &command->errors_size, piece, (size_t)length);
        }
        if (is_late(run)) {
            (void)time_out(run);
            return LIBSSH2_ERROR_TIMEOUT;
        }
        ssh_session_begin_step(run->session);
    }
    return (int)length;
}

/* As much of the input as goes now, then its end: 0: done, EAGAIN, or another error. */
static int write_input(struct run *run)
{
    const struct connpool_ssh_command *command = run->command;

    while (run->written < command->input_size) {
        ssize_t length;

        ssh_session_begin_step(run->session);
        length = libssh2_channel_write(run->channel, (const char *)command->input + run->written,
                                       command->input_size - run->written);
        /* 0: the server's window is full, and what widens it has yet to come. */
        if (length <= 0) {
            return length == 0 ? LIBSSH2_ERROR_EAGAIN : (int)length;
        }
        run->written += (size_t)length;
        if (is_late(run)) {
            (void)time_out(run);
            return LIBSSH2_ERROR_TIMEOUT;
        }
    }
    if (!run->is_input_ended) {
        int result = libssh2_channel_send_eof(run->channel);

        if (result != 0) {
            return result;
        }
        run->is_input_ended = true;
    }
    return 0;
}

static bool is_in_mid_packet(const struct run *run)
{
    return (libssh2_session_block_directions(run->session->libssh2) & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0;
}

static bool is_failure(int result)
{
    return result < 0 && result != LIBSSH2_ERROR_EAGAIN;
}

/* Both ways at once, until the command has closed its ends. A packet that went out by half must go on before anything
 * else is asked of libssh2. */
static int32_t exchange(struct run *run)
{
    while (!libssh2_channel_eof(run->channel)) {
        int result = write_input(run);

        if (result != LIBSSH2_ERROR_EAGAIN || !is_in_mid_packet(run)) {
            /* A command need not read its input. */
            result = is_failure(result) && run->session->is_lost ? result : read_stream(run, 0);
            result = is_failure(result) ? result : read_stream(run, SSH_EXTENDED_DATA_STDERR);
        }
        if (is_failure(result)) {
            return end_of(run, result, "command");
        }
        if (!libssh2_channel_eof(run->channel) && await(run) != 0) {
            return -run->fault->error_class;
        }
    }
    return 0;
}

/* ---- Its end */

static void keep_signal(struct run *run)
{
    struct connpool_ssh_command *command = run->command;
    char *name = NULL;
    size_t length = 0;

    (void)libssh2_channel_get_exit_signal(run->channel, &name, &length, NULL, NULL, NULL, NULL);
    if (name != NULL) {
        command->exit_status = -1;
        length = length < sizeof(command->signal) ? length : sizeof(command->signal) - 1;
        memcpy(command->signal, name, length);
        command->signal[length] = '\0';
        libssh2_free(run->session->libssh2, name);
    }
}

static int32_t finish(struct run *run)
{
    int result;

    REPEAT(run, result, libssh2_channel_wait_closed(run->channel));
    if (end_of(run, result, "end") != 0) {
        return -run->fault->error_class;
    }
    run->command->exit_status = libssh2_channel_get_exit_status(run->channel);
    keep_signal(run);
    REPEAT(run, result, libssh2_channel_free(run->channel));
    return end_of(run, result, "end");
}

/* The session must be as prepare left it. */
static void restore(struct ssh_session *session, int was_blocking)
{
    struct connpool_wait wait = {.size = sizeof(wait), .flags = was_blocking ? 0 : CONNPOOL_WAIT_FOR_LOOP};
    struct connpool_fault unused = {.size = sizeof(unused)};

    (void)ssh_session_prepare(session, &wait, &unused);
}

int32_t ssh_run(struct connpool_ssh_runner *runner, struct connpool_ssh_command *command, struct connpool_fault *fault)
{
    struct ssh_session *session =
        (struct ssh_session *)((unsigned char *)runner - offsetof(struct ssh_session, runner));
    int was_blocking = libssh2_session_get_blocking(session->libssh2);
    struct run run = {
        .session = session,
        .command = command,
        .fault = fault,
        .deadline = command->timeout_ms > 0 ? now_ms() + command->timeout_ms : NO_LIMIT,
    };
    int32_t result;

    command->output_size = command->errors_size = 0;
    command->exit_status = -1;
    command->signal[0] = '\0';
    result = open_and_start(&run);
    if (result == 0) {
        result = exchange(&run);
    }
    if (result == 0) {
        result = finish(&run);
    }
    /* Its channel cannot be closed without waiting once more, so the session goes with it. */
    session->is_spoiled = session->is_spoiled || (result != 0 && result != -CONNPOOL_ERROR_RESOURCE_REMOTE);
    restore(session, was_blocking);
    return result;
}
