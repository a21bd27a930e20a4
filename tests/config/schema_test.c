/* SPDX-License-Identifier: MIT */
/* schema: connpool_schema, by what a validator makes of the corpus: it accepts all that is valid; of what is not, it
 * finds all but what tests/config/not_in_schema lists, a line for each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <connpool/connpool.h>
#include <jansson.h>

#include "every_option.h"
#include "failing_allocator.h"

static const struct connpool_manager *const managers[] = {&every_option_manager, &named_only_manager, &bare_manager};

/* The schema of the corpus' managers, in a file that the test removes. */
static void write_schema(char *path)
{
    connpool_error error;
    char *text = connpool_schema(managers, 3, &error);
    int fd = mkstemp(path);

    assert_non_null(text);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    connpool_text_free(text);
}

/* What the validator says of tests/config/<kind>, through a filter. */
static void validate(const char *kind, const char *filter, char *output, size_t size)
{
    char schema[] = "/tmp/connpool-test-schema.XXXXXX";
    char command[4096];
    FILE *pipe;

    write_schema(schema);
    (void)snprintf(command, sizeof(command),
                   "cd '%s/tests/config' && /usr/bin/python3 -I validate.py %s %s/*/input.json 2>&1 | %s",
                   CONNPOOL_TEST_SOURCE_FOLDER, schema, kind, filter);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, size - 1, pipe)] = '\0';
    (void)pclose(pipe);
    (void)unlink(schema);
}

static void test_what_is_valid_is_accepted(void **state)
{
    char output[16384];

    (void)state;
    validate("valid", "grep -v '^valid ' || :", output, sizeof(output));
    assert_string_equal(output, "");
    validate("valid", "grep -c '^valid '", output, sizeof(output));
    assert_true(atoi(output) >= 8);
}

static void test_what_is_not_valid_is_refused_or_listed(void **state)
{
    char output[16384];

    (void)state;
    validate(
        "invalid",
        "grep -vE '^(invalid|not JSON) ' | sed 's|^valid invalid/\\(.*\\)/input.json$|\\1|' | diff not_in_schema -",
        output, sizeof(output));
    assert_string_equal(output, "");
}

static void test_tables_that_are_not_sound_are_refused(void **state)
{
    const struct connpool_manager *const with_null[] = {&every_option_manager, NULL};
    struct connpool_manager wrong = every_option_manager;
    const struct connpool_manager *const with_wrong[] = {&wrong};
    connpool_error error;

    (void)state;
    assert_null(connpool_schema(with_null, 2, &error));
    assert_int_equal(error.status, CONNPOOL_INVALID);
    wrong.abi_major++;
    assert_null(connpool_schema(with_wrong, 1, &error));
    assert_non_null(strstr(error.text, "connpool_schema"));
}

/* A limit that a double does not hold: the schema would be stricter than the library by one. */
static void test_a_limit_is_exact(void **state)
{
    static const struct connpool_option row = {
        .name = "big",
        .help = "a large number",
        .level = CONNPOOL_LEVEL_POOL,
        .type = CONNPOOL_TYPE_INTEGER,
        .minimum = "-9007199254740993",
        .maximum = "9007199254740993",
        .default_text = "0",
    };
    struct connpool_manager manager = bare_manager;
    const struct connpool_manager *const with_big[] = {&manager};
    connpool_error error;
    char *text;

    (void)state;
    manager.options = &row;
    manager.option_count = 1;
    manager.option_stride = sizeof(row);
    manager.options_size = sizeof(int64_t);
    text = connpool_schema(with_big, 1, &error);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"minimum\": -9007199254740993,"));
    assert_non_null(strstr(text, "\"maximum\": 9007199254740993,"));
    connpool_text_free(text);
}

static void test_no_managers(void **state)
{
    connpool_error error;
    char *text = connpool_schema(NULL, 0, &error);

    (void)state;
    assert_non_null(text);
    assert_non_null(strstr(text, "\"idle_timeout\""));
    connpool_text_free(text);
}

static void test_without_memory(void **state)
{
    connpool_error error;
    char *text = NULL;
    uint64_t k = 0;

    (void)state;
    while (text == NULL) {
        failing_allocator_fail(++k, false);
        text = connpool_schema(managers, 3, &error);
        failing_allocator_fail(0, false);
        assert_true(text != NULL || error.status == CONNPOOL_NO_MEMORY);
    }
    assert_true(k > 2);
    connpool_text_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_valid_is_accepted),
        cmocka_unit_test(test_what_is_not_valid_is_refused_or_listed),
        cmocka_unit_test(test_tables_that_are_not_sound_are_refused),
        cmocka_unit_test(test_a_limit_is_exact),
        cmocka_unit_test(test_no_managers),
        cmocka_unit_test(test_without_memory),
    };

    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
