/* SPDX-License-Identifier: MIT */
/* The manager tls besieged, over nginx (A21, A22, A42). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tls.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "certificates.h"
#include "server_nginx.h"
#include "siege.h"

#define ANSWER_SECONDS 5
#define REQUESTS       1000000 /* on one connection: nginx ends none by itself */

static struct server_folder folder;
static struct certificates certificates;
static struct server_nginx nginx;

/* Read up to the end of the answer: its head, an empty line, one more line. */
static bool read_answer(SSL *ssl, char *answer, size_t size)
{
    const char *body = NULL;
    size_t length = 0;

    while (body == NULL || strchr(body, '\n') == NULL) {
        int more = length + 1 < size ? SSL_read(ssl, answer + length, (int)(size - 1 - length)) : 0;

        if (more <= 0) {
            return false;
        }
        length += (size_t)more;
        answer[length] = '\0';
        body = strstr(answer, "\r\n\r\n");
        body = body == NULL ? NULL : body + 4;
    }
    return true;
}

static enum siege_answer ask(const connpool_lease *lease, const char *token)
{
    SSL *ssl = connpool_tls(lease);
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    char request[128];
    char answer[1024];
    char expected[64];
    int length = snprintf(request, sizeof(request), "GET /echo/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", token);

    (void)setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)snprintf(expected, sizeof(expected), "\r\n\r\n/echo/%s\n", token);
    if (SSL_write(ssl, request, length) != length || !read_answer(ssl, answer, sizeof(answer))) {
        return SIEGE_FAILED;
    }
    return strstr(answer, expected) != NULL ? SIEGE_ANSWERED : SIEGE_WRONG;
}

static void kill_nginx(void *server)
{
    server_nginx_kill(server);
}

static void restart_nginx(void *server)
{
    server_nginx_restart(server);
}

static void besiege(bool collector)
{
    char keys[256];
    struct siege siege = {.manager = "tls",
                          .keys = keys,
                          .endpoint = nginx.endpoint_ipv4,
                          .progress = 1500,
                          .restarts = 4,
                          .server = &nginx,
                          .ask = ask,
                          .kill = kill_nginx,
                          .restart = restart_nginx,
                          .port = nginx.port};

    (void)snprintf(keys, sizeof(keys), ", \"options\": {\"ca_file\": \"%s/ca.pem\"}", folder.path);
    siege_run(&siege, collector);
}

static int start(void **state)
{
    (void)state;
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, 60, REQUESTS, "server", NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    return 0;
}

int main(void)
{
    return siege_tests(besiege, start, stop);
}
