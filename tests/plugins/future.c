/* SPDX-License-Identifier: MIT */
/* A plugin from the future: the same major, a higher minor, longer table and rows, a blocking bit that nobody knows
 * yet (E9, E10). */
#include <connpool/manager.h>

struct future_row {
    struct connpool_option row;
    const char *unit;
};

struct future_manager {
    struct connpool_manager manager;
    void (*unknown)(void);
    uint64_t more[8];
};

struct options {
    int64_t first;
    int64_t second;
};

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

static const struct future_row rows[] = {
    {{.name = "first",
      .help = "The first",
      .level = CONNPOOL_LEVEL_BOTH,
      .type = CONNPOOL_TYPE_INTEGER,
      .offset = offsetof(struct options, first),
      .default_text = "1"},
     "apples"},
    {{.name = "second",
      .help = "The second",
      .level = CONNPOOL_LEVEL_BOTH,
      .type = CONNPOOL_TYPE_INTEGER,
      .offset = offsetof(struct options, second),
      .default_text = "2"},
     "pears"},
};

CONNPOOL_MANAGER_EXPORT extern const struct future_manager connpool_manager;
const struct future_manager connpool_manager = {
    .manager =
        {
            .magic = CONNPOOL_MANAGER_MAGIC,
            .abi_major = CONNPOOL_ABI_MAJOR,
            .abi_minor = CONNPOOL_ABI_MINOR + 7,
            .size = sizeof(struct future_manager),
            .name = "future",
            .version = "9.0",
            .summary = "A plugin from the future",
            .options = &rows[0].row,
            .option_count = 2,
            .option_stride = sizeof(struct future_row),
            .options_size = sizeof(struct options),
            .connection_size = sizeof(struct connpool_head),
            .blocking_operations = CONNPOOL_BLOCKING_CLOSE | 1u << 31,
            .open = finish,
            .destroy = forget,
        },
    .unknown = (void (*)(void))forget,
    .more = {1, 2, 3, 4, 5, 6, 7, 8},
};
