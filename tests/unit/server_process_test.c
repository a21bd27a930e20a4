/* SPDX-License-Identifier: MIT */
/* The kit's server_process: what a server says is found wherever it stands. */
#include "server_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define READY "ready to accept"
#define MOST  20000 /* more than it keeps of what was said, less than a pipe holds */

static bool is_found(size_t before, const char *text)
{
    int ends[2];
    bool found;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (size_t written = 0; written < before;) {
        size_t piece = before - written < 61 ? before - written : 61;
        char line[61];

        memset(line, 'n', sizeof(line));
        assert_int_equal(write(ends[1], line, piece), (ssize_t)piece);
        written += piece;
    }
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    (void)close(ends[1]);
    found = server_process_says(ends[0], READY);
    (void)close(ends[0]);
    return found;
}

static void a_text_behind_much_else_is_found(void **state)
{
    (void)state;
    assert_true(is_found(0, READY "\n"));
    assert_true(is_found(MOST, READY "\n"));
    for (size_t before = 8191 - strlen(READY) - 1; before <= 8192; before++) {
        assert_true(is_found(before, READY));
    }
}

static void a_text_that_does_not_come_is_not(void **state)
{
    (void)state;
    assert_false(is_found(MOST, "ready to go\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_behind_much_else_is_found),
        cmocka_unit_test(a_text_that_does_not_come_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
