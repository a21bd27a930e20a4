/* SPDX-License-Identifier: MIT */
/*
 * unix: the manager of connections to Unix stream sockets, in the file system or abstract. The host's dial does the
 * connecting, common/stream.c the rest of a plain socket's life; here are the option and the table. unix.md is its
 * manual.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../common/fault.h"
#include "../common/stream.h"

/* sun_path holds a path with the NUL that ends it; an abstract name has a NUL where the '@' stands and none at its end.
 */
#define PATH_LENGTH_MAXIMUM     (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define ABSTRACT_LENGTH_MAXIMUM (sizeof(((struct sockaddr_un *)0)->sun_path))

struct unix_options {
    const char *path;
};

struct unix_endpoint {
    struct connpool_head head;
};

static const struct connpool_option option_rows[] = {
    {
        .name = "path",
        .help = "path of the socket, or '@' and an abstract name",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_PATH,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .offset = offsetof(struct unix_options, path),
        .minimum = "2",
    },
};

static int32_t unix_endpoint_init(void *endpoint, struct connpool_fault *fault)
{
    const struct unix_endpoint *socket = endpoint;
    const struct unix_options *options = socket->head.options;
    size_t length = strlen(options->path);
    size_t maximum = options->path[0] == '@' ? ABSTRACT_LENGTH_MAXIMUM : PATH_LENGTH_MAXIMUM;

    if (length > maximum) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, ENAMETOOLONG,
                          "the path has %zu bytes, a Unix socket's has at most %zu", length, maximum);
    }
    return 0;
}

static int32_t unix_parse_endpoint(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    if ((text[0] != '/' && text[0] != '@') || text[1] == '\0') {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "expected the absolute path of a socket, or '@' and an abstract name");
    }
    return set(context, "path", text, strlen(text), fault);
}

static int32_t unix_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct stream *stream = connection;
    const struct unix_options *options = stream->head.options;
    const struct connpool_dial_options dial = {.size = sizeof(dial), .path = options->path};

    return stream_open(stream, &dial, wait, fault);
}

static int32_t unix_native(void *connection, const char *type, void **out)
{
    return stream_native(connection, "connpool.unix/1", type, out);
}

extern const struct connpool_manager connpool_manager;
CONNPOOL_MANAGER_EXPORT const struct connpool_manager connpool_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "unix",
    .version = "1.0.0",
    .summary = "connections to Unix stream sockets",
    .options = option_rows,
    .option_count = sizeof(option_rows) / sizeof(option_rows[0]),
    .option_stride = sizeof(struct connpool_option),
    .options_size = sizeof(struct unix_options),
    .endpoint_size = sizeof(struct unix_endpoint),
    .connection_size = sizeof(struct stream),
    .endpoint_init = unix_endpoint_init,
    .parse_endpoint = unix_parse_endpoint,
    .open = unix_open,
    .prepare = stream_prepare,
    .idle = stream_idle,
    .destroy = stream_destroy,
    .native = unix_native,
    .descriptors = stream_descriptors,
};
