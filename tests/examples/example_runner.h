/* SPDX-License-Identifier: MIT */
/* example_runner: runs an example as a reader would, and looks at what it says. */
#ifndef EXAMPLE_RUNNER_H
#define EXAMPLE_RUNNER_H

#include "server_folder.h"

/* Copy the plugins of the build into the folder, so that their modes are right whatever the umask of the tree was, and
 * have the examples look for them there. */
void example_runner_init(const struct server_folder *folder);

/* Run examples/COMMAND (the rest of a shell's command line follows the name) in the folder; the test fails unless it
 * exits with 0 (is_right) or with another code, and says, on stdout and stderr together, what the pattern of fnmatch(3)
 * describes. */
void example_runner_run(const struct server_folder *folder, int is_right, const char *pattern, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
