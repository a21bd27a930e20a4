/* SPDX-License-Identifier: MIT */
/* ssh_session: see ssh_session.h. */
#include "ssh_session.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../common/fault.h"
#include "ssh_methods.h"
#include "ssh_run.h"
#include "ssh_trust.h"

#define NANOSECONDS_OF_MS INT64_C(1000000)
#define READS_OF_A_STEP   512 /* of at most 16 KiB each, of one byte each before the server's banner is known */
#define READS_WITHOUT_END INT32_MAX
#define BITS_OF_NOTHING   0
#define TOO_MANY_SESSIONS SSH_DISCONNECT_TOO_MANY_CONNECTIONS

/* ---- What libssh2 calls */

static LIBSSH2_ALLOC_FUNC(take)
{
    struct ssh_session *session = *abstract;
    void *bytes = ssh_memory_take(&session->memory, count);

    session->is_short = session->is_short || bytes == NULL;
    return bytes;
}

static LIBSSH2_REALLOC_FUNC(resize)
{
    struct ssh_session *session = *abstract;
    void *bytes = ssh_memory_resize(&session->memory, ptr, count);

    session->is_short = session->is_short || bytes == NULL;
    return bytes;
}

static LIBSSH2_FREE_FUNC(give)
{
    ssh_memory_give(&((struct ssh_session *)*abstract)->memory, ptr);
}

static ssize_t lose(struct ssh_session *session, int error)
{
    session->is_lost = true;
    session->lost_error = error;
    return -error;
}

static LIBSSH2_RECV_FUNC(receive)
{
    struct ssh_session *session = *abstract;
    ssize_t found;

    if (session->is_cut) {
        return -ECONNRESET;
    }
    if (session->reads_left == 0) {
        return -EAGAIN;
    }
    session->reads_left -= session->reads_left == READS_WITHOUT_END ? 0 : 1;
    do {
        found = recv(socket, buffer, length, flags | MSG_DONTWAIT);
    } while (found < 0 && errno == EINTR);
    if (found < 0) {
        return errno == EAGAIN ? -EAGAIN : lose(session, errno);
    }
    return found == 0 && length > 0 ? lose(session, 0) : found;
}

static LIBSSH2_SEND_FUNC(transmit)
{
    struct ssh_session *session = *abstract;
    ssize_t sent;

    if (session->is_cut) {
        return -EPIPE;
    }
    do {
        sent = send(socket, buffer, length, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : errno == EAGAIN ? -EAGAIN : lose(session, errno);
}

/* What is not plain text is left out. */
static void copy_plain(char *to, size_t size, const char *from, size_t length)
{
    size_t used = 0;

    for (size_t i = 0; i < length && used + 1 < size; i++) {
        if (from[i] >= ' ' && from[i] <= '~') {
            to[used++] = from[i];
        }
    }
    to[used] = '\0';
}

/* The server says why it ends the connection. */
static LIBSSH2_DISCONNECT_FUNC(disconnected)
{
    struct ssh_session *this = *abstract;

    (void)session;
    (void)language;
    (void)language_len;
    this->is_lost = true;
    this->goodbye = reason;
    copy_plain(this->goodbye_text, sizeof(this->goodbye_text), message, message_len > 0 ? (size_t)message_len : 0);
}

/* ---- Steps over libssh2 */

void ssh_session_begin_step(struct ssh_session *session)
{
    libssh2_session_set_blocking(session->libssh2, 0);
    session->reads_left = READS_OF_A_STEP;
    session->is_short = false;
}

int32_t ssh_session_again(struct ssh_session *session, struct connpool_wait *wait)
{
    int directions = libssh2_session_block_directions(session->libssh2);

    wait->fd = session->stream.fd;
    wait->events = (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0 ? CONNPOOL_EVENT_WRITE : BITS_OF_NOTHING;
    if (wait->events == BITS_OF_NOTHING || (directions & LIBSSH2_SESSION_BLOCK_INBOUND) != 0) {
        wait->events |= CONNPOOL_EVENT_READ;
    }
    return CONNPOOL_STEP_AGAIN;
}

/* The end came before the server had named itself: as a rule it has too many, and OpenSSH says so. */
static int32_t fail_unnamed(struct ssh_session *session, const char *what, struct connpool_fault *fault)
{
    static const char *const busy[] = {"", "Exceeded MaxStartups", "Not allowed at this time"};
    const char *line = libssh2_session_banner_get(session->libssh2);
    char said[sizeof(session->goodbye_text)] = "";

    if (line != NULL) {
        copy_plain(said, sizeof(said), line, strlen(line));
    }
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        if (strcmp(said, busy[i]) == 0) {
            return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_REMOTE, session->lost_error,
                              "%s: the server closed the connection before its banner, as it does when it has too many "
                              "(MaxStartups)",
                              what);
        }
    }
    return fault_fill(fault, CONNPOOL_ERROR_PROTOCOL, session->lost_error,
                      "%s: the server is none of SSH; it said \"%s\" and closed the connection", what, said);
}

static int32_t fail_lost(struct ssh_session *session, const char *what, struct connpool_fault *fault)
{
    const char *banner = libssh2_session_banner_get(session->libssh2);

    if (session->goodbye != 0) {
        return fault_fill(
            fault, session->goodbye == TOO_MANY_SESSIONS ? CONNPOOL_ERROR_RESOURCE_REMOTE : CONNPOOL_ERROR_CLOSED, 0,
            "%s: the server ended the connection (reason %d: %s)", what, session->goodbye, session->goodbye_text);
    }
    if (banner == NULL || strncmp(banner, "SSH-", strlen("SSH-")) != 0) {
        return fail_unnamed(session, what, fault);
    }
    return fault_fill(fault, CONNPOOL_ERROR_CLOSED, session->lost_error, "%s: the connection was %s%s", what,
                      session->lost_error == 0 ? "closed by the server" : "lost: ",
                      session->lost_error == 0 ? "" : strerror(session->lost_error));
}

int32_t ssh_session_fail(struct ssh_session *session, int error, int32_t error_class, const char *what,
                         struct connpool_fault *fault)
{
    char *text = NULL;

    if (error == LIBSSH2_ERROR_ALLOC || session->is_short) {
        (void)fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "%s: no memory", what);
    } else if (session->is_lost) {
        (void)fail_lost(session, what, fault);
    } else {
        (void)libssh2_session_last_error(session->libssh2, &text, NULL, 0);
        (void)fault_fill(fault, error_class, 0, "%s: %s (libssh2 %d)", what, text == NULL ? "" : text, error);
    }
    fault->library_code = error;
    return -fault->error_class;
}

