/* SPDX-License-Identifier: MIT */
/* device: a manager of open device files; what an application works with is the descriptor. */
#include <connpool/manager.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct device_options {
    const char *path;
};
struct device {
    struct connpool_head head;
    int32_t fd;
};

static const struct connpool_option rows[] = {
    {
        .name = "path",
        .help = "path of the device file",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_PATH,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .offset = offsetof(struct device_options, path),
    },
};

static int32_t device_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct device *device = connection;
    const struct device_options *options = device->head.options;

    (void)wait;
    device->fd = open(options->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (device->fd >= 0) {
        return CONNPOOL_STEP_DONE;
    }
    fault->error_class = CONNPOOL_ERROR_UNREACHABLE;
    fault->os_error = errno;
    snprintf(fault->text, sizeof(fault->text), "%s: %s", options->path, strerror(errno));
    return -CONNPOOL_ERROR_UNREACHABLE;
}

static void device_destroy(void *connection)
{
    (void)close(((struct device *)connection)->fd);
}

static int32_t device_native(void *connection, const char *type, void **out)
{
    *out = &((struct device *)connection)->fd;
    return strcmp(type, "fd") == 0 ? 0 : -CONNPOOL_ERROR_UNSUPPORTED;
}

extern const struct connpool_manager connpool_manager;
CONNPOOL_MANAGER_EXPORT const struct connpool_manager connpool_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "device",
    .version = "1.0",
    .summary = "open device files",
    .options = rows,
    .option_count = sizeof(rows) / sizeof(rows[0]),
    .option_stride = sizeof(rows[0]),
    .options_size = sizeof(struct device_options),
    .connection_size = sizeof(struct device),
    .open = device_open,
    .destroy = device_destroy,
    .native = device_native,
};
