/* SPDX-License-Identifier: MIT */
/* servers: see servers.h. They are those of the tests. */
#include "servers.h"

#include <stdio.h>

/* No server closes what a benchmark still wants. */
enum { LONG_SECONDS = 3600, MANY_REQUESTS = 1000000000 };

static void configure(struct servers *servers)
{
    (void)snprintf(
        servers->configuration, sizeof(servers->configuration),
        "{\"pools\": {"
        "\"tcp\": {\"manager\": \"tcp\", \"endpoints\": {\"nginx\": {"
        "\"host\": \"127.0.0.1\", \"port\": %u}}},"
        "\"unix\": {\"manager\": \"unix\", \"endpoints\": {\"redis\": {\"path\": \"%s\"}}},"
        "\"tls\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"ca.pem\"}, \"endpoints\": {\"nginx\": {"
        "\"host\": \"localhost\", \"family\": \"ipv4\", \"port\": %u}}},"
        "\"tls-full\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"ca.pem\", \"sessions\": 0},"
        "\"endpoints\": {\"nginx\": {\"host\": \"localhost\", \"family\": \"ipv4\", \"port\": %u}}}"
        "}}",
        servers->nginx.port, servers->redis.path, servers->nginx_tls.port, servers->nginx_tls.port);
}

void servers_start(struct servers *servers)
{
    server_folder_init(&servers->folder);
    certificates_init(&servers->certificates, &servers->folder);
    certificates_issue(&servers->certificates, "server", NULL);
    server_nginx_start(&servers->nginx, &servers->folder, LONG_SECONDS, MANY_REQUESTS);
    server_nginx_start_tls(&servers->nginx_tls, &servers->folder, LONG_SECONDS, MANY_REQUESTS, "server", NULL);
    server_redis_start(&servers->redis, &servers->folder);
    configure(servers);
}

void servers_end(struct servers *servers)
{
    server_redis_kill(&servers->redis);
    server_nginx_kill(&servers->nginx_tls);
    server_nginx_kill(&servers->nginx);
    server_folder_fini(&servers->folder);
}
