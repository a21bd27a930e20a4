/* SPDX-License-Identifier: MIT */
/*
 * https_fetch: how do I fetch several pages over one TLS connection? Two pages over the pooled one, then a third over a
 * new one, whose handshake resumes the session of the first:
 *
 *     https_fetch https.json example.org:443
 */
#define _GNU_SOURCE /* strcasestr */
#include <connpool/connpool.h>
#include <connpool/tls.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_SIZE 65536

/* Reads until the text, or if it is NULL the length, is there. -1: it does not come. */
static int read_until(SSL *ssl, char *answer, size_t *have, const char *text, size_t length)
{
    while (text != NULL ? strstr(answer, text) == NULL : *have < length) {
        size_t more;

        if (SSL_read_ex(ssl, answer + *have, ANSWER_SIZE - 1 - *have, &more) != 1) {
            return -1;
        }
        *have += more;
        answer[*have] = '\0';
    }
    return 0;
}

/* Asks and reads the answer to its end, as only then the connection can serve again. -1: it cannot. */
static int get(SSL *ssl, const char *host, const char *path, char *answer)
{
    static const char length_header[] = "\r\nContent-Length:";
    char request[1024];
    size_t have = 0, written, head;
    const char *length;
    int size = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);

    answer[0] = '\0';
    if (size < 0 || (size_t)size >= sizeof(request) || SSL_write_ex(ssl, request, (size_t)size, &written) != 1 ||
        read_until(ssl, answer, &have, "\r\n\r\n", 0) != 0) {
        return -1;
    }
    head = (size_t)(strstr(answer, "\r\n\r\n") + 4 - answer);
    length = strcasestr(answer, length_header);
    if (length == NULL || length > answer + head || strcasestr(answer, "\r\nConnection: close") != NULL) {
        return -1; /* other forms of an answer are left to an HTTP library */
    }
    return read_until(ssl, answer, &have, NULL, head + strtoul(length + strlen(length_header), NULL, 10));
}

static int fetch(connpool_endpoint *endpoint, const char *path)
{
    const char *name = connpool_endpoint_name(endpoint);
    char host[256], answer[ANSWER_SIZE];
    struct connpool_lease_info info = {.size = sizeof(info)};
    connpool_lease lease;
    connpool_error error;

    (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(name, ":"), name);
    if (connpool_endpoint_acquire(endpoint, CONNPOOL_WAIT_DEFAULT, &lease, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    if (get(connpool_tls(&lease), host, path, answer) != 0) {
        fprintf(stderr, "%s: no answer\n", path);
        connpool_discard(&lease);
        return -1;
    }
    connpool_lease_info(&lease, &info);
    printf("%s: %.*s; connection %d, use %d, %s handshake\n", path, (int)strcspn(answer, "\r"), answer, (int)info.id,
           (int)info.uses, connpool_tls_information(&lease)->is_resumed ? "resumed" : "full");
    connpool_release(&lease);
    return 0;
}

static int fetch_pages(connpool_endpoint *endpoint)
{
    if (fetch(endpoint, "/") != 0 || fetch(endpoint, "/index.html") != 0) {
        return -1;
    }
    connpool_endpoint_drain(endpoint); /* so that the next has to connect */
    return fetch(endpoint, "/");
}

int main(int argc, char **argv)
{
    connpool_error error;
    connpool *context = connpool_open(argc > 1 ? argv[1] : "https.json", &error);
    connpool_endpoint *endpoint;
    int result = -1;

    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    /* The handle keeps the endpoint, and with it the sessions, while it has no connection. */
    if (connpool_endpoint_get(connpool_pool_get(context, "web"), argc > 2 ? argv[2] : "example.org:443", &endpoint,
                              &error) == CONNPOOL_OK) {
        result = fetch_pages(endpoint);
        connpool_endpoint_put(endpoint);
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || result != 0;
}
