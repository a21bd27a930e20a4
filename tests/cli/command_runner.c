/* SPDX-License-Identifier: MIT */
/* command_runner: see command_runner.h. */
#include "command_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMAND             CONNPOOL_TEST_BINARY_FOLDER "/bin/connpool"
#define MOST_ARGUMENTS      20
#define CANNOT_BE_RUN       127
#define NO_VARIABLES        ((const char *const[]){NULL})
#define FORGOTTEN_VARIABLES "NO_COLOR", "TERM", "LANG", "LC_CTYPE", "CONNPOOL_PLUGIN_PATH"

/* What one descriptor says, into a text. */
struct capture {
    int fd;
    char *text;
    size_t size, length;
};

/* In the child. */
static void become_command(const char *const *variables, const char *const *arguments)
{
    static const char *const forgotten[] = {FORGOTTEN_VARIABLES};
    const char *words[MOST_ARGUMENTS + 2] = {COMMAND};

    for (size_t i = 0; i < sizeof(forgotten) / sizeof(forgotten[0]); i++) {
        (void)unsetenv(forgotten[i]);
    }
    (void)putenv((char *)"LC_ALL=C");
    for (size_t i = 0; variables[i] != NULL; i++) {
        (void)putenv((char *)variables[i]);
    }
    for (size_t i = 0; i < MOST_ARGUMENTS && arguments[i] != NULL; i++) {
        words[i + 1] = arguments[i];
    }
    (void)execv(COMMAND, (char *const *)words);
    _exit(CANNOT_BE_RUN);
}

/* False: it ended. */
static bool capture_some(struct capture *capture)
{
    ssize_t length = read(capture->fd, capture->text + capture->length, capture->size - capture->length - 1);

    if (length < 0 && errno == EINTR) {
        return true;
    }
    if (length <= 0) { /* a terminal whose other end is gone says EIO */
        (void)close(capture->fd);
        capture->fd = -1;
        return false;
    }
    capture->length += (size_t)length;
    assert_true(capture->length < capture->size - 1);
    return true;
}

static void capture_all(struct capture *captures, nfds_t count)
{
    struct pollfd polls[2];
    nfds_t open = count;

    while (open > 0) {
        for (nfds_t i = 0; i < count; i++) {
            polls[i] = (struct pollfd){.fd = captures[i].fd, .events = POLLIN};
        }
        if (poll(polls, count, -1) < 0) {
            assert_int_equal(errno, EINTR);
            continue;
        }
        for (nfds_t i = 0; i < count; i++) {
            open -= polls[i].revents != 0 && !capture_some(&captures[i]);
        }
    }
}

static int wait_for(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), CANNOT_BE_RUN);
    return WEXITSTATUS(status);
}

/* file: where standard output goes; NULL: into the result. */
static void run(const char *file, struct command_result *result, const char *const *variables,
                const char *const *arguments)
{
    int output[2], errors[2];
    pid_t child;

    memset(result, 0, sizeof(*result));
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    if (file != NULL) {
        (void)close(output[1]);
        output[1] = open(file, O_WRONLY | O_CLOEXEC);
        assert_true(output[1] >= 0);
    }
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(output[1], STDOUT_FILENO);
        (void)dup2(errors[1], STDERR_FILENO);
        become_command(variables, arguments);
    }
    (void)close(output[1]);
    (void)close(errors[1]);
    capture_all((struct capture[]){{output[0], result->output, sizeof(result->output), 0},
                                   {errors[0], result->errors, sizeof(result->errors), 0}},
                2);
    result->code = wait_for(child);
}

void command_run_with(struct command_result *result, const char *const *variables, const char *const *arguments)
{
    run(NULL, result, variables, arguments);
}

void command_run(struct command_result *result, const char *const *arguments)
{
    run(NULL, result, NO_VARIABLES, arguments);
}

void command_run_into(const char *file, struct command_result *result, const char *const *arguments)
{
    run(file, result, NO_VARIABLES, arguments);
}

/* A terminal ends lines with \r\n. */
static void drop_returns(char *text)
{
    char *end = text;

    for (; *text != '\0'; text++) {
        if (*text != '\r') {
            *end++ = *text;
        }
    }
    *end = '\0';
}

void command_run_on_terminal(struct command_result *result, const char *const *variables, const char *const *arguments)
{
    struct capture capture = {-1, result->output, sizeof(result->output), 0};
    pid_t child;

    memset(result, 0, sizeof(*result));
    child = forkpty(&capture.fd, NULL, NULL, NULL);
    assert_true(child >= 0);
    if (child == 0) {
        become_command(variables, arguments);
    }
    capture_all(&capture, 1);
    drop_returns(result->output);
    result->code = wait_for(child);
}

void command_assert_matches(const char *text, const char *pattern)
{
    if (fnmatch(pattern, text, 0) != 0) {
        print_error("found:\n%s\nexpected:\n%s\n", text, pattern);
        fail();
    }
}
