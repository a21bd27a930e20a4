/* SPDX-License-Identifier: MIT */
/* ssh_questioner: one thread, which serves one connection at a time. */
#include "ssh_questioner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server_listener.h"

#define QUESTIONS_MAXIMUM 2
#define BACKLOG           5

struct ssh_questioner {
    struct server_listener listener;
    const struct ssh_questioner_script *script;
    struct ssh_questioner_record record;
    ssh_bind bind; /* owns the host key */
    char *pin;
    pthread_t thread;
    size_t round;   /* of the login under way */
    unsigned times; /* that it was answered */
};

static const struct ssh_questioner_round *round_of(const struct ssh_questioner *this)
{
    return &this->script->rounds[this->round];
}

/* Ask what comes next, or let the client in. */
static void go_on(struct ssh_questioner *this, ssh_message message)
{
    const char *prompts[QUESTIONS_MAXIMUM] = {"First: ", "Second: "};
    char echoes[QUESTIONS_MAXIMUM];
    unsigned count = 0;

    if (this->round == this->script->round_count) {
        (void)ssh_message_auth_reply_success(message, 0);
        return;
    }
    if (round_of(this)->questions == NULL) {
        return;
    }
    for (const char *kind = round_of(this)->questions; *kind != '\0'; kind++) {
        echoes[count++] = (char)(*kind == 'e');
    }
    (void)ssh_message_auth_interactive_request(message, "login", "Please answer.", count, prompts, echoes);
}

static bool is_right(struct ssh_questioner *this, ssh_session session)
{
    size_t count = strlen(round_of(this)->questions);
    bool is_all_right = ssh_userauth_kbdint_getnanswers(session) == (int)count;

    for (unsigned i = 0; is_all_right && i < count; i++) {
        const char *answer = ssh_userauth_kbdint_getanswer(session, i);

        this->record.given += strcmp(answer, SSH_QUESTIONER_PASSWORD) == 0 ? 1 : 0;
        is_all_right = strcmp(answer, round_of(this)->answers[i]) == 0;
    }
    return is_all_right;
}

static void take_answers(struct ssh_questioner *this, ssh_session session, ssh_message message)
{
    this->record.answered++;
    if (!is_right(this, session)) {
        (void)ssh_message_reply_default(message);
        return;
    }
    if (++this->times >= round_of(this)->times) {
        this->times = 0;
        this->round++;
    }
    go_on(this, message);
}

static void take_login(struct ssh_questioner *this, ssh_session session, ssh_message message)
{
    this->record.passwords += ssh_message_subtype(message) == SSH_AUTH_METHOD_PASSWORD ? 1 : 0;
    if (ssh_message_subtype(message) != SSH_AUTH_METHOD_INTERACTIVE ||
        (this->script->methods & SSH_AUTH_METHOD_INTERACTIVE) == 0) {
        (void)ssh_message_reply_default(message);
    } else if (ssh_message_auth_kbdint_is_response(message)) {
        take_answers(this, session, message);
    } else {
        this->record.requests++;
        this->round = 0;
        this->times = 0;
        go_on(this, message);
    }
}

static void serve(struct ssh_questioner *this, ssh_session session)
{
    ssh_set_auth_methods(session, (int)this->script->methods);
    if (ssh_handle_key_exchange(session) != SSH_OK) {
        return;
    }
    for (ssh_message message = ssh_message_get(session); message != NULL; message = ssh_message_get(session)) {
        if (ssh_message_type(message) == SSH_REQUEST_AUTH) {
            take_login(this, session, message);
        } else if (ssh_message_type(message) == SSH_REQUEST_SERVICE) {
            (void)ssh_message_service_reply_success(message);
        } else {
            (void)ssh_message_reply_default(message);
        }
        ssh_message_free(message);
    }
}

static void *run(void *argument)
{
    struct ssh_questioner *this = argument;

    for (int fd = accept(this->listener.fd, NULL, NULL); fd >= 0; fd = accept(this->listener.fd, NULL, NULL)) {
        ssh_session session = ssh_new();

        this->record.connections++;
        if (ssh_bind_accept_fd(this->bind, session, fd) == SSH_OK) {
            serve(this, session);
        }
        ssh_disconnect(session);
        ssh_free(session);
    }
    return NULL;
}

static void make_host_key(struct ssh_questioner *this)
{
    bool is_configured = false;
    unsigned char *digest;
    size_t length;
    ssh_key key;

    assert_int_equal(ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key), SSH_OK);
    assert_int_equal(ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &digest, &length), SSH_OK);
    this->pin = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, digest, length);
    ssh_clean_pubkey_hash(&digest);
    assert_non_null(this->pin);
    this->bind = ssh_bind_new();
    assert_int_equal(ssh_bind_options_set(this->bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &is_configured), SSH_OK);
    assert_int_equal(ssh_bind_options_set(this->bind, SSH_BIND_OPTIONS_IMPORT_KEY, key), SSH_OK);
}

struct ssh_questioner *ssh_questioner_start(const struct ssh_questioner_script *script)
{
    struct ssh_questioner *this = calloc(1, sizeof(*this));

    assert_non_null(this);
    this->script = script;
    server_listener_open(&this->listener, "127.0.0.1", 0, BACKLOG);
    make_host_key(this);
    assert_int_equal(pthread_create(&this->thread, NULL, run, this), 0);
    return this;
}

uint16_t ssh_questioner_port(const struct ssh_questioner *questioner)
{
    return questioner->listener.port;
}

const char *ssh_questioner_pin(const struct ssh_questioner *questioner)
{
    return questioner->pin;
}

struct ssh_questioner_record ssh_questioner_end(struct ssh_questioner *questioner)
{
    struct ssh_questioner_record record;

    (void)shutdown(questioner->listener.fd, SHUT_RDWR); /* its accept returns */
    assert_int_equal(pthread_join(questioner->thread, NULL), 0);
    server_listener_close(&questioner->listener);
    ssh_bind_free(questioner->bind);
    ssh_string_free_char(questioner->pin);
    record = questioner->record;
    free(questioner);
    return record;
}
