/* SPDX-License-Identifier: MIT */
/*
 * server_nginx: an nginx of the test's own on loopback, IPv4 and IPv6 on one port, over TCP or TLS. It answers every
 * request with one line, "CONNECTION REQUEST": a number for each connection it ever had, and the how-manieth request on
 * it this is; but one under /echo/ with the path that was asked for.
 */
#ifndef SERVER_NGINX_H
#define SERVER_NGINX_H

#include <openssl/ssl.h>
#include <stdint.h>
#include <sys/types.h>

#include "server_folder.h"

struct server_nginx {
    const struct server_folder *folder;
    pid_t pid;  /* 0: not running */
    int output; /* what it prints */
    uint16_t port;
    const char *certificate;      /* over TLS: its name, see certificates.h; NULL: over TCP */
    const char *client_authority; /* a client shows a certificate that it signed, NULL: none */
    char endpoint_ipv4[32], endpoint_ipv6[32];
};

/* Start it; connections are accepted when this returns. idle_timeout: seconds after which it closes an idle connection;
 * requests: after so many on one connection it closes it. */
void server_nginx_start(struct server_nginx *nginx, const struct server_folder *folder, unsigned idle_timeout,
                        unsigned requests);
/* The same over TLS, with a certificate and, for clients' ones, an authority (NULL: none is asked for) of
 * certificates.h in that folder. */
void server_nginx_start_tls(struct server_nginx *nginx, const struct server_folder *folder, unsigned idle_timeout,
                            unsigned requests, const char *certificate, const char *client_authority);
/* End it at once; its connections are closed by the kernel. */
void server_nginx_kill(struct server_nginx *nginx);
/* Start it again on the same port, as it was. */
void server_nginx_restart(struct server_nginx *nginx);

/* Make one request on a connection and read the answer: 0 and the two numbers, -1: the connection failed. */
int server_nginx_request(int fd, unsigned *connection, unsigned *request);
/* The same over TLS. */
int server_nginx_request_tls(SSL *ssl, unsigned *connection, unsigned *request);

#endif
