/* SPDX-License-Identifier: MIT */
/*
 * loop_libev: how do I use a pool in a libev loop? Eight visits to a Redis, all begun at once, share the pool's
 * connections; a timer of the loop ends what takes longer than so many milliseconds:
 *
 *     loop_libev cache.json 5000
 */
#include <connpool/adapters/libev.h>
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
    ev_io io; /* watches the connection while an answer is awaited */
    char answer[64];
    size_t length;
};

static struct ev_loop *loop;
static struct connpool_libev pools;
static ev_timer limit;
static struct visit visits[VISITS];
static int under_way, failed;

/* What keeps the loop running ends with the last visit. */
static void count_down(int is_good)
{
    failed += !is_good;
    if (--under_way == 0) {
        ev_timer_stop(loop, &limit);
        connpool_libev_close(&pools, NULL);
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
    ev_io_stop(loop, &visit->io); /* before the connection is another's */
    (void)(is_good ? connpool_release(&visit->lease) : connpool_discard(&visit->lease));
    count_down(is_good);
}

static void answer_comes(struct ev_loop *its_loop, ev_io *io, int events)
{
    struct visit *visit = io->data;
    ssize_t more =
        recv(connpool_tcp(&visit->lease), visit->answer + visit->length, sizeof(visit->answer) - 1 - visit->length, 0);

    (void)its_loop;
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
    ev_io_init(&visit->io, answer_comes, fd, EV_READ);
    visit->io.data = visit;
    ev_io_start(loop, &visit->io);
    if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) != 6) {
        end_visit(visit, 0);
    }
}

/* Those that have a connection give it up; those that wait for one are told as the adapter closes. */
static void too_late(struct ev_loop *its_loop, ev_timer *timer, int events)
{
    (void)its_loop;
    (void)timer;
    (void)events;
    for (int i = 0; i < VISITS; i++) {
        if (visits[i].is_asking) {
            end_visit(&visits[i], 0);
        }
    }
    connpool_libev_close(&pools, NULL);
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

    loop = ev_default_loop(0);
    if (context == NULL ||
        connpool_endpoint_get(connpool_pool_get(context, "cache"), NULL, &endpoint, &error) != CONNPOOL_OK ||
        connpool_libev_open(&pools, loop, context, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    ev_timer_init(&limit, too_late, argc > 2 ? atoi(argv[2]) / 1000.0 : 5, 0);
    ev_timer_start(loop, &limit);
    begin_visits(endpoint);
    ev_run(loop, 0); /* until none of its watchers is active */
    ev_loop_destroy(loop);
    connpool_endpoint_put(endpoint);
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || failed != 0;
}
