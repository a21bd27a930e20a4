/* SPDX-License-Identifier: MIT */
/* `connpool plugins`: what is in a folder and on the search path, and why plugins are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "command_runner.h"
#include "server_folder.h"

#define LOADER CONNPOOL_TEST_TEST_PLUGIN_FOLDER "/loader"

static struct command_result result;

static void a_folder_is_listed_in_order(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("plugins", CONNPOOL_TEST_PLUGIN_FOLDER, "--trust-any-owner"));
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, CONNPOOL_TEST_PLUGIN_FOLDER
                           "\n"
                           "*  tcp              [0-9]*.[0-9]*.[0-9]*  connpool_tcp.so              [a-z]*\n"
                           "*  unix             [0-9]*.[0-9]*.[0-9]*  connpool_unix.so             [a-z]*\n");
    assert_string_equal(result.errors, "");
}

static void refusals_have_their_reason(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("plugins", LOADER, "--trust-any-owner"));
    assert_int_equal(result.code, 1);
    command_assert_matches(result.output,
                           "*\n  good             1.0        connpool_good.so             A plugin for tests\n"
                           "*\n  refused                     connpool_no-destroy.so\n"
                           "      " LOADER "/connpool_no-destroy.so: *destroy*\n"
                           "*\n  refused                     connpool_wrong-magic.so\n"
                           "      " LOADER "/connpool_wrong-magic.so: *magic*");
}

static void the_search_path_is_listed_in_its_order(void **state)
{
    (void)state;
    command_run_with(
        &result, COMMAND_ARGUMENTS("CONNPOOL_PLUGIN_PATH=/no/such::" CONNPOOL_TEST_PLUGIN_FOLDER),
        COMMAND_ARGUMENTS("plugins", "--trust-any-owner", "--plugin-path=" CONNPOOL_TEST_TEST_PLUGIN_FOLDER "/cli"));
    command_assert_matches(result.output, CONNPOOL_TEST_TEST_PLUGIN_FOLDER
                           "/cli\n  every            1 *\n"
                           "/no/such\n  (no such folder)\n" CONNPOOL_TEST_PLUGIN_FOLDER "\n*  tcp *\n*  unix *\n/*\n*");
}

static void a_folder_without_plugins_says_so(void **state)
{
    struct server_folder folder;

    (void)state;
    server_folder_init(&folder);
    server_folder_write(&folder, "libother.so", "no plugin");
    server_folder_write(&folder, "connpool_.so", "no name");
    command_run(&result, COMMAND_ARGUMENTS("plugins", folder.path));
    server_folder_fini(&folder);
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "/*\n  no plugins\n");
}

static void a_file_that_is_no_plugin_is_refused_and_its_name_escaped(void **state)
{
    struct server_folder folder;

    (void)state;
    server_folder_init(&folder);
    server_folder_write(&folder, "connpool_e\033[2Jl.so", "no plugin");
    command_run(&result, COMMAND_ARGUMENTS("plugins", folder.path, "--trust-any-owner"));
    server_folder_fini(&folder);
    assert_int_equal(result.code, 1);
    assert_null(strchr(result.output, '\033'));
    command_assert_matches(result.output, "/*\n  refused                     connpool_e\\\\u001B[[]2Jl.so\n      ?*\n");
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("plugins", "/no/such"));
    assert_int_equal(result.code, 1);
    assert_string_equal(result.output, "");
    assert_string_equal(result.errors, "connpool: /no/such: No such file or directory\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_listed_in_order),
        cmocka_unit_test(refusals_have_their_reason),
        cmocka_unit_test(the_search_path_is_listed_in_its_order),
        cmocka_unit_test(a_folder_without_plugins_says_so),
        cmocka_unit_test(a_file_that_is_no_plugin_is_refused_and_its_name_escaped),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
