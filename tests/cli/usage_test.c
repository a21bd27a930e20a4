/* SPDX-License-Identifier: MIT */
/* The command line: help, version, and exit code 2 with a usage line for what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "command_runner.h"

#define USAGE "usage: connpool check|plugins|describe|schema|ping [[]ARGUMENT…] [[]FLAG…], or connpool --help\n"

static struct command_result result;

/* Nothing but these errors, and exit code 2. */
static void assert_wrong(const char *const *arguments, const char *errors)
{
    command_run(&result, arguments);
    assert_int_equal(result.code, 2);
    assert_string_equal(result.output, "");
    command_assert_matches(result.errors, errors);
}

static void version_is_the_library_s(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("--version"));
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "connpool [0-9]*.[0-9]*.[0-9]*\n");
    assert_string_equal(result.errors, "");
}

static void help_names_every_command_and_flag(void **state)
{
    static const char *const words[] = {
        "check FILE",    "plugins [DIR]",     "describe MANAGER", "ping FILE [POOL[/ENDPOINT]]",
        "--plugin-path", "--trust-any-owner", "--count",          "--version",
        "--markdown"};

    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("--help"));
    assert_int_equal(result.code, 0);
    assert_string_equal(result.errors, "");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        assert_non_null(strstr(result.output, words[i]));
    }
}

static void help_of_a_command_begins_with_its_usage(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("ping", "-h"));
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "usage: connpool ping FILE [[]POOL[[]/ENDPOINT]] [[]-n COUNT] [[]FLAG…]\n*");
}

static void wrong_flags_are_refused(void **state)
{
    (void)state;
    assert_wrong(COMMAND_ARGUMENTS("--colour"), "connpool: unknown flag --colour\n" USAGE);
    assert_wrong(COMMAND_ARGUMENTS("ping", "-q"), "connpool: unknown flag -q\n" USAGE);
    assert_wrong(COMMAND_ARGUMENTS("ping", "-n"), "connpool: -n needs a value\n" USAGE);
    assert_wrong(COMMAND_ARGUMENTS("--plugin-path"), "connpool: --plugin-path needs a value\n" USAGE);
    assert_wrong(COMMAND_ARGUMENTS("--plugin-path=/no/such"),
                 "connpool: --plugin-path /no/such: No such file or directory\n" USAGE);
}

static void counts_are_numbers_within_limits(void **state)
{
    static const char *const wrong[] = {"0", "-1", "1001", "five", "5x", "", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_wrong(COMMAND_ARGUMENTS("ping", "file", "-n", wrong[i]),
                     "connpool: -n *: expected a number from 1 to 1000\n" USAGE);
    }
    assert_wrong(COMMAND_ARGUMENTS("check", "file", "-n", "3"),
                 "connpool: -n is a flag of ping\nusage: connpool check FILE [[]FLAG…]\n");
    assert_wrong(COMMAND_ARGUMENTS("check", "file", "--markdown"),
                 "connpool: --markdown is a flag of describe\nusage: connpool check FILE [[]FLAG…]\n");
}

static void folders_have_a_limit(void **state)
{
    const char *arguments[19];

    (void)state;
    for (size_t i = 0; i < 17; i++) {
        arguments[i] = "--plugin-path=/";
    }
    arguments[17] = "--version";
    arguments[18] = NULL;
    assert_wrong(arguments, "connpool: --plugin-path was given more than 16 times\n" USAGE);
    command_run(&result, arguments + 1);
    assert_int_equal(result.code, 0);
}

static void two_dashes_end_the_flags(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("check", "--", "--version"));
    assert_int_equal(result.code, 1);
    command_assert_matches(result.errors, "--version: *No such file or directory\n");
}

static void wrong_names_are_refused(void **state)
{
    (void)state;
    assert_wrong((const char *const[]){NULL}, "connpool: a command is missing\n" USAGE);
    assert_wrong(COMMAND_ARGUMENTS("chekc"), "connpool: no such command: chekc\n" USAGE);
    assert_wrong(COMMAND_ARGUMENTS("check"), "connpool: check needs FILE\nusage: connpool check FILE [[]FLAG…]\n");
    assert_wrong(COMMAND_ARGUMENTS("check", "a", "b"),
                 "connpool: check: one name too many: b\nusage: connpool check FILE [[]FLAG…]\n");
    assert_wrong(COMMAND_ARGUMENTS("plugins", "a", "b"),
                 "connpool: plugins: one name too many: b\nusage: connpool plugins [[]DIR] [[]FLAG…]\n");
    assert_wrong(COMMAND_ARGUMENTS("ping", "a", "b", "c"),
                 "connpool: ping: one name too many: c\nusage: connpool ping *\n");
}

static void control_characters_of_the_command_line_are_escaped(void **state)
{
    (void)state;
    assert_wrong(COMMAND_ARGUMENTS("a\033[31mb\xc2\x9b\xff\n"),
                 "connpool: no such command: a\\\\u001B[[]31mb\\\\u009B\\\\xFF\\\\u000A\n" USAGE);
}

/* A result that nobody could read is no success. */
static void a_full_disk_is_a_failure(void **state)
{
    (void)state;
    command_run_into("/dev/full", &result, COMMAND_ARGUMENTS("--help"));
    assert_int_equal(result.code, 1);
    assert_string_equal(result.errors, "connpool: standard output cannot be written\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_is_the_library_s),
        cmocka_unit_test(help_names_every_command_and_flag),
        cmocka_unit_test(help_of_a_command_begins_with_its_usage),
        cmocka_unit_test(wrong_flags_are_refused),
        cmocka_unit_test(counts_are_numbers_within_limits),
        cmocka_unit_test(folders_have_a_limit),
        cmocka_unit_test(two_dashes_end_the_flags),
        cmocka_unit_test(wrong_names_are_refused),
        cmocka_unit_test(control_characters_of_the_command_line_are_escaped),
        cmocka_unit_test(a_full_disk_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
