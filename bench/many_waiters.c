/* SPDX-License-Identifier: MIT */
/*
 * many_waiters: ten thousand waiters over a hundred connections that are nothing: requests of one reactor, and threads.
 * All connections are out while they come to stand in line; then they are given back, and each waiter that is served
 * gives its own back at once. What one of them takes in memory is what the process grew by, and for threads the
 * kernel's stacks (of the whole machine, so a quiet one is wanted).
 */
#include <connpool/async.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "null_manager.h"
#include "race.h"

enum { WAITERS = 10000, CONNECTIONS = 100, ROUNDS = 5, STACK = 65536, KIB = 1024 };

struct line {
    struct null_pool null;
    connpool_reactor *reactor;
    int standing; /* so many came */
    atomic_int served;
    pthread_t threads[WAITERS];
};

struct figures {
    double join_ns[ROUNDS]; /* to come to stand in line */
    double serve_ns[ROUNDS];
    double bytes[ROUNDS];
    double kernel_bytes[ROUNDS];
};

/* ---- What the system says ---- */

/* The number behind a name in a file of "name: number kB" lines, in bytes. */
static double kib_of(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    char text[256];
    long long kib = 0;

    while (file != NULL && fgets(text, sizeof(text), file) != NULL) {
        if (strncmp(text, name, strlen(name)) == 0) {
            kib = strtoll(text + strlen(name), NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return (double)kib * KIB;
}

static double resident(void)
{
    return kib_of("/proc/self/status", "VmRSS:");
}

static double kernel_stacks(void)
{
    return kib_of("/proc/meminfo", "KernelStack:");
}

static unsigned waiters_of(const struct line *line)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    connpool_pool_statistics(line->null.pool, &numbers);
    return (unsigned)numbers.waiters;
}

/* ---- Requests ---- */

static void serve(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct line *line = argument;
    connpool_lease mine = *lease;

    measure_expect(status, "acquire", error);
    measure_release(&mine);
    (void)atomic_fetch_add(&line->served, 1);
}

static void dispatch(const struct line *line)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(line->reactor), .events = POLLIN};

    if (poll(&polled, 1, -1) < 0 || connpool_reactor_dispatch(line->reactor) != CONNPOOL_OK) {
        abort();
    }
}

static void requests_join(struct line *line)
{
    line->reactor = connpool_reactor_new(line->null.context, NULL);
    if (line->reactor == NULL) {
        abort();
    }
    for (line->standing = 0; line->standing < WAITERS; line->standing++) {
        if (connpool_acquire_async(line->reactor, line->null.endpoint, CONNPOOL_WAIT_FOREVER, serve, line, NULL,
                                   NULL) != CONNPOOL_OK) {
            abort();
        }
    }
    while (waiters_of(line) < WAITERS) {
        dispatch(line);
    }
}

static void requests_serve(struct line *line)
{
    while (atomic_load(&line->served) < line->standing) {
        dispatch(line);
    }
}

static void requests_end(struct line *line)
{
    (void)connpool_reactor_close(line->reactor);
}

/* ---- Threads ---- */

static void *wait_and_give(void *argument)
{
    struct line *line = argument;
    connpool_lease lease;

    (void)measure_acquire(line->null.endpoint, &lease);
    measure_release(&lease);
    (void)atomic_fetch_add(&line->served, 1);
    return NULL;
}

/* As many as the machine has. */
static void threads_join(struct line *line)
{
    pthread_attr_t attributes;

    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK);
    for (line->standing = 0; line->standing < WAITERS; line->standing++) {
        if (pthread_create(&line->threads[line->standing], &attributes, wait_and_give, line) != 0) {
            break;
        }
    }
    (void)pthread_attr_destroy(&attributes);
    while (waiters_of(line) < (unsigned)line->standing) {
        (void)usleep(KIB);
    }
}

static void threads_serve(struct line *line)
{
    for (int i = 0; i < line->standing; i++) {
        (void)pthread_join(line->threads[i], NULL);
    }
}

static void threads_end(struct line *line)
{
    (void)line;
}

/* ---- The race ---- */

static const struct contestant {
    const char *name;
    void (*join)(struct line *line);
    void (*serve)(struct line *line);
    void (*end)(struct line *line);
} contestants[] = {
    {"one reactor", requests_join, requests_serve, requests_end},
    {"threads", threads_join, threads_serve, threads_end},
};

static int run(const struct contestant *contestant, struct figures *figures, int round)
{
    static struct line line;
    connpool_lease leases[CONNECTIONS];
    double before;
    double before_kernel;
    int64_t began;

    memset(&line, 0, sizeof(line));
    null_pool_open(&line.null, CONNECTIONS);
    null_pool_take(&line.null, leases, CONNECTIONS);
    (void)malloc_trim(0);
    before = resident();
    before_kernel = kernel_stacks();
    began = race_now();
    contestant->join(&line);
    figures->join_ns[round] = (double)(race_now() - began) / line.standing;
    figures->bytes[round] = (resident() - before) / line.standing;
    figures->kernel_bytes[round] = (kernel_stacks() - before_kernel) / line.standing;
    began = race_now();
    null_pool_give(leases, CONNECTIONS);
    contestant->serve(&line);
    figures->serve_ns[round] = (double)(race_now() - began) / line.standing;
    contestant->end(&line);
    null_pool_close(&line.null);
    return line.standing;
}

int main(void)
{
    static struct figures figures[2];
    int standing[2];

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            standing[i] = run(&contestants[i], &figures[i], round);
        }
    }
    (void)printf("waiters over %d connections that are nothing; medians of %d rounds in turns, each waiter's share\n\n"
                 "%-14s %8s %14s %14s %14s %16s\n",
                 CONNECTIONS, ROUNDS, "", "waiters", "to join ns", "to serve ns", "memory bytes", "kernel stacks");
    for (int i = 0; i < 2; i++) {
        (void)printf("%-14s %8d %14.0f %14.0f %14.0f %16.0f\n", contestants[i].name, standing[i],
                     race_median(figures[i].join_ns, ROUNDS), race_median(figures[i].serve_ns, ROUNDS),
                     race_median(figures[i].bytes, ROUNDS), race_median(figures[i].kernel_bytes, ROUNDS));
    }
    return 0;
}
