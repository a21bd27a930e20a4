/* SPDX-License-Identifier: MIT */
/* requests: see requests.h. */
#include "requests.h"

#include <connpool/postgres.h>
#include <connpool/ssh.h>
#include <connpool/tcp.h>
#include <connpool/tls.h>
#include <connpool/unix.h>
#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Sends a text and reads until what came ends with `end`. */
static int exchange(int fd, const char *request, const char *end)
{
    const size_t request_length = strlen(request), end_length = strlen(end);
    char answer[1024];
    size_t length = 0;

    if (send(fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length) {
        return -1;
    }
    while (length < end_length || memcmp(answer + length - end_length, end, end_length) != 0) {
        ssize_t more = recv(fd, answer + length, sizeof(answer) - length, 0);

        if (more <= 0) {
            return -1;
        }
        length += (size_t)more;
    }
    return 0;
}

int requests_http(const connpool_lease *lease, char answer[REQUESTS_ANSWER_SIZE])
{
    (void)snprintf(answer, REQUESTS_ANSWER_SIZE, "a page");
    return exchange(connpool_tcp(lease), "GET / HTTP/1.1\r\nHost: demo\r\n\r\n", "\r\n\r\nhello\n");
}

int requests_redis(const connpool_lease *lease, char answer[REQUESTS_ANSWER_SIZE])
{
    (void)snprintf(answer, REQUESTS_ANSWER_SIZE, "a number");
    return exchange(connpool_unix(lease), "INCR visits\r\n", "\r\n");
}

/* nginx sends so short an answer in one record. */
int requests_https(const connpool_lease *lease, char answer[REQUESTS_ANSWER_SIZE])
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: demo\r\n\r\n";
    SSL *ssl = connpool_tls(lease);
    char page[1024];
    size_t length;

    if (SSL_write_ex(ssl, request, sizeof(request) - 1, &length) != 1 ||
        SSL_read_ex(ssl, page, sizeof(page) - 1, &length) != 1) {
        return -1;
    }
    page[length] = '\0';
    (void)snprintf(answer, REQUESTS_ANSWER_SIZE, "a page over %s", SSL_get_version(ssl));
    return strstr(page, "\r\n\r\nhello\n") != NULL ? 0 : -1;
}

int requests_sql(const connpool_lease *lease, char answer[REQUESTS_ANSWER_SIZE])
{
    static const char query[] =
        "SELECT 'one row of a ' || CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'master' END";
    PGresult *result = PQexec(connpool_postgres(lease), query);
    int is_answered = PQresultStatus(result) == PGRES_TUPLES_OK;

    (void)snprintf(answer, REQUESTS_ANSWER_SIZE, "%s", is_answered ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return is_answered ? 0 : -1;
}

int requests_ssh(const connpool_lease *lease, char answer[REQUESTS_ANSWER_SIZE])
{
    struct connpool_ssh_command command = {
        .size = sizeof(command),
        .timeout_ms = 2000,
        .command = "printf 'a command of process %s' $$",
        .output = answer,
        .output_capacity = REQUESTS_ANSWER_SIZE - 1,
    };

    if (connpool_ssh_run(lease, &command, NULL) != CONNPOOL_OK || command.exit_status != 0 ||
        command.output_size >= REQUESTS_ANSWER_SIZE) {
        return -1;
    }
    answer[command.output_size] = '\0';
    return 0;
}
