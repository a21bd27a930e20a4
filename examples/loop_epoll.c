/* SPDX-License-Identifier: MIT */
/*
 * loop_epoll: how do I use a pool in an epoll loop of my own? Eight visits to a Redis, all begun at once, share the
 * pool's connections; a timer of the loop ends what takes longer than so many milliseconds:
 *
 *     loop_epoll cache.json 5000
 */
#include <connpool/adapters/epoll.h>
#include <connpool/tcp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define VISITS 8

struct visit {
    int number, is_asking;
    connpool_lease lease;
    char answer[64];
    size_t length;
};

static int loop, limit;
static struct connpool_epoll pools;
static struct visit visits[VISITS];
static int under_way, failed;

static void count_down(int is_good)
{
    failed += !is_good;
    if (--under_way == 0) {
        (void)connpool_epoll_close(&pools); /* in a callback: when that is over */
    }
}

/* Only a connection whose answer was read to its end can serve again. */
static void end_visit(struct visit *visit, int is_good)
{
    struct connpool_lease_info info = {.size = sizeof(info)};

    connpool_lease_info(&visit->lease, &info);
    printf("visit %d: \"%.*s\" over connection %d, use %d\n", visit->number, (int)strcspn(visit->answer, "\r"),
           visit->answer, (int)info.id, (int)info.uses);
    visit->is_asking = 0;
    epoll_ctl(loop, EPOLL_CTL_DEL, connpool_tcp(&visit->lease), NULL); /* before the connection is another's */
    (void)(is_good ? connpool_release(&visit->lease) : connpool_discard(&visit->lease));
    count_down(is_good);
}

static void answer_comes(struct visit *visit)
{
    ssize_t more =
        recv(connpool_tcp(&visit->lease), visit->answer + visit->length, sizeof(visit->answer) - 1 - visit->length, 0);

    visit->length += more > 0 ? (size_t)more : 0;
    if (strchr(visit->answer, '\n') != NULL) {
        end_visit(visit, 1);
    } else if (more == 0 || (more < 0 && errno != EAGAIN)) {
        end_visit(visit, 0);
    }
}

/* The connection is in non-blocking mode: its descriptor is watched by the loop like any other. */
static void acquired(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct visit *visit = argument;
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = visit}};
    int fd;

    if (status != CONNPOOL_OK) {
        fprintf(stderr, "visit %d: %s\n", visit->number, error->text);
        count_down(0);
        return;
    }
    fd = connpool_tcp(lease);
    visit->lease = *lease;
    visit->is_asking = 1;
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
    if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) != 6) {
        end_visit(visit, 0);
    }
}

/* Those that have a connection give it up; those that wait for one are told as the adapter closes. */
static void too_late(void)
{
    for (int i = 0; i < VISITS; i++) {
        if (visits[i].is_asking) {
            end_visit(&visits[i], 0);
        }
    }
    (void)connpool_epoll_close(&pools);
}

static void begin_visits(connpool_endpoint *endpoint)
{
    connpool_error error;

    under_way = VISITS;
    for (int i = 0; i < VISITS; i++) {
        visits[i].number = i + 1;
        if (connpool_acquire_async(pools.reactor, endpoint, CONNPOOL_WAIT_FOREVER, acquired, &visits[i], NULL,
                                   &error) != CONNPOOL_OK) {
            acquired(&visits[i], error.status, NULL, &error);
        }
    }
}

/* Events of a batch may be of what an earlier one of it has ended. */
static void run(void)
{
    struct epoll_event events[16];

    while (pools.reactor != NULL) {
        int count = epoll_wait(loop, events, 16, -1);

        for (int i = 0; i < count; i++) {
            struct visit *visit = events[i].data.ptr;

            if (events[i].data.ptr == &pools) {
                (void)connpool_epoll_dispatch(&pools);
            } else if (events[i].data.ptr == &limit) {
                too_late();
            } else if (visit->is_asking) {
                answer_comes(visit);
            }
        }
    }
}

static void set_limit(int limit_ms)
{
    struct itimerspec time = {.it_value = {.tv_sec = limit_ms / 1000, .tv_nsec = limit_ms % 1000 * 1000000L}};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &limit}};

    limit = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(limit, 0, &time, NULL);
    epoll_ctl(loop, EPOLL_CTL_ADD, limit, &event);
}

int main(int argc, char **argv)
{
    connpool_error error;
    connpool *context = connpool_open(argc > 1 ? argv[1] : "cache.json", &error);
    connpool_endpoint *endpoint;

    loop = epoll_create1(EPOLL_CLOEXEC);
    if (context == NULL ||
        connpool_endpoint_get(connpool_pool_get(context, "cache"), NULL, &endpoint, &error) != CONNPOOL_OK ||
        connpool_epoll_open(&pools, loop, (epoll_data_t){.ptr = &pools}, context, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    set_limit(argc > 2 ? atoi(argv[2]) : 5000);
    begin_visits(endpoint);
    run();
    close(limit);
    close(loop);
    connpool_endpoint_put(endpoint);
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || failed != 0;
}
