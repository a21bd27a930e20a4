/* SPDX-License-Identifier: MIT */
/*
 * Who the server is (A34, S9): every kind of wrong known_hosts and pin must fail, before a login is tried, and the
 * right ones must pass. The server has an ed25519 and an ecdsa key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "server_folder.h"
#include "server_process.h"
#include "server_sshd.h"
#include "ssh_harness.h"

#define KEY_SIZE 512

static struct server_folder folder;
static struct server_sshd sshd;
static char ed25519[KEY_SIZE], ecdsa[KEY_SIZE], stranger[KEY_SIZE], rsa[KEY_SIZE]; /* kind and key */
static char known_hosts[SERVER_PATH_SIZE];

static void read_key(const char *name, char key[KEY_SIZE])
{
    char path[SERVER_PATH_SIZE];
    char file_name[64];
    FILE *file;

    (void)snprintf(file_name, sizeof(file_name), "%s.pub", name);
    server_folder_path(&folder, file_name, path);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(key, KEY_SIZE, file));
    (void)fclose(file);
    key[strcspn(key, " \n") + 1 + strcspn(key + strcspn(key, " \n") + 1, " \n")] = '\0';
}

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "");
    server_sshd_make_key(&folder, "stranger", "ed25519", 0, "");
    read_key("sshd/host_ed25519", ed25519);
    read_key("sshd/host_ecdsa", ecdsa);
    read_key("stranger", stranger);
    (void)snprintf(rsa, sizeof(rsa), "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQCx");
    server_folder_path(&folder, "some_known_hosts", known_hosts);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return 0;
}

/* Options with the user's key and some known_hosts, which get that line; more: further options. */
static const char *with_line(const char *names, const char *key, const char *more)
{
    static char options[1024];

    server_folder_write(&folder, "some_known_hosts", "# a comment\n\n%s %s a comment\n", names, key);
    (void)snprintf(options, sizeof(options), ", \"known_hosts\": \"%s\", \"private_key\": \"%s\"%s", known_hosts,
                   sshd.private_key, more);
    return options;
}

static const char *here(void)
{
    static char name[64];

    (void)snprintf(name, sizeof(name), "[127.0.0.1]:%u", sshd.port);
    return name;
}

/* The SHA-256 digest of a public key of the folder, as ssh-keygen prints it. */
static const char *digest_of(const char *name)
{
    static char digest[64];
    char path[SERVER_PATH_SIZE];
    const char *const arguments[] = {"ssh-keygen", "-l", "-f", path, NULL};
    char text[256] = "";
    int output;
    pid_t pid;

    server_folder_path(&folder, name, path);
    pid = server_process_start(arguments, &output);
    assert_true(read(output, text, sizeof(text) - 1) > 0);
    server_process_end(&pid, &output);
    assert_int_equal(sscanf(text, "%*d %63s", digest), 1);
    return digest;
}

static const char *with_pins(const char *first, const char *second)
{
    static char options[1024];
    char copy[64];

    (void)snprintf(copy, sizeof(copy), "%s", first);
    (void)snprintf(options, sizeof(options), ", \"host_key_pins\": [\"%s\", \"%s\"], \"private_key\": \"%s\"", copy,
                   digest_of(second), sshd.private_key);
    return options;
}

/* ---- What must pass */

static void any_of_its_keys_is_enough(void **state)
{
    (void)state;
    ssh_harness_accepts(&sshd, with_line(here(), ed25519, ""));
    ssh_harness_accepts(&sshd, with_line(here(), ecdsa, ""));
}

static void wildcards_and_lists_are_honoured(void **state)
{
    (void)state;
    ssh_harness_accepts(&sshd, with_line("other.example,[127.0.*]:*", ed25519, ""));
    ssh_harness_accepts(&sshd, with_line("[127.0.0.?]:*,!other.example", ed25519, ""));
}

