/* SPDX-License-Identifier: MIT */
/*
 * https_many: how does one thread keep hundreds of HTTPS requests in flight? A reactor lends the connections, plain
 * epoll watches them, each request has its time limit. 5000 requests for /, 300 at a time, each for two seconds at
 * most, to two servers in turn:
 *
 *     https_many https.json 5000 300 2000 / example.org:443 example.net:443
 *
 * Of those in flight as many are with the servers as the configuration allows connections (max_size); the others wait
 * for one.
 */
#include <connpool/adapters/epoll.h>
#include <connpool/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "https_exchange.h"

#define ENDPOINTS_MAXIMUM 16
#define EVENTS            64
#define ATTEMPTS          3

/* One request after the other: waits for a connection, then speaks over it. */
struct fetch {
    TAILQ_ENTRY(fetch) entry; /* of those under way, in the order of their deadlines */
    int64_t deadline;         /* ms */
    connpool_endpoint *endpoint;
    connpool_request request;
    connpool_lease lease;
    struct https_exchange exchange; /* ssl is NULL while it waits for a connection */
    int attempts;
};

static struct {
    int epoll;
    struct connpool_epoll pools;
    connpool_endpoint *endpoints[ENDPOINTS_MAXIMUM];
    size_t endpoint_count;
    const char *path;
    int limit_ms; /* of a request, the wait for a connection included */
    TAILQ_HEAD(, fetch) under_way;
    unsigned long wanted, begun, answered, failed, repeated;
    unsigned long long bytes;
} client = {.under_way = TAILQ_HEAD_INITIALIZER(client.under_way)};

static void begin_next(struct fetch *fetch);

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void end(struct fetch *fetch, bool is_answered)
{
    TAILQ_REMOVE(&client.under_way, fetch, entry);
    if (is_answered) {
        client.answered++;
        client.bytes += fetch->exchange.response.body_size;
    } else {
        client.failed++;
    }
    begin_next(fetch);
}

static void fail(struct fetch *fetch, const char *why)
{
    fprintf(stderr, "%s: %s\n", connpool_endpoint_name(fetch->endpoint), why);
    end(fetch, false);
}

/* The descriptor is the pool's: no event of it is to come any more once the connection is back. */
static void give_back(struct fetch *fetch, bool is_usable)
{
    epoll_ctl(client.epoll, EPOLL_CTL_DEL, SSL_get_fd(fetch->exchange.ssl), NULL);
    fetch->exchange.ssl = NULL;
    if (is_usable) {
        connpool_release(&fetch->lease);
    } else {
        connpool_discard(&fetch->lease);
    }
}

static void acquire(struct fetch *fetch);

/* A server may close an idle connection while a request is on its way: that is made again (RFC 9112, 9.3.1). */
static void lost(struct fetch *fetch)
{
    struct connpool_lease_info info = {.size = sizeof(info)};
    bool is_repeatable;

    connpool_lease_info(&fetch->lease, &info);
    is_repeatable = !info.is_new && fetch->exchange.response.status == 0 && fetch->attempts < ATTEMPTS;
    give_back(fetch, false);
    if (!is_repeatable) {
        fail(fetch, "the connection was lost, or speaks no HTTP");
        return;
    }
    client.repeated++;
    acquire(fetch);
}

static void proceed(struct fetch *fetch)
{
    enum http_response_progress progress = https_exchange_step(&fetch->exchange);

    if (progress == HTTP_RESPONSE_BROKEN) {
        lost(fetch);
    } else if (progress == HTTP_RESPONSE_WHOLE) {
        give_back(fetch, fetch->exchange.response.is_persistent);
        if (fetch->exchange.response.status == 200) {
            end(fetch, true);
        } else {
            fail(fetch, "another status than 200");
        }
    }
}

/* ---- Beginning ---- */

static void acquired(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct fetch *fetch = argument;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = fetch};

    if (status != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error->text);
        end(fetch, false);
        return;
    }
    fetch->lease = *lease;
    /* The socket is writable: the first event comes at once. */
    if (!https_exchange_begin(&fetch->exchange, connpool_tls(lease), connpool_endpoint_name(fetch->endpoint),
                              client.path) ||
        epoll_ctl(client.epoll, EPOLL_CTL_ADD, SSL_get_fd(fetch->exchange.ssl), &event) != 0) {
        give_back(fetch, true);
        fail(fetch, "the path is too long, or too much is watched");
    }
}

