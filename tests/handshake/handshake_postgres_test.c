/* SPDX-License-Identifier: MIT */
/* The start of a session of the manager postgres, without a password, with one (SCRAM) and over TLS, cut at every byte
 * (A7, A8, A9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/connpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "handshake.h"
#include "server_postgres.h"

#define PASSWORD "CONNPOOL_TEST_POSTGRES_PASSWORD"
#define STEP     7  /* of some hundred bytes: each open costs a process of the server */
#define TLS_STEP 23 /* of more than a thousand */
#define SLACK    8  /* over TLS: the lengths of a signature and of a certificate's numbers */

static struct server_folder folder;
static struct server_postgres postgres;
static char target[32];

static void describe_plain(uint16_t port, char *keys, size_t size)
{
    (void)snprintf(keys, size,
                   ", \"endpoints\": {\"e\": {\"host\": \"127.0.0.1\", \"port\": %u, \"dbname\": \"app\","
                   " \"user\": \"trusting\", \"sslmode\": \"disable\"}}",
                   port);
}

static void describe_scram(uint16_t port, char *keys, size_t size)
{
    (void)snprintf(keys, size,
                   ", \"endpoints\": {\"e\": {\"host\": \"127.0.0.1\", \"port\": %u, \"dbname\": \"app\","
                   " \"user\": \"app\", \"password\": {\"env\": \"" PASSWORD "\"}, \"sslmode\": \"disable\"}}",
                   port);
}

static void describe_tls(uint16_t port, char *keys, size_t size)
{
    (void)snprintf(keys, size,
                   ", \"endpoints\": {\"e\": {\"host\": \"127.0.0.1\", \"port\": %u, \"dbname\": \"app\","
                   " \"user\": \"app\", \"password\": {\"env\": \"" PASSWORD "\"}, \"sslrootcert\": \"%s\"}}",
                   port, postgres.authority);
}

#define CUT_CLASSES (HANDSHAKE_CLASS(CLOSED) | HANDSHAKE_CLASS(PROTOCOL))
/* What libpq makes of a message that it cannot read it tells in words only. */
#define GARBAGE_CLASSES (CUT_CLASSES | HANDSHAKE_CLASS(TRANSIENT))

static const struct handshake plain = {.manager = "postgres",
                                       .target = target,
                                       .end = HANDSHAKE_ENDS_WITH_SERVER,
                                       .cut_classes = CUT_CLASSES,
                                       .garbage_classes = GARBAGE_CLASSES,
                                       .describe = describe_plain};
/* A proof of the server's that was changed on its way is not trusted. */
static const struct handshake scram = {.manager = "postgres",
                                       .target = target,
                                       .end = HANDSHAKE_ENDS_WITH_SERVER,
                                       .cut_classes = CUT_CLASSES,
                                       .garbage_classes = GARBAGE_CLASSES | HANDSHAKE_CLASS(TRUST),
                                       .describe = describe_scram};
/* Where the end meets libpq as it writes its first message, it knows of no reason. */
static const struct handshake tls = {.manager = "postgres",
                                     .target = target,
                                     .end = HANDSHAKE_ENDS_WITH_SERVER,
                                     .slack = SLACK,
                                     .cut_classes = CUT_CLASSES | HANDSHAKE_CLASS(TRANSIENT),
                                     .garbage_classes = GARBAGE_CLASSES | HANDSHAKE_CLASS(TRUST),
                                     .describe = describe_tls};

/* Who "trusting" is the server does not ask. */
static void start_postgres(void)
{
    char path[SERVER_PATH_SIZE];
    char settings[SERVER_PATH_SIZE + 64];

    server_folder_path(&folder, "hba.conf", path);
    server_folder_write(&folder, "hba.conf",
                        "local all postgres trust\n"
                        "host app trusting 127.0.0.1/32 trust\n"
                        "host all all 127.0.0.1/32 scram-sha-256\n");
    assert_int_equal(chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH), 0);
    (void)snprintf(settings, sizeof(settings), "max_connections = 100\nhba_file = '%s'\n", path);
    server_postgres_start_tls(&postgres, &folder, "pg", settings);
    server_postgres_run(&postgres, "CREATE ROLE trusting LOGIN", NULL, 0);
    /* Nobody reads what it would say of each lost connection, and a full pipe stops it. */
    server_postgres_run(&postgres, "ALTER SYSTEM SET log_min_messages = panic", NULL, 0);
    server_postgres_run(&postgres, "SELECT pg_reload_conf()", NULL, 0);
    (void)snprintf(target, sizeof(target), "127.0.0.1:%u", postgres.port);
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(setenv(PASSWORD, SERVER_POSTGRES_PASSWORD, 1), 0);
    server_folder_init(&folder);
    start_postgres();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_postgres_stop(&postgres, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

static void walk(const struct handshake *handshake, size_t step)
{
    handshake_walk(handshake, SERVER_PROXY_SILENCE, SERVER_PROXY_SERVER, step);
    handshake_walk(handshake, SERVER_PROXY_RESET, SERVER_PROXY_SERVER, step);
    handshake_walk(handshake, SERVER_PROXY_RESET, SERVER_PROXY_CLIENT, step);
    handshake_walk(handshake, SERVER_PROXY_END, SERVER_PROXY_SERVER, step);
    handshake_walk(handshake, SERVER_PROXY_TRICKLE, SERVER_PROXY_SERVER, step);
    handshake_walk(handshake, SERVER_PROXY_GARBAGE, SERVER_PROXY_SERVER, step);
}

static void without_a_password(void **state)
{
    (void)state;
    walk(&plain, STEP);
}

static void with_a_password(void **state)
{
    (void)state;
    walk(&scram, STEP);
}

static void over_tls(void **state)
{
    (void)state;
    walk(&tls, TLS_STEP);
}

static void the_limits_are_kept(void **state)
{
    (void)state;
    handshake_keep_time(&scram);
    handshake_keep_time(&tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_password),
        cmocka_unit_test(with_a_password),
        cmocka_unit_test(over_tls),
        cmocka_unit_test(the_limits_are_kept),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
