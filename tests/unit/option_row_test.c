/* SPDX-License-Identifier: MIT */
/* option_row: what is refused in a manager's table of rows, each with manager, row, member, found and expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "every_option.h"
#include "options/options.h"

static const char *const choices[] = {"a", "b", NULL};
static const char *const no_choices[] = {NULL};

static const struct connpool_option sound = {
    "host", "where", CONNPOOL_LEVEL_BOTH, CONNPOOL_TYPE_STRING, 0, 8, NULL, NULL, NULL, NULL};

/* Sets one member of a row; the text is what is said of it, NULL: nothing, the row stays sound. */
struct change {
    void (*make)(struct connpool_option *row);
    const char *said;
};

#define CHANGE(name, statement)                                                                                        \
    static void name(struct connpool_option *row)                                                                      \
    {                                                                                                                  \
        statement;                                                                                                     \
    }

CHANGE(no_change, (void)row)
CHANGE(no_name, row->name = NULL)
CHANGE(empty_name, row->name = "")
CHANGE(name_with_capital, row->name = "Host")
CHANGE(name_with_hyphen, row->name = "x-host")
CHANGE(name_with_digit_first, row->name = "1host")
CHANGE(name_pool, row->name = "pool")
CHANGE(no_help, row->help = NULL)
CHANGE(no_level, row->level = 0)
CHANGE(level_4, row->level = 4)
CHANGE(no_type, row->type = 0)
CHANGE(type_12, row->type = 12)
CHANGE(choice_without_choices, row->type = CONNPOOL_TYPE_CHOICE)
CHANGE(choice_with_none, (row->type = CONNPOOL_TYPE_CHOICE, row->choices = no_choices))
CHANGE(choice, (row->type = CONNPOOL_TYPE_CHOICE, row->choices = choices))
CHANGE(choice_with_minimum, (choice(row), row->minimum = "1"))
CHANGE(choice_default, (choice(row), row->default_text = "c"))
CHANGE(choices_of_a_string, row->choices = choices)
CHANGE(minimum_is_no_number, row->minimum = "a")
CHANGE(minimum_is_negative, row->minimum = "-1")
CHANGE(maximum_under_minimum, (row->minimum = "2", row->maximum = "1"))
CHANGE(integer_minimum_is_real, (row->type = CONNPOOL_TYPE_INTEGER, row->minimum = "1.5"))
CHANGE(size_minimum, (row->type = CONNPOOL_TYPE_SIZE, row->minimum = "1XiB"))
CHANGE(default_empty, (row->minimum = "1", row->default_text = ""))
CHANGE(default_too_short, (row->minimum = "5", row->default_text = "abcd"))
CHANGE(default_of_required, (row->flags = CONNPOOL_OPTION_REQUIRED, row->default_text = "abcd"))
CHANGE(default_of_secret, (row->type = CONNPOOL_TYPE_SECRET, row->default_text = "abcd"))
CHANGE(default_of_boolean, (row->type = CONNPOOL_TYPE_BOOLEAN, row->default_text = "yes"))
CHANGE(default_of_duration, (row->type = CONNPOOL_TYPE_DURATION, row->default_text = "1s"))
CHANGE(crooked_offset, row->offset = 4)
CHANGE(offset_at_the_end, row->offset = 16)
CHANGE(offset_far_away, row->offset = UINT32_MAX - 7)
CHANGE(list_over_the_end, row->type = CONNPOOL_TYPE_LIST)
CHANGE(unknown_flag, row->flags = 1u << 31)

