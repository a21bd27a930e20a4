/* SPDX-License-Identifier: MIT */
/* server_folder: a temporary folder of a test's own, for the files and sockets of its servers. */
#include "server_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WALK_DESCRIPTORS 8

void server_folder_init(struct server_folder *folder)
{
    (void)snprintf(folder->path, sizeof(folder->path), "/tmp/connpool-test-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void server_folder_fini(struct server_folder *folder)
{
    (void)nftw(folder->path, remove_entry, WALK_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

void server_folder_path(const struct server_folder *folder, const char *name, char path[SERVER_PATH_SIZE])
{
    (void)snprintf(path, SERVER_PATH_SIZE, "%s/%s", folder->path, name);
}

void server_folder_write(const struct server_folder *folder, const char *name, const char *format, ...)
{
    char path[SERVER_PATH_SIZE];
    va_list arguments;
    FILE *file;

    server_folder_path(folder, name, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH), 0); /* whatever the umask */
    va_start(arguments, format);
    assert_true(vfprintf(file, format, arguments) > 0);
    va_end(arguments);
    assert_int_equal(fclose(file), 0);
}
