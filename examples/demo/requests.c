/* SPDX-License-Identifier: MIT */
/* requests: see requests.h. */
#include "requests.h"

#include <stddef.h>
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

int requests_http(int fd)
{
    return exchange(fd, "GET / HTTP/1.1\r\nHost: demo\r\n\r\n", "\r\n\r\nhello\n");
}

int requests_redis(int fd)
{
    return exchange(fd, "INCR visits\r\n", "\r\n");
}
