/* SPDX-License-Identifier: MIT */
/* `connpool check`: what is understood, and every mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "command_runner.h"
#include "server_folder.h"

#define EVERY "--plugin-path=" CONNPOOL_TEST_TEST_PLUGIN_FOLDER "/cli"

static struct command_result result;
static struct server_folder folder;

static void check(const char *text)
{
    char path[SERVER_PATH_SIZE];

    server_folder_write(&folder, "c.json", "%s", text);
    server_folder_path(&folder, "c.json", path);
    command_run_with(&result, COMMAND_ARGUMENTS("CP_TEST_SECRET=hunter22"),
                     COMMAND_ARGUMENTS("check", path, COMMAND_PLUGINS, EVERY, "--trust-any-owner"));
}

static void the_whole_configuration_is_printed(void **state)
{
    (void)state;
    check("{\"pools\": {\"cache\": {\"manager\": \"tcp\", \"max_size\": 7, "
          "\"endpoints\": {\"a\": {\"host\": \"h\", \"port\": 80}}}}}");
    assert_int_equal(result.code, 0);
    assert_string_equal(result.errors, "");
    command_assert_matches(result.output, "{\n  \"pools\": {\n    \"cache\": {\n      \"manager\": \"tcp\",*"
                                          "\"max_size\": 7,*\"a\": {\n          \"host\": \"h\",*}\n");
}

static void secrets_are_not_printed(void **state)
{
    (void)state;
    check("{\"pools\": {\"p\": {\"manager\": \"every\", \"options\": {\"host\": \"h\", "
          "\"password\": {\"env\": \"CP_TEST_SECRET\"}}}}}");
    assert_int_equal(result.code, 0);
    assert_non_null(strstr(result.output, "\"password\""));
    assert_null(strstr(result.output, "hunter22"));
}

static void every_mistake_is_told(void **state)
{
    (void)state;
    check("{\"pools\": {\"a\": {\"manager\": \"tcp\", \"max_sise\": 7}, \"b\": {\"manager\": \"unix\", \"min_idle\": "
          "-1}, "
          "\"c\": {\"manager\": \"none-such\"}}}");
    assert_int_equal(result.code, 1);
    assert_string_equal(result.output, "");
    command_assert_matches(result.errors, "*c.json: /pools/a*max_sise*max_size*\n"
                                          "*c.json: /pools/b/min_idle: *-1*\n"
                                          "*c.json: /pools/c/manager: 'none-such': expected connpool_none-such.so*\n");
}

/* What a manager finds comes after all else, and one pool or endpoint hides no other. */
static void every_mistake_that_managers_find_is_told(void **state)
{
    (void)state;
    check("{\"pools\": {\"a\": {\"manager\": \"tcp\", \"endpoints\": {\"one\": {\"host\": \"a b\", \"port\": 1}, "
          "\"two\": {\"host\": \"good\", \"port\": 1}, \"three\": {\"host\": \"c d\", \"port\": 1}}}, "
          "\"b\": {\"manager\": \"unix\"}, "
          "\"c\": {\"manager\": \"tcp\", \"background_collector\": true, "
          "\"endpoints\": {\"four\": {\"host\": \"e f\", \"port\": 1}}}}}");
    assert_int_equal(result.code, 1);
    assert_string_equal(result.output, "");
    command_assert_matches(result.errors, "*c.json: pool 'a', endpoint 'one': the host *\n"
                                          "*c.json: pool 'a', endpoint 'three': the host *\n"
                                          "*c.json: pool 'c', endpoint 'four': the host *\n");
    assert_null(strstr(result.errors, "two"));
}

static void a_file_that_is_not_there_is_a_mistake(void **state)
{
    (void)state;
    command_run(&result, COMMAND_ARGUMENTS("check", "/no/such.json"));
    assert_int_equal(result.code, 1);
    assert_string_equal(result.output, "");
    command_assert_matches(result.errors, "/no/such.json: *No such file or directory\n");
}

/* JSON lets U+007F to U+009F stand as they are; a terminal must not get them. */
static void control_characters_of_values_are_escaped(void **state)
{
    (void)state;
    check(
        "{\"pools\": {\"p\": {\"manager\": \"every\", \"options\": {\"host\": \"grün\"}, \"x-note\": \"\xc2\x9b\"}}}");
    assert_int_equal(result.code, 0);
    assert_non_null(strstr(result.output, "grün"));
    for (const char *byte = result.output; *byte != '\0'; byte++) {
        assert_true(*byte == '\n' || (unsigned char)*byte >= 0x20);
    }
    assert_null(strstr(result.output, "\xc2\x9b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_configuration_is_printed),
        cmocka_unit_test(secrets_are_not_printed),
        cmocka_unit_test(every_mistake_is_told),
        cmocka_unit_test(every_mistake_that_managers_find_is_told),
        cmocka_unit_test(a_file_that_is_not_there_is_a_mistake),
        cmocka_unit_test(control_characters_of_values_are_escaped),
    };
    int failed;

    server_folder_init(&folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    server_folder_fini(&folder);
    return failed;
}
