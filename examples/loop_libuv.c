/* SPDX-License-Identifier: MIT */
/*
 * loop_libuv: how do I use a pool in a libuv loop? Eight visits to a Redis, all begun at once, share the pool's
 * connections; a timer of the loop ends what takes longer than so many milliseconds:
 *
 *     loop_libuv cache.json 5000
 */
#include <connpool/adapters/libuv.h>
#include <connpool/tcp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define VISITS 8

struct visit {
    int number, is_asking;
    connpool_lease lease;
    uv_poll_t poll; /* watches the connection while an answer is awaited */
    char answer[64];
    size_t length;
};

static uv_loop_t *loop;
static struct connpool_libuv pools;
static uv_timer_t limit;
static struct visit visits[VISITS];
static int under_way, failed;

/* What keeps the loop running is closed with the last visit. */
static void count_down(int is_good)
{
    failed += !is_good;
    if (--under_way == 0) {
        uv_close((uv_handle_t *)&limit, NULL);
        connpool_libuv_close(&pools, NULL);
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
    uv_close((uv_handle_t *)&visit->poll, NULL); /* before the connection is another's */
    (void)(is_good ? connpool_release(&visit->lease) : connpool_discard(&visit->lease));
    count_down(is_good);
}

static void answer_comes(uv_poll_t *poll, int status, int events)
{
    struct visit *visit = poll->data;
    ssize_t more =
        recv(connpool_tcp(&visit->lease), visit->answer + visit->length, sizeof(visit->answer) - 1 - visit->length, 0);

    (void)status;
    (void)events;
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
    int fd;

    if (status != CONNPOOL_OK) {
        fprintf(stderr, "visit %d: %s\n", visit->number, error->text);
        count_down(0);
        return;
    }
    fd = connpool_tcp(lease);
    visit->lease = *lease;
    visit->is_asking = 1;
    visit->poll.data = visit;
    uv_poll_init(loop, &visit->poll, fd);
    uv_poll_start(&visit->poll, UV_READABLE, answer_comes);
    if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) != 6) {
        end_visit(visit, 0);
    }
}

/* Those that have a connection give it up; those that wait for one are told as the adapter closes. */
static void too_late(uv_timer_t *timer)
{
    (void)timer;
    for (int i = 0; i < VISITS; i++) {
        if (visits[i].is_asking) {
            end_visit(&visits[i], 0);
        }
    }
    connpool_libuv_close(&pools, NULL);
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

int main(int argc, char **argv)
{
    connpool_error error;
    connpool *context = connpool_open(argc > 1 ? argv[1] : "cache.json", &error);
    connpool_endpoint *endpoint;

    loop = uv_default_loop();
    if (context == NULL ||
        connpool_endpoint_get(connpool_pool_get(context, "cache"), NULL, &endpoint, &error) != CONNPOOL_OK ||
        connpool_libuv_open(&pools, loop, context, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    uv_timer_init(loop, &limit);
    uv_timer_start(&limit, too_late, argc > 2 ? (uint64_t)atoi(argv[2]) : 5000, 0);
    begin_visits(endpoint);
    uv_run(loop, UV_RUN_DEFAULT); /* until all its handles are closed */
    uv_loop_close(loop);
    connpool_endpoint_put(endpoint);
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || failed != 0;
}
