/* SPDX-License-Identifier: MIT */
/* dial_unix: see dial_unix.h. */
#include "network/dial_unix.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"

/* Between attempts at a full backlog: soon at first, since a live server drains it in no time; each wait is twice the
 * one before. */
#define FIRST_DELAY (1 * CP_MILLISECOND)
#define LAST_DELAY  (50 * CP_MILLISECOND)

/* sun_path without the final NUL of a path, or the first of an abstract name. */
#define LENGTH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

void cp_dial_unix_init(struct cp_dial_unix *dial_unix)
{
    *dial_unix = (struct cp_dial_unix){.delay = FIRST_DELAY};
    cp_dial_socket_init(&dial_unix->socket);
}

bool cp_dial_unix_start(struct cp_dial_unix *dial_unix, const char *path, struct connpool_fault *fault)
{
    bool abstract = path[0] == '@';
    size_t length = strlen(path);
    size_t name_length = length - abstract;

    if ((path[0] != '/' && !abstract) || name_length == 0) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                           "path '%.107s': expected an absolute path, or '@' and an abstract name", path);
        return false;
    }
    if (name_length > LENGTH_MAX) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_CONFIGURATION, ENAMETOOLONG,
                           "path '%.60s…' has %zu bytes, a Unix socket's has at most %zu%s", path, name_length,
                           LENGTH_MAX, abstract ? " after the '@'" : "");
        return false;
    }
    dial_unix->address.sun_family = AF_UNIX;
    memcpy(dial_unix->address.sun_path, path, length);
    dial_unix->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
    if (abstract) {
        dial_unix->address.sun_path[0] = '\0';
    }
    return true;
}

/* What an errno of connect says of the path, in words that help (failures.md D16). */
static const char *hint(const char *path, int error)
{
    struct stat status;

    switch (error) {
    case ECONNREFUSED:
        if (path[0] != '@' && stat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
            return "it is not a socket";
        }
        return path[0] == '@' ? "nobody listens there" : "nobody listens there; a server that ended left it behind";
    case ENOENT:
        return "there is no such file; is the server running?";
    case EPROTOTYPE:
        return "it is a datagram or packet socket, expected a stream socket";
    case EACCES:
    case EPERM:
        return "no permission to write to the socket, or to enter its folder";
    case ENOTDIR:
        return "a part of the path is no folder";
    case ELOOP:
        return "it has too many symbolic links";
    default:
        return strerrordesc_np(error);
    }
}

static int32_t class_of(const char *path, int error)
{
    struct stat status;

    switch (error) {
    case ECONNREFUSED:
        return path[0] != '@' && stat(path, &status) == 0 && !S_ISSOCK(status.st_mode) ? CONNPOOL_ERROR_CONFIGURATION
                                                                                       : CONNPOOL_ERROR_REFUSED;
    case ENOTDIR:
    case ELOOP:
        return CONNPOOL_ERROR_CONFIGURATION;
    default:
        return cp_error_class_of_errno(error);
    }
}

static int32_t fail(const struct cp_dial_unix *dial_unix, const char *path, int error, struct connpool_fault *fault)
{
    int32_t error_class = class_of(path, error);

    if (fault != NULL && fault->error_class == 0) {
        fault->scope =
            error_class == CONNPOOL_ERROR_RESOURCE_LOCAL ? CONNPOOL_SCOPE_CONNECTION : CONNPOOL_SCOPE_ENDPOINT;
    }
    return cp_fault_set(fault, error_class, error, "cannot connect to the Unix socket '%s': %s%s", path,
                        dial_unix->socket.call, hint(path, error));
}

int32_t cp_dial_unix_step(struct cp_dial_unix *dial_unix, const char *path, struct connpool_wait *wait,
                          struct connpool_fault *fault)
{
    int error = EAGAIN;

    if (dial_unix->socket.fd < 0) {
        error = cp_dial_socket_open(&dial_unix->socket, AF_UNIX);
        if (error != 0) {
            return fail(dial_unix, path, error, fault);
        }
    }
    if (wait->now >= dial_unix->next) {
        error =
            cp_dial_socket_connect(&dial_unix->socket, (const struct sockaddr *)&dial_unix->address, dial_unix->length);
        if (error == 0) {
            return CONNPOOL_STEP_DONE;
        }
        if (error != EAGAIN) {
            return fail(dial_unix, path, error, fault);
        }
        dial_unix->next = cp_time_add(wait->now, dial_unix->delay);
        dial_unix->delay = dial_unix->delay * 2 < LAST_DELAY ? dial_unix->delay * 2 : LAST_DELAY;
    }
    wait->at = dial_unix->next;
    return CONNPOOL_STEP_AGAIN;
}

void cp_dial_unix_fini(struct cp_dial_unix *dial_unix)
{
    cp_dial_socket_close(&dial_unix->socket);
}
