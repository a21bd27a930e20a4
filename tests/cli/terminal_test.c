/* SPDX-License-Identifier: MIT */
/* Colour and bars: on a terminal, and only there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "command_runner.h"
#include "server_echo.h"
#include "server_folder.h"

#define ESCAPE '\033'

static struct command_result result;
static struct server_folder folder;
static struct server_echo echo;
static char configuration[SERVER_PATH_SIZE];

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_echo_start(&echo);
    server_folder_write(&folder, "c.json",
                        "{\"pools\": {\"net\": {\"manager\": \"tcp\", \"endpoints\": "
                        "{\"a\": {\"host\": \"127.0.0.1\", \"port\": %u}}}}}",
                        echo.port);
    server_folder_path(&folder, "c.json", configuration);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_echo_kill(&echo);
    server_folder_fini(&folder);
    return 0;
}

static void ping_on_terminal(const char *const *variables)
{
    command_run_on_terminal(&result, variables,
                            COMMAND_ARGUMENTS("ping", configuration, COMMAND_PLUGINS, "--trust-any-owner"));
    assert_int_equal(result.code, 0);
}

static void a_terminal_gets_colour_and_bars(void **state)
{
    (void)state;
    ping_on_terminal(COMMAND_ARGUMENTS("TERM=xterm", "LC_ALL=C.UTF-8"));
    assert_non_null(strchr(result.output, ESCAPE));
    assert_non_null(strstr(result.output, "████"));
    assert_null(strchr(result.output, '#'));
}

static void bars_are_plain_in_a_plain_locale(void **state)
{
    (void)state;
    ping_on_terminal(COMMAND_ARGUMENTS("TERM=xterm"));
    assert_non_null(strstr(result.output, "####"));
    assert_null(strstr(result.output, "█"));
}

static void no_color_and_dumb_terminals_get_bars_only(void **state)
{
    (void)state;
    ping_on_terminal(COMMAND_ARGUMENTS("TERM=xterm", "NO_COLOR=1"));
    assert_null(strchr(result.output, ESCAPE));
    assert_non_null(strstr(result.output, "####"));
    ping_on_terminal(COMMAND_ARGUMENTS("TERM=dumb"));
    assert_null(strchr(result.output, ESCAPE));
    ping_on_terminal(COMMAND_ARGUMENTS("TERM=xterm", "NO_COLOR=")); /* set to nothing is not set: no-color.org */
    assert_non_null(strchr(result.output, ESCAPE));
}

static void a_pipe_gets_neither(void **state)
{
    (void)state;
    command_run_with(&result, COMMAND_ARGUMENTS("TERM=xterm", "LC_ALL=C.UTF-8"),
                     COMMAND_ARGUMENTS("ping", configuration, COMMAND_PLUGINS, "--trust-any-owner"));
    assert_int_equal(result.code, 0);
    assert_null(strchr(result.output, ESCAPE));
    assert_null(strchr(result.output, '#'));
    assert_null(strstr(result.output, "█"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_gets_colour_and_bars),
        cmocka_unit_test(bars_are_plain_in_a_plain_locale),
        cmocka_unit_test(no_color_and_dumb_terminals_get_bars_only),
        cmocka_unit_test(a_pipe_gets_neither),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
