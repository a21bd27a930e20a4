/* SPDX-License-Identifier: MIT */
/* The examples of the event loops: each does the same, on a real server, on one that says nothing, and on none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "example_runner.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_redis.h"

static const char *const loops[] = {"libuv", "libev", "libevent", "glib", "epoll"};

static struct server_folder folder;
static struct server_redis redis;

static int set_up(void **state)
{
    (void)state;
    server_folder_init(&folder);
    example_runner_init(&folder);
    server_redis_start(&redis, &folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_redis_kill(&redis);
    server_folder_fini(&folder);
    return 0;
}

static void run_all(uint16_t port, int limit_ms, int is_right, const char *pattern)
{
    server_folder_write(&folder, "cache.json",
                        "{\"pools\": {\"cache\": {\"manager\": \"tcp\", \"max_size\": 3,"
                        " \"endpoints\": {\"redis\": {\"host\": \"127.0.0.1\", \"port\": %u}}}}}",
                        port);
    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        example_runner_run(&folder, is_right, pattern, "loop_%s cache.json %d", loops[i], limit_ms);
    }
}

#define ANSWER "visit [1-8]: \"+PONG\" over connection [1-3], use [1-8]\n"

static void visits_share_the_connections(void **state)
{
    (void)state;
    run_all(redis.port, 30000, 1, ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER ANSWER);
}

#define CLOSED "visit [1-8]: pool 'cache': the reactor is closed\n"

/* Those that have a connection by then discard it; stdout, which tells of them, is written as the program ends. */
static void the_timer_of_the_loop_ends_them(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 64);
    run_all(listener.port, 50, 0, CLOSED CLOSED CLOSED CLOSED CLOSED "*");
    server_listener_close(&listener);
}

static void nobody_listens(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open_deaf(&listener);
    run_all(listener.port, 30000, 0,
            "visit [1-8]: pool 'cache', endpoint 'redis', open: *refused*\n*visit [1-8]: *refused*\n");
    server_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visits_share_the_connections),
        cmocka_unit_test(the_timer_of_the_loop_ends_them),
        cmocka_unit_test(nobody_listens),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
