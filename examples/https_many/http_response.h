/* SPDX-License-Identifier: MIT */
/*
 * http_response: reads an HTTP/1.1 response to a GET as it comes, in pieces of any size (RFC 9112), as far as a client
 * must to know where it ends and whether its connection can serve again. The body is counted, not kept.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_RESPONSE_LINE_SIZE 8192  /* a line that is longer is refused, as servers refuse them */
#define HTTP_RESPONSE_HEAD_SIZE 65536 /* all lines of a head, likewise */

enum http_response_progress {
    HTTP_RESPONSE_MORE,  /* the rest is still to come */
    HTTP_RESPONSE_WHOLE, /* it is there */
    HTTP_RESPONSE_BROKEN /* no HTTP/1.1, or longer than we bear: no more of it can be read */
};

struct http_response {
    int status;         /* 200 …, 0: the first line has not come */
    bool is_persistent; /* when it is whole: the connection can take another request */
    uint64_t body_size; /* bytes that came */
    /* Private: */
    enum { STATUS_LINE, HEADER, SIZED_BODY, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, BODY_TO_THE_END, WHOLE } part;
    bool is_chunked, is_sized;
    uint64_t left; /* bytes of the body or the chunk */
    size_t line_length, head_size;
    char line[HTTP_RESPONSE_LINE_SIZE];
};

void http_response_init(struct http_response *response);
/* Read the next bytes of the connection. What comes behind the end of a response nobody asked for: then it is not
 * persistent. */
enum http_response_progress http_response_read(struct http_response *response, const char *bytes, size_t size);
/* The server ended the connection: for some responses that is the end, others are broken off. */
enum http_response_progress http_response_end(struct http_response *response);

#endif
