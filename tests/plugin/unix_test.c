/* SPDX-License-Identifier: MIT */
/* The manager unix: the text of an endpoint, the length of a path (D16), and what it asks to dial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/manager.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scripted_dial.h"

extern const struct connpool_manager connpool_manager;

static int32_t keep(void *context, const char *option, const char *start, size_t length, struct connpool_fault *fault)
{
    (void)fault;
    assert_string_equal(option, "path");
    (void)snprintf(context, 64, "%.*s", (int)length, start);
    return 0;
}

static void text_that_names_an_endpoint(void **state)
{
    static const char *const texts[] = {"/run/redis.sock", "/x", "@name", "@/with/slashes", "/with space"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct connpool_fault fault = {.size = sizeof(fault)};
        char path[64] = "";

        assert_int_equal(connpool_manager.parse_endpoint(texts[i], keep, path, &fault), 0);
        assert_string_equal(path, texts[i]);
    }
}

static void text_that_names_none(void **state)
{
    static const char *const texts[] = {"", "/", "@", "relative/path", "./path", "host:80"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct connpool_fault fault = {.size = sizeof(fault)};
        char path[64] = "";

        assert_int_equal(connpool_manager.parse_endpoint(texts[i], keep, path, &fault), -CONNPOOL_ERROR_CONFIGURATION);
        assert_int_equal(fault.error_class, CONNPOOL_ERROR_CONFIGURATION);
        assert_string_equal(path, "");
    }
}

/* D16: the first character, then as many more; whether an endpoint of that path is accepted. */
static int is_accepted(char first, size_t more)
{
    struct connpool_fault fault = {.size = sizeof(fault)};
    char path[256] = "";
    const char *options[] = {path};
    struct connpool_head endpoint = {.options = options};
    int32_t result;

    assert_int_equal(connpool_manager.options_size, sizeof(options));
    path[0] = first;
    memset(path + 1, 'x', more);
    result = connpool_manager.endpoint_init(&endpoint, &fault);
    if (result != 0) {
        assert_int_equal(result, -CONNPOOL_ERROR_CONFIGURATION);
        assert_int_equal(fault.os_error, ENAMETOOLONG);
        assert_non_null(strstr(fault.text, "108 bytes"));
    }
    return result == 0;
}

static void a_path_that_is_too_long_is_refused_up_front(void **state)
{
    (void)state;
    assert_true(is_accepted('/', 106));
    assert_false(is_accepted('/', 107));
}

static void an_abstract_name_needs_no_byte_for_its_end(void **state)
{
    struct connpool_fault fault = {.size = sizeof(fault)};
    char path[256] = "@";
    const char *options[] = {path};
    struct connpool_head endpoint = {.options = options};

    (void)state;
    assert_true(is_accepted('@', 107));
    memset(path + 1, 'x', 108);
    assert_int_equal(connpool_manager.endpoint_init(&endpoint, &fault), -CONNPOOL_ERROR_CONFIGURATION);
}

static void open_dials_the_path(void **state)
{
    _Alignas(max_align_t) char connection[256] = {0};
    struct connpool_head *head = (struct connpool_head *)connection;
    struct connpool_fault fault = {.size = sizeof(fault)};
    struct connpool_wait wait = scripted_dial_wait(0, 0);
    const char *options[] = {"@name"};
    struct scripted_dial script;
    void *out = NULL;

    (void)state;
    assert_true(connpool_manager.connection_size <= sizeof(connection));
    scripted_dial_init(&script);
    head->host = &script.table;
    head->options = options;
    assert_int_equal(connpool_manager.open(connection, &wait, &fault), CONNPOOL_STEP_DONE);
    assert_string_equal(script.options.path, "@name");
    assert_null(script.options.host);
    assert_int_equal(connpool_manager.native(connection, "connpool.unix/1", &out), 0);
    assert_int_equal(*(int32_t *)out, script.fd);
    assert_int_equal(connpool_manager.native(connection, "connpool.tcp/1", &out), -CONNPOOL_ERROR_UNSUPPORTED);
    connpool_manager.destroy(connection);
    (void)close(script.peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_names_an_endpoint),
        cmocka_unit_test(text_that_names_none),
        cmocka_unit_test(a_path_that_is_too_long_is_refused_up_front),
        cmocka_unit_test(an_abstract_name_needs_no_byte_for_its_end),
        cmocka_unit_test(open_dials_the_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
