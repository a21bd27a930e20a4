/* SPDX-License-Identifier: MIT */
/* postgres_files: see postgres_files.h. */
#include "postgres_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/fault.h"
#include "postgres.h"

#define REVOCATION_LIST "-----BEGIN X509 CRL-----"

/* What a file must be. */
typedef int32_t check_fn(int fd, const char *option, struct connpool_fault *fault);

static int32_t is_anything(int fd, const char *option, struct connpool_fault *fault)
{
    (void)fd;
    (void)option;
    (void)fault;
    return 0;
}

/* As libpq wants it (fe-secure-openssl.c): ours and closed to others, or root's and at most open to its group. */
static int32_t is_private(int fd, const char *option, struct connpool_fault *fault)
{
    struct stat status;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s: expected a regular file", option);
    }
    if ((status.st_mode & (status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO)) != 0) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "%s: found a file of mode %04o, expected one that nobody else may use (0600)", option,
                          (unsigned)status.st_mode & 07777u);
    }
    return 0;
}

static int32_t is_revocation_list(int fd, const char *option, struct connpool_fault *fault)
{
    char head[8192];
    ssize_t length = read(fd, head, sizeof(head) - 1);

    head[length < 0 ? 0 : length] = '\0';
    if (strstr(head, REVOCATION_LIST) == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "%s: expected a file that begins with a revocation list in PEM form", option);
    }
    return 0;
}

static int32_t check(const char *path, int flags, const char *option, check_fn *function, struct connpool_fault *fault)
{
    int32_t result;
    int fd;

    if (path == NULL) {
        return 0;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd < 0) {
        bool is_lack = errno == EMFILE || errno == ENFILE || errno == ENOMEM;

        return fault_fill(fault, is_lack ? CONNPOOL_ERROR_RESOURCE_LOCAL : CONNPOOL_ERROR_CONFIGURATION, errno,
                          "%s: cannot be opened: %s", option, strerror(errno));
    }
    result = function(fd, option, fault);
    (void)close(fd);
    return result;
}

int32_t postgres_files_check(const struct postgres_options *options, struct connpool_fault *fault)
{
    int32_t result = check(options->sslrootcert, 0, "sslrootcert", is_anything, fault);

    if (result == 0) {
        result = check(options->sslcert, 0, "sslcert", is_anything, fault);
    }
    if (result == 0) {
        result = check(options->sslkey, 0, "sslkey", is_private, fault);
    }
    if (result == 0) {
        result = check(options->sslcrl, 0, "sslcrl", is_revocation_list, fault);
    }
    return result == 0 ? check(options->sslcrldir, O_DIRECTORY, "sslcrldir", is_anything, fault) : result;
}
