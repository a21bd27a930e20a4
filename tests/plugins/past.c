/* SPDX-License-Identifier: MIT */
/* A plugin from the past: its table ends behind the last required member, its rows behind the default (E9, E10). */
#include <connpool/manager.h>
#include <string.h>

#define SIZE_THEN   (offsetof(struct connpool_manager, native))
#define STRIDE_THEN (offsetof(struct connpool_option, minimum))

struct past_row {
    const char *name, *help;
    uint32_t level, type, flags, offset;
    const char *default_text;
};

struct past_manager {
    uint64_t magic;
    uint16_t abi_major, abi_minor;
    uint32_t size;
    const char *name, *version, *summary;
    const struct past_row *options;
    uint32_t option_count, option_stride, options_size, pool_size, endpoint_size, connection_size, blocking, reserved;
    void *load, *pool_init, *pool_fini, *endpoint_init, *endpoint_fini, *parse_endpoint;
    connpool_step_fn *open, *check, *prepare, *reset, *idle, *close;
    void (*destroy)(void *connection);
};
_Static_assert(sizeof(struct past_manager) == SIZE_THEN, "the past is a prefix of today");
_Static_assert(sizeof(struct past_row) == STRIDE_THEN, "the past is a prefix of today");

static int32_t finish(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

static void forget(void *connection)
{
    (void)connection;
}

static const struct past_row rows[] = {
    {"first", "The first", CONNPOOL_LEVEL_BOTH, CONNPOOL_TYPE_INTEGER, 0, 0, "1"},
    {"second", "The second", CONNPOOL_LEVEL_BOTH, CONNPOOL_TYPE_INTEGER, 0, 8, "2"},
};

CONNPOOL_MANAGER_EXPORT extern const struct past_manager connpool_manager;
const struct past_manager connpool_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = 0,
    .size = sizeof(struct past_manager),
    .name = "past",
    .version = "0.0.1",
    .summary = "A plugin from the past",
    .options = rows,
    .option_count = 2,
    .option_stride = sizeof(struct past_row),
    .options_size = 16,
    .connection_size = sizeof(struct connpool_head),
    .open = finish,
    .destroy = forget,
};
