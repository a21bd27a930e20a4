/* SPDX-License-Identifier: MIT */
/*
 * tls_opens: a thousand TLS connections opened at once, full handshakes with an nginx on loopback: by one reactor, and
 * by a thousand threads. Each contestant runs in a process of its own, which the system tells its time of the
 * processor, peak of memory and switches of. The handshakes' arithmetic, on both sides, is most of it.
 */
#include <certificates.h>
#include <connpool/async.h>
#include <poll.h>
#include <pthread.h>
#include <server_folder.h>
#include <server_nginx.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "race.h"

enum { OPENS = 1000, ROUNDS = 5, LONG_SECONDS = 3600, MANY_REQUESTS = 1000000000, DESCRIPTORS = 8192 };

static connpool_lease leases[OPENS];
static connpool_endpoint *endpoint;
static int opened;

/* ---- One reactor ---- */

static void keep(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    (void)argument;
    measure_expect(status, "acquire", error);
    leases[opened++] = *lease;
}

static void open_by_reactor(connpool *context)
{
    connpool_error error;
    connpool_reactor *reactor = connpool_reactor_new(context, &error);
    struct pollfd polled = {.events = POLLIN};

    measure_expect(reactor != NULL ? CONNPOOL_OK : error.status, "reactor", &error);
    polled.fd = connpool_reactor_fd(reactor);
    for (int i = 0; i < OPENS; i++) {
        measure_expect(connpool_acquire_async(reactor, endpoint, CONNPOOL_WAIT_FOREVER, keep, NULL, NULL, &error),
                       "submit", &error);
    }
    while (opened < OPENS) {
        if (poll(&polled, 1, -1) < 0 || connpool_reactor_dispatch(reactor) != CONNPOOL_OK) {
            abort();
        }
    }
    (void)connpool_reactor_close(reactor);
}

/* ---- Threads ---- */

static void *open_one(void *argument)
{
    (void)measure_acquire(endpoint, argument);
    return NULL;
}

static void open_by_threads(connpool *context)
{
    static pthread_t threads[OPENS];

    (void)context;
    for (int i = 0; i < OPENS; i++) {
        if (pthread_create(&threads[i], NULL, open_one, &leases[i]) != 0) {
            (void)fprintf(stderr, "bench: no thread to be had\n");
            exit(1);
        }
    }
    for (int i = 0; i < OPENS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

/* ---- A process for each ---- */

static const struct contestant {
    const char *name;
    void (*open)(connpool *context);
} contestants[] = {{"one reactor", open_by_reactor}, {"1000 threads", open_by_threads}};

/* In the child: its nanoseconds go to the pipe. Its connections end with it. */
static void compete(const struct contestant *contestant, const struct server_nginx *nginx, int pipe)
{
    char json[512];
    connpool *context;
    int64_t span;

    (void)snprintf(json, sizeof(json),
                   "{\"pools\": {\"web\": {\"manager\": \"tls\", \"max_size\": %d, \"total_max_size\": %d,"
                   " \"options\": {\"ca_file\": \"ca.pem\", \"sessions\": 0},"
                   " \"endpoints\": {\"nginx\": {\"host\": \"127.0.0.1\", \"port\": %u}}}}}",
                   OPENS, OPENS, nginx->port);
    context = measure_open(json, nginx->folder->path);
    endpoint = measure_endpoint(context, "web");
    span = race_now();
    contestant->open(context);
    span = race_now() - span;
    _exit(write(pipe, &span, sizeof(span)) == sizeof(span) ? 0 : 1);
}

struct figures {
    double ms[ROUNDS];
    double cpu_ms[ROUNDS];
    double peak_mib[ROUNDS];
    double switches[ROUNDS];
};

static double ms_of(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

static void run(const struct contestant *contestant, const struct server_nginx *nginx, struct figures *figures,
                int round)
{
    struct rusage usage;
    int64_t span = 0;
    int ends[2];
    int status;
    pid_t child;

    if (pipe(ends) != 0 || (child = fork()) < 0) {
        perror("bench");
        exit(1);
    }
    if (child == 0) {
        compete(contestant, nginx, ends[1]);
    }
    (void)close(ends[1]);
    if (read(ends[0], &span, sizeof(span)) != sizeof(span) || wait4(child, &status, 0, &usage) != child ||
        status != 0) {
        (void)fprintf(stderr, "bench: %s: no result\n", contestant->name);
        exit(1);
    }
    (void)close(ends[0]);
    figures->ms[round] = (double)span / 1e6;
    figures->cpu_ms[round] = ms_of(usage.ru_utime) + ms_of(usage.ru_stime);
    figures->peak_mib[round] = (double)usage.ru_maxrss / 1024;
    figures->switches[round] = (double)(usage.ru_nvcsw + usage.ru_nivcsw);
}

/* The server inherits it. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(void)
{
    static struct figures figures[2];
    struct server_folder folder;
    struct certificates certificates;
    struct server_nginx nginx;

    allow_descriptors();
    server_folder_init(&folder);
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, LONG_SECONDS, MANY_REQUESTS, "server", NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            run(&contestants[i], &nginx, &figures[i], round);
        }
    }
    server_nginx_kill(&nginx);
    server_folder_fini(&folder);
    (void)printf("%d TLS connections opened at once to nginx on loopback; medians of %d rounds in turns\n\n"
                 "%-14s %12s %16s %14s %10s\n",
                 OPENS, ROUNDS, "", "elapsed ms", "processor ms", "peak MiB", "switches");
    for (int i = 0; i < 2; i++) {
        (void)printf("%-14s %12.0f %16.0f %14.1f %10.0f\n", contestants[i].name, race_median(figures[i].ms, ROUNDS),
                     race_median(figures[i].cpu_ms, ROUNDS), race_median(figures[i].peak_mib, ROUNDS),
                     race_median(figures[i].switches, ROUNDS));
    }
    return 0;
}
