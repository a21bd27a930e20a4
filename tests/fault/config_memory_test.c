/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at every k-th call while a configuration is read and described: ours and the JSON parser's. Each time
 * the answer is "no memory", never a mistake that is none (failure D20), nothing leaks and nothing crashes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <connpool/connpool.h>
#include <jansson.h>

#include "every_option.h"
#include "options/options.h"

static const struct connpool_manager *const managers[] = {&every_option_manager};

static const char text[] = "{\"allow_inline_secrets\": true, \"plugin_path\": [\"/a\", \"./b\"], \"pools\": {\"db\": {"
                           "\"manager\": \"every\", \"options\": {\"authority\": \"ca.pem\", \"password\": \"hunter2\","
                           " \"tags\": [\"a\", \"b\"]}, \"endpoints\": {\"a\": {\"host\": \"h\", \"keywords\": "
                           "{\"k\": \"v\"}, \"pool\": {\"max_size\": 2}}, \"b\": {\"host\": \"i\", \"buffer\": "
                           "\"1MiB\"}}, \"idle_timeout\": 0.5}, \"one\": {\"manager\": \"every\", \"options\": "
                           "{\"host\": \"h\", \"password\": {\"env\": \"CONNPOOL_TEST_SECRET\"}}}}}";

static size_t calls, failing_call, live; /* failing_call 0: none */

static void *take(size_t size)
{
    void *memory;

    if (++calls == failing_call) {
        errno = ENOMEM;
        return NULL;
    }
    memory = malloc(size);
    live += memory != NULL;
    return memory;
}

static void give_back(void *memory)
{
    live -= memory != NULL;
    free(memory);
}

static void *allocate(void *argument, size_t size)
{
    (void)argument;
    return take(size);
}

static void release(void *argument, void *memory)
{
    (void)argument;
    give_back(memory);
}

static size_t mistakes;

static void count_mistake(void *argument, const char *mistake)
{
    (void)argument;
    (void)mistake;
    mistakes++;
}

static connpool_status check(char **understood, connpool_error *error)
{
    struct connpool_options options = {
        .size = sizeof(options), .json = text, .folder = "/", .managers = managers, .manager_count = 1};

    calls = 0;
    mistakes = 0;
    return connpool_check(&options, count_mistake, NULL, understood, error);
}

static void test_check(void **state)
{
    connpool_error error = {.text = ""};
    char *understood = NULL;
    size_t needed, before;

    (void)state;
    failing_call = 0;
    assert_int_equal(check(&understood, &error), CONNPOOL_OK);
    connpool_text_free(understood);
    before = live;
    assert_int_equal(check(&understood, &error), CONNPOOL_OK);
    connpool_text_free(understood);
    assert_int_equal(live, before);
    needed = calls;
    assert_true(needed > 100);
    for (failing_call = 1; failing_call <= needed; failing_call++) {
        understood = NULL;
        if (check(&understood, &error) != CONNPOOL_NO_MEMORY) {
            fail_msg("call %zu of %zu: %s", failing_call, needed, error.text);
        }
        assert_int_equal(error.status, CONNPOOL_NO_MEMORY);
        assert_int_equal(mistakes, 0);
        assert_null(understood);
        assert_int_equal(live, before);
    }
}

/* A run-time endpoint, made under load. */
static void test_text(void **state)
{
    struct cp_option_source source = {.folder = "/"};
    struct cp_mistakes found = {.origin = "F"};
    struct cp_option_block *defaults, *block;
    connpool_error error = {.text = ""};
    size_t before;

    (void)state;
    failing_call = 0;
    defaults = cp_options_defaults(&every_option_manager, NULL, "", &source, &found);
    assert_non_null(defaults);
    before = live;
    for (failing_call = 1;; failing_call++) {
        calls = 0;
        block = cp_options_parse_text(&every_option_manager, defaults, "host:80!keywords=a=1,b=2", &error);
        if (block != NULL) {
            break;
        }
        assert_int_equal(error.status, CONNPOOL_NO_MEMORY);
        assert_int_equal(live, before);
    }
    assert_true(failing_call > 5);
    failing_call = 0;
    cp_options_unref(block);
    assert_int_equal(live, before);
    cp_options_unref(defaults);
}

static void test_rows(void **state)
{
    connpool_error error = {.text = ""};
    size_t before = live;

    (void)state;
    for (failing_call = 1;; failing_call++) {
        calls = 0;
        if (cp_options_check_rows(&every_option_manager, &error)) {
            break;
        }
        assert_int_equal(error.status, CONNPOOL_NO_MEMORY);
        assert_int_equal(live, before);
    }
    failing_call = 0;
    assert_int_equal(live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_rows),
    };
    const struct connpool_allocator allocator = {.size = sizeof(allocator), .allocate = allocate, .release = release};

    if (connpool_use_allocator(&allocator) != CONNPOOL_OK) {
        return 1;
    }
    json_set_alloc_funcs(take, give_back);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
