/* SPDX-License-Identifier: MIT */
/* The manager postgres besieged (A21, A22, A42). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/postgres.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server_postgres.h"
#include "siege.h"

#define PASSWORD "CONNPOOL_TEST_POSTGRES_PASSWORD"

static struct server_folder folder;
static struct server_postgres postgres;

static enum siege_answer ask(const connpool_lease *lease, const char *token)
{
    enum siege_answer answer = SIEGE_FAILED;
    char query[64];
    PGresult *result;

    (void)snprintf(query, sizeof(query), "SELECT '%s'", token);
    result = PQexec(connpool_postgres(lease), query);
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        answer = strcmp(PQgetvalue(result, 0, 0), token) == 0 ? SIEGE_ANSWERED : SIEGE_WRONG;
    }
    PQclear(result);
    return answer;
}

static void kill_postgres(void *server)
{
    server_postgres_stop(server, SERVER_POSTGRES_IMMEDIATE);
}

static void restart_postgres(void *server)
{
    server_postgres_restart(server, SERVER_POSTGRES_IMMEDIATE);
}

static void besiege(bool collector)
{
    char keys[512];
    struct siege siege = {.manager = "postgres",
                          .keys = keys,
                          .endpoint = "main",
                          .progress = 1000,
                          .restarts = 3,
                          .server = &postgres,
                          .ask = ask,
                          .kill = kill_postgres,
                          .restart = restart_postgres,
                          .port = postgres.port};

    (void)snprintf(keys, sizeof(keys),
                   ", \"endpoints\": {\"main\": {\"host\": \"127.0.0.1\", \"port\": %u, \"dbname\": \"app\","
                   " \"user\": \"app\", \"password\": {\"env\": \"" PASSWORD "\"}, \"sslmode\": \"disable\"}}",
                   postgres.port);
    siege_run(&siege, collector);
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(setenv(PASSWORD, SERVER_POSTGRES_PASSWORD, 1), 0);
    server_folder_init(&folder);
    server_postgres_start(&postgres, &folder, "pg", "max_connections = 40\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_postgres_stop(&postgres, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

int main(void)
{
    return siege_tests(besiege, start, stop);
}
