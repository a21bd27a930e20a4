/* SPDX-License-Identifier: MIT */
/*
 * The corpus: tests/config/{valid,invalid}/CASE/ holds input.json and what connpool_check says of it: for a valid one
 * understood.json, for an invalid one expected, a line for each mistake, the file called FILE. Failures D1 to D6, D8,
 * D11 to D13, D18, D22. No output of any case may hold the secret that is in many of them.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <connpool/connpool.h>

#include "every_option.h"

/* Fewer cases than this are a test that lost its data. */
#define LEAST_INVALID 60
#define LEAST_VALID   8

#define CANARY "hunter2"

static const struct connpool_manager *const managers[] = {&every_option_manager, &named_only_manager, &bare_manager};

/* Everything that was said of one case. */
struct output {
    char text[65536];
    size_t length, origin_length;
};

static void add_mistake(void *argument, const char *text)
{
    struct output *output = argument;
    int length = snprintf(output->text + output->length, sizeof(output->text) - output->length, "FILE%s\n",
                          text + output->origin_length);

    assert_true(length > 0 && (size_t)length < sizeof(output->text) - output->length);
    assert_null(strchr(text, '\n'));
    output->length += (size_t)length;
}

static char *read_file(const char *path)
{
    char *text = calloc(1, 65536);
    FILE *file = fopen(path, "r");

    assert_non_null(text);
    if (file != NULL) {
        assert_true(fread(text, 1, 65535, file) < 65535);
        (void)fclose(file);
    }
    return text;
}

static void compare(const char *name, const char *folder, const char *file, const char *found)
{
    char path[4096], *expected;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    expected = read_file(path);
    if (strcmp(expected, found) != 0) {
        fail_msg("%s: found:\n%s\nexpected:\n%s", name, found, expected);
    }
    free(expected);
}

/* What was understood is a configuration itself, and is understood as the same (unless secrets were taken out). */
static void check_again(const char *name, const char *understood)
{
    struct connpool_options options = {.size = sizeof(options), .managers = managers, .manager_count = 3};
    connpool_error error = {.text = ""};
    char *again = NULL;

    if (strstr(understood, "(redacted)") != NULL) {
        return;
    }
    options.json = understood;
    if (connpool_check(&options, NULL, NULL, &again, &error) != CONNPOOL_OK || strcmp(understood, again) != 0) {
        fail_msg("%s: understood otherwise when read again: %s", name, error.text);
    }
    connpool_text_free(again);
}

static void check_case(const char *folder, const char *name, bool is_valid)
{
    struct connpool_options options = {.size = sizeof(options), .managers = managers, .manager_count = 3};
    struct output output = {.length = 0};
    connpool_error error = {.status = CONNPOOL_OK};
    char path[4096], *understood = NULL;
    connpool_status status;

    (void)snprintf(path, sizeof(path), "%s/input.json", folder);
    options.path = path;
    output.origin_length = strlen(path);
    status = connpool_check(&options, add_mistake, &output, &understood, &error);
    assert_null(strstr(output.text, CANARY));
    assert_null(strstr(error.text, CANARY));
    assert_true(understood == NULL || strstr(understood, CANARY) == NULL);
    if (is_valid) {
        compare(name, folder, "understood.json", understood == NULL ? output.text : understood);
        assert_int_equal(status, CONNPOOL_OK);
        check_again(name, understood);
    } else {
        compare(name, folder, "expected", output.text);
        assert_int_equal(status, error.status);
        assert_int_not_equal(status, CONNPOOL_OK);
        assert_null(understood);
        assert_int_equal(strncmp(error.text, path, strlen(path)), 0);
    }
    connpool_text_free(understood);
}

static size_t check_folder(const char *kind, bool is_valid)
{
    char folder[2048], path[4096];
    struct dirent *entry;
    size_t count = 0;
    DIR *cases;

    (void)snprintf(folder, sizeof(folder), "%s/tests/config/%s", CONNPOOL_TEST_SOURCE_FOLDER, kind);
    cases = opendir(folder);
    assert_non_null(cases);
    while ((entry = readdir(cases)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            check_case(path, entry->d_name, is_valid);
            count++;
        }
    }
    (void)closedir(cases);
    return count;
}

static void test_valid(void **state)
{
    (void)state;
    assert_true(check_folder("valid", true) >= LEAST_VALID);
}

static void test_invalid(void **state)
{
    (void)state;
    assert_true(check_folder("invalid", false) >= LEAST_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
