/* SPDX-License-Identifier: MIT */
/* stepped_acquire: see stepped_acquire.h. */
#include "stepped_acquire.h"

#include <string.h>

static void wake(struct cp_waker *waker)
{
    ((struct stepped_acquire *)((char *)waker - offsetof(struct stepped_acquire, waker)))->wakes++;
}

static void dispose(struct cp_waker *waker)
{
    (void)waker;
}

static void step(struct stepped_acquire *stepped)
{
    stepped->wakes = 0;
    cp_wait_init(&stepped->wait, virtual_clock_now(&stepped->fixture->clock), 0, 0);
    stepped->is_done =
        stepped->acquire.operation.step(&stepped->acquire.operation, &stepped->wait) == CONNPOOL_STEP_DONE;
    if (stepped->is_done) {
        for (size_t i = 0; i < stepped->count; i++) {
            connpool_endpoint_put(stepped->endpoints[i]);
        }
    }
}

void stepped_acquire_start_any(struct stepped_acquire *stepped, struct pool_fixture *fixture,
                               const char *const *endpoints, size_t count, int timeout_ms)
{
    int64_t timeout = timeout_ms == CONNPOOL_WAIT_FOREVER ? CP_NEVER : MILLISECONDS(timeout_ms);

    assert_true(count <= STEPPED_ACQUIRE_ENDPOINTS);
    memset(stepped, 0, sizeof(*stepped));
    stepped->fixture = fixture;
    stepped->count = count;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(connpool_endpoint_get(fixture->pool, endpoints[i], &stepped->endpoints[i], NULL), CONNPOOL_OK);
    }
    cp_acquire_init(&stepped->acquire, stepped->endpoints, count, stepped->places, timeout);
    cp_waker_init(&stepped->waker, wake, dispose);
    stepped->acquire.operation.waker = &stepped->waker;
    step(stepped);
}

void stepped_acquire_start(struct stepped_acquire *stepped, struct pool_fixture *fixture, const char *endpoint,
                           int timeout_ms)
{
    stepped_acquire_start_any(stepped, fixture, &endpoint, 1, timeout_ms);
}

static bool is_due(const struct stepped_acquire *stepped)
{
    int64_t now = virtual_clock_now(&stepped->fixture->clock);

    return !stepped->is_done && (stepped->wakes != 0 || (stepped->wait.at != 0 && stepped->wait.at <= now));
}

static bool run_once(struct stepped_acquire *stepped, size_t count)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (is_due(&stepped[i])) {
            step(&stepped[i]);
            any = true;
        }
    }
    return any;
}

void stepped_acquire_run(struct stepped_acquire *stepped, size_t count)
{
    while (run_once(stepped, count)) {
    }
}

void stepped_acquire_run_after(struct stepped_acquire *stepped, size_t count, int64_t nanoseconds)
{
    virtual_clock_advance(&stepped->fixture->clock, nanoseconds);
    stepped_acquire_run(stepped, count);
}

void stepped_acquire_assert(const struct stepped_acquire *stepped, connpool_status status)
{
    assert_true(stepped->is_done);
    if (stepped->acquire.status != status) {
        fail_msg("%s, expected %s: %s", connpool_status_text(stepped->acquire.status), connpool_status_text(status),
                 stepped->acquire.status == CONNPOOL_OK ? "" : stepped->acquire.error.text);
    }
}

void stepped_acquire_give(struct stepped_acquire *stepped, uint32_t number)
{
    stepped_acquire_assert(stepped, CONNPOOL_OK);
    assert_int_equal(lease_number(&stepped->acquire.lease), number);
    pool_give(&stepped->acquire.lease);
}
