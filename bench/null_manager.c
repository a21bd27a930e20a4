/* SPDX-License-Identifier: MIT */
/* null_manager: see null_manager.h. */
#include "null_manager.h"

#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

struct null_connection {
    struct connpool_head head;
};

static int32_t null_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

static void null_destroy(void *connection)
{
    (void)connection;
}

static const struct connpool_manager manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "null",
    .version = "1",
    .summary = "connections to nowhere",
    .option_stride = sizeof(struct connpool_option),
    .connection_size = sizeof(struct null_connection),
    .open = null_open,
    .destroy = null_destroy,
};

void null_pool_open(struct null_pool *pool, int connections)
{
    static const struct connpool_manager *const managers[] = {&manager};
    char json[256];
    struct connpool_options options = {.size = sizeof(options), .json = json, .managers = managers, .manager_count = 1};
    connpool_error error;

    (void)snprintf(json, sizeof(json),
                   "{\"pools\": {\"bench\": {\"manager\": \"null\", \"endpoints\": {\"only\": {}}, \"max_size\": %d, "
                   "\"total_max_size\": %d}}}",
                   connections, connections);
    pool->context = connpool_open_with(&options, &error);
    measure_expect(pool->context != NULL ? CONNPOOL_OK : error.status, "open", &error);
    pool->pool = connpool_pool_get(pool->context, "bench");
    pool->endpoint = measure_endpoint(pool->context, "bench");
}

void null_pool_close(struct null_pool *pool)
{
    connpool_endpoint_put(pool->endpoint);
    (void)connpool_close(pool->context, CONNPOOL_WAIT_FOREVER, NULL);
}

void null_pool_take(const struct null_pool *pool, connpool_lease *leases, int count)
{
    for (int i = 0; i < count; i++) {
        (void)measure_acquire(pool->endpoint, &leases[i]);
    }
}

void null_pool_give(connpool_lease *leases, int count)
{
    for (int i = 0; i < count; i++) {
        measure_release(&leases[i]);
    }
}
