/* SPDX-License-Identifier: MIT */
/* pgbouncer: see pgbouncer.h. */
#include "pgbouncer.h"

#include <server_listener.h>
#include <server_process.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define START_ATTEMPTS 5

/* It refuses to be root: then it becomes `nobody` once it has read its configuration. */
static void configure(const struct server_postgres *postgres, uint16_t port)
{
    server_folder_write(postgres->folder, "pgbouncer.ini",
                        "[databases]\n"
                        "app = host=127.0.0.1 port=%u dbname=app user=app password=%s\n"
                        "[pgbouncer]\n"
                        "listen_addr = 127.0.0.1\n"
                        "listen_port = %u\n"
                        "unix_socket_dir =\n"
                        "auth_type = any\n"
                        "pool_mode = session\n"
                        "log_connections = 0\n"
                        "log_disconnections = 0\n"
                        "%s",
                        postgres->port, SERVER_POSTGRES_PASSWORD, port, geteuid() == 0 ? "user = nobody\n" : "");
}

/* Whether it serves: the port may be taken. */
static bool try_start(struct pgbouncer *pgbouncer, const struct server_postgres *postgres)
{
    char path[SERVER_PATH_SIZE];
    const char *const arguments[] = {"pgbouncer", path, NULL};

    server_folder_path(postgres->folder, "pgbouncer.ini", path);
    pgbouncer->port = server_listener_random_port();
    configure(postgres, pgbouncer->port);
    pgbouncer->pid = server_process_start(arguments, &pgbouncer->output);
    return server_process_says(pgbouncer->output, "process up");
}

void pgbouncer_start(struct pgbouncer *pgbouncer, const struct server_postgres *postgres)
{
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        if (try_start(pgbouncer, postgres)) {
            return;
        }
        pgbouncer_end(pgbouncer);
    }
    (void)fprintf(stderr, "bench: pgbouncer did not start\n");
    exit(1);
}

void pgbouncer_end(struct pgbouncer *pgbouncer)
{
    server_process_end(&pgbouncer->pid, &pgbouncer->output);
}
