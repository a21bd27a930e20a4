/* SPDX-License-Identifier: MIT */
/* `connpool ping`: real connections, each exit code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "command_runner.h"
#include "server_echo.h"
#include "server_folder.h"
#include "server_listener.h"

static struct command_result result;
static struct server_folder folder;
static struct server_echo echo;
static struct server_listener deaf, socket_file;
static char configuration[SERVER_PATH_SIZE];

#define TIMES "  connect* [mun]s\n  reuse * [mun]s\n  errors             0\n"

static int start_servers(void **state)
{
    char path[SERVER_PATH_SIZE];

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, "s", path);
    server_echo_start(&echo);
    server_listener_open_deaf(&deaf);
    server_listener_open_unix(&socket_file, path, 8);
    server_folder_write(&folder, "c.json",
                        "{\"pools\": {"
                        "\"net\": {\"manager\": \"tcp\", \"endpoints\": {"
                        "\"good\": {\"host\": \"127.0.0.1\", \"port\": %u}, "
                        "\"deaf\": {\"host\": \"127.0.0.1\", \"port\": %u}}}, "
                        "\"once\": {\"manager\": \"tcp\", \"max_uses\": 1, \"endpoints\": {"
                        "\"good\": {\"host\": \"127.0.0.1\", \"port\": %u}}}, "
                        "\"local\": {\"manager\": \"unix\"}, "
                        "\"local/named\": {\"manager\": \"unix\", \"endpoints\": {\"s\": {\"path\": \"s\"}}}}}",
                        echo.port, deaf.port, echo.port);
    server_folder_path(&folder, "c.json", configuration);
    return 0;
}

static int end_servers(void **state)
{
    (void)state;
    server_listener_close(&socket_file);
    server_listener_close(&deaf);
    server_echo_kill(&echo);
    server_folder_fini(&folder);
    return 0;
}

static void ping(const char *target, const char *count)
{
    command_run(&result,
                COMMAND_ARGUMENTS("ping", COMMAND_PLUGINS, "--trust-any-owner", "-n", count, configuration, target));
}

static void a_named_endpoint(void **state)
{
    (void)state;
    ping("net/good", "9");
    assert_int_equal(result.code, 0);
    assert_string_equal(result.errors, "");
    command_assert_matches(result.output, "net/good  127.0.0.1:[0-9]*\n" TIMES);
}

static void one_that_cannot_be_reached(void **state)
{
    (void)state;
    ping("net/deaf", "3");
    assert_int_equal(result.code, 1);
    command_assert_matches(result.output, "net/deaf\n  errors             1\n  *'net'*'deaf'*onnection refused*\n");
}

static void all_of_a_pool(void **state)
{
    (void)state;
    ping("net", "3");
    assert_int_equal(result.code, 1);
    command_assert_matches(result.output, "net/good  127.0.0.1:*\n" TIMES "net/deaf\n*");
}

static void all_pools(void **state)
{
    (void)state;
    ping(NULL, "2");
    assert_int_equal(result.code, 1);
    command_assert_matches(result.output, "net/good*\n" TIMES "net/deaf\n*\nonce/good*\nlocal/named/s*\n" TIMES);
    assert_string_equal(result.errors,
                        "connpool: local takes its endpoints at run time: name one, as local/ENDPOINT\n");
}

static void an_endpoint_of_run_time(void **state)
{
    char target[128];

    (void)state;
    (void)snprintf(target, sizeof(target), "net/127.0.0.1:%u", echo.port);
    ping(target, "1");
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "net/127.0.0.1:*  127.0.0.1:*\n" TIMES);

    (void)snprintf(target, sizeof(target), "local/%s", socket_file.endpoint);
    ping(target, "1");
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "local//tmp/*/s  /tmp/*/s\n" TIMES);
}

static void the_longest_name_is_the_pool(void **state)
{
    (void)state;
    ping("local/named/s", "1");
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "local/named/s  /tmp/*/s\n" TIMES);
    ping("local/named", "1");
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "local/named/s  /tmp/*/s\n" TIMES);
}

static void connections_that_live_once_are_not_reused(void **state)
{
    (void)state;
    ping("once/good", "2");
    assert_int_equal(result.code, 0);
    command_assert_matches(result.output, "once/good*\n  connect* [mun]s\n  reuse           none\n"
                                          "  the connection ended: uses\n  errors             0\n");
}

static void a_pool_without_endpoints_needs_one(void **state)
{
    (void)state;
    ping("local", "1");
    assert_int_equal(result.code, 1);
    assert_string_equal(result.output, "");
    assert_string_equal(result.errors,
                        "connpool: local takes its endpoints at run time: name one, as local/ENDPOINT\n");
}

static void names_that_are_not_there(void **state)
{
    (void)state;
    ping("nowhere/good", "1");
    assert_int_equal(result.code, 1);
    assert_string_equal(result.errors, "connpool: no such pool: nowhere\n");

    ping("net/better", "1");
    assert_int_equal(result.code, 1);
    command_assert_matches(result.output, "net/better\n  errors             1\n  *better*\n");

    command_run(&result, COMMAND_ARGUMENTS("ping", "/no/such.json"));
    assert_int_equal(result.code, 1);
    command_assert_matches(result.errors, "connpool: */no/such.json*\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_endpoint),
        cmocka_unit_test(one_that_cannot_be_reached),
        cmocka_unit_test(all_of_a_pool),
        cmocka_unit_test(all_pools),
        cmocka_unit_test(an_endpoint_of_run_time),
        cmocka_unit_test(the_longest_name_is_the_pool),
        cmocka_unit_test(connections_that_live_once_are_not_reused),
        cmocka_unit_test(a_pool_without_endpoints_needs_one),
        cmocka_unit_test(names_that_are_not_there),
    };

    return cmocka_run_group_tests(tests, start_servers, end_servers);
}
