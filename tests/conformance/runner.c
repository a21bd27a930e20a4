/* SPDX-License-Identifier: MIT */
/* runner: a case in a child process: its time limit, and what is told of its end. */
#include "conform.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_FAILED  1
#define EXIT_SKIPPED 77

/* Shared by the case's process and the runner's, which tells of it when the case cannot. */
struct report {
    char place[200];
    char text[400];
};

static struct report *report;

/* ---- In the case's process ---- */

void conform_at(const char *format, ...)
{
    char place[sizeof(report->place)];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(place, sizeof(place), format, arguments);
    va_end(arguments);
    memcpy(report->place, place, sizeof(place));
}

void conform_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(report->text, sizeof(report->text), format, arguments);
    va_end(arguments);
    _exit(EXIT_FAILED);
}

void conform_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(report->text, sizeof(report->text), format, arguments);
    va_end(arguments);
    _exit(EXIT_SKIPPED);
}

/* cmocka's handlers make a failed test of a crash; here it is to be seen as what it is. */
static void take_signals_back(void)
{
    static const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction by_default = {.sa_handler = SIG_DFL};

        (void)sigaction(signals[i], &by_default, NULL);
    }
}

/* A case that passed ends as a program does, so that what libraries do at exit is seen too. */
noreturn static void live(const struct conform_case *one, const struct conform_subject *subject, pid_t parent,
                          int output)
{
    const char *complaint;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
        _exit(EXIT_FAILED);
    }
    take_signals_back();
    one->run(subject);
    complaint = subject->complaint == NULL ? NULL : subject->complaint();
    CONFORM(complaint == NULL, "%s", complaint);
    conform_at("at exit");
    exit(EXIT_SUCCESS);
}

/* ---- In the runner's ---- */

/* Whether the process ended in time; else it is killed. */
static bool await_end(pid_t pid, unsigned limit_s)
{
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    int ready;

    do {
        ready = poll(&end, 1, (int)limit_s * 1000);
    } while (ready < 0 && errno == EINTR);
    (void)close(end.fd);
    if (ready == 1) {
        return true;
    }
    (void)kill(pid, SIGKILL);
    return false;
}

static void tell(struct conform_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct conform_result *result, const char *format, ...)
{
    size_t length = (size_t)snprintf(result->text, sizeof(result->text), "%s%s", report->place,
                                     report->place[0] == '\0' ? "" : ": ");
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(result->text + length, sizeof(result->text) - length, format, arguments);
    va_end(arguments);
}

static void judge(struct conform_result *result, int status)
{
    result->verdict = CONFORM_FAILED;
    if (WIFSIGNALED(status)) {
        tell(result, "the process was ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == EXIT_SUCCESS) {
        result->verdict = CONFORM_PASSED;
    } else if (WEXITSTATUS(status) == EXIT_SKIPPED) {
        result->verdict = CONFORM_SKIPPED;
        (void)snprintf(result->text, sizeof(result->text), "%s", report->text);
    } else if (report->text[0] != '\0') {
        tell(result, "%s", report->text);
    } else {
        tell(result, "the process ended with status %d", WEXITSTATUS(status));
    }
}

/* A manager writes nothing to stdout or stderr. */
static void take_output(struct conform_result *result, int output)
{
    ssize_t length = pread(output, result->output, sizeof(result->output) - 1, 0);

    if (length > 0 && result->verdict != CONFORM_FAILED) {
        result->verdict = CONFORM_FAILED;
        tell(result, "something was written to stdout or stderr");
    }
}

static void run_in_process(const struct conform_case *one, const struct conform_subject *subject, int output,
                           struct conform_result *result)
{
    pid_t parent = getpid();
    bool in_time;
    int status = 0;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        live(one, subject, parent, output);
    }
    if (pid < 0) {
        tell(result, "no process for a case: %s", strerror(errno));
        return;
    }
    in_time = await_end(pid, one->limit_s);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (in_time) {
        judge(result, status);
    } else {
        tell(result, "did not end within %u s", one->limit_s);
    }
    take_output(result, output);
}

struct conform_result conform_run(const struct conform_case *one, const struct conform_subject *subject)
{
    struct conform_result result = {.verdict = CONFORM_FAILED};
    int output = memfd_create("output", MFD_CLOEXEC);

    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (output < 0 || report == MAP_FAILED) {
        (void)snprintf(result.text, sizeof(result.text), "no memory for a case: %s", strerror(errno));
    } else {
        run_in_process(one, subject, output, &result);
        (void)munmap(report, sizeof(*report));
    }
    (void)close(output);
    return result;
}

const struct conform_case *conform_find(const char *name)
{
    for (const struct conform_case *one = conform_cases; one->name != NULL; one++) {
        if (strcmp(one->name, name) == 0) {
            return one;
        }
    }
    return NULL;
}

/* ---- As tests of cmocka ---- */

#define MOST_CASES 64

static const struct conform_subject *tested;
static pid_t tester;

/* Where the test kit fails within a case, cmocka would go on with the next test in the case's process. */
static int end_what_is_no_tester(void **state)
{
    (void)state;
    if (getpid() != tester) {
        _exit(EXIT_FAILED);
    }
    return 0;
}

static bool is_to_be_skipped(const char *name)
{
    for (const char *const *skipped = tested->skipped; skipped != NULL && *skipped != NULL; skipped++) {
        if (strcmp(*skipped, name) == 0) {
            return true;
        }
    }
    return false;
}

static void test_case(void **state)
{
    const struct conform_case *one = *state;
    struct conform_result result;

    (void)end_what_is_no_tester(NULL);
    result = conform_run(one, tested);
    if (result.verdict == CONFORM_FAILED) {
        fail_msg("%s\n%s", result.text, result.output);
    }
    if ((result.verdict == CONFORM_SKIPPED) != is_to_be_skipped(one->name)) {
        fail_msg("%s: %s", result.verdict == CONFORM_SKIPPED ? "skipped" : "not skipped", result.text);
    }
    if (result.verdict == CONFORM_SKIPPED) {
        skip();
    }
}

int conform_test(const char *name, const struct conform_subject *subject)
{
    struct CMUnitTest tests[MOST_CASES] = {{.name = NULL}};
    const char *only = getenv("CONFORM_CASE");
    size_t count = 0;

    for (const struct conform_case *one = conform_cases; one->name != NULL; one++) {
        assert_true(count < MOST_CASES);
        if (only == NULL || strcmp(only, one->name) == 0) {
            tests[count++] =
                (struct CMUnitTest){.name = one->name, .test_func = test_case, .initial_state = (void *)(uintptr_t)one};
        }
    }
    tested = subject;
    tester = getpid();
    return _cmocka_run_group_tests(name, tests, count, NULL, end_what_is_no_tester);
}
