/* SPDX-License-Identifier: MIT */
/* The conformance suite for the manager unix. */
#include <stdio.h>

#include "conform.h"
#include "server_folder.h"
#include "server_lines.h"

int main(void)
{
    static const char *const skipped[] = {"destroy_check", "destroy_reset", "destroy_close", "cut", NULL};
    char path[SERVER_PATH_SIZE], endpoint[SERVER_PATH_SIZE + 16];
    struct server_folder folder;
    struct server_lines server;
    const struct conform_subject subject = {
        .manager = "unix",
        .folder = CONNPOOL_TEST_PLUGIN_FOLDER,
        .endpoint = endpoint,
        .path_option = "path",
        .native = "fd",
        .connections = 1000,
        .skipped = skipped,
    };
    int failed;

    server_folder_init(&folder);
    server_folder_path(&folder, "socket", path);
    server_lines_start(&server, path);
    (void)snprintf(endpoint, sizeof(endpoint), "{\"path\": \"%s\"}", path);
    failed = conform_test("unix", &subject);
    server_lines_end(&server);
    server_folder_fini(&folder);
    return failed;
}
