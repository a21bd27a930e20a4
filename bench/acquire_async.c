/* SPDX-License-Identifier: MIT */
/*
 * acquire_async: what it costs to acquire an idle connection and to release it, blocking and through a reactor, side by
 * side: one request for each dispatch; the same with the poll(2) that an event loop makes before; and many requests for
 * each dispatch, as in a loop that is busy. The connections are nothing.
 */
#include <connpool/async.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "null_manager.h"
#include "race.h"

enum { ROUNDS = 201, OPERATIONS = 6400, WARMUP = 640, AT_ONCE = 64 };

struct contestants {
    struct null_pool null;
    connpool_reactor *reactor;
    int served;
};

static void blocking(void *argument, long times)
{
    const struct contestants *contestants = argument;
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        if (connpool_endpoint_acquire(contestants->null.endpoint, CONNPOOL_WAIT_FOREVER, &lease, NULL) != CONNPOOL_OK) {
            abort();
        }
        measure_release(&lease);
    }
}

static void serve(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct contestants *contestants = argument;
    connpool_lease mine = *lease;

    measure_expect(status, "acquire", error);
    measure_release(&mine);
    contestants->served++;
}

/* Submit, and dispatch until all are served. */
static void ask(struct contestants *contestants, int count, bool has_poll)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(contestants->reactor), .events = POLLIN};

    contestants->served = 0;
    for (int i = 0; i < count; i++) {
        if (connpool_acquire_async(contestants->reactor, contestants->null.endpoint, CONNPOOL_WAIT_FOREVER, serve,
                                   contestants, NULL, NULL) != CONNPOOL_OK) {
            abort();
        }
    }
    while (contestants->served < count) {
        if ((has_poll && poll(&polled, 1, -1) < 0) || connpool_reactor_dispatch(contestants->reactor) != CONNPOOL_OK) {
            abort();
        }
    }
}

static void one_by_one(void *argument, long times)
{
    for (long i = 0; i < times; i++) {
        ask(argument, 1, false);
    }
}

static void polled_one_by_one(void *argument, long times)
{
    for (long i = 0; i < times; i++) {
        ask(argument, 1, true);
    }
}

static void many_at_once(void *argument, long times)
{
    for (long i = 0; i < times; i += AT_ONCE) {
        ask(argument, AT_ONCE, true);
    }
}

int main(void)
{
    static race_work_fn *const table[] = {blocking, one_by_one, polled_one_by_one, many_at_once};
    static const char *const names[] = {"blocking", "one request, one dispatch", "the same with poll(2) before",
                                        "64 requests, one dispatch, poll(2)"};
    const struct race_turns race = {
        .rounds = ROUNDS, .times = OPERATIONS, .warmup = WARMUP, .contestants = table, .count = 4};
    struct contestants contestants;
    connpool_lease leases[AT_ONCE];
    struct race_turn turns[4];

    null_pool_open(&contestants.null, AT_ONCE);
    null_pool_take(&contestants.null, leases, AT_ONCE);
    null_pool_give(leases, AT_ONCE);
    contestants.reactor = connpool_reactor_new(contestants.null.context, NULL);
    if (contestants.reactor == NULL) {
        abort();
    }
    race_in_turns(&race, &contestants, turns);
    (void)connpool_reactor_close(contestants.reactor);
    null_pool_close(&contestants.null);
    (void)printf("acquire + release of an idle connection that is nothing, one thread; %d rounds of %d in turns\n\n"
                 "%-36s %10s %10s %10s\n",
                 ROUNDS, OPERATIONS, "", "ns", "least", "ratio");
    for (int i = 0; i < 4; i++) {
        (void)printf("%-36s %10.1f %10.1f %10.2f\n", names[i], turns[i].ns, turns[i].least, turns[i].ratio);
    }
    return 0;
}
