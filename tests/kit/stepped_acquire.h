/* SPDX-License-Identifier: MIT */
/*
 * stepped_acquire: an acquire that the test drives by hand, in its own thread: it is stepped when a driver would step
 * it, that is after a wake or when the time it waits for has come, and at no other time. So a test is one interleaving,
 * always the same one, and a wake that is lost shows as an acquire that never ends.
 */
#ifndef KIT_STEPPED_ACQUIRE_H
#define KIT_STEPPED_ACQUIRE_H

#include "pool/acquire.h"
#include "pool_fixture.h"

#define STEPPED_ACQUIRE_ENDPOINTS 4

struct stepped_acquire {
    struct cp_acquire acquire;
    struct cp_place places[STEPPED_ACQUIRE_ENDPOINTS];
    struct pool_fixture *fixture;
    struct connpool_endpoint *endpoints[STEPPED_ACQUIRE_ENDPOINTS]; /* handles until it is done */
    size_t count;
    struct cp_waker waker;
    struct connpool_wait wait; /* what the last step answered */
    unsigned wakes;            /* not answered by a step yet */
    bool is_done;
};

/* Begin to acquire, and make the first step. */
void stepped_acquire_start(struct stepped_acquire *stepped, struct pool_fixture *fixture, const char *endpoint,
                           int timeout_ms);
/* The same from any of so many endpoints. */
void stepped_acquire_start_any(struct stepped_acquire *stepped, struct pool_fixture *fixture,
                               const char *const *endpoints, size_t count, int timeout_ms);
/* Step those of count acquires that were woken or whose time has come, until there is none. The clock stands still. */
void stepped_acquire_run(struct stepped_acquire *stepped, size_t count);
/* Move the clock, then run. */
void stepped_acquire_run_after(struct stepped_acquire *stepped, size_t count, int64_t nanoseconds);
/* It must have ended with this. */
void stepped_acquire_assert(const struct stepped_acquire *stepped, connpool_status status);
/* It must have ended with a connection of this number, which is released. */
void stepped_acquire_give(struct stepped_acquire *stepped, uint32_t number);

#endif
