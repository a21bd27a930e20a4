/* SPDX-License-Identifier: MIT */
/* servers: see servers.h. They are those of the tests. */
#include "servers.h"

#include <stdio.h>

/* No server closes what a benchmark still wants. */
enum { LONG_SECONDS = 3600, MANY_REQUESTS = 1000000000 };

/* The pools, each of the manager and with the options told, and one endpoint. */
static void configure(struct servers *servers)
{
    (void)snprintf(
        servers->configuration, sizeof(servers->configuration),
        "{\"allow_inline_secrets\": true, \"pools\": {"
        "\"tcp\": {\"manager\": \"tcp\","
        " \"endpoints\": {\"nginx\": {\"host\": \"127.0.0.1\", \"port\": %u}}},"
        "\"unix\": {\"manager\": \"unix\","
        " \"endpoints\": {\"redis\": {\"path\": \"%s\"}}},"
        "\"tls\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"ca.pem\"},"
        " \"endpoints\": {\"nginx\": {\"host\": \"127.0.0.1\", \"port\": %u}}},"
        "\"tls-full\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"ca.pem\", \"sessions\": 0},"
        " \"endpoints\": {\"nginx\": {\"host\": \"127.0.0.1\", \"port\": %u}}},"
        "\"postgres\": {\"manager\": \"postgres\","
        " \"options\": {\"user\": \"app\", \"dbname\": \"app\", \"password\": \"%s\", \"sslmode\": \"disable\"},"
        " \"endpoints\": {\"primary\": {\"host\": \"127.0.0.1\", \"port\": %u}}},"
        "\"ssh\": {\"manager\": \"ssh\","
        " \"options\": {\"user\": \"%s\", \"private_key\": \"%s\", \"known_hosts\": \"%s\"},"
        " \"endpoints\": {\"sshd\": {\"host\": \"127.0.0.1\", \"port\": %u}}}"
        "}}",
        servers->nginx.port, servers->redis.path, servers->nginx_tls.port, servers->nginx_tls.port,
        SERVER_POSTGRES_PASSWORD, servers->postgres.port, SERVER_SSHD_USER, servers->sshd.private_key,
        servers->sshd.known_hosts, servers->sshd.port);
}

void servers_start(struct servers *servers)
{
    server_folder_init(&servers->folder);
    certificates_init(&servers->certificates, &servers->folder);
    certificates_issue(&servers->certificates, "server", NULL);
    server_nginx_start(&servers->nginx, &servers->folder, LONG_SECONDS, MANY_REQUESTS);
    server_nginx_start_tls(&servers->nginx_tls, &servers->folder, LONG_SECONDS, MANY_REQUESTS, "server", NULL);
    server_redis_start(&servers->redis, &servers->folder);
    server_postgres_start(&servers->postgres, &servers->folder, "primary", NULL);
    server_sshd_start(&servers->sshd, &servers->folder, "");
    configure(servers);
}

void servers_end(struct servers *servers)
{
    server_sshd_kill(&servers->sshd);
    server_postgres_stop(&servers->postgres, SERVER_POSTGRES_IMMEDIATE);
    server_redis_kill(&servers->redis);
    server_nginx_kill(&servers->nginx_tls);
    server_nginx_kill(&servers->nginx);
    server_folder_fini(&servers->folder);
}
