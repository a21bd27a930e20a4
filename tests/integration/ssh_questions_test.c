/* SPDX-License-Identifier: MIT */
/* Who we are (A33), by keyboard-interactive: the password answers the one hidden question, and nothing else gets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libssh/libssh.h>
#include <limits.h>
#include <string.h>

#include "harness.h"
#include "ssh_questioner.h"

#define PASSWORD SSH_QUESTIONER_PASSWORD
#define SECOND   ", \"connect_timeout\": 1"

#define CONFIGURATION                                                                                                  \
    "{\"allow_inline_secrets\": true, \"pools\": {\"shells\": {\"manager\": \"ssh\", \"endpoints\": {\"there\":"       \
    " {\"host\": \"127.0.0.1\", \"port\": %u, \"user\": \"tester\", \"host_key_pins\": [\"%s\"],"                      \
    " \"password\": \"%s\"%s}}%s}}}"

#define SCRIPT(offered, ...)                                                                                           \
    (&(const struct ssh_questioner_script){                                                                            \
        .methods = (offered),                                                                                          \
        .rounds = (const struct ssh_questioner_round[]){__VA_ARGS__},                                                  \
        .round_count =                                                                                                 \
            sizeof((const struct ssh_questioner_round[]){__VA_ARGS__}) / sizeof(struct ssh_questioner_round),          \
    })
#define ROUND(...)              ((struct ssh_questioner_round){__VA_ARGS__})
#define ASK(kinds, ...)         ROUND(.questions = (kinds), .answers = {__VA_ARGS__})
#define ASK_TIMES(kinds, count) ROUND(.questions = (kinds), .answers = {"", ""}, .times = (count))
#define SAY_NOTHING             ROUND(.questions = NULL)
#define ONLY_QUESTIONS(...)     SCRIPT(SSH_AUTH_METHOD_INTERACTIVE, __VA_ARGS__)

/* What an endpoint has. */
struct client {
    const char *password, *options, *pool;
};

static const struct client usual = {.password = PASSWORD, .options = "", .pool = ""};

static connpool *open_client(const struct ssh_questioner *questioner, const struct client *client)
{
    return harness_open(CONFIGURATION, ssh_questioner_port(questioner), ssh_questioner_pin(questioner),
                        client->password, client->options, client->pool);
}

/* It logs in, and the session is of use for a second lease. */
static struct ssh_questioner_record accepts(const struct ssh_questioner_script *script)
{
    struct ssh_questioner *questioner = ssh_questioner_start(script);
    connpool *context = open_client(questioner, &usual);
    struct ssh_questioner_record record;

    for (int i = 0; i < 2; i++) {
        connpool_lease lease = harness_acquire(harness_pool(context), "there");

        harness_release(&lease);
    }
    harness_close(context);
    record = ssh_questioner_end(questioner);
    assert_int_equal(record.connections, 1);
    assert_int_equal(record.requests, 1);
    return record;
}

static struct ssh_questioner_record fails(const struct ssh_questioner_script *script, const struct client *client,
                                          int32_t error_class, const char *words)
{
    struct ssh_questioner *questioner = ssh_questioner_start(script);
    connpool *context = open_client(questioner, client);
    connpool_error error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);

    if (error.error_class != error_class || strstr(error.text, words) == NULL) {
        fail_msg("%s, %s\nexpected: %s, …%s…", connpool_error_class_text(error.error_class), error.text,
                 connpool_error_class_text(error_class), words);
    }
    assert_null(strstr(error.text, client->password));
    harness_close(context);
    return ssh_questioner_end(questioner);
}

/* It asks what gets an empty answer, and takes none. */
static struct ssh_questioner_record refuses(const struct ssh_questioner_script *script)
{
    return fails(script, &usual, CONNPOOL_ERROR_AUTHENTICATION,
                 "the server refused what was tried (keyboard_interactive), it asked for more than the password;"
                 " it takes keyboard-interactive");
}

/* ---- What is answered */

static void the_password_answers_the_question(void **state)
{
    struct ssh_questioner_record record = accepts(ONLY_QUESTIONS(ASK("h", PASSWORD)));

    (void)state;
    assert_int_equal(record.given, 1);
    assert_int_equal(record.passwords, 0);
}

static void a_wrong_password(void **state)
{
    const struct client client = {.password = "wrong secret", .options = "", .pool = ""};
    struct ssh_questioner_record record =
        fails(ONLY_QUESTIONS(ASK("h", PASSWORD)), &client, CONNPOOL_ERROR_AUTHENTICATION,
              "the server refused what was tried (keyboard_interactive); it takes keyboard-interactive");

    (void)state;
    assert_int_equal(record.requests, 1);
    assert_int_equal(record.answered, 1);
}

/* Servers tell news in such requests, before and after (RFC 4256, 3.2). */
static void requests_that_ask_nothing(void **state)
{
    struct ssh_questioner_record record = accepts(ONLY_QUESTIONS(ASK(""), ASK("h", PASSWORD), ASK_TIMES("", 2)));

    (void)state;
    assert_int_equal(record.answered, 4);
    assert_int_equal(record.given, 1);
}

