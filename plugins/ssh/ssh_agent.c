/* SPDX-License-Identifier: MIT */
/* ssh_agent: see ssh_agent.h. */
#include "ssh_agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/fault.h"
#include "ssh_session.h"

/* Messages: draft-miller-ssh-agent, 5.1 */
#define REQUEST_IDENTITIES 11
#define IDENTITIES_ANSWER  12
#define SIGN_REQUEST       13
#define SIGN_RESPONSE      14

#define LENGTH_SIZE   4
#define REPLY_MAXIMUM (256 * 1024) /* as of OpenSSH's client */

static struct ssh_agent *agent_of(struct ssh_session *session)
{
    return &session->agent;
}

void ssh_agent_end(struct ssh_session *session)
{
    struct ssh_agent *agent = agent_of(session);

    session->stream.head.host->dial_stop(agent->dial);
    agent->dial = NULL;
    if (agent->is_connected) {
        (void)close(agent->fd);
    }
    ssh_memory_give(&session->memory, agent->message);
    ssh_memory_give(&session->memory, agent->keys);
    *agent = (struct ssh_agent){.tried = agent->tried, .unusable = agent->unusable};
}

/* ---- Exchanges of a request and a reply, each with its length before it */

static unsigned char *put_length(unsigned char *at, size_t length)
{
    at[0] = (unsigned char)(length >> 24);
    at[1] = (unsigned char)(length >> 16);
    at[2] = (unsigned char)(length >> 8);
    at[3] = (unsigned char)length;
    return at + LENGTH_SIZE;
}

static unsigned char *put_string(unsigned char *at, const unsigned char *string, size_t length)
{
    at = put_length(at, length);
    memcpy(at, string, length);
    return at + length;
}

/* A message of that many bytes, to be written behind its length. NULL: no memory. */
static unsigned char *begin_message(struct ssh_session *session, size_t size)
{
    struct ssh_agent *agent = agent_of(session);

    ssh_memory_give(&session->memory, agent->message);
    agent->message = ssh_memory_take(&session->memory, LENGTH_SIZE + size);
    agent->size = LENGTH_SIZE + size;
    agent->done = 0;
    return agent->message == NULL ? NULL : put_length(agent->message, size);
}

