/* SPDX-License-Identifier: MIT */
/* Who we are (A33, S18): each way of logging in, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <fcntl.h>
#include <libssh2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_process.h"
#include "server_sshd.h"
#include "ssh_harness.h"

#define OPTIONS_SIZE    1024
#define SHA2_OF_LIBSSH2 0x010b00

static struct server_folder folder;
static struct server_sshd sshd;
static char agent_path[SERVER_PATH_SIZE];
static pid_t agent;
static int agent_output;

static void run_program(const char *const *arguments)
{
    int status = -1;
    int output;
    pid_t pid = server_process_start(arguments, &output);

    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(output);
    assert_int_equal(status, 0);
}

static void add_to_agent(const char *name)
{
    char socket_text[SERVER_PATH_SIZE + 16];
    char path[SERVER_PATH_SIZE];
    const char *const arguments[] = {"env", socket_text, "ssh-add", "-q", path, NULL};

    (void)snprintf(socket_text, sizeof(socket_text), "SSH_AUTH_SOCK=%s", agent_path);
    server_folder_path(&folder, name, path);
    run_program(arguments);
}

static int start_server(void **state)
{
    const char *const arguments[] = {"ssh-agent", "-D", "-a", agent_path, NULL};

    (void)state;
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "MaxAuthTries 4\n");
    server_sshd_make_key(&folder, "stranger", "ed25519", 0, "");
    server_folder_path(&folder, "agent", agent_path);
    agent = server_process_start(arguments, &agent_output);
    assert_true(server_process_says(agent_output, "SSH_AUTH_SOCK="));
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_process_end(&agent, &agent_output);
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return 0;
}

/* Options with known_hosts and those of the format. */
static const char *__attribute__((format(printf, 1, 2))) with(const char *format, ...)
{
    static char options[OPTIONS_SIZE];
    int length = snprintf(options, sizeof(options), ", \"known_hosts\": \"%s\"", sshd.known_hosts);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(options + length, sizeof(options) - (size_t)length, format, arguments);
    va_end(arguments);
    return options;
}

static const char *with_key(const char *name)
{
    return with(", \"private_key\": \"%s/%s\"", folder.path, name);
}

/* A secret comes from a file, or is written in place where that is allowed. */
static const char *with_password(const char *password)
{
    return with(", \"password\": \"%s\"", password);
}

/* ---- Key files */

static void each_kind_of_key(void **state)
{
    static const struct {
        const char *name, *type;
        unsigned bits;
    } kinds[] = {{"ecdsa_256", "ecdsa", 256}, {"ecdsa_384", "ecdsa", 384}, {"ecdsa_521", "ecdsa", 521}};

    (void)state;
    ssh_harness_accepts(&sshd, with_key("user_ed25519"));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        server_sshd_make_key(&folder, kinds[i].name, kinds[i].type, kinds[i].bits, "");
        server_sshd_accept_key(&sshd, kinds[i].name);
        ssh_harness_accepts(&sshd, with_key(kinds[i].name));
    }
}

static void a_key_in_pem(void **state)
{
    char path[SERVER_PATH_SIZE];
    const char *const arguments[] = {"ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "", "-f", path, NULL};

    (void)state;
    server_sshd_make_key(&folder, "pem", "ecdsa", 0, "");
    server_sshd_accept_key(&sshd, "pem");
    server_folder_path(&folder, "pem", path);
    run_program(arguments);
    ssh_harness_accepts(&sshd, with_key("pem"));
}

static void a_key_that_is_not_accepted(void **state)
{
    (void)state;
    ssh_harness_refuses(&sshd, with_key("stranger"), CONNPOOL_ERROR_AUTHENTICATION,
                        "tried (private_key); it takes "
                        "publickey,password");
}

/* A33: libssh2 before 1.11 signs with SHA-1, which the server refuses with the same code as a wrong key. */
static void an_rsa_key_says_what_it_needs(void **state)
{
    (void)state;
    server_sshd_make_key(&folder, "rsa", "rsa", 2048, "");
    server_sshd_accept_key(&sshd, "rsa");
    if (libssh2_version(SHA2_OF_LIBSSH2) == NULL) {
        ssh_harness_is_invalid(&sshd, with_key("rsa"), "RSA needs libssh2 1.11");
    } else {
        ssh_harness_accepts(&sshd, with_key("rsa"));
    }
}

static void a_key_that_others_may_read(void **state)
{
    char path[SERVER_PATH_SIZE];

    (void)state;
    server_folder_path(&folder, "stranger", path);
    assert_int_equal(chmod(path, S_IRUSR | S_IWUSR | S_IRGRP), 0);
    ssh_harness_is_invalid(&sshd, with_key("stranger"), "mode 0640");
    assert_int_equal(chmod(path, S_IRUSR | S_IWUSR), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 65534, 65534), 0);
        ssh_harness_is_invalid(&sshd, with_key("stranger"), "owned by user 65534");
        assert_int_equal(chown(path, 0, 0), 0);
    }
}

