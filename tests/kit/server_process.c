/* SPDX-License-Identifier: MIT */
/* server_process: a server program as a child of the test. */
#include "server_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void find_program(const char *name, char *path, size_t size)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        (void)snprintf(path, size, "%s/%s", folders[i], name);
        if (access(path, X_OK) == 0) {
            return;
        }
    }
    fail_msg("%s is not installed; `./dev build` installs what the tests need", name);
}

/* In the child: only what is safe between fork and exec. */
static void __attribute__((noreturn)) become(const char *path, const char *const *arguments, int output, pid_t parent)
{
    static char *const environment[] = {NULL};

    (void)dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        (void)execve(path, (char *const *)arguments, environment);
    }
    _exit(EXIT_FAILURE);
}

pid_t server_process_start(const char *const *arguments, int *output)
{
    char path[64];
    int ends[2];
    pid_t parent = getpid();
    pid_t pid;

    find_program(arguments[0], path, sizeof(path));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        become(path, arguments, ends[1], parent);
    }
    (void)close(ends[1]);
    *output = ends[0];
    return pid;
}

bool server_process_says(int output, const char *text)
{
    char said[8192] = "";
    size_t length = 0;
    size_t kept = strlen(text); /* of what was read before: the text may come in pieces */
    ssize_t more;

    assert_true(kept < sizeof(said) / 2);
    while ((more = read(output, said + length, sizeof(said) - 1 - length)) > 0) {
        length += (size_t)more;
        said[length] = '\0';
        if (strstr(said, text) != NULL) {
            return true;
        }
        if (length == sizeof(said) - 1) {
            memmove(said, said + length - kept, kept);
            length = kept;
        }
    }
    return false;
}

void server_process_end(pid_t *pid, int *output)
{
    if (*pid > 0) {
        (void)kill(*pid, SIGKILL);
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) {
        }
        (void)close(*output);
        *pid = 0;
    }
}
