/* SPDX-License-Identifier: MIT */
/* plugin_folder: connpool_plugin_folder of connpool.h. An installation may be moved as a whole: the folder is the one
 * beside the library that runs, where there is one; else, as in a program that the library was linked into, the one
 * that was configured. */
#include <connpool/connpool.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIBRARY "libconnpool.so"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char beside[PATH_MAX]; /* "": there is none */

static bool is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* At the first call, so that a relative path of the library still means what it did when it was loaded. */
static void look_beside(void)
{
    char library[PATH_MAX], folder[PATH_MAX];
    Dl_info info;
    char *base;

    if (dladdr(beside, &info) == 0 || info.dli_fname == NULL || realpath(info.dli_fname, library) == NULL) {
        return;
    }
    base = strrchr(library, '/') + 1;
    if (strncmp(base, LIBRARY, strlen(LIBRARY)) != 0) {
        return;
    }
    *base = '\0';
    if (snprintf(folder, sizeof(folder), "%sconnpool", library) < (int)sizeof(folder) && is_folder(folder)) {
        memcpy(beside, folder, sizeof(folder));
    }
}

const char *connpool_plugin_folder(void)
{
    (void)pthread_once(&once, look_beside);
    return beside[0] != '\0' ? beside : CONNPOOL_PLUGIN_FOLDER;
}
