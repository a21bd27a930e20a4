/* SPDX-License-Identifier: MIT */
/* command_runner: runs the command and keeps what it says. */
#ifndef COMMAND_RUNNER_H
#define COMMAND_RUNNER_H

struct command_result {
    int code;           /* the exit code */
    char output[65536]; /* standard output; on a terminal all that is shown, line ends as \n */
    char errors[16384]; /* standard error; empty on a terminal */
};

#define COMMAND_ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The folders of the plugins that the tests use, as a flag. */
#define COMMAND_PLUGINS "--plugin-path=" CONNPOOL_TEST_PLUGIN_FOLDER

/* Run it with these arguments (its name left out, ended by NULL), stdout and stderr being pipes, in the locale C and
 * without the variables that change what it does. The test fails where that is not possible. */
void command_run(struct command_result *result, const char *const *arguments);
/* The same with variables ("NAME=value", ended by NULL) set. */
void command_run_with(struct command_result *result, const char *const *variables, const char *const *arguments);
/* The same as command_run, standard output being this file. */
void command_run_into(const char *file, struct command_result *result, const char *const *arguments);
/* The same as command_run_with on a terminal of its own. */
void command_run_on_terminal(struct command_result *result, const char *const *variables, const char *const *arguments);

/* Fail the test unless text is as the pattern of fnmatch(3) says: what changes from run to run is a '*' there. */
void command_assert_matches(const char *text, const char *pattern);

#endif
