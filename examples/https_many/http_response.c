/* SPDX-License-Identifier: MIT */
/* http_response: see http_response.h. */
#include "http_response.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

void http_response_init(struct http_response *response)
{
    memset(response, 0, offsetof(struct http_response, line));
}

/* A number to its end: digits only, as strtoull takes signs and spaces. */
static bool read_number(const char *text, unsigned base, uint64_t *number)
{
    static const char digits[] = "0123456789abcdef";

    *number = 0;
    for (const char *at = text; *at != '\0'; at++) {
        const char *digit = memchr(digits, tolower((unsigned char)*at), base);

        if (digit == NULL || *number > (UINT64_MAX >> 5)) {
            return false;
        }
        *number = *number * base + (uint64_t)(digit - digits);
    }
    return *text != '\0';
}

/* "HTTP/1.1 200 OK" */
static bool read_status_line(struct http_response *response)
{
    const char *line = response->line, *status = line + strlen("HTTP/1.1 ");

    if (strlen(line) < strlen("HTTP/1.1 200") || strncmp(line, "HTTP/1.", strlen("HTTP/1.")) != 0 ||
        !isdigit((unsigned char)status[-2]) || status[-1] != ' ' || strspn(status, "0123456789") != 3 ||
        status[0] == '0' || (status[3] != ' ' && status[3] != '\0')) {
        return false;
    }
    response->status = (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
    response->is_persistent = status[-2] != '0'; /* of HTTP/1.0 it would have to be said */
    response->part = HEADER;
    return true;
}

/* Whether a list, "close, upgrade", has the word. */
static bool has_word(const char *list, const char *word)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ", \t");

        if (length == strlen(word) && strncasecmp(list, word, length) == 0) {
            return true;
        }
        list += length + strspn(list + length, ", \t");
    }
    return false;
}

static bool read_length(struct http_response *response, const char *value)
{
    uint64_t length;

    if (!read_number(value, 10, &length) || (response->is_sized && length != response->left)) {
        return false;
    }
    response->is_sized = true;
    response->left = length;
    return true;
}

static bool read_header(struct http_response *response)
{
    size_t name_length = strcspn(response->line, ": \t"), length;
    char *value = response->line + name_length;

    if (name_length == 0 || *value != ':') {
        return false;
    }
    *value++ = '\0';
    value += strspn(value, " \t");
    for (length = strlen(value); length > 0 && strchr(" \t", value[length - 1]) != NULL; length--) {
        value[length - 1] = '\0';
    }
    if (strcasecmp(response->line, "Content-Length") == 0) {
        return read_length(response, value);
    }
    if (strcasecmp(response->line, "Transfer-Encoding") == 0) {
        response->is_chunked = true;
        return strcasecmp(value, "chunked") == 0; /* we asked for no other coding */
    }
    if (strcasecmp(response->line, "Connection") == 0 && has_word(value, "close")) {
        response->is_persistent = false;
    }
    return true;
}

/* The empty line behind the headers: what follows? */
static bool end_head(struct http_response *response)
{
    if (response->status < 200) {
        bool is_switch = response->status == 101;

        http_response_init(response); /* "100 Continue": the response is still to come */
        return !is_switch;
    }
    if (response->is_chunked && response->is_sized) {
        return false; /* two ends: somebody on the way sees another one than we */
    }
    if (response->status == 204 || response->status == 304 || (response->is_sized && response->left == 0)) {
        response->part = WHOLE;
    } else if (response->is_chunked) {
        response->part = CHUNK_SIZE;
    } else if (response->is_sized) {
        response->part = SIZED_BODY;
    } else {
        response->part = BODY_TO_THE_END;
        response->is_persistent = false;
    }
    return true;
}

static bool read_chunk_size(struct http_response *response)
{
    response->line[strcspn(response->line, "; \t")] = '\0';
    if (!read_number(response->line, 16, &response->left)) {
        return false;
    }
    response->head_size = 0;
    response->part = response->left == 0 ? TRAILER : CHUNK;
    return true;
}

static bool read_line(struct http_response *response)
{
    bool is_empty = response->line[0] == '\0';

    switch (response->part) {
    case STATUS_LINE:
        return read_status_line(response);
    case HEADER:
        return is_empty ? end_head(response) : read_header(response);
    case CHUNK_SIZE:
        return read_chunk_size(response);
    case CHUNK_END:
        response->part = CHUNK_SIZE;
        return is_empty;
    default: /* TRAILER */
        response->part = is_empty ? WHOLE : TRAILER;
        return true;
    }
}

/* One more byte of a line, which ends with CR LF, or LF alone. */
static bool add_to_line(struct http_response *response, char byte)
{
    size_t length = response->line_length;

    if (byte != '\n') {
        response->line[response->line_length++] = byte;
        return byte != '\0' && response->line_length < HTTP_RESPONSE_LINE_SIZE &&
               ++response->head_size < HTTP_RESPONSE_HEAD_SIZE;
    }
    response->line[length > 0 && response->line[length - 1] == '\r' ? length - 1 : length] = '\0';
    response->line_length = 0;
    return read_line(response);
}

/* As much of the body as there is. Returns how much that was. */
static size_t add_to_body(struct http_response *response, size_t size)
{
    if (response->part != BODY_TO_THE_END) {
        size = size < response->left ? size : (size_t)response->left;
        response->left -= size;
        if (response->left == 0) {
            response->part = response->part == CHUNK ? CHUNK_END : WHOLE;
        }
    }
    response->body_size += size;
    return size;
}

enum http_response_progress http_response_read(struct http_response *response, const char *bytes, size_t size)
{
    size_t used = 0;

    while (used < size && response->part != WHOLE) {
        if (response->part == SIZED_BODY || response->part == CHUNK || response->part == BODY_TO_THE_END) {
            used += add_to_body(response, size - used);
        } else if (!add_to_line(response, bytes[used++])) {
            response->is_persistent = false;
            return HTTP_RESPONSE_BROKEN;
        }
    }
    response->is_persistent = response->is_persistent && used == size;
    return response->part == WHOLE ? HTTP_RESPONSE_WHOLE : HTTP_RESPONSE_MORE;
}

enum http_response_progress http_response_end(struct http_response *response)
{
    response->is_persistent = false;
    return response->part == BODY_TO_THE_END || response->part == WHOLE ? HTTP_RESPONSE_WHOLE : HTTP_RESPONSE_BROKEN;
}
