/* SPDX-License-Identifier: MIT */
/*
 * blocking_paths: what each way of a blocking acquire and its release costs, in one process and in turns: a line for
 * each, nanoseconds and their least, then its name. bench/compare runs it with two builds of the library.
 */
#include <connpool/connpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"
#include "race.h"

enum { ROUNDS = 31, OPERATIONS = 2000, WARMUP = 200, WAIT_ROUNDS = 9, WAIT_MS = 20 };

/* ---- A manager with all that a real one has, over a socket pair ---- */

struct connection {
    struct connpool_head head;
    int32_t ends[2];
    int32_t is_open;
};

static int32_t connection_open(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct connection *connection = state;

    (void)wait;
    (void)fault;
    connection->is_open = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, connection->ends) == 0;
    return connection->is_open ? CONNPOOL_STEP_DONE : -CONNPOOL_ERROR_RESOURCE_LOCAL;
}

static int32_t connection_done(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)state;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

static int32_t connection_idle(void *state, struct connpool_wait *wait, struct connpool_fault *fault)
{
    const struct connection *connection = state;

    (void)fault;
    wait->fd = connection->ends[0];
    wait->events = CONNPOOL_EVENT_READ;
    return CONNPOOL_STEP_AGAIN;
}

static void connection_destroy(void *state)
{
    const struct connection *connection = state;

    if (connection->is_open) {
        (void)close(connection->ends[0]);
        (void)close(connection->ends[1]);
    }
}

#define MANAGER                                                                                                        \
    .magic = CONNPOOL_MANAGER_MAGIC, .abi_major = CONNPOOL_ABI_MAJOR, .abi_minor = CONNPOOL_ABI_MINOR,                 \
    .size = sizeof(struct connpool_manager), .version = "1", .summary = "a socket pair",                               \
    .option_stride = sizeof(struct connpool_option), .connection_size = sizeof(struct connection),                     \
    .open = connection_open, .destroy = connection_destroy

static const struct connpool_manager plain = {MANAGER, .name = "plain"};
static const struct connpool_manager watched = {MANAGER,
                                                .name = "watched",
                                                .prepare = connection_done,
                                                .reset = connection_done,
                                                .idle = connection_idle,
                                                .close = connection_done};

static const char configuration[] =
    "{\"pools\": {"
    "\"plain\": {\"manager\": \"plain\", \"endpoints\": {\"only\": {}}},"
    "\"watched\": {\"manager\": \"watched\", \"endpoints\": {\"only\": {}}},"
    "\"collected\": {\"manager\": \"watched\", \"endpoints\": {\"only\": {}}, \"background_collector\": true},"
    "\"narrow\": {\"manager\": \"plain\", \"endpoints\": {\"only\": {}}, \"max_size\": 1},"
    "\"narrow-watched\": {\"manager\": \"watched\", \"endpoints\": {\"only\": {}}, \"max_size\": 1}}}";

/* ---- The ways ---- */

struct pools {
    connpool *context;
    connpool_endpoint *plain, *watched, *collected, *narrow, *narrow_watched;
};

static void take(connpool_endpoint *endpoint, int timeout, long times)
{
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        if (connpool_endpoint_acquire(endpoint, timeout, &lease, NULL) != CONNPOOL_OK) {
            abort();
        }
        measure_release(&lease);
    }
}

static void by_handle(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->plain, CONNPOOL_WAIT_FOREVER, times);
}

static void with_limit(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->plain, 1000, times);
}

static void by_name(void *argument, long times)
{
    const struct pools *pools = argument;
    connpool_pool *pool = connpool_pool_get(pools->context, "plain");
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        if (connpool_acquire(pool, "only", CONNPOOL_WAIT_FOREVER, &lease, NULL) != CONNPOOL_OK) {
            abort();
        }
        measure_release(&lease);
    }
}

static void by_list(void *argument, long times)
{
    const struct pools *pools = argument;
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        if (connpool_acquire_any(&pools->plain, 1, CONNPOOL_WAIT_FOREVER, &lease, NULL) != CONNPOOL_OK) {
            abort();
        }
        measure_release(&lease);
    }
}

