/* SPDX-License-Identifier: MIT */
/* ssh_auth: see ssh_auth.h. */
#include "ssh_auth.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "../common/fault.h"
#include "ssh_session.h"

/* SSH_AUTH_…: what servers call it (RFC 4252, RFC 4256), and what people do. */
static const struct {
    const char *name, *text;
} methods[] = {
    [SSH_AUTH_KEY] = {"publickey", "private_key"},
    [SSH_AUTH_AGENT] = {"publickey", "agent"},
    [SSH_AUTH_PASSWORD] = {"password", "password"},
    [SSH_AUTH_QUESTION] = {"keyboard-interactive", "keyboard_interactive"},
};

static const struct ssh_options *options_of(const struct ssh_session *session)
{
    return session->stream.head.options;
}

static const struct ssh_pool *pool_of(const struct ssh_session *session)
{
    const struct ssh_endpoint *endpoint = session->stream.head.parent;

    return endpoint->head.parent;
}

static bool is_offered(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* A password goes to a server once: as an answer only where it is not taken as a password. */
static bool is_configured(const struct ssh_session *session, enum ssh_auth_method method)
{
    const struct ssh_options *options = options_of(session);

    switch (method) {
    case SSH_AUTH_KEY:
        return options->private_key != NULL;
    case SSH_AUTH_AGENT:
        return options->agent != NULL;
    case SSH_AUTH_PASSWORD:
        return options->password != NULL;
    case SSH_AUTH_QUESTION:
        return options->password != NULL && options->keyboard_interactive &&
               (session->auth.tried & 1u << SSH_AUTH_PASSWORD) == 0;
    default:
        return false;
    }
}

static bool is_left(const struct ssh_session *session, enum ssh_auth_method method)
{
    return (session->auth.tried & 1u << method) == 0 && is_configured(session, method);
}

/* ---- The methods: 0, or an error of libssh2 */

static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(answer)
{
    struct ssh_session *session = *abstract;
    const char *password = options_of(session)->password;
    size_t length = strlen(password);

    (void)name;
    (void)name_len;
    (void)instruction;
    (void)instruction_len;
    if (num_prompts == 0) {
        return; /* news */
    }
    if (num_prompts != 1 || prompts[0].echo != 0 || session->auth.is_answered) {
        session->auth.is_asked_more = true;
        return;
    }
    session->auth.is_answered = true;
    responses[0].text = ssh_memory_take(&session->memory, length);
    if (responses[0].text == NULL) {
        session->is_short = true;
        session->is_cut = true; /* an empty answer would be a wrong password */
        return;
    }
    memcpy(responses[0].text, password, length);
    responses[0].length = (unsigned)length;
}

static int try_method(struct ssh_session *session)
{
    const struct ssh_options *options = options_of(session);
    const struct ssh_pool *pool = pool_of(session);
    unsigned length = (unsigned)strlen(options->user);

    switch (session->auth.method) {
    case SSH_AUTH_KEY:
        return libssh2_userauth_publickey_frommemory(session->libssh2, options->user, length, NULL, 0,
                                                     pool->private_key, pool->private_key_length, NULL);
    case SSH_AUTH_PASSWORD:
        return libssh2_userauth_password_ex(session->libssh2, options->user, length, options->password,
                                            (unsigned)strlen(options->password), NULL);
    default:
        return libssh2_userauth_keyboard_interactive_ex(session->libssh2, options->user, length, answer);
    }
}

/* ---- The way through them */

static int32_t give_up(struct ssh_session *session, struct connpool_fault *fault)
{
    char tried[96] = "";
    size_t length = 0;

    for (unsigned method = SSH_AUTH_KEY; method <= SSH_AUTH_QUESTION; method++) {
        if ((session->auth.tried & 1u << method) != 0) {
            length += (size_t)snprintf(tried + length, sizeof(tried) - length, "%s%s", length == 0 ? "" : ", ",
                                       methods[method].text);
        }
    }
    if (length == 0) {
        return fault_fill(fault, CONNPOOL_ERROR_AUTHENTICATION, 0,
                          "login: the server takes %s, for none of which an option is set", session->auth.offered);
    }
    (void)fault_fill(fault, CONNPOOL_ERROR_AUTHENTICATION, 0,
                     "login: the server refused what was tried (%s)%s; it takes %s%s%s", tried,
                     session->auth.is_asked_more ? ", it asked for more than the password" : "", session->auth.offered,
                     session->goodbye != 0 ? "; it said: " : "", session->goodbye_text);
    fault->library_code = LIBSSH2_ERROR_AUTHENTICATION_FAILED;
    return -CONNPOOL_ERROR_AUTHENTICATION;
}

/* The next method that is configured and offered. */
static int32_t choose(struct ssh_session *session, struct connpool_fault *fault)
{
    for (unsigned method = SSH_AUTH_KEY; method <= SSH_AUTH_QUESTION; method++) {
        if (is_left(session, method) && is_offered(session->auth.offered, methods[method].name)) {
            session->auth.method = method;
            return 0;
        }
    }
    return give_up(session, fault);
}

static int32_t list(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const char *user = options_of(session)->user;
    const char *offered = libssh2_userauth_list(session->libssh2, user, (unsigned)strlen(user));

    if (offered == NULL) {
        int error = libssh2_session_last_errno(session->libssh2);

        if (error == LIBSSH2_ERROR_EAGAIN) {
            return ssh_session_again(session, wait);
        }
        return libssh2_userauth_authenticated(session->libssh2)
                   ? CONNPOOL_STEP_DONE /* it asks nobody for anything */
                   : ssh_session_fail(session, error, CONNPOOL_ERROR_PROTOCOL, "login", fault);
    }
    (void)snprintf(session->auth.offered, sizeof(session->auth.offered), "%s", offered);
    for (char *at = session->auth.offered; *at != '\0'; at++) {
        *at = (char)(*at >= ' ' && *at <= '~' ? *at : '?');
    }
    return choose(session, fault);
}

/* One method has come to an end that is not yet a success: are there others? The server may want several in turn, and
 * says now which come next. */
static int32_t refused(struct ssh_session *session, int error, struct connpool_fault *fault)
{
    session->auth.tried |= 1u << session->auth.method;
    session->auth.method = SSH_AUTH_LIST;
    if (session->goodbye != 0) {
        return give_up(session, fault);
    }
    if (session->is_lost || session->is_short || error == LIBSSH2_ERROR_ALLOC) {
        return ssh_session_fail(session, error, CONNPOOL_ERROR_AUTHENTICATION, "login", fault);
    }
    for (unsigned method = SSH_AUTH_KEY; method <= SSH_AUTH_QUESTION; method++) {
        if (is_left(session, method)) {
            return 0;
        }
    }
    return give_up(session, fault);
}

/* Of the method under way: DONE when it has come to its end. */
static int32_t step_method(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    bool is_accepted = false;
    int32_t result;

    if (session->auth.method == SSH_AUTH_AGENT) {
        result = ssh_agent_step(session, &is_accepted, wait, fault);
        if (result != CONNPOOL_STEP_DONE) {
            return result;
        }
        return is_accepted ? 0 : refused(session, LIBSSH2_ERROR_AUTHENTICATION_FAILED, fault);
    }
    result = try_method(session);
    if (result == LIBSSH2_ERROR_EAGAIN) {
        return ssh_session_again(session, wait);
    }
    return result == 0 ? 0 : refused(session, result, fault);
}

int32_t ssh_auth_step(struct ssh_session *session, struct connpool_wait *wait, struct connpool_fault *fault)
{
    int32_t result = 0;

    while (result == 0 && !libssh2_userauth_authenticated(session->libssh2)) {
        result = session->auth.method == SSH_AUTH_LIST ? list(session, wait, fault) : step_method(session, wait, fault);
    }
    /* libssh2 leaves there that a key was not of the first form it tried: the application's next SSL_read in this
     * thread would fail for it. */
    ERR_clear_error();
    return result;
}
