/* SPDX-License-Identifier: MIT */
/* docs/configuration.md and conf/every-key.json against core/options/policy.c: every key, its default, its range, no
 * other key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options/policy.h"

static char page[65536];

static int read_page(void **state)
{
    FILE *file = fopen(CONNPOOL_TEST_SOURCE_FOLDER "/docs/configuration.md", "r");

    (void)state;
    assert_non_null(file);
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    (void)fclose(file);
    return 0;
}

/* What stands between the bars of a row after the key; the test fails where the page has no such row. */
static void find_default(const char *key, char *text, size_t size)
{
    char start[128];
    const char *row;

    (void)snprintf(start, sizeof(start), "\n| `%s` | ", key);
    row = strstr(page, start);
    if (row == NULL) {
        fail_msg("docs/configuration.md has no row for %s", key);
    }
    row += strlen(start);
    (void)snprintf(text, size, "%.*s", (int)strcspn(row, "|\n"), row);
    text[strcspn(text, " ")] = '\0';
}

/* As the page writes it. */
static void write_default(const json_t *value, char *text, size_t size)
{
    if (value == NULL) {
        (void)snprintf(text, size, "none");
    } else if (json_is_boolean(value)) {
        (void)snprintf(text, size, "%s", json_is_true(value) ? "true" : "false");
    } else {
        (void)snprintf(text, size, "%.15g", json_number_value(value));
    }
}

static void every_key_has_its_row_with_its_default(void **state)
{
    json_t *defaults = json_object();
    json_t *collected = json_object(); /* where there is a collector */
    struct cp_policy policy;
    char shown[64], meant[64];

    (void)state;
    cp_policy_init(&policy);
    assert_true(cp_policy_describe(&policy, false, defaults));
    policy.background_collector = true;
    assert_true(cp_policy_describe(&policy, false, collected));
    for (size_t i = 0; cp_policy_key_name(i) != NULL; i++) {
        const char *key = cp_policy_key_name(i);

        find_default(key, shown, sizeof(shown));
        write_default(json_object_get(json_object_get(defaults, key) != NULL ? defaults : collected, key), meant,
                      sizeof(meant));
        if (strcmp(shown, meant) != 0) {
            fail_msg("docs/configuration.md says that %s is %s, it is %s", key, shown, meant);
        }
    }
    json_decref(defaults);
    json_decref(collected);
}

/* What was expected instead of an object. */
static void keep_range(void *argument, const char *text)
{
    const char *begin = strstr(text, "from ");

    begin = begin != NULL ? begin + strlen("from ") : strstr(text, "expected ") + strlen("expected ");
    (void)snprintf(argument, 64, "%s", begin);
}

static void every_key_has_its_range(void **state)
{
    json_t *wrong = json_object();
    struct cp_policy_reading reading;
    char range[64], standard[64], row[256];

    (void)state;
    for (size_t i = 0; cp_policy_key_name(i) != NULL; i++) {
        const char *key = cp_policy_key_name(i);
        struct cp_mistakes mistakes = {.report = keep_range, .argument = range, .origin = ""};

        cp_policy_reading_init(&reading);
        cp_policy_read(&reading, key, wrong, false, "", &mistakes);
        find_default(key, standard, sizeof(standard));
        (void)snprintf(row, sizeof(row), "\n| `%s` | %s | %s | ", key, standard, range);
        if (strstr(page, row) == NULL) {
            fail_msg("docs/configuration.md does not say that the range of %s is %s", key, range);
        }
    }
    json_decref(wrong);
}

/* The table that "all managers share": each of its rows is a key. */
static void every_row_is_a_key(void **state)
{
    char *row = strstr(page, "all managers share");
    const char *end = strstr(page, "Kept for later");

    (void)state;
    assert_non_null(row);
    while ((row = strstr(row, "\n| `")) != NULL && row < end) {
        char key[64];

        row += strlen("\n| `");
        (void)snprintf(key, sizeof(key), "%.*s", (int)strcspn(row, "`"), row);
        if (!cp_policy_is_key(key)) {
            fail_msg("docs/configuration.md has a row for %s, which is no key", key);
        }
    }
}

static void the_sample_has_every_key(void **state)
{
    json_t *sample = json_load_file(CONNPOOL_TEST_SOURCE_FOLDER "/conf/every-key.json", 0, NULL);
    const json_t *pool = json_object_get(json_object_get(sample, "pools"), "web");

    (void)state;
    assert_non_null(pool);
    for (size_t i = 0; cp_policy_key_name(i) != NULL; i++) {
        if (json_object_get(pool, cp_policy_key_name(i)) == NULL) {
            fail_msg("conf/every-key.json has no %s", cp_policy_key_name(i));
        }
    }
    json_decref(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_its_row_with_its_default),
        cmocka_unit_test(every_key_has_its_range),
        cmocka_unit_test(every_row_is_a_key),
        cmocka_unit_test(the_sample_has_every_key),
    };

    return cmocka_run_group_tests(tests, read_page, NULL);
}
