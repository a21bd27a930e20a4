/* SPDX-License-Identifier: MIT */
/* first_program: three requests to a web server, over one pooled connection. */
#include <connpool/connpool.h>
#include <connpool/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Prints the first line of the answer. 0: the answer came to its end, so the connection can serve again. */
static int ask(int fd)
{
    static const char request[] = "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char answer[4096] = "";
    size_t length = 0;

    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
        return -1;
    }
    while (strstr(answer, "\r\n\r\n") == NULL) {
        ssize_t more = recv(fd, answer + length, sizeof(answer) - 1 - length, 0);

        if (more <= 0) {
            return -1;
        }
        length += (size_t)more;
    }
    printf("%.*s", (int)strcspn(answer, "\r"), answer);
    return 0;
}

int main(int argc, char **argv)
{
    const char *endpoint = argc > 1 ? argv[1] : "example.org:80";
    connpool_error error;
    connpool *context = connpool_open("first.json", &error);
    connpool_pool *pool;
    int done = 0;

    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    pool = connpool_pool_get(context, "web");
    if (pool == NULL) {
        fprintf(stderr, "first.json has no pool \"web\"\n");
    }
    for (; pool != NULL && done < 3; done++) {
        connpool_lease lease;
        struct connpool_lease_info info = {.size = sizeof(info)};

        if (connpool_acquire(pool, endpoint, CONNPOOL_WAIT_DEFAULT, &lease, &error) != CONNPOOL_OK) {
            fprintf(stderr, "%s\n", error.text);
            break;
        }
        connpool_lease_info(&lease, &info);
        if (ask(connpool_tcp(&lease)) != 0) {
            fprintf(stderr, "no answer: the connection is given up\n");
            connpool_discard(&lease);
            break;
        }
        printf(": connection %d, use %d\n", (int)info.id, (int)info.uses);
        connpool_release(&lease);
    }
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || done < 3;
}
