/* SPDX-License-Identifier: MIT */
/* The conformance suite for the manager postgres, over TLS with a password, each reset a round trip. */
#include <connpool/postgres.h>
#include <stdio.h>
#include <stdlib.h>

#include "conform.h"
#include "server_folder.h"
#include "server_postgres.h"

/*
 * libpq proves the password (SCRAM) within one step: at the server's 4096 rounds of a hash, 3 ms on the platform of the
 * failures' list. There is no way to take it apart.
 */
#define STEP_LIMIT_US 10000

int main(void)
{
    char options[512], endpoint[64];
    const struct conform_subject subject = {
        .manager = "postgres",
        .folder = CONNPOOL_TEST_PLUGIN_FOLDER,
        .options = options,
        .endpoint = endpoint,
        .port_option = "port",
        .native = CONNPOOL_POSTGRES_TYPE,
        .connections = 60,
        .step_limit_us = STEP_LIMIT_US,
    };
    struct server_postgres postgres;
    struct server_folder folder;
    int failed;

    (void)setenv("CONFORM_PASSWORD", SERVER_POSTGRES_PASSWORD, 1);
    server_folder_init(&folder);
    server_postgres_start_tls(&postgres, &folder, "postgres", "max_connections = 100\n");
    (void)snprintf(endpoint, sizeof(endpoint), "{\"host\": \"127.0.0.1\", \"port\": %u}", postgres.port);
    (void)snprintf(options, sizeof(options),
                   "{\"dbname\": \"app\", \"user\": \"app\", \"password\": {\"env\": \"CONFORM_PASSWORD\"},"
                   " \"sslrootcert\": \"%s\", \"discard_all\": true}",
                   postgres.authority);
    failed = conform_test("postgres", &subject);
    server_postgres_stop(&postgres, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return failed;
}
