/* SPDX-License-Identifier: MIT */
/* virtual_clock: see virtual_clock.h. */
#include "virtual_clock.h"

#include <sched.h>
#include <string.h>

static int64_t now(void *argument, uint32_t which)
{
    struct virtual_clock *clock = argument;
    int64_t time = atomic_load(&clock->now);

    if (which > CONNPOOL_CLOCK_BOOT) {
        return time;
    }
    atomic_fetch_add(&clock->reads[which], 1);
    if (which == CONNPOOL_CLOCK_PRECISE) {
        atomic_fetch_add(&clock->now, atomic_load(&clock->step));
    }
    if (which == CONNPOOL_CLOCK_BOOT) {
        return time + atomic_load(&clock->boot_lead);
    }
    return which == CONNPOOL_CLOCK_COARSE ? time - atomic_load(&clock->coarse_lag) : time;
}

static bool move_to(struct virtual_clock *clock, int64_t time)
{
    int64_t before = atomic_load(&clock->now);

    while (before < time) {
        if (atomic_compare_exchange_weak(&clock->now, &before, time)) {
            return true;
        }
    }
    return false;
}

static void sleeping(void *argument, int64_t until)
{
    struct virtual_clock *clock = argument;
    virtual_clock_sleep_fn *function;

    atomic_fetch_add(&clock->sleeps, 1);
    if (!pthread_equal(pthread_self(), clock->owner)) {
        atomic_store(&clock->until, until);
        return;
    }
    function = clock->on_sleep;
    if (function != NULL) {
        clock->on_sleep = NULL;
        function(clock->on_sleep_argument, until);
        return;
    }
    if (!atomic_load(&clock->is_manual) && until != 0 && until != INT64_MAX && move_to(clock, until) &&
        clock->context != NULL) {
        connpool_clock_moved(clock->context);
    }
}

void virtual_clock_init(struct virtual_clock *clock)
{
    memset(clock, 0, sizeof(*clock));
    atomic_store(&clock->now, SECONDS(1000));
    clock->owner = pthread_self();
}

struct connpool_clock virtual_clock_table(struct virtual_clock *clock)
{
    return (struct connpool_clock){
        .size = sizeof(struct connpool_clock), .argument = clock, .now = now, .sleeping = sleeping};
}

void virtual_clock_advance(struct virtual_clock *clock, int64_t nanoseconds)
{
    atomic_fetch_add(&clock->now, nanoseconds);
    if (clock->context != NULL) {
        connpool_clock_moved(clock->context);
    }
}

int64_t virtual_clock_now(const struct virtual_clock *clock)
{
    return atomic_load(&clock->now);
}

void virtual_clock_settle(struct virtual_clock *clock)
{
    /* It may have been about to sleep when it was called first. */
    for (int i = 0; i < 2; i++) {
        uint64_t sleeps = atomic_load(&clock->sleeps);

        connpool_clock_moved(clock->context);
        while (atomic_load(&clock->sleeps) == sleeps) {
            (void)sched_yield();
        }
    }
}

void virtual_clock_on_sleep(struct virtual_clock *clock, virtual_clock_sleep_fn *function, void *argument)
{
    clock->on_sleep_argument = argument;
    clock->on_sleep = function;
}
