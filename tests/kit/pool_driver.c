/* SPDX-License-Identifier: MIT */
/* pool_driver: see pool_driver.h. */
#include "pool_driver.h"

#include <connpool/async.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pool/pool.h"
#include "pool/reactor.h"

struct outcome {
    bool is_told;
    connpool_status status;
    connpool_lease lease;
    connpool_error error;
};

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct outcome *outcome = argument;

    outcome->is_told = true;
    outcome->status = status;
    outcome->lease = *lease;
    if (error != NULL) {
        outcome->error = *error;
    }
}

/* An event loop that has nothing else to do. */
static void run(connpool_reactor *reactor, const struct outcome *outcome)
{
    while (!outcome->is_told) {
        cp_loop_wait(reactor->loop, 0);
        (void)connpool_reactor_dispatch(reactor);
    }
}

static connpool_status acquire_in(connpool_reactor *reactor, connpool_endpoint *const *endpoints, size_t count,
                                  int timeout_ms, struct outcome *outcome)
{
    connpool_status status =
        connpool_acquire_any_async(reactor, endpoints, count, timeout_ms, tell, outcome, NULL, &outcome->error);

    if (status == CONNPOOL_OK) {
        run(reactor, outcome);
        status = outcome->status;
    }
    return status;
}

static connpool_status acquire_by_reactor(connpool_endpoint *const *endpoints, size_t count, int timeout_ms,
                                          connpool_lease *lease, connpool_error *error)
{
    struct outcome outcome = {.is_told = false};
    connpool_reactor *reactor = connpool_reactor_new(endpoints[0]->pool->context, &outcome.error);
    connpool_status status =
        reactor == NULL ? outcome.error.status : acquire_in(reactor, endpoints, count, timeout_ms, &outcome);

    (void)connpool_reactor_close(reactor);
    if (status == CONNPOOL_OK) {
        *lease = outcome.lease;
    } else if (error != NULL) {
        *error = outcome.error;
    }
    return status;
}

static bool is_for_reactor(const connpool_pool *pool)
{
    static _Atomic unsigned turns;
    const char *driver = getenv("CONNPOOL_TEST_DRIVER");

    if (pool == NULL || driver == NULL || cp_reactor_is_dispatching()) {
        return false;
    }
    return strcmp(driver, "reactor") == 0 || (strcmp(driver, "mixed") == 0 && atomic_fetch_add(&turns, 1) % 3 != 0);
}

connpool_status pool_driver_acquire_any(connpool_endpoint *const *endpoints, size_t count, int timeout_ms,
                                        connpool_lease *lease, connpool_error *error)
{
    if (count == 0 || endpoints[0] == NULL || !is_for_reactor(endpoints[0]->pool)) {
        return connpool_acquire_any(endpoints, count, timeout_ms, lease, error);
    }
    return acquire_by_reactor(endpoints, count, timeout_ms, lease, error);
}

connpool_status pool_driver_acquire(connpool_pool *pool, const char *endpoint, int timeout_ms, connpool_lease *lease,
                                    connpool_error *error)
{
    connpool_endpoint *handle;
    connpool_error why;
    connpool_status status;

    if (!is_for_reactor(pool)) {
        return connpool_acquire(pool, endpoint, timeout_ms, lease, error);
    }
    status = connpool_endpoint_get(pool, endpoint, &handle, error != NULL ? error : &why);
    if (status == CONNPOOL_OK) {
        status = acquire_by_reactor(&handle, 1, timeout_ms, lease, error);
        connpool_endpoint_put(handle);
    }
    return status;
}
