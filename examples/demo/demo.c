/* SPDX-License-Identifier: MIT */
/*
 * demo: what a pool does for a program, on real servers. `./dev demo` starts the servers and runs it as
 *
 *     demo CONFIGURATION KILL-COMMAND START-COMMAND
 *
 * where the two commands end and start the web server.
 */
#include <connpool/connpool.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "chart.h"
#include "requests.h"

#define THREADS         8
#define REQUESTS        1000 /* of each thread to each server */
#define REPEATS         100  /* requests in the second part */
#define SAMPLES         300
#define SAMPLING        500000000 /* ns, after which it is left at the samples there are */
#define PHASE           10        /* ticks that the server is up, down, and up again */
#define PATIENCE        100       /* more ticks for a server that is slow to come back */
#define TICK            100000000 /* ns */
#define PAUSE           2000000   /* ns, after a refusal */
#define ACQUIRE_TIMEOUT 2000      /* ms */

/* One endpoint, and how to talk to its server. */
struct service {
    const char *name, *pool, *endpoint;
    requests_fn *request;
    connpool_endpoint *handle;
};

static struct service services[] = {
    {"web", "web", "nginx", requests_http, NULL},         {"cache", "cache", "redis", requests_redis, NULL},
    {"https", "secure", "nginx", requests_https, NULL},   {"master", "db", "master", requests_sql, NULL},
    {"replica-1", "db", "replica-1", requests_sql, NULL}, {"ssh", "machines", "local", requests_ssh, NULL},
};

#define SERVICES (sizeof(services) / sizeof(services[0]))
#define PLAIN    2 /* of them are plain sockets, and have a part of their own */

static struct service *const web = &services[0], *const cache = &services[1];

/* What the threads of the fourth part tell. */
static atomic_ulong answered, refused, cut;
static atomic_bool is_over;

static int64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void pause_for(int64_t nanoseconds)
{
    const struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};

    (void)nanosleep(&time, NULL);
}

/* All that working with a pool takes: acquire, use, release, or discard what is broken. False: the error of the
 * acquire, or no text where the request was cut off. */
static bool ask(const struct service *service, char answer[REQUESTS_ANSWER_SIZE], connpool_error *error)
{
    connpool_lease lease;

    if (connpool_endpoint_acquire(service->handle, ACQUIRE_TIMEOUT, &lease, error) != CONNPOOL_OK) {
        return false;
    }
    if (service->request(&lease, answer) != 0) {
        (void)connpool_discard(&lease);
        error->text[0] = '\0';
        return false;
    }
    (void)connpool_release(&lease);
    return true;
}

static struct connpool_statistics statistics_of(const struct service *service)
{
    struct connpool_statistics statistics = {.size = sizeof(statistics)};

    connpool_endpoint_statistics(service->handle, &statistics);
    return statistics;
}

/* ---- 1: many threads, few connections ---- */

static void *work(void *argument)
{
    char answer[REQUESTS_ANSWER_SIZE];
    connpool_error error;

    (void)argument;
    for (int i = 0; i < REQUESTS; i++) {
        (void)ask(web, answer, &error);
        (void)ask(cache, answer, &error);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), pthread_t threads[THREADS])
{
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run, NULL) != 0) {
            (void)fputs("demo: no thread can be started\n", stderr);
            exit(EXIT_FAILURE);
        }
    }
}

