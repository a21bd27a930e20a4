/* SPDX-License-Identifier: MIT */
/* ssh_harness: what the tests of the manager ssh do all the time. */
#include "ssh_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

#define OUTPUT_SIZE 1024

#define CONFIGURATION                                                                                                  \
    "{\"allow_inline_secrets\": true, \"pools\": {\"shells\": {\"manager\": \"ssh\", \"endpoints\": {\"there\":"       \
    " {\"host\": \"127.0.0.1\", \"port\": %u, \"user\": \"" SERVER_SSHD_USER "\"%s}}%s}}}"

connpool *ssh_harness_open_bare(const struct server_sshd *sshd, const char *options, const char *pool)
{
    return harness_open(CONFIGURATION, sshd->port, options, pool);
}

connpool *ssh_harness_open_with_pool(const struct server_sshd *sshd, const char *options, const char *pool)
{
    char all[1024];

    assert_true(snprintf(all, sizeof(all), ", \"known_hosts\": \"%s\", \"private_key\": \"%s\"%s", sshd->known_hosts,
                         sshd->private_key, options) < (int)sizeof(all));
    return ssh_harness_open_bare(sshd, all, pool);
}

connpool *ssh_harness_open(const struct server_sshd *sshd, const char *options)
{
    return ssh_harness_open_with_pool(sshd, options, "");
}

void ssh_harness_expect(const connpool_lease *lease, const char *text, const char *output)
{
    char found[OUTPUT_SIZE];
    char errors[OUTPUT_SIZE];
    connpool_error error = {.text = ""};
    struct connpool_ssh_command command = {
        .size = sizeof(command),
        .command = text,
        .timeout_ms = HARNESS_LIMIT_MS,
        .output = found,
        .output_capacity = sizeof(found) - 1,
        .errors = errors,
        .errors_capacity = sizeof(errors) - 1,
    };

    if (connpool_ssh_run(lease, &command, &error) != CONNPOOL_OK) {
        fail_msg("%s: %s", text, error.text);
    }
    assert_true(command.output_size < sizeof(found) && command.errors_size < sizeof(errors));
    found[command.output_size] = '\0';
    errors[command.errors_size] = '\0';
    if (command.exit_status != 0) {
        fail_msg("%s: status %d, %s", text, command.exit_status, errors);
    }
    assert_string_equal(found, output);
}

void ssh_harness_use(connpool_pool *pool)
{
    connpool_lease lease = harness_acquire(pool, "there");

    ssh_harness_expect(&lease, "echo here", "here\n");
    harness_release(&lease);
}

void ssh_harness_accepts(const struct server_sshd *sshd, const char *options)
{
    connpool *context = ssh_harness_open_bare(sshd, options, "");

    ssh_harness_use(harness_pool(context));
    harness_close(context);
}

void ssh_harness_refuses(const struct server_sshd *sshd, const char *options, int32_t error_class, const char *words)
{
    connpool *context = ssh_harness_open_bare(sshd, options, "");
    connpool_error error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);

    if (error.error_class != error_class || strstr(error.text, words) == NULL) {
        fail_msg("%s, %s\nexpected: %s, …%s…", connpool_error_class_text(error.error_class), error.text,
                 connpool_error_class_text(error_class), words);
    }
    harness_close(context);
}

void ssh_harness_is_invalid(const struct server_sshd *sshd, const char *options, const char *words)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    char json[2048];
    struct connpool_options open_options = {
        .size = sizeof(open_options), .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER, .json = json, .plugin_path = folders};
    connpool_error error = {.text = ""};

    assert_true(snprintf(json, sizeof(json), CONFIGURATION, sshd->port, options, "") < (int)sizeof(json));
    assert_null(connpool_open_with(&open_options, &error));
    if (strstr(error.text, words) == NULL) {
        fail_msg("%s\nexpected: …%s…", error.text, words);
    }
}
