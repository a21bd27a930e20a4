/* SPDX-License-Identifier: MIT */
/* `connpool describe`: an option of each type; `connpool schema`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "command_runner.h"

#define FOLDER CONNPOOL_TEST_TEST_PLUGIN_FOLDER "/cli"

static struct command_result result;

static const char every_type[] = "every 1: for tests\n"
                                 "\n"
                                 "OPTION       TYPE     DEFAULT   LIMITS                STANDS AT\n"
                                 "host         text     required  bytes: 1 to 253       pool, endpoint\n"
                                 "    where\n"
                                 "port         integer  7         1 to 65535            pool, endpoint\n"
                                 "    which door\n"
                                 "any_integer  integer  0         -                     pool, endpoint\n"
                                 "    no limits\n"
                                 "ratio        number   0.5       0 to 1                pool, endpoint\n"
                                 "    a part\n"
                                 "verify       boolean  true      -                     pool, endpoint\n"
                                 "    yes or no\n"
                                 "mode         choice   strict    plain, strict, loose  pool, endpoint\n"
                                 "    how\n"
                                 "patience     seconds  1.5       0.1 to 3600           pool, endpoint\n"
                                 "    how long\n"
                                 "buffer       bytes    64KiB     1 to 1GiB             pool, endpoint\n"
                                 "    how much\n"
                                 "certificate  path     none      -                     pool, endpoint\n"
                                 "    a file\n"
                                 "tags         list     none      items: 3 or less      pool, endpoint\n"
                                 "    words\n"
                                 "password     secret   none      bytes: 4 or more      pool, endpoint\n"
                                 "    the secret\n"
                                 "keywords     map      none      -                     pool, endpoint\n"
                                 "    passed on\n"
                                 "    not password, host\n"
                                 "authority    path     none      -                     pool\n"
                                 "    for the whole pool\n"
                                 "shared_note  text     none      -                     pool, endpoint\n"
                                 "    read once\n"
                                 "note         text     none      bytes: 20 or less     endpoint\n"
                                 "    for one endpoint\n"
                                 "\n"
                                 "endpoints at run time: yes\n"
                                 "check by a round trip: no, only local\n"
                                 "reset after a lease:   no\n"
                                 "goodbye:               no\n";

static void a_manager_by_name(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("describe", "every", "--plugin-path", FOLDER, "--trust-any-owner"));
    assert_string_equal(result.errors, "");
    assert_string_equal(result.output, every_type);
    assert_int_equal(result.code, 0);
}

static void a_manager_by_its_file(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("--trust-any-owner", "describe", FOLDER "/connpool_every.so"));
    assert_string_equal(result.output, every_type);
    assert_int_equal(result.code, 0);
}

static void as_markdown(void **state)
{
    static const char *const rows[] = {
        "| option | type | default | limits | stands at | meaning |\n| --- | --- | --- | --- | --- | --- |\n",
        "\n| `host` | text | required | bytes: 1 to 253 | pool, endpoint | where |\n",
        "\n| `verify` | boolean | `true` | - | pool, endpoint | yes or no |\n",
        "\n| `any_integer` | integer | 0 | - | pool, endpoint | no limits |\n",
        "\n| `keywords` | map | none | not password, host | pool, endpoint | passed on |\n",
        "\n| `note` | text | none | bytes: 20 or less | endpoint | for one endpoint |\n",
    };

    (void)state;
    command_run(&result,
                COMMAND_ARGUMENTS("describe", "every", "--markdown", "--plugin-path", FOLDER, "--trust-any-owner"));
    assert_string_equal(result.errors, "");
    assert_int_equal(result.code, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_non_null(strstr(result.output, rows[i]));
    }
    assert_ptr_equal(strstr(result.output, rows[0]), result.output);
}

/* Some help is long, and the keys that postgres refuses are many. */
static void notes_are_broken_into_lines(void **state)
{
    int notes = 0;

    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("describe", "postgres", COMMAND_PLUGINS, "--trust-any-owner"));
    assert_int_equal(result.code, 0);
    assert_non_null(strstr(result.output, "\n    not host, "));
    for (const char *line = result.output; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (line[0] == ' ') {
            assert_true(strcspn(line, "\n") <= 100);
            notes++;
        }
    }
    assert_true(notes > 30);
}

static void no_such_manager(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("describe", "none-such", "--plugin-path", FOLDER));
    assert_int_equal(result.code, 1);
    assert_string_equal(result.output, "");
    command_assert_matches(result.errors, "connpool: *none-such*" FOLDER "*\n");
}

static void the_schema_of_two_managers(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("schema", "every", "tcp", COMMAND_PLUGINS, "--plugin-path", FOLDER,
                                           "--trust-any-owner"));
    assert_string_equal(result.errors, "");
    assert_int_equal(result.code, 0);
    assert_int_equal(strncmp(result.output, "{\n", 2), 0);
    assert_non_null(strstr(result.output, "\"const\": \"every\""));
    assert_non_null(strstr(result.output, "\"const\": \"tcp\""));
    command_run(&result, COMMAND_ARGUMENTS("schema", "tcp", "none-such", COMMAND_PLUGINS, "--trust-any-owner"));
    assert_string_equal(result.output, "");
    assert_int_equal(result.code, 1);
    command_assert_matches(result.errors, "connpool: *none-such*\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manager_by_name), cmocka_unit_test(a_manager_by_its_file),
        cmocka_unit_test(as_markdown),       cmocka_unit_test(notes_are_broken_into_lines),
        cmocka_unit_test(no_such_manager),   cmocka_unit_test(the_schema_of_two_managers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
