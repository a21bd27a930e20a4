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

static void write_configuration(const struct server_nginx *nginx, unsigned idle_timeout, unsigned requests)
{
    server_folder_write(nginx->folder, "nginx.conf",
                        "daemon off;\n"
                        "master_process off;\n"
                        "pid nginx.pid;\n"
                        "error_log stderr notice;\n"
                        "events { worker_connections 512; }\n"
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
                        "    listen 127.0.0.1:%u;\n"
                        "    listen [::1]:%u;\n"
                        "    location / { return 200 \"$connection $connection_requests\\n\"; }\n"
                        "  }\n"
                        "}\n",
                        idle_timeout, requests, nginx->port, nginx->port);
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

void server_nginx_start(struct server_nginx *nginx, const struct server_folder *folder, unsigned idle_timeout,
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

void server_nginx_restart(struct server_nginx *nginx)
{
    server_nginx_kill(nginx);
    assert_true(launch(nginx));
}

void server_nginx_kill(struct server_nginx *nginx)
{
    server_process_end(&nginx->pid, &nginx->output);
}

int server_nginx_request(int fd, unsigned *connection, unsigned *request)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char line[256];

    if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(text) - 1) {
        return -1;
    }
    do {
        if (server_peer_line(fd, line, sizeof(line)) != 0) {
            return -1;
        }
    } while (line[0] != '\0');
    return server_peer_line(fd, line, sizeof(line)) == 0 && sscanf(line, "%u %u", connection, request) == 2 ? 0 : -1;
}