/* Send the rest of the request: 1: all, 0: not yet, -1: the agent is gone. */
static int send_request(struct ssh_agent *agent)
{
    while (agent->done < agent->size) {
        ssize_t sent = send(agent->fd, agent->message + agent->done, agent->size - agent->done, MSG_NOSIGNAL);

        if (sent < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        agent->done += (size_t)sent;
    }
    return 1;
}

/* Receive what is missing of agent->size bytes: as send_request. */
static int receive(struct ssh_agent *agent)
{
    while (agent->done < agent->size) {
        ssize_t found = recv(agent->fd, agent->message + agent->done, agent->size - agent->done, 0);

        if (found <= 0) {
            return found < 0 && errno == EAGAIN ? 0 : -1;
        }
        agent->done += (size_t)found;
    }
    return 1;
}

/* The reply's length has come: make room for the rest. */
static bool grow_reply(struct ssh_session *session)
{
    struct ssh_agent *agent = agent_of(session);
    size_t length = (size_t)agent->message[0] << 24 | (size_t)agent->message[1] << 16 | (size_t)agent->message[2] << 8 |
                    agent->message[3];
    void *message;

    if (length == 0 || length > REPLY_MAXIMUM) {
        return false;
    }
    message = ssh_memory_resize(&session->memory, agent->message, LENGTH_SIZE + length);
    if (message == NULL) {
        return false;
    }
    agent->message = message;
    agent->size = LENGTH_SIZE + length;
    return true;
}

/* 1: the reply is there, 0: not yet, -1: there will be none. */
static int exchange(struct ssh_session *session)
{
    struct ssh_agent *agent = agent_of(session);
    int result;

    if (!agent->is_sent) {
        result = send_request(agent);
        if (result != 1) {
            return result;
        }
        agent->is_sent = true;
        agent->size = LENGTH_SIZE;
        agent->done = 0;
    }
    result = receive(agent);
    if (result == 1 && agent->size == LENGTH_SIZE) {
        result = grow_reply(session) ? receive(agent) : -1;
    }
    if (result == 1) {
        agent->is_sent = false;
    }
    return result;
}

static int32_t wait_for_agent(const struct ssh_agent *agent, struct connpool_wait *wait)
{
    wait->fd = agent->fd;
    wait->events = agent->is_sent ? CONNPOOL_EVENT_READ : CONNPOOL_EVENT_WRITE;
    return CONNPOOL_STEP_AGAIN;
}

static int32_t fail(struct connpool_fault *fault, const char *what)
{
    return fault_fill(fault, CONNPOOL_ERROR_AUTHENTICATION, 0, "login: the agent %s", what);
}

/* ---- Its keys */

/* A step of the dial; of its failure the fault says that it was the agent's. */
static int32_t dial(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct connpool_host *host = session->stream.head.host;
    const struct ssh_options *options = session->stream.head.options;
    const struct connpool_dial_options where = {.size = sizeof(where), .path = options->agent};
    struct ssh_agent *agent = agent_of(session);
    struct connpool_fault cause = {.size = sizeof(cause)};
    int32_t result;

    if (agent->dial == NULL) {
        agent->dial = host->dial_start(host, &where, &cause);
    }
    result = agent->dial == NULL ? -cause.error_class : host->dial_step(agent->dial, wait, &cause);
    return result >= 0 ? result : fault_fill(fault, cause.error_class, cause.os_error, "login: agent: %s", cause.text);
}

static int32_t connect_to(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct connpool_host *host = session->stream.head.host;
    struct ssh_agent *agent = agent_of(session);
    int32_t result = dial(session, wait, fault);
    unsigned char *message;

    if (result != CONNPOOL_STEP_DONE) {
        return result;
    }
    agent->fd = host->dial_take(agent->dial);
    agent->is_connected = true;
    host->dial_stop(agent->dial);
    agent->dial = NULL;
    message = begin_message(session, 1);
    if (message == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no memory to talk to the agent");
    }
    message[0] = REQUEST_IDENTITIES;
    agent->phase = SSH_AGENT_LIST;
    return CONNPOOL_STEP_DONE;
}

static int32_t list_keys(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct ssh_agent *agent = agent_of(session);
    int result = exchange(session);

    if (result == 0) {
        return wait_for_agent(agent, wait);
    }
    /* The answer's type, and the number of keys, which their end tells too. */
    if (result < 0 || agent->size < LENGTH_SIZE + 5 || agent->message[LENGTH_SIZE] != IDENTITIES_ANSWER) {
        return fail(fault, "does not tell its keys");
    }
    agent->keys = agent->message;
    agent->message = NULL;
    agent->at = agent->keys + LENGTH_SIZE + 5;
    agent->end = agent->keys + agent->size;
    agent->phase = SSH_AGENT_KEY;
    return CONNPOOL_STEP_DONE;
}

static bool is_usable(const struct ssh_options *options, const unsigned char *key, size_t length)
{
    return ssh_key_methods(ssh_key_kind_of_wire(key, length)) != NULL &&
           (options->agent_key == NULL || ssh_key_has_digest(key, length, options->agent_key));
}

/* The next key of use; false: there is none. */
static bool next_key(struct ssh_session *session)
{
    struct ssh_agent *agent = agent_of(session);
    const unsigned char *comment;
    size_t length;

    while (ssh_key_string(&agent->at, agent->end, &agent->key, &agent->key_length) &&
           ssh_key_string(&agent->at, agent->end, &comment, &length)) {
        if (is_usable(session->stream.head.options, agent->key, agent->key_length)) {
            agent->tried++;
            return true;
        }
        agent->unusable++;
    }
    agent->key = NULL;
    return false;
}

/* ---- Signing, inside libssh2's login */

static bool ask_signature(struct ssh_session *session, const unsigned char *data, size_t length)
{
    struct ssh_agent *agent = agent_of(session);
    unsigned char *at =
        begin_message(session, 1 + LENGTH_SIZE + agent->key_length + LENGTH_SIZE + length + LENGTH_SIZE);

    if (at == NULL) {
        return false;
    }
    *at++ = SIGN_REQUEST;
    at = put_string(at, agent->key, agent->key_length);
    at = put_string(at, data, length);
    (void)put_length(at, 0); /* flags */
    return true;
}

/* The reply has a string that has the method's name and the signature, which is what libssh2 wants, in memory of its
 * own. */
static bool read_signature(struct ssh_session *session, unsigned char **signature, size_t *length)
{
    struct ssh_agent *agent = agent_of(session);
    const unsigned char *at = agent->message + LENGTH_SIZE;
    const unsigned char *end = agent->message + agent->size;
    const unsigned char *inner;
    const unsigned char *found;
    size_t inner_length;
    size_t ignored;

    if (*at++ != SIGN_RESPONSE || !ssh_key_string(&at, end, &inner, &inner_length)) {
        return false;
    }
    at = inner;
    end = inner + inner_length;
    if (!ssh_key_string(&at, end, &found, &ignored) || !ssh_key_string(&at, end, &found, length)) {
        return false;
    }
    *signature = ssh_memory_take(&session->memory, *length == 0 ? 1 : *length);
    if (*signature == NULL) {
        return false;
    }
    memcpy(*signature, found, *length);
    return true;
}

static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(sign)
{
    struct ssh_session *this = *abstract;
    struct ssh_agent *agent = agent_of(this);
    int result;

    (void)session;
    if (!agent->is_waiting && !ask_signature(this, data, data_len)) {
        return LIBSSH2_ERROR_ALLOC;
    }
    result = exchange(this);
    agent->is_waiting = result == 0;
    if (result == 0) {
        return LIBSSH2_ERROR_EAGAIN;
    }
    if (result < 0) {
        agent->is_failed = true;
        return LIBSSH2_ERROR_AGENT_PROTOCOL;
    }
    return read_signature(this, sig, sig_len) ? 0 : LIBSSH2_ERROR_AGENT_PROTOCOL;
}

/* Try one key after the other. */
static int32_t try_keys(struct ssh_session *session, bool *is_accepted, struct connpool_wait *wait,
                        struct connpool_fault *fault)
{
    struct ssh_agent *agent = agent_of(session);
    const struct ssh_options *options = session->stream.head.options;
    void *abstract = session;

    while (agent->key != NULL || next_key(session)) {
        int result =
            libssh2_userauth_publickey(session->libssh2, options->user, agent->key, agent->key_length, sign, &abstract);

        if (result == LIBSSH2_ERROR_EAGAIN) {
            return agent->is_waiting ? wait_for_agent(agent, wait) : ssh_session_again(session, wait);
        }
        if (result == 0) {
            *is_accepted = true;
            return CONNPOOL_STEP_DONE;
        }
        if (agent->is_failed) {
            return fail(fault, "hung up instead of signing");
        }
        if (session->is_lost) {
            return CONNPOOL_STEP_DONE;
        }
        agent->key = NULL;
    }
    return agent->tried > 0 ? CONNPOOL_STEP_DONE : fail(fault, "has no key of use (ed25519 or ECDSA; agent_key)");
}

int32_t ssh_agent_step(struct ssh_session *session, bool *is_accepted, struct connpool_wait *wait,
                       struct connpool_fault *fault)
{
    int32_t result = CONNPOOL_STEP_DONE;

    if (agent_of(session)->phase == SSH_AGENT_DIAL) {
        result = connect_to(session, wait, fault);
    }
    if (result == CONNPOOL_STEP_DONE && agent_of(session)->phase == SSH_AGENT_LIST) {
        result = list_keys(session, wait, fault);
    }
    return result == CONNPOOL_STEP_DONE ? try_keys(session, is_accepted, wait, fault) : result;
}
