/* SPDX-License-Identifier: MIT */
/* plain_manager: see plain_manager.h. */
#include "plain_manager.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct plain {
    struct connpool_head head;
    bool is_open;
    bool is_waiting;
    int32_t ends[2];
};

/* Send a byte to ourselves, and wait until it is there. */
static int32_t exchange(struct plain *plain, struct connpool_wait *wait)
{
    char byte = 'x';

    if (!plain->is_waiting) {
        plain->is_waiting = true;
        if (send(plain->ends[1], &byte, 1, MSG_NOSIGNAL) != 1) {
            return -CONNPOOL_ERROR_CLOSED;
        }
    } else if (recv(plain->ends[0], &byte, 1, MSG_DONTWAIT) == 1) {
        plain->is_waiting = false;
        return CONNPOOL_STEP_DONE;
    } else if (errno != EAGAIN) {
        return -CONNPOOL_ERROR_CLOSED;
    }
    wait->fd = plain->ends[0];
    wait->events = CONNPOOL_EVENT_READ;
    return CONNPOOL_STEP_AGAIN;
}

static int32_t open_plain(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct plain *plain = connection;

    (void)fault;
    if (!plain->is_open) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain->ends) != 0) {
            return -CONNPOOL_ERROR_RESOURCE_LOCAL;
        }
        plain->is_open = true;
    }
    return exchange(plain, wait);
}

static int32_t reset(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)fault;
    return exchange(connection, wait);
}

static void destroy(void *connection)
{
    const struct plain *plain = connection;

    if (plain->is_open) {
        (void)close(plain->ends[0]);
        (void)close(plain->ends[1]);
    }
}

static int32_t native(void *connection, const char *type, void **out)
{
    struct plain *plain = connection;

    *out = &plain->ends[0];
    return strcmp(type, "fd") == 0 ? 0 : -CONNPOOL_ERROR_UNSUPPORTED;
}

static int32_t descriptors(void *connection, int32_t *found, int32_t capacity)
{
    const struct plain *plain = connection;

    for (int32_t i = 0; plain->is_open && i < 2 && i < capacity; i++) {
        found[i] = plain->ends[i];
    }
    return plain->is_open ? 2 : 0;
}

const struct connpool_manager plain_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "plain",
    .version = "1",
    .summary = "a pair of sockets",
    .connection_size = sizeof(struct plain),
    .open = open_plain,
    .reset = reset,
    .destroy = destroy,
    .native = native,
    .descriptors = descriptors,
};

connpool *plain_manager_open(const char *keys, connpool_error *error)
{
    static const struct connpool_manager *const managers[] = {&plain_manager};
    char json[512];
    struct connpool_options options = {.size = sizeof(options), .json = json, .managers = managers, .manager_count = 1};

    (void)snprintf(json, sizeof(json), "{\"pools\": {\"p\": {\"manager\": \"plain\"%s}}}", keys);
    return connpool_open_with(&options, error);
}
