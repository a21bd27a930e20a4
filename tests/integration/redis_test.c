/* SPDX-License-Identifier: MIT */
/* Commands to a real Redis over pooled TCP and Unix-socket connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/tcp.h>
#include <connpool/unix.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "server_folder.h"
#include "server_redis.h"

static struct server_folder folder;
static struct server_redis redis;

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_redis_start(&redis, &folder);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_redis_kill(&redis);
    server_folder_fini(&folder);
    return 0;
}

static connpool *open_tcp(void)
{
    return harness_open("{\"pools\": {\"cache\": {\"manager\": \"tcp\","
                        " \"endpoints\": {\"main\": {\"host\": \"127.0.0.1\", \"port\": %u}}}}}",
                        redis.port);
}

static connpool *open_unix(void)
{
    return harness_open("{\"pools\": {\"cache\": {\"manager\": \"unix\", \"background_collector\": true,"
                        " \"endpoints\": {\"main\": {\"path\": \"%s\"}}}}}",
                        redis.path);
}

static void expect(int fd, const char *command, const char *answer)
{
    char found[64];

    assert_int_equal(server_redis_command(fd, command, found, sizeof(found)), 0);
    assert_string_equal(found, answer);
}

/* The same work over either kind of socket; `descriptor` is the kind's typed header. */
static void work_over(connpool *context, int (*descriptor)(const connpool_lease *lease))
{
    static const char *const exchanges[][2] = {{"PING", "PONG"}, {"SET word hello", "OK"}, {"GET word", "hello"}};
    connpool_pool *pool = harness_pool(context);

    for (size_t i = 0; i < 3; i++) {
        connpool_lease lease = harness_acquire(pool, "main");
        struct connpool_lease_info info = harness_info(&lease);

        expect(descriptor(&lease), exchanges[i][0], exchanges[i][1]);
        assert_int_equal(info.id, 1);
        assert_int_equal(info.uses, i + 1);
        assert_int_equal(info.is_new, i == 0);
        assert_string_equal(info.endpoint, "main");
        harness_release(&lease);
    }
    harness_close(context);
}

static void commands_over_tcp(void **state)
{
    (void)state;
    work_over(open_tcp(), connpool_tcp);
}

static void commands_over_a_unix_socket(void **state)
{
    (void)state;
    work_over(open_unix(), connpool_unix);
}

static void the_path_given_at_run_time(void **state)
{
    connpool *context = harness_open("{\"pools\": {\"cache\": {\"manager\": \"unix\"}}}");
    connpool_lease lease = harness_acquire(harness_pool(context), redis.path);

    (void)state;
    expect(connpool_unix(&lease), "PING", "PONG");
    assert_int_equal(connpool_tcp(&lease), -1);
    harness_release(&lease);
    harness_close(context);
}

static unsigned data_freed;

static void free_data(void *data)
{
    data_freed++;
    free(data);
}

/* Redis names its clients: the connection that a lease gives is the one that its user data was left with. */
static void user_data_stays_with_its_connection(void **state)
{
    connpool *context = open_tcp();
    connpool_pool *pool = harness_pool(context);
    connpool_lease leases[2];
    char found[64];

    (void)state;
    data_freed = 0;
    for (size_t i = 0; i < 2; i++) {
        leases[i] = harness_acquire(pool, "main");
        assert_null(connpool_lease_data(&leases[i]));
        assert_int_equal(server_redis_command(connpool_tcp(&leases[i]), "CLIENT ID", found, sizeof(found)), 0);
        assert_int_equal(connpool_lease_set_data(&leases[i], strdup(found), free_data), CONNPOOL_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        harness_release(&leases[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        leases[i] = harness_acquire(pool, "main");
        assert_non_null(connpool_lease_data(&leases[i]));
        expect(connpool_tcp(&leases[i]), "CLIENT ID", connpool_lease_data(&leases[i]));
    }
    assert_int_equal(data_freed, 0);
    harness_discard(&leases[0]);
    assert_int_equal(data_freed, 1);
    harness_release(&leases[1]);
    harness_close(context);
    assert_int_equal(data_freed, 2);
}

static void a_scoped_lease_is_released_at_the_end_of_its_block(void **state)
{
    connpool *context = open_tcp();
    connpool_pool *pool = harness_pool(context);

    (void)state;
    {
        CONNPOOL_SCOPED connpool_lease lease = harness_acquire(pool, "main");

        expect(connpool_tcp(&lease), "PING", "PONG");
        assert_int_equal(harness_statistics(pool).leased, 1);
    }
    assert_int_equal(harness_statistics(pool).leased, 0);
    assert_int_equal(harness_statistics(pool).idle_base, 1);
    harness_close(context);
}

/* A10, A21, A22, over both kinds of socket. */
static void restart_over(connpool *context, int (*descriptor)(const connpool_lease *lease))
{
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "main");

    expect(descriptor(&lease), "PING", "PONG");
    harness_release(&lease);
    server_redis_restart(&redis);
    lease = harness_acquire(pool, "main");
    assert_int_equal(harness_info(&lease).is_new, 1);
    expect(descriptor(&lease), "PING", "PONG");
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    harness_close(context);
}

static void a_restart_over_tcp(void **state)
{
    (void)state;
    restart_over(open_tcp(), connpool_tcp);
}

static void a_restart_over_a_unix_socket(void **state)
{
    (void)state;
    restart_over(open_unix(), connpool_unix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_over_tcp),
        cmocka_unit_test(commands_over_a_unix_socket),
        cmocka_unit_test(the_path_given_at_run_time),
        cmocka_unit_test(user_data_stays_with_its_connection),
        cmocka_unit_test(a_scoped_lease_is_released_at_the_end_of_its_block),
        cmocka_unit_test(a_restart_over_tcp),
        cmocka_unit_test(a_restart_over_a_unix_socket),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