/* ---- Opening */

static int32_t set_methods(struct ssh_session *session, struct connpool_fault *fault)
{
    int result = ssh_methods_allow_safe(session->libssh2);

    if (result != 0) {
        return ssh_session_fail(session, result, CONNPOOL_ERROR_UNSUPPORTED, "the methods cannot be set", fault);
    }
    return ssh_trust_ask(session, fault);
}

static int32_t start(struct ssh_session *session, struct connpool_fault *fault)
{
    session->libssh2 = libssh2_session_init_ex(take, give, resize, session);
    if (session->libssh2 == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no memory for a session");
    }
    (void)libssh2_session_callback_set(session->libssh2, LIBSSH2_CALLBACK_RECV, (void *)receive);
    (void)libssh2_session_callback_set(session->libssh2, LIBSSH2_CALLBACK_SEND, (void *)transmit);
    (void)libssh2_session_callback_set(session->libssh2, LIBSSH2_CALLBACK_DISCONNECT, (void *)disconnected);
    session->phase = SSH_PHASE_HANDSHAKE;
    return set_methods(session, fault);
}

static int32_t dial(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct ssh_options *options = session->stream.head.options;
    const struct connpool_dial_options where = dial_options_of(&options->dial);
    int32_t result = ssh_trust_is_possible(session, fault);

    if (result != 0) {
        return result;
    }
    result = stream_open(&session->stream, &where, wait, fault);
    return result == CONNPOOL_STEP_DONE ? start(session, fault) : result;
}

static int32_t handshake(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int result = libssh2_session_handshake(session->libssh2, session->stream.fd);

    if (result == LIBSSH2_ERROR_EAGAIN) {
        return ssh_session_again(session, wait);
    }
    if (result != 0) {
        session->phase = SSH_PHASE_FAILED;
        return ssh_trust_fail(session, result, fault);
    }
    session->phase = SSH_PHASE_LOGIN;
    return ssh_trust_verify(session, fault);
}

/* Blocks that libssh2 holds for what is open in the session: its last error's text is none of them, nor are the copies
 * of the server's key, of which it forgets one with each exchange of keys. */
static size_t count_blocks(struct ssh_session *session)
{
    size_t length = 0;
    const char *key = libssh2_session_hostkey(session->libssh2, &length, NULL);

    (void)libssh2_session_set_last_error(session->libssh2, LIBSSH2_ERROR_NONE, NULL);
    return session->memory.count - ssh_memory_copies(&session->memory, key, length);
}