static void checked(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->watched, CONNPOOL_WAIT_FOREVER, times);
}

static void checked_with_limit(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->watched, 1000, times);
}

static void checked_at_once(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->watched, 0, times);
}

static void collected(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->collected, CONNPOOL_WAIT_FOREVER, times);
}

static void opened(void *argument, long times)
{
    const struct pools *pools = argument;
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        if (connpool_endpoint_acquire(pools->plain, CONNPOOL_WAIT_FOREVER, &lease, NULL) != CONNPOOL_OK ||
            connpool_discard(&lease) != CONNPOOL_OK) {
            abort();
        }
    }
}

static void waiting(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->narrow, CONNPOOL_WAIT_FOREVER, times);
}

static void waiting_checked(void *argument, long times)
{
    const struct pools *pools = argument;

    take(pools->narrow_watched, CONNPOOL_WAIT_FOREVER, times);
}

/* ---- The races ---- */

static void report(double ns, double least, const char *name)
{
    (void)printf("%10.1f %10.1f  %s\n", ns, least, name);
}

static void race_alone(struct pools *pools)
{
    static race_work_fn *const table[] = {by_handle,          with_limit,      by_name,   by_list, checked,
                                          checked_with_limit, checked_at_once, collected, opened};
    static const char *const names[] = {"idle",
                                        "idle, with a time limit",
                                        "idle, by name",
                                        "idle, of a list",
                                        "idle, checked and reset",
                                        "idle, checked and reset, with a time limit",
                                        "idle, checked and reset, taken at once",
                                        "idle, checked and reset, with the collector",
                                        "opened, and discarded"};
    const struct race_turns race = {
        .rounds = ROUNDS, .times = OPERATIONS, .warmup = WARMUP, .contestants = table, .count = 9};
    struct race_turn turns[9];

    race_in_turns(&race, pools, turns);
    for (int i = 0; i < 9; i++) {
        report(turns[i].ns, turns[i].least, names[i]);
    }
}

static void race_waiting(struct pools *pools, int threads, race_work_fn *work, const char *name)
{
    double ns[WAIT_ROUNDS];
    double median;

    for (int round = 0; round < WAIT_ROUNDS; round++) {
        ns[round] = race_run(threads, WAIT_MS, work, pools).ns_per_operation;
    }
    median = race_median(ns, WAIT_ROUNDS); /* sorts them */
    report(median, ns[0], name);
}

int main(void)
{
    static const struct connpool_manager *const managers[] = {&plain, &watched};
    const struct connpool_options options = {
        .size = sizeof(options), .json = configuration, .managers = managers, .manager_count = 2};
    connpool_error error;
    struct pools pools = {.context = connpool_open_with(&options, &error)};

    measure_expect(pools.context != NULL ? CONNPOOL_OK : error.status, "open", &error);
    pools.plain = measure_endpoint(pools.context, "plain");
    pools.watched = measure_endpoint(pools.context, "watched");
    pools.collected = measure_endpoint(pools.context, "collected");
    pools.narrow = measure_endpoint(pools.context, "narrow");
    pools.narrow_watched = measure_endpoint(pools.context, "narrow-watched");
    (void)printf("%10s %10s  %s\n", "ns", "least", "acquire + release");
    race_alone(&pools);
    race_waiting(&pools, 2, waiting, "2 threads wait for one connection");
    race_waiting(&pools, 8, waiting, "8 threads wait for one connection");
    race_waiting(&pools, 8, waiting_checked, "8 threads wait for one connection, checked and reset");
    connpool_endpoint_put(pools.plain);
    connpool_endpoint_put(pools.watched);
    connpool_endpoint_put(pools.collected);
    connpool_endpoint_put(pools.narrow);
    connpool_endpoint_put(pools.narrow_watched);
    (void)connpool_close(pools.context, CONNPOOL_WAIT_FOREVER, NULL);
    return 0;
}