static void a_file_that_is_no_key_of_use(void **state)
{
    char path[SERVER_PATH_SIZE];
    const char *const arguments[] = {"ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "a passphrase", "-f", path, NULL};

    (void)state;
    server_folder_write(&folder, "no_key", "nothing\n");
    server_folder_path(&folder, "no_key", path);
    assert_int_equal(chmod(path, S_IRUSR), 0);
    ssh_harness_is_invalid(&sshd, with_key("no_key"), "is not a private key");
    ssh_harness_is_invalid(&sshd, with_key("missing"), "No such file");
    server_sshd_make_key(&folder, "locked", "ed25519", 0, "a passphrase");
    ssh_harness_is_invalid(&sshd, with_key("locked"), "has a passphrase");
    server_sshd_make_key(&folder, "locked_pem", "ecdsa", 0, "");
    server_folder_path(&folder, "locked_pem", path);
    run_program(arguments);
    ssh_harness_is_invalid(&sshd, with_key("locked_pem"), "has a passphrase");
}

/* ---- Passwords */

static void a_password(void **state)
{
    (void)state;
    ssh_harness_accepts(&sshd, with_password(SERVER_SSHD_PASSWORD));
}

static void a_wrong_password(void **state)
{
    connpool *context = ssh_harness_open_bare(&sshd, with_password("wrong secret"), "");
    connpool_error error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);

    (void)state;
    assert_int_equal(error.error_class, CONNPOOL_ERROR_AUTHENTICATION);
    assert_int_equal(error.library_code, LIBSSH2_ERROR_AUTHENTICATION_FAILED);
    assert_non_null(strstr(error.text, "it takes publickey,password"));
    assert_null(strstr(error.text, "wrong secret"));
    harness_close(context);
}

static void a_user_that_is_not_there(void **state)
{
    char options[OPTIONS_SIZE];
    connpool *context;
    connpool_error error;

    (void)state;
    (void)snprintf(options, sizeof(options), "%s", with_key("user_ed25519"));
    context = harness_open("{\"pools\": {\"shells\": {\"manager\": \"ssh\", \"options\": {\"user\": \"nobody-here\"},"
                           " \"endpoints\": {\"there\": {\"host\": \"127.0.0.1\", \"port\": %u%s}}}}}",
                           sshd.port, options);
    error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_AUTHENTICATION);
    harness_close(context);
}

static void no_way_to_log_in(void **state)
{
    (void)state;
    ssh_harness_is_invalid(&sshd, with("%s", ""), "no way to log in");
}

static void the_next_way_is_tried(void **state)
{
    (void)state;
    ssh_harness_accepts(
        &sshd, with(", \"private_key\": \"%s/stranger\", \"password\": \"%s\"", folder.path, SERVER_SSHD_PASSWORD));
}

static void a_server_that_wants_two_in_turn(void **state)
{
    (void)state;
    server_sshd_restart(&sshd, "MaxAuthTries 4\nAuthenticationMethods publickey,password\n");
    ssh_harness_accepts(
        &sshd, with(", \"private_key\": \"%s\", \"password\": \"%s\"", sshd.private_key, SERVER_SSHD_PASSWORD));
    ssh_harness_refuses(&sshd, with_key("user_ed25519"), CONNPOOL_ERROR_AUTHENTICATION, "private_key");
    server_sshd_restart(&sshd, "MaxAuthTries 4\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n");
    ssh_harness_refuses(&sshd, with_password(SERVER_SSHD_PASSWORD), CONNPOOL_ERROR_AUTHENTICATION,
                        "for none of which an option is set");
    server_sshd_restart(&sshd, "MaxAuthTries 4\n");
}

/* ---- Agents */