static void an_alias_is_looked_up_instead(void **state)
{
    (void)state;
    ssh_harness_accepts(&sshd, with_line("the-server", ed25519, ", \"host_key_alias\": \"The-Server\""));
    ssh_harness_refuses(&sshd, with_line(here(), ed25519, ", \"host_key_alias\": \"the-server\""), CONNPOOL_ERROR_TRUST,
                        "the-server");
}

static void a_hashed_name_is_found(void **state)
{
    const char *const arguments[] = {"ssh-keygen", "-q", "-H", "-f", known_hosts, NULL};
    const char *options = with_line(here(), ecdsa, "");
    int output;
    pid_t pid = server_process_start(arguments, &output);
    char text[16];
    FILE *file;

    (void)state;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(output);
    file = fopen(known_hosts, "re");
    assert_non_null(file);
    while (fgets(text, sizeof(text), file) != NULL && strncmp(text, "|1|", 3) != 0) {
    }
    assert_memory_equal(text, "|1|", 3);
    (void)fclose(file);
    ssh_harness_accepts(&sshd, options);
}

static void pins_are_enough(void **state)
{
    (void)state;
    ssh_harness_accepts(&sshd, with_pins(digest_of("stranger"), "sshd/host_ed25519"));
}

/* ---- What must fail */

static void a_server_that_is_not_known(void **state)
{
    char all_but_here[64];

    (void)state;
    ssh_harness_refuses(&sshd, with_line("other.example", ed25519, ""), CONNPOOL_ERROR_TRUST, "no key for");
    /* As in OpenSSH, a name without a port is of port 22. */
    ssh_harness_refuses(&sshd, with_line("127.0.0.1", ed25519, ""), CONNPOOL_ERROR_TRUST, "no key for");
    (void)snprintf(all_but_here, sizeof(all_but_here), "[127.0.0.1]:*,![127.0.0.1]:%.4s*", strchr(here(), ':') + 1);
    ssh_harness_refuses(&sshd, with_line(all_but_here, ed25519, ""), CONNPOOL_ERROR_TRUST, "no key for");
}

static void a_key_that_changed(void **state)
{
    (void)state;
    ssh_harness_refuses(&sshd, with_line(here(), stranger, ""), CONNPOOL_ERROR_TRUST, "not the one that known_hosts");
}

/* The key is somebody else's: a thief of it would be taken for this server otherwise. */
static void a_right_key_of_another_host(void **state)
{
    char lines[3 * KEY_SIZE];

    (void)state;
    (void)snprintf(lines, sizeof(lines), "%s\nother.example %s", stranger, ed25519);
    ssh_harness_refuses(&sshd, with_line(here(), lines, ""), CONNPOOL_ERROR_TRUST, "not the one that known_hosts");
}

static void a_server_that_has_no_key_of_the_kind(void **state)
{
    (void)state;
    ssh_harness_refuses(&sshd, with_line(here(), "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQ=", ""),
                        CONNPOOL_ERROR_TRUST, "ecdsa-sha2-nistp384");
}

static void only_kinds_that_cannot_be_verified(void **state)
{
    (void)state;
    ssh_harness_refuses(&sshd, with_line(here(), rsa, ""), CONNPOOL_ERROR_TRUST, "ssh-rsa");
}

static void no_pin_fits(void **state)
{
    (void)state;
    ssh_harness_refuses(&sshd, with_pins(digest_of("sshd/host_ecdsa"), "stranger"), CONNPOOL_ERROR_TRUST, "no pin");
}

static void known_hosts_does_not_make_up_for_a_pin(void **state)
{
    char pins[128];

    (void)state;
    (void)snprintf(pins, sizeof(pins), ", \"host_key_pins\": [\"%s\"]", digest_of("stranger"));
    ssh_harness_refuses(&sshd, with_line(here(), ed25519, pins), CONNPOOL_ERROR_TRUST, "no pin");
    (void)snprintf(pins, sizeof(pins), ", \"host_key_pins\": [\"%s\"]", digest_of("sshd/host_ed25519"));
    ssh_harness_refuses(&sshd, with_line(here(), stranger, pins), CONNPOOL_ERROR_TRUST, "not the one");
    ssh_harness_accepts(&sshd, with_line(here(), ed25519, pins));
}

