/* SPDX-License-Identifier: MIT */
/*
 * connpool/ssh.h: what a lease of the manager ssh lends: an authenticated session of libssh2, and a call that runs one
 * command over it. Header only; a program that only runs commands need not be linked with libssh2, the manager is.
 */
#ifndef CONNPOOL_SSH_H
#define CONNPOOL_SSH_H

#include <stdio.h>

#include <connpool/connpool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct _LIBSSH2_SESSION; /* NOLINT(bugprone-reserved-identifier): so libssh2.h calls its LIBSSH2_SESSION */

/* The name of the manager's native type; another release of libssh2 that is not compatible has another number. */
#define CONNPOOL_SSH_TYPE "libssh2.SESSION/1"

/*
 * The session of a lease; NULL: the lease holds nothing, or a connection of another manager. It is logged in, and the
 * pool's: open channels in it, one operation at a time, and close and free each before the release, or the session is
 * closed then (option keep_open_channels). Do not disconnect or free it, leave its callbacks and its abstract pointer
 * as they are. connpool_acquire gives one whose calls wait, at most for the option call_timeout each.
 */
static inline struct _LIBSSH2_SESSION *connpool_ssh(const connpool_lease *lease)
{
    return (struct _LIBSSH2_SESSION *)connpool_lease_native(lease, CONNPOOL_SSH_TYPE);
}

/* The descriptor below the session, to poll where its calls do not wait (libssh2_session_block_directions says for
 * what); -1: as above. Neither read, nor write, nor close it. */
static inline int connpool_ssh_descriptor(const connpool_lease *lease)
{
    const int32_t *descriptor =
        connpool_ssh(lease) == NULL ? NULL : (const int32_t *)connpool_lease_native(lease, "fd");

    return descriptor == NULL ? -1 : *descriptor;
}

/* ---- Running a command */

/* A command and what becomes of it. Zero is the default of every member but size and command. */
struct connpool_ssh_command {
    uint32_t size;       /* sizeof(struct connpool_ssh_command) */
    int32_t timeout_ms;  /* of all of it; 0 or less: no limit */
    const char *command; /* for the user's shell there */
    const void *input;   /* its stdin, input_size bytes; NULL: empty */
    size_t input_size;
    char *output; /* where its stdout goes; what comes after output_capacity bytes is dropped. NULL: all of it */
    size_t output_capacity;
    char *errors; /* its stderr, likewise */
    size_t errors_capacity;

    /* Answers: */
    size_t output_size; /* bytes that came, those dropped too */
    size_t errors_size;
    int32_t exit_status; /* 0 … 255; -1: it was ended by a signal */
    char signal[28];     /* which, without SIG ("KILL"); "" for none */
};

/* What the manager gives for CONNPOOL_SSH_RUN_TYPE. run: 0, or the negative of an error class with the fault filled. */
#define CONNPOOL_SSH_RUN_TYPE "connpool.ssh.run/1"
struct connpool_ssh_runner {
    uint32_t size;
    uint32_t reserved;
    int32_t (*run)(struct connpool_ssh_runner *runner, struct connpool_ssh_command *command,
                   struct connpool_fault *fault);
};

/*
 * Run a command and wait for its end; the lease may be one of connpool_acquire or of connpool_acquire_async.
 * CONNPOOL_OK: it ran, the answers are filled. CONNPOOL_TIMED_OUT: its limit ran out; the command may go on over there
 * until it writes or reads next. CONNPOOL_FAILED: error_class says why; CONNPOOL_ERROR_RESOURCE_REMOTE: the server
 * opens no more channels in this session (MaxSessions), which is healthy otherwise. After all others the session is
 * closed when it is released. CONNPOOL_STALE: the lease holds no ssh session.
 */
static inline connpool_status connpool_ssh_run(const connpool_lease *lease, struct connpool_ssh_command *command,
                                               connpool_error *error)
{
    struct connpool_ssh_runner *runner =
        (struct connpool_ssh_runner *)connpool_lease_native(lease, CONNPOOL_SSH_RUN_TYPE);
    struct connpool_fault fault = {sizeof(struct connpool_fault), 0, 0, 0, 0, ""};
    connpool_status status = CONNPOOL_STALE;

    if (runner == NULL) {
        (void)snprintf(fault.text, sizeof(fault.text), "the lease holds no ssh session");
    } else if (runner->run(runner, command, &fault) == 0) {
        return CONNPOOL_OK;
    } else {
        status = fault.error_class == CONNPOOL_ERROR_TIMEOUT ? CONNPOOL_TIMED_OUT : CONNPOOL_FAILED;
    }
    if (error != NULL) {
        error->status = status;
        error->error_class = fault.error_class;
        error->os_error = fault.os_error;
        error->library_code = fault.library_code;
        (void)snprintf(error->text, sizeof(error->text), "%s", fault.text);
    }
    return status;
}

#ifdef __cplusplus
}
#endif

#endif