static void an_agents_key(void **state)
{
    (void)state;
    ssh_harness_refuses(&sshd, with(", \"agent\": \"%s\"", agent_path), CONNPOOL_ERROR_AUTHENTICATION,
                        "has no key of use");
    add_to_agent("rsa");
    ssh_harness_refuses(&sshd, with(", \"agent\": \"%s\"", agent_path), CONNPOOL_ERROR_AUTHENTICATION,
                        "has no key of use");
    add_to_agent("stranger");
    ssh_harness_refuses(&sshd, with(", \"agent\": \"%s\"", agent_path), CONNPOOL_ERROR_AUTHENTICATION, "(agent)");
    add_to_agent("ecdsa_384");
    add_to_agent("user_ed25519");
    ssh_harness_accepts(&sshd, with(", \"agent\": \"%s\"", agent_path));
}

static void the_key_that_was_named(void **state)
{
    char path[SERVER_PATH_SIZE];
    const char *const arguments[] = {"ssh-keygen", "-l", "-f", path, NULL};
    char text[256] = "";
    char digest[64];
    int output;
    pid_t pid;

    (void)state;
    server_folder_path(&folder, "stranger", path);
    pid = server_process_start(arguments, &output);
    assert_true(read(output, text, sizeof(text) - 1) > 0);
    server_process_end(&pid, &output);
    assert_int_equal(sscanf(text, "%*d %63s", digest), 1);
    ssh_harness_refuses(&sshd, with(", \"agent\": \"%s\", \"agent_key\": \"%s\"", agent_path, digest),
                        CONNPOOL_ERROR_AUTHENTICATION, "(agent)");
    ssh_harness_is_invalid(&sshd, with(", \"agent\": \"%s\", \"agent_key\": \"stranger\"", agent_path), "agent_key");
}

/* A33: the server hangs up before all keys were tried; an agent tells those first that it got first. */
static void too_many_keys(void **state)
{
    char socket_text[SERVER_PATH_SIZE + 16];
    const char *const forget_all[] = {"env", socket_text, "ssh-add", "-q", "-D", NULL};

    (void)state;
    (void)snprintf(socket_text, sizeof(socket_text), "SSH_AUTH_SOCK=%s", agent_path);
    run_program(forget_all);
    for (int i = 0; i < 5; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "extra_%d", i);
        server_sshd_make_key(&folder, name, "ed25519", 0, "");
        add_to_agent(name);
    }
    ssh_harness_refuses(&sshd, with(", \"agent\": \"%s\"", agent_path), CONNPOOL_ERROR_AUTHENTICATION,
                        "Too many authentication failures");
}

static void an_agent_that_is_not_there(void **state)
{
    (void)state;
    ssh_harness_refuses(&sshd, with(", \"agent\": \"%s/nothing\"", folder.path), CONNPOOL_ERROR_REFUSED,
                        "login: agent: ");
}

/* A6: it takes the request and says nothing: the open's limit holds. */
static void an_agent_that_is_silent(void **state)
{
    struct server_listener listener;
    char path[SERVER_PATH_SIZE];
    connpool *context;
    connpool_error error;
    int64_t begin = harness_now_ms();

    (void)state;
    server_folder_path(&folder, "silent", path);
    server_listener_open_unix(&listener, path, 5);
    context = ssh_harness_open_bare(&sshd, with(", \"agent\": \"%s\"", path), ", \"connect_timeout\": 0.3");
    error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_TIMEOUT);
    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS / 2);
    harness_close(context);
    server_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_key),
        cmocka_unit_test(a_key_in_pem),
        cmocka_unit_test(a_key_that_is_not_accepted),
        cmocka_unit_test(an_rsa_key_says_what_it_needs),
        cmocka_unit_test(a_key_that_others_may_read),
        cmocka_unit_test(a_file_that_is_no_key_of_use),
        cmocka_unit_test(a_password),
        cmocka_unit_test(a_wrong_password),
        cmocka_unit_test(a_user_that_is_not_there),
        cmocka_unit_test(no_way_to_log_in),
        cmocka_unit_test(the_next_way_is_tried),
        cmocka_unit_test(a_server_that_wants_two_in_turn),
        cmocka_unit_test(an_agents_key),
        cmocka_unit_test(the_key_that_was_named),
        cmocka_unit_test(too_many_keys),
        cmocka_unit_test(an_agent_that_is_not_there),
        cmocka_unit_test(an_agent_that_is_silent),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
