/* SPDX-License-Identifier: MIT */
/*
 * observer_metrics: how do I see what a pool does? An observer counts, the pool's own histograms give latencies, and
 * both are printed as a monitoring system reads them (the text format of Prometheus):
 *
 *     observer_metrics example.org:80
 */
#include <connpool/connpool.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define THREADS  4
#define ACQUIRES 250 /* of each thread */

/* ---- What is counted. Called from any thread, without locks: so atomics, and nothing that waits ---- */

struct metrics {
    atomic_ulong opened, acquired, reused, dead, timed_out, failed[CONNPOOL_ERROR_INTERNAL + 1];
    atomic_ulong closed[CONNPOOL_REASON_COUNT];
    atomic_llong slowest; /* acquire, in ns */
};

static void on_opened(void *argument, const struct connpool_event *event)
{
    struct metrics *metrics = argument;

    (void)event;
    atomic_fetch_add(&metrics->opened, 1);
}

static void on_acquired(void *argument, const struct connpool_event *event)
{
    struct metrics *metrics = argument;
    long long slowest = atomic_load(&metrics->slowest);

    atomic_fetch_add(&metrics->acquired, 1);
    atomic_fetch_add(&metrics->reused, !event->is_new);
    while (event->duration > slowest && !atomic_compare_exchange_weak(&metrics->slowest, &slowest, event->duration)) {
    }
}

static void on_dead(void *argument, const struct connpool_event *event)
{
    struct metrics *metrics = argument;

    (void)event;
    atomic_fetch_add(&metrics->dead, 1);
}

static void on_closed(void *argument, const struct connpool_event *event)
{
    struct metrics *metrics = argument;

    atomic_fetch_add(&metrics->closed[event->reason], 1);
}

static void on_timed_out(void *argument, const struct connpool_event *event)
{
    struct metrics *metrics = argument;

    (void)event;
    atomic_fetch_add(&metrics->timed_out, 1);
}

static void on_failed(void *argument, const struct connpool_event *event)
{
    struct metrics *metrics = argument;

    atomic_fetch_add(&metrics->failed[event->error->error_class], 1);
}

static connpool_status observe(connpool_pool *pool, struct metrics *metrics)
{
    const struct connpool_observer observer = {
        .size = sizeof(observer),
        .argument = metrics,
        .opened = on_opened,
        .acquired = on_acquired,
        .dead = on_dead,
        .closed = on_closed,
        .timed_out = on_timed_out,
        .failed = on_failed,
    };

    return connpool_pool_observe(pool, &observer);
}

/* ---- How it is printed ---- */

/* The time that a part of all was shorter than, to within a factor of two: the end of its bucket. */
static double quantile(const struct connpool_histogram *histogram, double part)
{
    uint64_t sum = 0;
    int bucket = 0;

    while (bucket < 47 && (double)(sum += histogram->buckets[bucket]) < part * (double)histogram->count) {
        bucket++;
    }
    return (double)(UINT64_C(2) << bucket) / 1e9;
}

static void print_latency(const char *name, const char *pool, const struct connpool_histogram *histogram)
{
    static const double parts[] = {0.5, 0.9, 0.99};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        printf("%s{pool=\"%s\",quantile=\"%g\"} %.9f\n", name, pool, parts[i], quantile(histogram, parts[i]));
    }
    printf("%s_sum{pool=\"%s\"} %.9f\n", name, pool, (double)histogram->sum / 1e9);
    printf("%s_count{pool=\"%s\"} %" PRIu64 "\n", name, pool, histogram->count);
}

static void print_metrics(connpool_pool *pool, struct metrics *metrics)
{
    struct connpool_histograms histograms = {.size = sizeof(histograms)};
    struct connpool_statistics now = {.size = sizeof(now)};
    const char *name = connpool_pool_name(pool);

    connpool_pool_histograms(pool, &histograms);
    connpool_pool_statistics(pool, &now);
    printf("connpool_leased{pool=\"%s\"} %" PRIu64 "\n", name, now.leased);
    printf("connpool_idle{pool=\"%s\"} %" PRIu64 "\n", name, now.idle_base + now.idle_extra);
    printf("connpool_waiters{pool=\"%s\"} %" PRIu64 "\n", name, now.waiters);
    printf("connpool_opened_total{pool=\"%s\"} %lu\n", name, atomic_load(&metrics->opened));
    printf("connpool_acquired_total{pool=\"%s\"} %lu\n", name, atomic_load(&metrics->acquired));
    printf("connpool_reused_total{pool=\"%s\"} %lu\n", name, atomic_load(&metrics->reused));
    printf("connpool_dead_total{pool=\"%s\"} %lu\n", name, atomic_load(&metrics->dead));
    printf("connpool_timed_out_total{pool=\"%s\"} %lu\n", name, atomic_load(&metrics->timed_out));
    for (int32_t kind = 0; kind <= CONNPOOL_ERROR_INTERNAL; kind++) {
        if (atomic_load(&metrics->failed[kind]) > 0) {
            printf("connpool_failed_total{pool=\"%s\",class=\"%s\"} %lu\n", name, connpool_error_class_text(kind),
                   atomic_load(&metrics->failed[kind]));
        }
    }
    for (int reason = 0; reason < CONNPOOL_REASON_COUNT; reason++) {
        if (atomic_load(&metrics->closed[reason]) > 0) {
            printf("connpool_closed_total{pool=\"%s\",reason=\"%s\"} %lu\n", name,
                   connpool_reason_text((connpool_reason)reason), atomic_load(&metrics->closed[reason]));
        }
    }
    print_latency("connpool_acquire_seconds", name, &histograms.acquire);
    print_latency("connpool_lease_seconds", name, &histograms.lease);
    printf("connpool_acquire_seconds_max{pool=\"%s\"} %.9f\n", name, (double)atomic_load(&metrics->slowest) / 1e9);
}

/* ---- Something to see ---- */

static connpool_pool *pool;
static const char *endpoint;

static void *work(void *argument)
{
    (void)argument;
    for (int i = 0; i < ACQUIRES; i++) {
        connpool_lease lease;

        if (connpool_acquire(pool, endpoint, CONNPOOL_WAIT_DEFAULT, &lease, NULL) == CONNPOOL_OK) {
            connpool_release(&lease);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const char configuration[] =
        "{\"pools\": {\"web\": {\"manager\": \"tcp\", \"max_size\": 2, \"acquire_timeout\": 5.0}}}";
    const struct connpool_options options = {.size = sizeof(options), .json = configuration};
    static struct metrics metrics;
    pthread_t threads[THREADS];
    connpool_lease lease;
    connpool_error error;
    connpool *context = connpool_open_with(&options, &error);

    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    endpoint = argc > 1 ? argv[1] : "example.org:80";
    pool = connpool_pool_get(context, "web");
    if (observe(pool, &metrics) != CONNPOOL_OK) {
        return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, NULL) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    if (connpool_acquire(pool, "127.0.0.1:1", CONNPOOL_WAIT_DEFAULT, &lease, &error) == CONNPOOL_OK) {
        connpool_discard(&lease); /* somebody listens where nobody should */
    }
    connpool_pool_drain(pool);
    print_metrics(pool, &metrics);
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK;
}
