/* SPDX-License-Identifier: MIT */
/* The example in Python does what it shows, on a real server; and what it has for others to import holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "example_runner.h"
#include "server_folder.h"
#include "server_redis.h"

static struct server_folder folder;
static struct server_redis redis;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(setenv("PYTHONPATH", CONNPOOL_TEST_BINARY_FOLDER "/examples", 1), 0);
    assert_int_equal(setenv("PYTHONDONTWRITEBYTECODE", "1", 1), 0);
    server_folder_init(&folder);
    example_runner_init(&folder);
    server_redis_start(&redis, &folder);
    server_folder_write(&folder, "pool.json",
                        "{\"pools\": {\"web\": {\"manager\": \"tcp\", \"max_size\": %u, \"max_waiters\": 200}}}", 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_redis_kill(&redis);
    server_folder_fini(&folder);
    return 0;
}

static void the_program(void **state)
{
    (void)state;
    example_runner_run(&folder, 1,
                       "100 visits over 10 connections\n"
                       "10 leased, the waiting task was cancelled: True\n"
                       "visit 101 over connection *\n",
                       "asyncio_pool.py pool.json web %s", redis.endpoint);
    example_runner_run(&folder, 0, "pool 'web', endpoint '127.0.0.1:1', open: *refused*\n",
                       "asyncio_pool.py pool.json web 127.0.0.1:1");
    example_runner_run(&folder, 0, "*nosuch.json*", "asyncio_pool.py nosuch.json web %s", redis.endpoint);
}

/* asyncio_pool_test.py stands in for a user's program. */
static void what_it_has_to_import(void **state)
{
    (void)state;
    server_folder_write(&folder, "one.json", "{\"pools\": {\"web\": {\"manager\": \"tcp\", \"max_size\": %u}}}", 1);
    example_runner_run(&folder, 1, "", "../tests/examples/asyncio_pool_test.py %s", redis.endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_program), cmocka_unit_test(what_it_has_to_import)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
