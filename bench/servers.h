/* SPDX-License-Identifier: MIT */
/* servers: a real server on loopback for each manager, and a configuration with a pool for each, of the same name; the
 * pool tls-full resumes no sessions. */
#ifndef SERVERS_H
#define SERVERS_H

#include <certificates.h>
#include <server_folder.h>
#include <server_nginx.h>
#include <server_postgres.h>
#include <server_redis.h>
#include <server_sshd.h>

struct servers {
    struct server_folder folder;
    struct certificates certificates;
    struct server_nginx nginx;     /* tcp */
    struct server_redis redis;     /* unix */
    struct server_nginx nginx_tls; /* tls */
    struct server_postgres postgres;
    struct server_sshd sshd;
    char configuration[4096];
};

/* Start them all. Ends the process where one cannot be had. */
void servers_start(struct servers *servers);
void servers_end(struct servers *servers);

#endif