static int32_t log_in(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result = ssh_auth_step(session, wait, fault);

    if (result == CONNPOOL_STEP_DONE) {
        ssh_agent_end(session);
        session->phase = SSH_PHASE_READY;
        session->clean_count = count_blocks(session);
        session->runner = (struct connpool_ssh_runner){.size = sizeof(session->runner), .run = ssh_run};
    }
    return result;
}

int32_t ssh_session_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct ssh_session *session = connection;
    int32_t result = 0;

    if (session->phase == SSH_PHASE_DIAL) {
        result = dial(session, wait, fault);
        if (result != 0) {
            return result;
        }
    }
    ssh_session_begin_step(session);
    if (session->phase == SSH_PHASE_HANDSHAKE) {
        result = handshake(session, wait, fault);
    }
    return result == 0 ? log_in(session, wait, fault) : result;
}

/* ---- Lending */

int32_t ssh_session_prepare(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct ssh_session *session = connection;
    const struct ssh_options *options = session->stream.head.options;

    (void)fault;
    session->is_parked = false;
    session->reads_left = READS_WITHOUT_END;
    libssh2_session_set_blocking(session->libssh2, (wait->flags & CONNPOOL_WAIT_FOR_LOOP) == 0);
    libssh2_session_set_timeout(session->libssh2, (long)(options->call_timeout / NANOSECONDS_OF_MS));
    return CONNPOOL_STEP_DONE;
}

static bool is_clean(struct ssh_session *session)
{
    const struct ssh_options *options = session->stream.head.options;

    return options->keep_open_channels || count_blocks(session) <= session->clean_count;
}

/*
 * A channel, a listener or an SFTP session that is open is memory that libssh2 holds; so is a packet that nobody
 * fetched and an operation left in the middle. But so is an exchange of keys that the server has begun, which a round
 * trip brings to its end.
 */
int32_t ssh_session_reset(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct ssh_session *session = connection;
    int32_t result;

    ssh_session_begin_step(session);
    if (session->is_spoiled) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0, "a command was left in the middle");
    }
    if (!session->probe.is_running && is_clean(session)) {
        return CONNPOOL_STEP_DONE;
    }
    result = ssh_probe_check(session, wait, fault);
    if (result == CONNPOOL_STEP_DONE && !is_clean(session)) {
        return fault_fill(fault, CONNPOOL_ERROR_CLOSED, 0,
                          "the lease left a channel or something else of the session open");
    }
    return result;
}

/* ---- Ending */

int32_t ssh_session_close(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct ssh_session *session = connection;
    struct connpool_fault gone = {.size = sizeof(gone)};
    int result;

    (void)fault;
    if (session->is_lost || stream_check(&session->stream, &gone) != 0) {
        return CONNPOOL_STEP_DONE;
    }
    ssh_session_begin_step(session);
    result = libssh2_session_disconnect(session->libssh2, "");
    return result == LIBSSH2_ERROR_EAGAIN ? ssh_session_again(session, wait) : CONNPOOL_STEP_DONE;
}

/* libssh2 frees what a key exchange holds only at the exchange's end, so it is given one: a call that runs into the
 * socket that is gone. One that has failed is at its end; libssh2 may crash over what is left of it. */
static void end_exchange(struct ssh_session *session)
{
    if (session->phase == SSH_PHASE_HANDSHAKE) {
        (void)libssh2_session_handshake(session->libssh2, session->stream.fd);
    } else if (session->phase != SSH_PHASE_FAILED) {
        (void)libssh2_session_disconnect(session->libssh2, "");
    }
}

void ssh_session_destroy(void *connection)
{
    struct ssh_session *session = connection;

    ssh_agent_end(session);
    if (session->libssh2 != NULL) {
        session->is_cut = true;
        libssh2_session_set_blocking(session->libssh2, 0);
        end_exchange(session);
        (void)libssh2_session_free(session->libssh2);
    }
    ssh_memory_fini(&session->memory);
    stream_destroy(session);
}

int32_t ssh_session_descriptors(void *connection, int32_t *descriptors, int32_t capacity)
{
    const struct ssh_session *session = connection;
    int32_t count = stream_descriptors(connection, descriptors, capacity);

    if (session->agent.is_connected) {
        if (count < capacity) {
            descriptors[count] = session->agent.fd;
        }
        count++;
    }
    return count;
}
