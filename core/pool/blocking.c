/* SPDX-License-Identifier: MIT */
/* blocking: see blocking.h. */
#include "pool/blocking.h"

#include "base/error.h"
#include "base/memory.h"
#include "pool/endpoint.h"
#include "pool/run.h"

/* The job that the worker owns. */
struct cp_blocking {
    struct connpool_connection *connection;
    struct connpool_offload *offload;
    struct connpool_wait wait;
    struct connpool_fault fault;
    int32_t result;
    atomic_bool is_abandoned;
};

static const struct connpool_host *host_of(const struct connpool_connection *connection)
{
    return &cp_connection_endpoint(connection)->host.table;
}

static void call(void *job)
{
    struct cp_blocking *blocking = job;
    struct connpool_connection *connection = blocking->connection;

    connection->is_open_started = true;
    blocking->result =
        cp_run_function(connection, connection->kind)(connection->plugin_state, &blocking->wait, &blocking->fault);
}

static void release(void *job)
{
    struct cp_blocking *blocking = job;
    struct connpool_connection *connection = blocking->connection;
    bool is_abandoned = atomic_load(&blocking->is_abandoned);

    cp_free(blocking);
    if (is_abandoned) {
        cp_connection_end(connection);
    }
}

static int32_t start(struct connpool_connection *connection, const struct connpool_wait *wait)
{
    const struct connpool_host *host = host_of(connection);
    struct cp_blocking *blocking = cp_alloc(sizeof(*blocking));

    if (blocking == NULL) {
        return cp_fault_set(&connection->fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "out of memory");
    }
    blocking->connection = connection;
    blocking->wait = *wait;
    cp_fault_init(&blocking->fault);
    connection->blocking = blocking;
    blocking->offload = host->offload_start(host, call, release, blocking, &connection->fault);
    if (blocking->offload == NULL) {
        connection->blocking = NULL;
        cp_free(blocking);
        return cp_fault_set(&connection->fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "no worker");
    }
    return CONNPOOL_STEP_AGAIN;
}

int32_t cp_blocking_step(struct connpool_connection *connection, struct connpool_wait *wait)
{
    const struct connpool_host *host = host_of(connection);
    struct cp_blocking *blocking;
    int32_t result = connection->blocking == NULL ? start(connection, wait) : CONNPOOL_STEP_AGAIN;

    blocking = connection->blocking;
    if (result < 0 || blocking == NULL) {
        return result;
    }
    result = host->offload_step(blocking->offload, wait, &connection->fault);
    if (result == CONNPOOL_STEP_AGAIN) {
        return result;
    }
    if (result == CONNPOOL_STEP_DONE) {
        result = blocking->result;
        connection->fault = blocking->fault;
    }
    connection->blocking = NULL;
    host->offload_stop(blocking->offload);
    if (result == CONNPOOL_STEP_AGAIN) {
        return cp_fault_set(&connection->fault, CONNPOOL_ERROR_MISBEHAVING, 0,
                            "it is marked as blocking and answered 'again'");
    }
    return result;
}

void cp_blocking_abandon(struct connpool_connection *connection)
{
    struct cp_blocking *blocking = connection->blocking;
    struct connpool_offload *offload = blocking->offload;
    const struct connpool_host *host = host_of(connection);

    connection->blocking = NULL;
    atomic_store(&blocking->is_abandoned, true);
    host->offload_stop(offload);
}