static void acquire(struct fetch *fetch)
{
    connpool_error error;

    fetch->attempts++;
    if (connpool_acquire_async(client.pools.reactor, fetch->endpoint, CONNPOOL_WAIT_DEFAULT, acquired, fetch,
                               &fetch->request, &error) != CONNPOOL_OK) {
        client.wanted = client.begun; /* none is accepted any more */
        fprintf(stderr, "%s\n", error.text);
        end(fetch, false);
    }
}

static void begin_next(struct fetch *fetch)
{
    if (client.begun == client.wanted) {
        return;
    }
    fetch->endpoint = client.endpoints[client.begun++ % client.endpoint_count];
    fetch->attempts = 0;
    fetch->deadline = now_ms() + client.limit_ms;
    TAILQ_INSERT_TAIL(&client.under_way, fetch, entry);
    acquire(fetch);
}

/* ---- The loop ---- */

/* Ends what is late. Returns the milliseconds until the next can be. */
static int end_late_ones(void)
{
    struct fetch *fetch;
    int64_t left = 0;

    while ((fetch = TAILQ_FIRST(&client.under_way)) != NULL && (left = fetch->deadline - now_ms()) <= 0) {
        if (fetch->exchange.ssl != NULL) {
            give_back(fetch, false);
        } else {
            connpool_request_cancel(&fetch->request);
        }
        fail(fetch, "no answer in time");
    }
    return (int)left;
}

static void run(void)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int left_ms = end_late_ones(), count;

        if (TAILQ_EMPTY(&client.under_way)) {
            return;
        }
        count = epoll_wait(client.epoll, events, EVENTS, left_ms);
        for (int i = 0; i < count; i++) {
            struct fetch *fetch = events[i].data.ptr;

            if (fetch == NULL) {
                connpool_epoll_dispatch(&client.pools);
            } else if (fetch->exchange.ssl != NULL) { /* else the event is of a connection that it had before */
                proceed(fetch);
            }
        }
    }
}

static bool open_client(connpool *context, char **names, size_t count)
{
    connpool_pool *pool = connpool_pool_get(context, "web");
    connpool_error error;

    client.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (connpool_epoll_open(&client.pools, client.epoll, (epoll_data_t){.ptr = NULL}, context, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return false;
    }
    for (; client.endpoint_count < count; client.endpoint_count++) {
        if (connpool_endpoint_get(pool, names[client.endpoint_count], &client.endpoints[client.endpoint_count],
                                  &error) != CONNPOOL_OK) {
            fprintf(stderr, "%s\n", error.text);
            return false;
        }
    }
    return true;
}

static void close_client(void)
{
    connpool_epoll_close(&client.pools);
    while (client.endpoint_count > 0) {
        connpool_endpoint_put(client.endpoints[--client.endpoint_count]);
    }
    close(client.epoll);
}

static void print_figures(const connpool_pool *pool, int64_t ms)
{
    struct connpool_statistics statistics = {.size = sizeof(statistics)};

    connpool_pool_statistics(pool, &statistics);
    printf("%lu answered, %lu failed, %lu repeated; %llu bytes in %lld ms; %llu connections opened\n", client.answered,
           client.failed, client.repeated, client.bytes, (long long)ms, (unsigned long long)statistics.opened);
}

int main(int argc, char **argv)
{
    connpool_error error;
    connpool *context;
    struct fetch *fetches;
    size_t in_flight;
    int64_t begun;

    if (argc < 7 || argc > 6 + ENDPOINTS_MAXIMUM) {
        fprintf(stderr, "usage: https_many CONFIGURATION REQUESTS IN_FLIGHT LIMIT_MS PATH HOST:PORT...\n");
        return 2;
    }
    client.wanted = strtoul(argv[2], NULL, 10);
    in_flight = strtoul(argv[3], NULL, 10);
    client.limit_ms = (int)strtol(argv[4], NULL, 10);
    client.path = argv[5];
    context = connpool_open(argv[1], &error);
    fetches = calloc(in_flight, sizeof(*fetches));
    if (context == NULL || fetches == NULL) {
        fprintf(stderr, "%s\n", context == NULL ? error.text : "no memory");
        return 1;
    }
    begun = now_ms();
    if (open_client(context, argv + 6, (size_t)argc - 6)) {
        for (size_t i = 0; i < in_flight; i++) {
            begin_next(&fetches[i]);
        }
        run();
        print_figures(connpool_pool_get(context, "web"), now_ms() - begun);
    }
    close_client();
    free(fetches);
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || client.answered != client.wanted;
}