static const struct change rows[] = {
    {no_change, NULL},
    {choice, NULL},
    {unknown_flag, NULL},
    {no_name, "option 0 (no name): name: found nothing, expected [a-z][a-z0-9_]*"},
    {empty_name, "option 0 (): name: found \"\", expected [a-z][a-z0-9_]*"},
    {name_with_capital, "option 0 (Host): name: found \"Host\", expected [a-z][a-z0-9_]*"},
    {name_with_hyphen, "option 0 (x-host): name: found \"x-host\", expected [a-z][a-z0-9_]*"},
    {name_with_digit_first, "option 0 (1host): name: found \"1host\", expected [a-z][a-z0-9_]*"},
    {name_pool, "option 0 (pool): name: found \"pool\", expected another: it stands for the pool's keys"},
    {no_help, "option 0 (host): help: found nothing, expected a sentence"},
    {no_level, "option 0 (host): level: found 0, expected 1 to 3"},
    {level_4, "option 0 (host): level: found 4, expected 1 to 3"},
    {no_type, "option 0 (host): type: found 0, expected 1 to 11"},
    {type_12, "option 0 (host): type: found 12, expected 1 to 11"},
    {choice_without_choices, "option 0 (host): choices: found none, expected at least one"},
    {choice_with_none, "option 0 (host): choices: found none, expected at least one"},
    {choice_with_minimum, "option 0 (host): minimum: found \"1\", expected none for this type"},
    {choice_default, "option 0 (host): default_text: found \"c\", expected one of \"a\", \"b\""},
    {choices_of_a_string, "option 0 (host): choices: found some, expected none for this type"},
    {minimum_is_no_number, "option 0 (host): minimum: found \"a\", expected a number of that type"},
    {minimum_is_negative, "option 0 (host): minimum: found \"-1\", expected a number of that type"},
    {maximum_under_minimum, "option 0 (host): maximum: found \"1\", expected at least the minimum \"2\""},
    {integer_minimum_is_real, "option 0 (host): minimum: found \"1.5\", expected a number of that type"},
    {size_minimum, "option 0 (host): minimum: found \"1XiB\", expected a number of that type"},
    {default_empty, "option 0 (host): default_text: found \"\", expected text of at least 1 byte"},
    {default_too_short, "option 0 (host): default_text: found \"abcd\", expected text of at least 5 bytes"},
    {default_of_required, "option 0 (host): default_text: found \"abcd\", expected none of a required option"},
    {default_of_secret, "option 0 (host): default_text: found a secret in text, expected it in the configuration, by "
                        "reference"},
    {default_of_boolean, "option 0 (host): default_text: found \"yes\", expected true or false"},
    {default_of_duration, "option 0 (host): default_text: found \"1s\", expected a number of seconds from 0 to "
                          "1000000000"},
    {crooked_offset, "option 0 (host): offset: found 4, expected a multiple of 8"},
    {offset_at_the_end, "option 0 (host): offset: found 16 for 8 bytes, expected it within options_size 16"},
    {offset_far_away, "option 0 (host): offset: found 4294967288 for 8 bytes, expected it within options_size 16"},
    {list_over_the_end, "option 0 (host): offset: found 8 for 16 bytes, expected it within options_size 16"},
};

static void assert_said(const struct connpool_manager *manager, const char *said)
{
    connpool_error error = {.text = ""};
    char expected[512] = "";

    if (said != NULL) {
        (void)snprintf(expected, sizeof(expected), "manager bare: %s", said);
    }
    assert_int_equal(cp_options_check_rows(manager, &error), said == NULL);
    assert_string_equal(error.text, expected);
    assert_int_equal(error.status, said == NULL ? CONNPOOL_OK : CONNPOOL_PLUGIN_ERROR);
}

static struct connpool_manager table_of(const struct connpool_option *options, uint32_t count)
{
    struct connpool_manager manager = bare_manager;

    manager.options = options;
    manager.option_count = count;
    manager.option_stride = sizeof(*options);
    manager.options_size = 16;
    return manager;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct connpool_option row = sound;
        struct connpool_manager manager = table_of(&row, 1);

        rows[i].make(&row);
        assert_said(&manager, rows[i].said);
    }
}

static void test_pairs_of_rows(void **state)
{
    struct connpool_option pair[2] = {sound, sound};
    struct connpool_manager manager = table_of(pair, 2);

    (void)state;
    pair[1].offset = 0;
    assert_said(&manager, "option 1 (host): name: found it twice, expected it once");
    pair[1].name = "other";
    assert_said(&manager, NULL);
    pair[1].type = CONNPOOL_TYPE_LIST;
    assert_said(&manager,
                "option 1 (other): offset: found 0, which overlaps option \"host\", expected room of its own");
}

static void test_table(void **state)
{
    struct connpool_option wide[3] = {sound};
    struct connpool_manager manager = table_of(NULL, 1);

    (void)state;
    assert_said(&manager, "options: found nothing, expected 1 rows");
    manager = table_of(&sound, 1);
    manager.option_stride = 8;
    assert_said(&manager, "option_stride: found 8, expected a multiple of 8 of at least 64");
    manager = table_of(wide, 1);
    manager.option_stride = 2 * sizeof(wide[0]); /* of a plugin from the future */
    assert_said(&manager, NULL);
    assert_said(&bare_manager, NULL);
    assert_true(cp_options_check_rows(&every_option_manager, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_pairs_of_rows),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