static void join_threads(pthread_t threads[THREADS])
{
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

/* What an endpoint opened and reused, as bars. */
static void show_uses(const struct service *service)
{
    struct connpool_statistics statistics = statistics_of(service);

    chart_count(service->name, "opened", statistics.opened, statistics.acquired, 0);
    chart_count("", "reused", statistics.reused, statistics.acquired, 1);
}

static void show_sharing(void)
{
    pthread_t threads[THREADS];
    int64_t start = now();

    chart_heading(1, "8 threads, 16000 requests, at most 4 connections to each server");
    run_threads(work, threads);
    join_threads(threads);
    show_uses(web);
    show_uses(cache);
    chart_note("done in %.2f seconds", (double)(now() - start) / 1e9);
}

/* ---- 2: connections that cost more ---- */

static void fail(const struct service *service, const char *text)
{
    (void)fprintf(stderr, "demo: %s: %s\n", service->name, text[0] != '\0' ? text : "cut off");
    exit(EXIT_FAILURE);
}

static void show_others(void)
{
    char answers[SERVICES][REQUESTS_ANSWER_SIZE];
    connpool_error error;

    chart_heading(2, "A page over TLS, queries on a master and its standby, a command over ssh");
    for (size_t i = PLAIN; i < SERVICES; i++) {
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            if (!ask(&services[i], answers[i], &error)) {
                fail(&services[i], error.text);
            }
        }
        show_uses(&services[i]);
    }
    for (size_t i = PLAIN; i < SERVICES; i++) {
        chart_note("%s: %s", services[i].name, answers[i]);
    }
}

/* ---- 3: what a new connection costs, and a pooled one ---- */

static int compare(const void *one, const void *other)
{
    const int64_t *left = one, *right = other;

    return (*left > *right) - (*left < *right);
}

/* The median time until a connection is there; drained: where none is idle, so that each acquire has to connect. */
static int64_t time_acquire(const struct service *service, bool drained)
{
    int64_t times[SAMPLES], begin = now(), start = begin;
    connpool_lease lease;
    connpool_error error;
    size_t count = 0;

    for (; count < SAMPLES && start - begin < SAMPLING; count++) {
        if (drained) {
            connpool_endpoint_drain(service->handle);
        }
        start = now();
        if (connpool_endpoint_acquire(service->handle, ACQUIRE_TIMEOUT, &lease, &error) != CONNPOOL_OK) {
            fail(service, error.text);
        }
        times[count] = now() - start;
        (void)connpool_release(&lease);
    }
    qsort(times, count, sizeof(times[0]), compare);
    return times[count / 2];
}

static void show_times(void)
{
    chart_heading(3, "The time until a connection is there: a new one, a pooled one");
    for (size_t i = 0; i < SERVICES; i++) {
        int64_t opened = time_acquire(&services[i], true);

        chart_time(services[i].name, "connect", opened, opened, 0);
        chart_time("", "reuse", time_acquire(&services[i], false), opened, 1);
    }
    chart_note("medians, each pair on a scale of its own; over a network, connecting takes far longer");
}

/* ---- 4: a server dies and comes back ---- */

static char refusal[sizeof(((connpool_error *)NULL)->text)]; /* written by the first thread that is refused */
static atomic_llong first_answer;                            /* when, after `answered` was set to 0; 0: none yet */

static void *keep_asking(void *argument)
{
    char answer[REQUESTS_ANSWER_SIZE];
    connpool_error error;

    (void)argument;
    while (!atomic_load(&is_over)) {
        if (ask(web, answer, &error)) {
            long long none = 0;

            (void)atomic_compare_exchange_strong(&first_answer, &none, now());
            atomic_fetch_add(&answered, 1);
            continue;
        }
        if (error.text[0] == '\0') {
            atomic_fetch_add(&cut, 1);
        } else if (atomic_fetch_add(&refused, 1) == 0) {
            (void)snprintf(refusal, sizeof(refusal), "%s", error.text);
        }
        pause_for(PAUSE);
    }
    return NULL;
}

static void show_tick(unsigned long *most)
{
    unsigned long count;

    atomic_store(&answered, 0);
    pause_for(TICK);
    count = atomic_load(&answered);
    *most = count > *most ? count : *most;
    chart_tick(count, *most);
}

static void show_ticks(int count, unsigned long *most)
{
    for (int i = 0; i < count; i++) {
        show_tick(most);
    }
}

static void order(const char *command)
{
    if (system(command) != 0) {
        (void)fprintf(stderr, "demo: this failed: %s\n", command);
        exit(EXIT_FAILURE);
    }
}