/* ---- What is not even a configuration */

static void a_file_with_markers(void **state)
{
    (void)state;
    ssh_harness_is_invalid(&sshd, with_line("@revoked *", stranger, ""), "line 3: markers");
    ssh_harness_is_invalid(&sshd, with_line("@cert-authority *", ed25519, ""), "line 3: markers");
}

static void a_file_that_is_not_understood(void **state)
{
    (void)state;
    ssh_harness_is_invalid(&sshd, with_line(here(), "ssh-ed25519 not-base64", ""), "line 3");
    ssh_harness_is_invalid(&sshd, with_line(here(), "ssh-ed25519", ""), "line 3");
    ssh_harness_is_invalid(&sshd, with_line(here(), "1024 35 12345", ""), "line 3");
    ssh_harness_is_invalid(&sshd, with_line("|2|abc|def", ed25519, ""), "line 3: a hashed name");
}

/* S18 */
static void a_file_that_others_may_write(void **state)
{
    const char *options = with_line(here(), ed25519, "");

    (void)state;
    assert_int_equal(chmod(known_hosts, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP), 0);
    ssh_harness_is_invalid(&sshd, options, "mode 0660");
    assert_int_equal(unlink(known_hosts), 0);
    ssh_harness_is_invalid(&sshd, options, "No such file");
    assert_int_equal(mkdir(known_hosts, S_IRWXU), 0);
    ssh_harness_is_invalid(&sshd, options, "regular file");
    assert_int_equal(rmdir(known_hosts), 0);
}

static void no_word_of_who_the_server_is(void **state)
{
    char options[256];

    (void)state;
    (void)snprintf(options, sizeof(options), ", \"private_key\": \"%s\"", sshd.private_key);
    ssh_harness_is_invalid(&sshd, options, "neither known_hosts nor host_key_pins");
    ssh_harness_is_invalid(&sshd, with_line(here(), ed25519, ", \"host_key_pins\": [\"MD5:00:11\"]"),
                           "host_key_pins[0]");
}

/* Last, since the server gets other keys: a server that was known comes back as another one. */
static void a_server_that_came_back_with_another_key(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_pool *pool = harness_pool(context);
    connpool_error error;
    char configuration[256];

    (void)state;
    ssh_harness_use(pool);
    server_sshd_kill(&sshd);
    (void)snprintf(configuration, sizeof(configuration), "HostKey %s/stranger\n", folder.path);
    server_sshd_give(&sshd, "stranger");
    server_sshd_restart(&sshd, configuration);
    error = harness_acquire_fails(pool, "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_TRUST);
    assert_non_null(strstr(error.text, "not the one that known_hosts"));
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_of_its_keys_is_enough),
        cmocka_unit_test(wildcards_and_lists_are_honoured),
        cmocka_unit_test(an_alias_is_looked_up_instead),
        cmocka_unit_test(a_hashed_name_is_found),
        cmocka_unit_test(pins_are_enough),
        cmocka_unit_test(a_server_that_is_not_known),
        cmocka_unit_test(a_key_that_changed),
        cmocka_unit_test(a_right_key_of_another_host),
        cmocka_unit_test(a_server_that_has_no_key_of_the_kind),
        cmocka_unit_test(only_kinds_that_cannot_be_verified),
        cmocka_unit_test(no_pin_fits),
        cmocka_unit_test(known_hosts_does_not_make_up_for_a_pin),
        cmocka_unit_test(a_file_with_markers),
        cmocka_unit_test(a_file_that_is_not_understood),
        cmocka_unit_test(a_file_that_others_may_write),
        cmocka_unit_test(no_word_of_who_the_server_is),
        cmocka_unit_test(a_server_that_came_back_with_another_key),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
