/* SPDX-License-Identifier: MIT */
/*
 * acquire_release: what it costs to acquire an idle connection and to release it, beside two pairs of lock and unlock
 * of a mutex, and beside a pool of forty lines. All in one process, in rounds that take turns, so that what else the
 * machine does hits all alike; the figures are medians of the rounds.
 */
#include <connpool/connpool.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "null_manager.h"
#include "race.h"
#include "simple_pool.h"

enum { ROUNDS = 21, ROUND_MS = 30, FAIR_ROUNDS = 5, FAIR_ROUND_MS = 400, MOST_CONTESTANTS = 4 };

/* The targets: one thread against the mutex, any number of threads where nobody waits against the simple pool. */
static const double most_mutex_ratio = 2.5;
static const double most_simple_ratio = 2.0;

/* ---- The contestants ---- */

struct pools {
    struct null_pool null;
    pthread_mutex_t mutex;
    struct simple_pool *simple;
};

static void by_handle(void *argument, long times)
{
    const struct pools *pools = argument;
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        if (connpool_endpoint_acquire(pools->null.endpoint, CONNPOOL_WAIT_FOREVER, &lease, NULL) != CONNPOOL_OK) {
            abort();
        }
        measure_release(&lease);
    }
}

static void by_text(connpool_pool *pool, const char *name, long times)
{
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        if (connpool_acquire(pool, name, CONNPOOL_WAIT_FOREVER, &lease, NULL) != CONNPOOL_OK) {
            abort();
        }
        measure_release(&lease);
    }
}

static void by_name(void *argument, long times)
{
    const struct pools *pools = argument;

    by_text(pools->null.pool, "only", times);
}

static void by_null(void *argument, long times)
{
    const struct pools *pools = argument;

    by_text(pools->null.pool, NULL, times);
}

static void mutex_pairs(void *argument, long times)
{
    struct pools *pools = argument;

    for (long i = 0; i < times; i++) {
        (void)pthread_mutex_lock(&pools->mutex);
        (void)pthread_mutex_unlock(&pools->mutex);
        (void)pthread_mutex_lock(&pools->mutex);
        (void)pthread_mutex_unlock(&pools->mutex);
    }
}

static void simple(void *argument, long times)
{
    const struct pools *pools = argument;

    for (long i = 0; i < times; i++) {
        simple_pool_release(pools->simple, simple_pool_acquire(pools->simple));
    }
}

/* ---- Setting up ---- */

static void pools_init(struct pools *pools, int connections)
{
    connpool_lease leases[RACE_THREADS];

    null_pool_open(&pools->null, connections);
    null_pool_take(&pools->null, leases, connections);
    null_pool_give(leases, connections);
    (void)pthread_mutex_init(&pools->mutex, NULL);
    pools->simple = simple_pool_new(connections);
    if (pools->simple == NULL) {
        abort();
    }
}

static void pools_fini(struct pools *pools)
{
    simple_pool_free(pools->simple);
    (void)pthread_mutex_destroy(&pools->mutex);
    null_pool_close(&pools->null);
}

/* ---- The races ---- */

/* Rounds in which the contestants take turns; the medians go to results. */
static void compete(struct pools *pools, int threads, int rounds, int milliseconds, race_work_fn *const *contestants,
                    int count, struct race *results)
{
    static double ns[MOST_CONTESTANTS][ROUNDS];
    static double fairness[MOST_CONTESTANTS][ROUNDS];

    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            struct race race = race_run(threads, milliseconds, contestants[i], pools);

            ns[i][round] = race.ns_per_operation;
            fairness[i][round] = race.fairness;
        }
    }
    for (int i = 0; i < count; i++) {
        results[i].ns_per_operation = race_median(ns[i], rounds);
        results[i].fairness = race_median(fairness[i], rounds);
    }
}

static const char *verdict(double ratio, double most)
{
    return ratio <= most ? "yes" : "NO";
}

static void race_idle(int threads)
{
    static race_work_fn *const contestants[] = {by_handle, mutex_pairs, simple};
    struct pools pools;
    struct race results[3];
    double mutex_ratio;
    double simple_ratio;

    pools_init(&pools, threads);
    compete(&pools, threads, ROUNDS, ROUND_MS, contestants, 3, results);
    pools_fini(&pools);
    mutex_ratio = results[0].ns_per_operation / results[1].ns_per_operation;
    simple_ratio = results[0].ns_per_operation / results[2].ns_per_operation;
    (void)printf("%7d %10.1f %13.1f %13.1f %8.2f %8.2f   ", threads, results[0].ns_per_operation,
                 results[1].ns_per_operation, results[2].ns_per_operation, mutex_ratio, simple_ratio);
    if (threads == 1) {
        (void)printf("a/b at most %.1f: %s; ", most_mutex_ratio, verdict(mutex_ratio, most_mutex_ratio));
    }
    (void)printf("a/c at most %.1f: %s\n", most_simple_ratio, verdict(simple_ratio, most_simple_ratio));
}

static void race_names(void)
{
    static race_work_fn *const contestants[] = {by_handle, by_name, by_null};
    static const char *const names[] = {"from the endpoint's handle", "by the endpoint's name", "with NULL for a name"};
    struct pools pools;
    struct race results[3];

    pools_init(&pools, 1);
    compete(&pools, 1, ROUNDS, ROUND_MS, contestants, 3, results);
    pools_fini(&pools);
    for (int i = 0; i < 3; i++) {
        (void)printf("  %-28s %8.1f ns\n", names[i], results[i].ns_per_operation);
    }
}

static void race_waiting(int threads, int connections)
{
    static race_work_fn *const contestants[] = {by_handle, simple};
    struct pools pools;
    struct race results[2];

    pools_init(&pools, connections);
    compete(&pools, threads, FAIR_ROUNDS, FAIR_ROUND_MS, contestants, 2, results);
    pools_fini(&pools);
    (void)printf("  connpool    %8.1f ns/op, fairness %.3f\n", results[0].ns_per_operation, results[0].fairness);
    (void)printf("  simple pool %8.1f ns/op, fairness %.3f, connpool ÷ simple pool %.2f\n", results[1].ns_per_operation,
                 results[1].fairness, results[0].ns_per_operation / results[1].ns_per_operation);
}

int main(void)
{
    static const int threads[] = {1, 2, 8, 32};

    (void)printf("acquire + release of an idle connection that is nothing; max_size is the number of threads\n"
                 "ns/op: elapsed time / operations of all threads; medians of %d rounds of %d ms in turns\n\n",
                 ROUNDS, ROUND_MS);
    (void)printf("%7s %10s %13s %13s %8s %8s   %s\n", "threads", "a connpool", "b two mutexes", "c simple pool", "a/b",
                 "a/c", "target met");
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        race_idle(threads[i]);
    }
    (void)printf("\none thread, the ways to name an endpoint\n");
    race_names();
    (void)printf("\n32 threads on 4 connections; fairness: fewest / most operations of a thread; %d rounds of %d ms\n",
                 FAIR_ROUNDS, FAIR_ROUND_MS);
    race_waiting(32, 4);
    return 0;
}
