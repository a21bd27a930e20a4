/* SPDX-License-Identifier: MIT */
/* ssh_file: see ssh_file.h. */
#include "ssh_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/fault.h"

struct file {
    const char *option, *path;
    struct connpool_fault *fault;
};

static int32_t refuse(const struct file *file, int error, const char *reason)
{
    return fault_fill(file->fault, CONNPOOL_ERROR_CONFIGURATION, error, "%s %s: %s", file->option, file->path, reason);
}

static int32_t check(const struct file *file, const struct stat *status, mode_t forbidden, size_t maximum)
{
    if (!S_ISREG(status->st_mode)) {
        return refuse(file, 0, "is not a regular file");
    }
    if (status->st_uid != 0 && status->st_uid != geteuid()) {
        return fault_fill(file->fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "%s %s: is owned by user %u, expected root or user %u", file->option, file->path,
                          status->st_uid, geteuid());
    }
    if ((status->st_mode & forbidden) != 0) {
        return fault_fill(file->fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s %s: has mode %04o, expected no bit of %04o",
                          file->option, file->path, status->st_mode & 07777, forbidden);
    }
    if ((size_t)status->st_size > maximum) {
        return refuse(file, EFBIG, "is too large");
    }
    return 0;
}

/* Up to size bytes; -1: errno says why. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t more = read(fd, bytes + length, size - length);

        if (more < 0 && errno != EINTR) {
            return -1;
        }
        if (more == 0) {
            break;
        }
        length += more > 0 ? (size_t)more : 0;
    }
    return (ssize_t)length;
}

static int32_t read_open(const struct file *file, int fd, mode_t forbidden, size_t maximum, struct ssh_memory *memory,
                         char **text, size_t *length)
{
    struct stat status;
    ssize_t found;
    int32_t result;

    if (fstat(fd, &status) != 0) {
        return refuse(file, errno, strerror(errno));
    }
    result = check(file, &status, forbidden, maximum);
    if (result != 0) {
        return result;
    }
    *text = ssh_memory_take(memory, (size_t)status.st_size + 1);
    if (*text == NULL) {
        return fault_fill(file->fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no memory for %s", file->option);
    }
    found = read_all(fd, *text, (size_t)status.st_size);
    if (found < 0) {
        return refuse(file, errno, strerror(errno));
    }
    (*text)[found] = '\0';
    *length = (size_t)found;
    return strlen(*text) == *length ? 0 : refuse(file, 0, "is no text: it has a NUL");
}

int32_t ssh_file_read(const char *option, const char *path, mode_t forbidden, size_t maximum, struct ssh_memory *memory,
                      char **text, size_t *length, struct connpool_fault *fault)
{
    const struct file file = {.option = option, .path = path, .fault = fault};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int32_t result;

    if (fd < 0) {
        return refuse(&file, errno, strerror(errno));
    }
    result = read_open(&file, fd, forbidden, maximum, memory, text, length);
    (void)close(fd);
    return result;
}