static void show_recovery(const char *kill_command, const char *start_command)
{
    pthread_t threads[THREADS];
    unsigned long most = 0;
    int64_t started;

    chart_heading(4, "nginx is killed, and started again: requests in each tenth of a second");
    printf("    ");
    run_threads(keep_asking, threads);
    show_ticks(PHASE, &most);
    order(kill_command);
    show_ticks(PHASE, &most);
    atomic_store(&first_answer, 0);
    started = now();
    order(start_command);
    show_ticks(PHASE, &most);
    for (int i = 0; i < PATIENCE && atomic_load(&first_answer) == 0; i++) {
        show_tick(&most);
    }
    atomic_store(&is_over, true);
    join_threads(threads);
    printf("\n    up        killed    up again\n");
    chart_note("a full bar is %lu requests", most);
    chart_note("%lu requests were cut off in the middle; then %lu acquires failed, each at once and with its cause: %s",
               atomic_load(&cut), atomic_load(&refused), refusal);
    chart_note("first answer %.1f ms after the start command was given",
               (double)(atomic_load(&first_answer) - started) / 1e6);
}

/* ---- 5: what the pools counted ---- */

static void show_statistics(void)
{
    chart_heading(5, "What the pools counted");
    printf("    %-10s%9s%9s%9s%9s%9s%9s%9s\n", "", "acquired", "reused", "opened", "waited", "failed", "lost", "idle");
    for (size_t i = 0; i < SERVICES; i++) {
        struct connpool_statistics s = statistics_of(&services[i]);
        uint64_t lost = s.ended[CONNPOOL_REASON_DEAD] + s.ended[CONNPOOL_REASON_DISCARDED];

        const uint64_t counts[] = {
            s.acquired, s.reused, s.opened, s.waited, s.failed, lost, s.idle_base + s.idle_extra};

        printf("    %-10s", services[i].name);
        for (size_t column = 0; column < sizeof(counts) / sizeof(counts[0]); column++) {
            printf("%9" PRIu64, counts[column]);
        }
        printf("\n");
    }
    chart_note("waited: acquires that stood in line; lost: connections that broke");
}

static void get_handles(connpool *context)
{
    for (size_t i = 0; i < SERVICES; i++) {
        connpool_pool *pool = connpool_pool_get(context, services[i].pool);
        connpool_error error = {.text = "no such pool"};

        if (pool == NULL ||
            connpool_endpoint_get(pool, services[i].endpoint, &services[i].handle, &error) != CONNPOOL_OK) {
            fail(&services[i], error.text);
        }
    }
}

/* Everything is closed, or somebody still has a lease. */
static int close_all(connpool *context)
{
    size_t leased;

    for (size_t i = 0; i < SERVICES; i++) {
        connpool_endpoint_put(services[i].handle);
    }
    if (connpool_close(context, ACQUIRE_TIMEOUT, &leased) != CONNPOOL_OK) {
        (void)fprintf(stderr, "demo: %zu leases are still out\n", leased);
        return EXIT_FAILURE;
    }
    chart_note("closed, no connection is left");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    /* The plugins of a build tree, whoever it belongs to. A program that is installed opens with connpool_open. */
    struct connpool_options options = {.size = sizeof(options), .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER};
    connpool_error error;
    connpool *context;

    if (argc != 4) {
        (void)fputs("usage: demo CONFIGURATION KILL-COMMAND START-COMMAND (./dev demo does it all)\n", stderr);
        return 2;
    }
    chart_init();
    options.path = argv[1];
    context = connpool_open_with(&options, &error);
    if (context == NULL) {
        (void)fprintf(stderr, "demo: %s\n", error.text);
        return EXIT_FAILURE;
    }
    get_handles(context);
    show_sharing();
    show_others();
    show_times();
    show_recovery(argv[2], argv[3]);
    show_statistics();
    return close_all(context);
}
