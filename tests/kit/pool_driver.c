/* SPDX-License-Identifier: MIT */
/* pool_driver: see pool_driver.h. */
#include "pool_driver.h"

#include <connpool/async.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "reactor.h"

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

static connpool_status acquire_in(connpool_reactor *reactor, connpool_endpoint *endpoint, int timeout_ms,
                                  struct outcome *outcome)
{
    connpool_status status =
        connpool_acquire_async(reactor, endpoint, timeout_ms, tell, outcome, NULL, &outcome->error);

    if (status == CONNPOOL_OK) {
        run(reactor, outcome);
        status = outcome->status;
    }
    return status;
}

static connpool_status acquire_by_reactor(connpool_pool *pool, const char *name, int timeout_ms,
                                          struct outcome *outcome)
{
    connpool_endpoint *endpoint;
    connpool_reactor *reactor;
    connpool_status status = connpool_endpoint_get(pool, name, &endpoint, &outcome->error);

    if (status != CONNPOOL_OK) {
        return status;
    }
    reactor = connpool_reactor_new(pool->context, &outcome->error);
    status = reactor == NULL ? outcome->error.status : acquire_in(reactor, endpoint, timeout_ms, outcome);
    (void)connpool_reactor_close(reactor);
    connpool_endpoint_put(endpoint);
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

connpool_status pool_driver_acquire(connpool_pool *pool, const char *endpoint, int timeout_ms, connpool_lease *lease,
                                    connpool_error *error)
{
    struct outcome outcome = {.is_told = false};
    connpool_status status;

    if (!is_for_reactor(pool)) {
        return connpool_acquire(pool, endpoint, timeout_ms, lease, error);
    }
    status = acquire_by_reactor(pool, endpoint, timeout_ms, &outcome);
    if (status == CONNPOOL_OK) {
        *lease = outcome.lease;
    } else if (error != NULL) {
        *error = outcome.error;
    }
    return status;
}
