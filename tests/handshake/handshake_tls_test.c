/* SPDX-License-Identifier: MIT */
/* The handshake of the manager tls with nginx, cut at every byte (A7, A8, A9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/connpool.h>
#include <stdio.h>

#include "certificates.h"
#include "handshake.h"
#include "server_nginx.h"

#define SLACK 8 /* the lengths of a signature and of a certificate's numbers */

static struct server_folder folder;
static struct certificates certificates;
static struct server_nginx nginx;

/* Without sessions, so that each handshake is as long as the other. */
static void describe(uint16_t port, const char *version, char *keys, size_t size)
{
    (void)snprintf(keys, size,
                   ", \"options\": {\"ca_file\": \"%s/ca.pem\", \"sessions\": 0, \"max_version\": \"%s\"},"
                   " \"endpoints\": {\"e\": {\"host\": \"127.0.0.1\", \"port\": %u}}",
                   folder.path, version, port);
}

static void describe_tls13(uint16_t port, char *keys, size_t size)
{
    describe(port, "TLSv1.3", keys, size);
}

static void describe_tls12(uint16_t port, char *keys, size_t size)
{
    describe(port, "TLSv1.2", keys, size);
}

#define CUT_CLASSES (HANDSHAKE_CLASS(CLOSED) | HANDSHAKE_CLASS(PROTOCOL))
/* A certificate that was changed on its way is not trusted. */
#define GARBAGE_CLASSES (HANDSHAKE_CLASS(PROTOCOL) | HANDSHAKE_CLASS(TRUST) | HANDSHAKE_CLASS(UNSUPPORTED))

static struct handshake tls13 = {.manager = "tls",
                                 .end = HANDSHAKE_ENDS_WITH_CLIENT,
                                 .slack = SLACK,
                                 .cut_classes = CUT_CLASSES,
                                 .garbage_classes = GARBAGE_CLASSES,
                                 .describe = describe_tls13};
static struct handshake tls12 = {.manager = "tls",
                                 .end = HANDSHAKE_ENDS_WITH_SERVER,
                                 .slack = SLACK,
                                 .cut_classes = CUT_CLASSES,
                                 .garbage_classes = GARBAGE_CLASSES,
                                 .describe = describe_tls12};

static int start(void **state)
{
    (void)state;
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, 60, 1000, "server", NULL);
    tls13.target = tls12.target = nginx.endpoint_ipv4;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    return 0;
}

static void silence(void **state)
{
    (void)state;
    handshake_walk(&tls13, SERVER_PROXY_SILENCE, SERVER_PROXY_SERVER, 1);
}

static void a_reset(void **state)
{
    (void)state;
    handshake_walk(&tls13, SERVER_PROXY_RESET, SERVER_PROXY_SERVER, 1);
}

static void a_reset_while_the_client_speaks(void **state)
{
    (void)state;
    handshake_walk(&tls13, SERVER_PROXY_RESET, SERVER_PROXY_CLIENT, 1);
}

static void an_end(void **state)
{
    (void)state;
    handshake_walk(&tls13, SERVER_PROXY_END, SERVER_PROXY_SERVER, 1);
}

static void a_trickle(void **state)
{
    (void)state;
    handshake_walk(&tls13, SERVER_PROXY_TRICKLE, SERVER_PROXY_SERVER, 1);
}

static void garbage(void **state)
{
    (void)state;
    handshake_walk(&tls13, SERVER_PROXY_GARBAGE, SERVER_PROXY_SERVER, 1);
}

static void the_limits_are_kept(void **state)
{
    (void)state;
    handshake_keep_time(&tls13);
}

static void silence_in_tls12(void **state)
{
    (void)state;
    handshake_walk(&tls12, SERVER_PROXY_SILENCE, SERVER_PROXY_SERVER, 1);
}

static void a_reset_in_tls12(void **state)
{
    (void)state;
    handshake_walk(&tls12, SERVER_PROXY_RESET, SERVER_PROXY_SERVER, 1);
}

static void an_end_in_tls12(void **state)
{
    (void)state;
    handshake_walk(&tls12, SERVER_PROXY_END, SERVER_PROXY_SERVER, 1);
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
        cmocka_unit_test(silence_in_tls12),
        cmocka_unit_test(a_reset_in_tls12),
        cmocka_unit_test(an_end_in_tls12),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
