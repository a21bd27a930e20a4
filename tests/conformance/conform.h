/* SPDX-License-Identifier: MIT */
/*
 * conform: the conformance suite. What every manager must do and must not do (manager.h), asked of any
 * manager by the same cases. A case knows a manager by its table, a configuration that leads to a real server that
 * runs, and the names of the options that say where that server is; nothing of its protocol.
 *
 * Each case runs in a child process with a time limit, so that one that hangs, crashes or breaks the process is a
 * failure of that case alone.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <connpool/manager.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* A manager, and how to get connections of it. Text lives as long as the subject. */
struct conform_subject {
    const char *manager;                  /* its name */
    const struct connpool_manager *table; /* from code; NULL: it is loaded from folder */
    const char *folder;                   /* of the plugin file */
    const char *options;                  /* JSON object: the pool's "options", NULL: none */
    const char *endpoint;                 /* JSON object: an endpoint of the real server */
    /*
     * The option of that endpoint that says where the server is: its port, or its path. The cases put a port or path
     * there where a peer of their own refuses, is silent, or stands before the real server: what proves the server's
     * identity must not depend on the port, and the host must be reached at 127.0.0.1. Both NULL: such cases are
     * skipped.
     */
    const char *port_option, *path_option;
    const char *native;   /* the type of the handle that its connections give, NULL: none */
    unsigned connections; /* the most that the server permits at once, at least 4 */
    /* The most CPU time that a step may take, in microseconds; 0: 1000, as manager.h says. Larger only for what a
     * manager cannot help, with the reason where it is set. */
    unsigned step_limit_us;
    /* The names of the cases that cannot be asked of it, ended by NULL; NULL: none. Another one that is skipped is a
     * failure, and so is one of these that is not. */
    const char *const *skipped;
    /* Called at the end of each case in its process: NULL, or what else is wrong. May be NULL. */
    const char *(*complaint)(void);
};

struct conform_case {
    const char *name;
    void (*run)(const struct conform_subject *subject);
    unsigned limit_s; /* how long it may take on a busy machine */
};

/* All cases, ended by one without a name. */
extern const struct conform_case conform_cases[];

enum conform_verdict { CONFORM_PASSED, CONFORM_FAILED, CONFORM_SKIPPED };

struct conform_result {
    enum conform_verdict verdict;
    char text[600];    /* failed: what was expected and found, or where it hung or crashed; skipped: why */
    char output[8192]; /* the beginning of what was written to stdout and stderr: a manager writes nothing there */
};

/* Run a case in a child process; waits for its end, at most its limit. The caller's servers must not be threads of this
 * process that the case may reach by memory: the child has none of them. */
struct conform_result conform_run(const struct conform_case *one, const struct conform_subject *subject);

/* The case of that name; NULL: none. */
const struct conform_case *conform_find(const char *name);

/* Run all cases as tests of cmocka, one each, under this name. Returns the number that failed. */
int conform_test(const char *name, const struct conform_subject *subject);

/* ---- For cases, in their process ---- */

/* End the case: something is wrong. */
noreturn void conform_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* End the case: it cannot be asked of this manager. */
noreturn void conform_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Say where the case is: begins the text of a failure from here on, also of a crash or a hang. */
void conform_at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fail unless the condition holds. */
#define CONFORM(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            conform_fail(__VA_ARGS__);                                                                                 \
        }                                                                                                              \
    } while (0)

/* Sanitizers make everything slower. */
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define CONFORM_IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CONFORM_IS_SANITIZED 1
#endif
#ifndef CONFORM_IS_SANITIZED
#define CONFORM_IS_SANITIZED 0
#endif

#endif
