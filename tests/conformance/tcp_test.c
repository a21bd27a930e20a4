/* SPDX-License-Identifier: MIT */
/* The conformance suite for the manager tcp. */
#include <stdio.h>

#include "conform.h"
#include "server_lines.h"

int main(void)
{
    static const char *const skipped[] = {"destroy_check", "destroy_reset", "destroy_close", "cut", NULL};
    struct server_lines server;
    char endpoint[64];
    const struct conform_subject subject = {
        .manager = "tcp",
        .folder = CONNPOOL_TEST_PLUGIN_FOLDER,
        .endpoint = endpoint,
        .port_option = "port",
        .native = "fd",
        .connections = 1000,
        .skipped = skipped,
    };
    int failed;

    server_lines_start(&server, NULL);
    (void)snprintf(endpoint, sizeof(endpoint), "{\"host\": \"127.0.0.1\", \"port\": %u}", server.port);
    failed = conform_test("tcp", &subject);
    server_lines_end(&server);
    return failed;
}
