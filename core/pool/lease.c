/* SPDX-License-Identifier: MIT */
/* lease: what a lease tells of its connection. A lease that is not current any more tells nothing. */
#include "base/copy_out.h"
#include "pool/pool.h"

/* CONNPOOL_STALE, or why else the lease holds nothing here. */
static connpool_status refusal(const connpool_lease *lease)
{
    return lease != NULL && lease->connection != NULL && cp_pool_is_forked(lease->connection->pool) ? CONNPOOL_FORKED
                                                                                                    : CONNPOOL_STALE;
}

/* The connection, NULL: the lease holds nothing. Only its holder asks, so it stays so for the call. */
static struct connpool_connection *current(const connpool_lease *lease)
{
    struct connpool_connection *connection = lease == NULL ? NULL : lease->connection;

    if (connection == NULL || cp_pool_is_forked(connection->pool) ||
        atomic_load_explicit(&connection->generation, memory_order_relaxed) != lease->generation) {
        return NULL;
    }
    return connection;
}

int connpool_lease_valid(const connpool_lease *lease)
{
    return current(lease) != NULL;
}

connpool_status connpool_lease_info(const connpool_lease *lease, struct connpool_lease_info *info)
{
    const struct connpool_connection *connection = current(lease);
    struct connpool_lease_info full;

    if (connection == NULL) {
        return refusal(lease);
    }
    if (info->size < sizeof(info->size)) {
        return CONNPOOL_INVALID;
    }
    full = (struct connpool_lease_info){
        .size = sizeof(full),
        .is_new = connection->uses == 1,
        .id = connection->id,
        .uses = connection->uses,
        .age = cp_clock_precise(&connection->pool->context->clock) - connection->created,
        .pool = connection->pool,
        .endpoint = cp_connection_endpoint(connection)->name,
        .manager = connection->pool->manager->name,
    };
    cp_copy_out(info, info->size, &full, sizeof(full));
    return CONNPOOL_OK;
}

void *connpool_lease_native(const connpool_lease *lease, const char *type)
{
    struct connpool_connection *connection = current(lease);
    void *out = NULL;

    if (connection == NULL) {
        return NULL;
    }
    cp_lock_assert_none();
    return connection->pool->manager->native(connection->plugin_state, type, &out) == 0 ? out : NULL;
}

connpool_status connpool_lease_set_data(const connpool_lease *lease, void *data, void (*destructor)(void *))
{
    struct connpool_connection *connection = current(lease);
    void (*old_destructor)(void *);
    void *old;

    if (connection == NULL) {
        return refusal(lease);
    }
    old = connection->data;
    old_destructor = connection->data_destructor;
    connection->data = data;
    connection->data_destructor = destructor;
    if (old_destructor != NULL) {
        old_destructor(old);
    }
    return CONNPOOL_OK;
}

void *connpool_lease_data(const connpool_lease *lease)
{
    const struct connpool_connection *connection = current(lease);

    return connection == NULL ? NULL : connection->data;
}
