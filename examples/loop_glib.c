/* SPDX-License-Identifier: MIT */
/*
 * loop_glib: how do I use a pool in a GLib main loop? Eight visits to a Redis, all begun at once, share the pool's
 * connections; a timer of the loop ends what takes longer than so many milliseconds:
 *
 *     loop_glib cache.json 5000
 */
#include <connpool/adapters/glib.h>
#include <connpool/tcp.h>
#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define VISITS 8

struct visit {
    int number, is_asking;
    connpool_lease lease;
    guint source; /* watches the connection while an answer is awaited */
    char answer[64];
    size_t length;
};

static GMainLoop *loop;
static struct connpool_glib *pools;
static guint limit;
static struct visit visits[VISITS];
static int under_way, failed;

static void pools_closed(struct connpool_glib *adapter)
{
    (void)adapter;
    g_main_loop_quit(loop);
}

static void count_down(int is_good)
{
    failed += !is_good;
    if (--under_way == 0) {
        g_source_remove(limit);
        connpool_glib_close(pools, pools_closed);
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
    g_source_remove(visit->source); /* before the connection is another's */
    (void)(is_good ? connpool_release(&visit->lease) : connpool_discard(&visit->lease));
    count_down(is_good);
}

static gboolean answer_comes(gint fd, GIOCondition events, gpointer argument)
{
    struct visit *visit = argument;
    ssize_t more = recv(fd, visit->answer + visit->length, sizeof(visit->answer) - 1 - visit->length, 0);

    (void)events;
    visit->length += more > 0 ? (size_t)more : 0;
    if (strchr(visit->answer, '\n') != NULL) {
        end_visit(visit, 1);
    } else if (more == 0 || (more < 0 && errno != EAGAIN)) {
        end_visit(visit, 0);
    }
    return G_SOURCE_CONTINUE;
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
    visit->source = g_unix_fd_add(fd, G_IO_IN, answer_comes, visit);
    if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) != 6) {
        end_visit(visit, 0);
    }
}

/* Those that have a connection give it up; those that wait for one are told as the adapter closes. */
static gboolean too_late(gpointer argument)
{
    (void)argument;
    for (int i = 0; i < VISITS; i++) {
        if (visits[i].is_asking) {
            end_visit(&visits[i], 0);
        }
    }
    connpool_glib_close(pools, pools_closed);
    return G_SOURCE_CONTINUE; /* until count_down removes it */
}

static void begin_visits(connpool_endpoint *endpoint)
{
    connpool_error error;

    under_way = VISITS;
    for (int i = 0; i < VISITS; i++) {
        visits[i].number = i + 1;
        if (connpool_acquire_async(pools->reactor, endpoint, CONNPOOL_WAIT_FOREVER, acquired, &visits[i], NULL,
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

    if (context == NULL ||
        connpool_endpoint_get(connpool_pool_get(context, "cache"), NULL, &endpoint, &error) != CONNPOOL_OK ||
        (pools = connpool_glib_open(NULL, context, &error)) == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    loop = g_main_loop_new(NULL, FALSE);
    limit = g_timeout_add(argc > 2 ? (guint)atoi(argv[2]) : 5000, too_late, NULL);
    begin_visits(endpoint);
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
    connpool_endpoint_put(endpoint);
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || failed != 0;
}
