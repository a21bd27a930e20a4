/* SPDX-License-Identifier: MIT */
/* file: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

int cp_file_open(const char *path)
{
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

ssize_t cp_file_read(int fd, void *buffer, size_t size)
{
    size_t used = 0;
    ssize_t length;

    while (used < size) {
        length = read(fd, (char *)buffer + used, size - used);
        if (length == 0) {
            break;
        }
        if (length < 0 && errno != EINTR) {
            return -1;
        }
        used += length > 0 ? (size_t)length : 0;
    }
    return (ssize_t)used;
}

char *cp_file_absolute(const char *folder, const char *path)
{
    if (path[0] == '/') {
        return cp_text_copy(path);
    }
    return cp_text_format("%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/",
                          strncmp(path, "./", 2) == 0 ? path + 2 : path);
}

const char *cp_file_reason(int os_error)
{
    const char *reason = strerrordesc_np(os_error);

    return reason == NULL ? "unknown error" : reason;
}
