/* SPDX-License-Identifier: MIT */
/* The HTTP responses of the example https_many: where they end, in pieces cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../../examples/https_many/http_response.h"

#define OK "HTTP/1.1 200 OK\r\n"

struct expected {
    const char *bytes;
    enum http_response_progress progress, at_end; /* at_end: of http_response_end after it */
    int status;
    uint64_t body_size;
    bool is_persistent;
};

static void expect(const struct expected *expected, size_t first)
{
    size_t size = strlen(expected->bytes);
    struct http_response response;
    enum http_response_progress progress;

    http_response_init(&response);
    progress = http_response_read(&response, expected->bytes, first);
    if (progress == HTTP_RESPONSE_MORE && first < size) {
        progress = http_response_read(&response, expected->bytes + first, size - first);
    }
    if (progress != expected->progress) {
        fail_msg("%s: %d", expected->bytes, progress);
    }
    if (progress == HTTP_RESPONSE_BROKEN) {
        assert_false(response.is_persistent);
        return;
    }
    assert_int_equal(response.status, expected->status);
    assert_int_equal(response.body_size, expected->body_size);
    if (progress == HTTP_RESPONSE_WHOLE && response.is_persistent != expected->is_persistent) {
        fail_msg("%s: is persistent: %d", expected->bytes, response.is_persistent);
    }
    assert_int_equal(http_response_end(&response), expected->at_end);
    assert_false(response.is_persistent);
}

static void expect_all(const struct expected *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t first = 0; first <= strlen(expected[i].bytes); first++) {
            expect(&expected[i], first);
        }
    }
}

#define EXPECT_ALL(list) expect_all(list, sizeof(list) / sizeof((list)[0]))

static void whole_ones(void **state)
{
    static const struct expected list[] = {
        {OK "Content-Length: 5\r\n\r\nhello", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 200, 5, true},
        {"HTTP/1.1 200\ncontent-length:5 \n\nhello", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 200, 5, true},
        {OK "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 200, 0, true},
        {OK "Content-Length: 1\r\nConnection: x, Close\r\n\r\n1", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 200, 1,
         false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 200, 1, false},
        {"HTTP/1.1 204 No Content\r\n\r\n", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 204, 0, true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 304, 0,
         true},
        {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\nok", HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE,
         200, 2, true},
        {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
         HTTP_RESPONSE_WHOLE, HTTP_RESPONSE_WHOLE, 200, 15, true},
    };

    (void)state;
    EXPECT_ALL(list);
}

static void unfinished_ones(void **state)
{
    static const struct expected list[] = {
        {OK "Content-Length: 5\r\n\r\nhell", HTTP_RESPONSE_MORE, HTTP_RESPONSE_BROKEN, 200, 4, true},
        {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", HTTP_RESPONSE_MORE, HTTP_RESPONSE_BROKEN, 200, 5,
         true},
        {OK "Server: x\r\n\r\nto the end", HTTP_RESPONSE_MORE, HTTP_RESPONSE_WHOLE, 200, 10, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", HTTP_RESPONSE_MORE, HTTP_RESPONSE_BROKEN, 0, 0, true},
    };

    (void)state;
    EXPECT_ALL(list);
}

/* What follows a response nobody asked for. */
static void more_than_whole(void **state)
{
    static const char bytes[] = OK "Content-Length: 2\r\n\r\nok" OK;
    struct http_response response;

    (void)state;
    http_response_init(&response);
    assert_int_equal(http_response_read(&response, bytes, sizeof(bytes) - 1), HTTP_RESPONSE_WHOLE);
    assert_false(response.is_persistent);
}

static void broken_ones(void **state)
{
    static const char *const list[] = {
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1  20 OK\r\n",
        "HTTP/1.1 2000\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/2 200 OK\r\n",
        OK "no header\r\n",
        OK ": none\r\n",
        OK "Content-Length: -1\r\n",
        OK "Content-Length: 5x\r\n",
        OK "Content-Length: \r\n",
        OK "Content-Length: 99999999999999999999\r\n",
        OK "Content-Length: 1\r\nContent-Length: 2\r\n",
        OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK "Transfer-Encoding: gzip\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        const struct expected expected = {.bytes = list[i], .progress = HTTP_RESPONSE_BROKEN};

        expect_all(&expected, 1);
    }
}

/* A line, and a head, that do not end. */
static void endless_ones(void **state)
{
    static const char line[] = "X: y\r\n";
    struct http_response response;
    size_t size = 0;

    (void)state;
    http_response_init(&response);
    while (http_response_read(&response, "H", 1) == HTTP_RESPONSE_MORE) {
        size++;
    }
    assert_int_equal(size, HTTP_RESPONSE_LINE_SIZE - 1);
    http_response_init(&response);
    assert_int_equal(http_response_read(&response, OK, strlen(OK)), HTTP_RESPONSE_MORE);
    for (size = 0; http_response_read(&response, line, sizeof(line) - 1) == HTTP_RESPONSE_MORE; size++) {
        assert_true(size < HTTP_RESPONSE_HEAD_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_ones),  cmocka_unit_test(unfinished_ones), cmocka_unit_test(more_than_whole),
        cmocka_unit_test(broken_ones), cmocka_unit_test(endless_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
