/* SPDX-License-Identifier: MIT */
/* The conformance suite catches what it is there for: a sound manager passes, and with each defect the case that asks
 * for it fails, and says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"
#include "defective.h"
#include "server_lines.h"

/* For a case that is to hang. */
#define SHORT_LIMIT_S 1

static const struct expectation {
    enum defect defect;
    const char *name;
    const char *text; /* part of what is told */
    bool hangs;
} expectations[] = {
    {DEFECT_LEAKS_DESCRIPTOR, "descriptors_returned", "descriptors before", false},
    {DEFECT_LEAKS_DESCRIPTOR, "destroy_open", "descriptors before", false},
    {DEFECT_LEAKS_DESCRIPTOR, "pool_life", "descriptors before", false},
    {DEFECT_LEAKS_DESCRIPTOR, "parallel_opens", "descriptors before", false},
    {DEFECT_DESTROY_CRASHES, "destroy_open", "SIGSEGV", false},
    {DEFECT_DESTROY_WAITS, "mute", "destroy of a connection whose peer is silent: did not end", true},
    {DEFECT_BLOCKS, "steps_are_short", "waited", false},
    {DEFECT_BLOCKS_FOR_EVER, "steps_are_short_silent", "did not end", true},
    {DEFECT_WAITS_FOR_ANSWER, "steps_are_short_slow", "waited", false},
    {DEFECT_BURNS, "steps_are_short", "CPU time", false},
    {DEFECT_AGAIN_FOR_NOTHING, "life", "without saying what ends the wait", false},
    {DEFECT_AGAIN_MARKED, "life", "marked as blocking", false},
    {DEFECT_SPINS, "unchanged", "always there", false},
    {DEFECT_ANSWERS_NONSENSE, "life", "77", false},
    {DEFECT_SECRET_IN_ERROR, "secrets", "a secret is told", false},
    {DEFECT_SECRET_IN_LOG, "secrets", "a secret is told", false},
    {DEFECT_PRINTS, "life", "written to stdout or stderr", false},
    {DEFECT_SIGPIPE, "lost", "SIGPIPE", false},
    {DEFECT_IGNORES_SIGPIPE, "lost", "disposition of SIGPIPE", false},
    {DEFECT_CHECK_OF_NOTHING, "mute", "check was done", false},
    {DEFECT_IDLE_SEES_NOTHING, "lost", "idle answered", false},
    {DEFECT_THREAD_LOCAL, "thread_hop", "", false},
    {DEFECT_SHARED_PROGRESS, "parallel_opens", "", true},
    {DEFECT_EARLY_FAILS, "early_calls", "nothing is there", false},
    {DEFECT_EARLY_FAILS, "unchanged", "answered", false},
    {DEFECT_OWN_TIMEOUT, "late_calls", "too long", false},
    {DEFECT_WAIT_CHANGES, "unchanged", "changed the wait", false},
    {DEFECT_TELLS_NO_DESCRIPTOR, "descriptors_told", "is not told of", false},
#if !CONFORM_IS_SANITIZED /* the child ends without what is done at exit */
    {DEFECT_TELLS_NO_DESCRIPTOR, "fork", "survive a child's end", false},
#endif
    {DEFECT_NO_CLOEXEC, "descriptors_told", "exec", false},
    {DEFECT_NATIVE_OF_ANYTHING, "native", "knows a type", false},
    {DEFECT_HANDLE_MODE, "handles", "prepare left", false},
    {DEFECT_FAULT_WITHOUT_TEXT, "faults", "without a text", false},
    {DEFECT_REFUSED_IS_INTERNAL, "peer_refuses", "class \"internal", false},
    {DEFECT_PIECES, "byte_by_byte", "something else", false},
    {DEFECT_CUT_IS_VERDICT, "cut", "class authentication", false},
    {DEFECT_CHECK_OF_NOTHING, "parked_lost", "lent after a check", false},
    {DEFECT_REFUSED_IS_INTERNAL, "reactor_peers", "class \"internal", false},
    {DEFECT_SHARED_PROGRESS, "reactor", "", true},
    {DEFECT_HELP, "rows", "help", false},
    {DEFECT_PARSER_CRASHES, "parse_endpoint", "SIGSEGV", false},
};

static char endpoint[64];

static struct conform_subject subject(void)
{
    return (struct conform_subject){.manager = "lines",
                                    .table = defective_manager(),
                                    .options = "{\"password\": {\"env\": \"CONFORM_PASSWORD\"}}",
                                    .endpoint = endpoint,
                                    .port_option = "port",
                                    .native = "fd",
                                    .connections = 300};
}

static void is_caught(void **state)
{
    const struct expectation *expected = *state;
    const struct conform_subject defective = subject();
    const struct conform_case *found = conform_find(expected->name);
    struct conform_result result;
    struct conform_case one;

    assert_non_null(found);
    one = *found;
    one.limit_s = expected->hangs ? SHORT_LIMIT_S : one.limit_s;
    defective_set(expected->defect);
    result = conform_run(&one, &defective);
    if (result.verdict != CONFORM_FAILED || strstr(result.text, expected->text) == NULL) {
        fail_msg("defect %d was not caught by %s: %s", expected->defect, expected->name, result.text);
    }
}

static void each_defect_is_expected_somewhere(void **state)
{
    (void)state;
    for (enum defect defect = DEFECT_NONE + 1; defect < DEFECT_COUNT; defect++) {
        bool is_expected = false;

        for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
            is_expected = is_expected || expectations[i].defect == defect;
        }
        assert_true(is_expected);
    }
}

#define COUNT (sizeof(expectations) / sizeof(expectations[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT + 1] = {cmocka_unit_test(each_defect_is_expected_somewhere)};
    const struct conform_subject sound = subject();
    struct server_lines server;
    char names[COUNT][64];
    int failed;

    (void)setenv("CONFORM_PASSWORD", "open-sesame-71", 1);
    server_lines_start(&server, NULL);
    (void)snprintf(endpoint, sizeof(endpoint), "{\"host\": \"127.0.0.1\", \"port\": %u}", server.port);
    failed = conform_test("sound", &sound);
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "defect %d by %s", expectations[i].defect, expectations[i].name);
        tests[i + 1] = (struct CMUnitTest){
            .name = names[i], .test_func = is_caught, .initial_state = (void *)(uintptr_t)&expectations[i]};
    }
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    server_lines_end(&server);
    return failed;
}
