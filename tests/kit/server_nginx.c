/* SPDX-License-Identifier: MIT */
/* server_nginx: an nginx of the test's own, one process. That it is ready it tells on its output. */
#include "server_nginx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "server_listener.h"
#include "server_peer.h"
#include "server_process.h"

#define START_ATTEMPTS 5

/* The configuration's lines of TLS. */
static void describe_tls(const struct server_nginx *nginx, char *text, size_t size)
{
    int length = 0;

    text[0] = '\0';
    if (nginx->certificate != NULL) {
        length = snprintf(text, size, "    ssl_certificate %s.pem;\n    ssl_certificate_key %s.key;\n",
                          nginx->certificate, nginx->certificate);
    }
    if (nginx->client_authority != NULL) {
        (void)snprintf(text + length, size - (size_t)length,
                       "    ssl_client_certificate %s.pem;\n    ssl_verify_client on;\n", nginx->client_authority);
    }
}

static void write_configuration(const struct server_nginx *nginx, unsigned idle_timeout, unsigned requests)
{
    const char *kind = nginx->certificate == NULL ? "" : " ssl";
    char tls[256];

    describe_tls(nginx, tls, sizeof(tls));
    server_folder_write(nginx->folder, "nginx.conf",
                        "daemon off;\n"
                        "master_process off;\n"
                        "pid nginx.pid;\n"
                        "error_log stderr notice;\n"
                        "events { worker_connections 2048; }\n"
                        "http {\n"
                        "  access_log off;\n"
                        "  client_body_temp_path body;\n"
                        "  proxy_temp_path proxy;\n"
                        "  fastcgi_temp_path fastcgi;\n"
                        "  uwsgi_temp_path uwsgi;\n"
                        "  scgi_temp_path scgi;\n"
                        "  keepalive_timeout %us;\n"
                        "  keepalive_requests %u;\n"
                        "  server {\n"
                        "    listen 127.0.0.1:%u%s backlog=4096;\n"
                        "    listen [::1]:%u%s backlog=4096;\n"
                        "%s"
                        "    location /echo/ { return 200 \"$uri\\n\"; }\n"
                        "    location / { return 200 \"$connection $connection_requests\\n\"; }\n"
                        "  }\n"
                        "}\n",
                        idle_timeout, requests, nginx->port, kind, nginx->port, kind, tls);
}

static bool launch(struct server_nginx *nginx)
{
    char configuration[SERVER_PATH_SIZE];
    const char *const arguments[] = {"nginx", "-e", "stderr", "-p", nginx->folder->path, "-c", configuration, NULL};

    server_folder_path(nginx->folder, "nginx.conf", configuration);
    nginx->pid = server_process_start(arguments, &nginx->output);
    /* Its last words before it serves, the sockets listening. */
    if (server_process_says(nginx->output, "getrlimit(RLIMIT_NOFILE)")) {
        return true;
    }
    server_nginx_kill(nginx);
    return false;
}

static void start(struct server_nginx *nginx, const struct server_folder *folder, unsigned idle_timeout,
                  unsigned requests)
{
    nginx->folder = folder;
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        nginx->port = server_listener_random_port(); /* nginx ends where it is taken */
        write_configuration(nginx, idle_timeout, requests);
        if (launch(nginx)) {
            (void)snprintf(nginx->endpoint_ipv4, sizeof(nginx->endpoint_ipv4), "127.0.0.1:%u", nginx->port);
            (void)snprintf(nginx->endpoint_ipv6, sizeof(nginx->endpoint_ipv6), "[::1]:%u", nginx->port);
            return;
        }
    }
    fail_msg("nginx does not start");
}

void server_nginx_start(struct server_nginx *nginx, const struct server_folder *folder, unsigned idle_timeout,
                        unsigned requests)
{
    nginx->certificate = NULL;
    nginx->client_authority = NULL;
    start(nginx, folder, idle_timeout, requests);
}

void server_nginx_start_tls(struct server_nginx *nginx, const struct server_folder *folder, unsigned idle_timeout,
                            unsigned requests, const char *certificate, const char *client_authority)
{
    nginx->certificate = certificate;
    nginx->client_authority = client_authority;
    start(nginx, folder, idle_timeout, requests);
}

void server_nginx_restart(struct server_nginx *nginx)
{
    server_nginx_kill(nginx);
    assert_true(launch(nginx));
}

void server_nginx_kill(struct server_nginx *nginx)
{
    server_process_end(&nginx->pid, &nginx->output);
}

static const char request_text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const int request_length = sizeof(request_text) - 1;

int server_nginx_request(int fd, unsigned *connection, unsigned *request)
{
    char line[256];

    if (send(fd, request_text, (size_t)request_length, MSG_NOSIGNAL) != request_length) {
        return -1;
    }
    do {
        if (server_peer_line(fd, line, sizeof(line)) != 0) {
            return -1;
        }
    } while (line[0] != '\0');
    return server_peer_line(fd, line, sizeof(line)) == 0 && sscanf(line, "%u %u", connection, request) == 2 ? 0 : -1;
}

/* As server_peer_line. */
static int read_line(SSL *ssl, char *line, size_t size)
{
    for (size_t have = 0; have + 1 < size; have++) {
        if (SSL_read(ssl, line + have, 1) != 1) {
            return -1;
        }
        if (line[have] == '\n') {
            line[have > 0 && line[have - 1] == '\r' ? have - 1 : have] = '\0';
            return 0;
        }
    }
    return -1;
}

int server_nginx_request_tls(SSL *ssl, unsigned *connection, unsigned *request)
{
    char line[256];

    if (SSL_write(ssl, request_text, request_length) != request_length) {
        return -1;
    }
    do {
        if (read_line(ssl, line, sizeof(line)) != 0) {
            return -1;
        }
    } while (line[0] != '\0');
    return read_line(ssl, line, sizeof(line)) == 0 && sscanf(line, "%u %u", connection, request) == 2 ? 0 : -1;
}
