/* SPDX-License-Identifier: MIT */
/* The handshake of the manager ssh with sshd, cut at bytes of all its parts (A7, A8, A9, A36, A38). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/connpool.h>
#include <stdio.h>

#include "handshake.h"
#include "server_sshd.h"

#define STEP 29 /* of some thousand bytes: each open costs processes of sshd */

/* libssh2 1.10 loses the server's half of a curve25519 exchange that fails; its frames are seen only when the stack is
 * unwound in the slow way. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libssh2.so";
}

const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0:malloc_context_size=12";
}

static struct server_folder folder;
static struct server_sshd sshd;

static void describe(uint16_t port, char *keys, size_t size)
{
    (void)snprintf(keys, size,
                   ", \"endpoints\": {\"e\": {\"host\": \"127.0.0.1\", \"port\": %u,"
                   " \"host_key_alias\": \"[127.0.0.1]:%u\","
                   " \"user\": \"" SERVER_SSHD_USER "\", \"known_hosts\": \"%s\", \"private_key\": \"%s\"}}",
                   port, sshd.port, sshd.known_hosts, sshd.private_key);
}

/* Of an answer to a login that cannot be read libssh2 1.10 says the same as of a refusal. */
static struct handshake ssh = {
    .manager = "ssh",
    .end = HANDSHAKE_ENDS_WITH_CLIENT,
    .cut_classes = HANDSHAKE_CLASS(CLOSED) | HANDSHAKE_CLASS(PROTOCOL) | HANDSHAKE_CLASS(RESOURCE_REMOTE),
    .garbage_classes = HANDSHAKE_CLASS(CLOSED) | HANDSHAKE_CLASS(PROTOCOL) | HANDSHAKE_CLASS(TRUST) |
                       HANDSHAKE_CLASS(UNSUPPORTED) | HANDSHAKE_CLASS(AUTHENTICATION),
    .describe = describe};

static int start(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "");
    ssh.target = sshd.endpoint;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return 0;
}

static void silence(void **state)
{
    (void)state;
    handshake_walk(&ssh, SERVER_PROXY_SILENCE, SERVER_PROXY_SERVER, STEP);
}

static void a_reset(void **state)
{
    (void)state;
    handshake_walk(&ssh, SERVER_PROXY_RESET, SERVER_PROXY_SERVER, STEP);
}

static void a_reset_while_the_client_speaks(void **state)
{
    (void)state;
    handshake_walk(&ssh, SERVER_PROXY_RESET, SERVER_PROXY_CLIENT, STEP);
}

static void an_end(void **state)
{
    (void)state;
    handshake_walk(&ssh, SERVER_PROXY_END, SERVER_PROXY_SERVER, STEP);
}

static void a_trickle(void **state)
{
    (void)state;
    handshake_walk(&ssh, SERVER_PROXY_TRICKLE, SERVER_PROXY_SERVER, STEP);
}

static void garbage(void **state)
{
    (void)state;
    handshake_walk(&ssh, SERVER_PROXY_GARBAGE, SERVER_PROXY_SERVER, STEP);
}

static void the_limits_are_kept(void **state)
{
    (void)state;
    handshake_keep_time(&ssh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence),
        cmocka_unit_test(a_reset),
        cmocka_unit_test(a_reset_while_the_client_speaks),
        cmocka_unit_test(an_end),
        cmocka_unit_test(a_trickle),
        cmocka_unit_test(garbage),
        cmocka_unit_test(the_limits_are_kept),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
