/* SPDX-License-Identifier: MIT */
/* example_runner: see example_runner.h. */
#include "example_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void example_runner_init(const struct server_folder *folder)
{
    char command[1024];

    (void)snprintf(command, sizeof(command),
                   "umask 022 && mkdir '%s/plugins' && cp '" CONNPOOL_TEST_PLUGIN_FOLDER "'/*.so '%s/plugins'",
                   folder->path, folder->path);
    assert_int_equal(system(command), 0);
}

void example_runner_run(const struct server_folder *folder, int is_right, const char *pattern, const char *format, ...)
{
    char arguments[512], command[1024], said[8192];
    va_list values;
    FILE *stream;
    int code;

    va_start(values, format);
    (void)vsnprintf(arguments, sizeof(arguments), format, values);
    va_end(values);
    (void)snprintf(command, sizeof(command),
                   "cd '%s' && export CONNPOOL_PLUGIN_PATH='%s/plugins' LD_LIBRARY_PATH='" CONNPOOL_TEST_BINARY_FOLDER
                   "/lib' && '" CONNPOOL_TEST_BINARY_FOLDER "'/examples/%s 2>&1",
                   folder->path, folder->path, arguments);
    stream = popen(command, "re");
    assert_non_null(stream);
    said[fread(said, 1, sizeof(said) - 1, stream)] = '\0';
    code = pclose(stream);
    if ((code == 0) != is_right || fnmatch(pattern, said, 0) != 0) {
        fail_msg("%s ended with %d and said:\n%s\nexpected was:\n%s", arguments, code, said, pattern);
    }
}
