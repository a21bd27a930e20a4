/* SPDX-License-Identifier: MIT */
/* The conformance suite for the manager ssh. The server is known by an alias, so that its port does not matter. */
#include <connpool/ssh.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"
#include "server_folder.h"
#include "server_sshd.h"

#if CONFORM_IS_SANITIZED
/*
 * libssh2 1.10 loses the server's key (session_free in session.c frees it only where new keys are in use)
 * when a session ends between the key exchange's reply and the use of the new keys. That key alone is passed over; it
 * is told by the stack, which goes through a library without frame pointers.
 */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:EVP_PKEY_new_raw_public_key\nleak:EVP_PKEY_fromdata\n";
}

__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0:print_suppressions=0";
}
#endif

/* The server's keys, under another name: lines of its known_hosts without their first word. */
static void write_known_hosts(const struct server_sshd *sshd)
{
    char known[8192] = "", line[4096];
    FILE *file = fopen(sshd->known_hosts, "re");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t length = strlen(known);

        (void)snprintf(known + length, sizeof(known) - length, "conform%s", strchr(line, ' '));
    }
    (void)fclose(file);
    server_folder_write(sshd->folder, "known_hosts_of_conform", "%s", known);
}

int main(void)
{
    char options[512], endpoint[128];
    const struct conform_subject subject = {
        .manager = "ssh",
        .folder = CONNPOOL_TEST_PLUGIN_FOLDER,
        .options = options,
        .endpoint = endpoint,
        .port_option = "port",
        .native = CONNPOOL_SSH_TYPE,
        .connections = 60,
    };
    struct server_folder folder;
    struct server_sshd sshd;
    int failed;

    (void)setenv("CONFORM_PASSWORD", SERVER_SSHD_PASSWORD, 1);
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "");
    write_known_hosts(&sshd);
    (void)snprintf(endpoint, sizeof(endpoint),
                   "{\"host\": \"127.0.0.1\", \"port\": %u, \"host_key_alias\": \"conform\"}", sshd.port);
    (void)snprintf(options, sizeof(options),
                   "{\"user\": \"" SERVER_SSHD_USER "\", \"password\": {\"env\": \"CONFORM_PASSWORD\"},"
                   " \"known_hosts\": \"%s/known_hosts_of_conform\"}",
                   folder.path);
    failed = conform_test("ssh", &subject);
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return failed;
}