static void a_server_that_asks_nothing_at_all(void **state)
{
    struct ssh_questioner_record record = accepts(ONLY_QUESTIONS(ASK("")));

    (void)state;
    assert_int_equal(record.given, 0);
}

/* ---- What gets an empty answer */

static void two_hidden_questions(void **state)
{
    struct ssh_questioner_record record = refuses(ONLY_QUESTIONS(ASK("hh", PASSWORD, "123456")));

    (void)state;
    assert_int_equal(record.given, 0);
    record = accepts(ONLY_QUESTIONS(ASK("hh", "", ""), ASK("h", PASSWORD)));
    assert_int_equal(record.given, 1);
}

static void a_question_that_is_echoed(void **state)
{
    struct ssh_questioner_record record = refuses(ONLY_QUESTIONS(ASK("e", PASSWORD)));

    (void)state;
    assert_int_equal(record.given, 0);
    record = accepts(ONLY_QUESTIONS(ASK("e", ""), ASK("h", PASSWORD)));
    assert_int_equal(record.given, 1);
    record = refuses(ONLY_QUESTIONS(ASK("eh", "tester", PASSWORD)));
    assert_int_equal(record.given, 0);
}

static void a_second_question(void **state)
{
    struct ssh_questioner_record record = refuses(ONLY_QUESTIONS(ASK("h", PASSWORD), ASK("h", PASSWORD)));

    (void)state;
    assert_int_equal(record.answered, 2);
    assert_int_equal(record.given, 1);
}

/* ---- When it is tried */

static void it_may_be_switched_off(void **state)
{
    const struct client client = {.password = PASSWORD, .options = ", \"keyboard_interactive\": false", .pool = ""};
    struct ssh_questioner_record record =
        fails(ONLY_QUESTIONS(ASK("h", PASSWORD)), &client, CONNPOOL_ERROR_AUTHENTICATION,
              "the server takes keyboard-interactive, for none of which an option is set");

    (void)state;
    assert_int_equal(record.requests, 0);
    assert_int_equal(record.passwords, 0);
}

/* A password goes to a server once. */
static void not_after_the_password_was_refused(void **state)
{
    struct ssh_questioner_record record =
        fails(SCRIPT(SSH_AUTH_METHOD_INTERACTIVE | SSH_AUTH_METHOD_PASSWORD, ASK("h", PASSWORD)), &usual,
              CONNPOOL_ERROR_AUTHENTICATION, "tried (password); it takes keyboard-interactive,password");

    (void)state;
    assert_int_equal(record.passwords, 1);
    assert_int_equal(record.requests, 0);
}

/* ---- Servers that find no end */

static void a_refusal_after_many_rounds(void **state)
{
    struct ssh_questioner_record record = refuses(ONLY_QUESTIONS(ASK_TIMES("", 200), ASK("e", "tester")));

    (void)state;
    assert_int_equal(record.answered, 201);
}

/* A6 */
static void rounds_without_end(void **state)
{
    const struct client client = {.password = PASSWORD, .options = "", .pool = SECOND};
    struct ssh_questioner_record record =
        fails(ONLY_QUESTIONS(ASK("h", PASSWORD), ASK_TIMES("h", UINT_MAX)), &client, CONNPOOL_ERROR_TIMEOUT, "");

    (void)state;
    assert_true(record.answered > 1);
    assert_int_equal(record.given, 1);
}

/* A6: the server takes an answer, or the request to be asked, and says nothing more: the open's limit holds. */
static void silence_in_the_middle(void **state)
{
    const struct client client = {.password = PASSWORD, .options = "", .pool = SECOND};
    const struct client hasty = {.password = PASSWORD, .options = "", .pool = ", \"connect_timeout\": 0.1"};
    struct ssh_questioner_record record =
        fails(ONLY_QUESTIONS(ASK("h", PASSWORD), SAY_NOTHING), &client, CONNPOOL_ERROR_TIMEOUT, "");

    (void)state;
    assert_int_equal(record.given, 1);
    record = fails(ONLY_QUESTIONS(SAY_NOTHING), &hasty, CONNPOOL_ERROR_TIMEOUT, "");
    assert_int_equal(record.answered, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_password_answers_the_question),
        cmocka_unit_test(a_wrong_password),
        cmocka_unit_test(requests_that_ask_nothing),
        cmocka_unit_test(a_server_that_asks_nothing_at_all),
        cmocka_unit_test(two_hidden_questions),
        cmocka_unit_test(a_question_that_is_echoed),
        cmocka_unit_test(a_second_question),
        cmocka_unit_test(it_may_be_switched_off),
        cmocka_unit_test(not_after_the_password_was_refused),
        cmocka_unit_test(a_refusal_after_many_rounds),
        cmocka_unit_test(rounds_without_end),
        cmocka_unit_test(silence_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
