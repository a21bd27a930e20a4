/* SPDX-License-Identifier: MIT */
/* The server kit's PostgreSQL: clusters answer, end, come back where they were; a standby follows and takes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "server_folder.h"
#include "server_postgres.h"

static struct server_folder folder;
static struct server_postgres primary, standby;

static int start_servers(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_postgres_start_tls(&primary, &folder, "primary", "max_connections = 20\n");
    server_postgres_start_standby(&standby, &primary, "standby");
    return 0;
}

static int end_servers(void **state)
{
    struct stat status;

    (void)state;
    server_postgres_stop(&standby, SERVER_POSTGRES_IMMEDIATE);
    server_postgres_stop(&primary, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return stat(folder.path, &status) == 0; /* nothing is left */
}

static void settings_hold(void **state)
{
    char value[16];

    (void)state;
    assert_int_equal(server_postgres_number(&primary, "SHOW max_connections"), 20);
    assert_int_equal(server_postgres_number(&primary, "SHOW port"), primary.port);
    server_postgres_run(&primary, "SHOW ssl", value, sizeof(value));
    assert_string_equal(value, "on");
}

static void data_survives_a_restart(void **state)
{
    (void)state;
    server_postgres_run(&primary, "CREATE TABLE kept AS SELECT 7 AS number", NULL, 0);
    server_postgres_restart(&primary, SERVER_POSTGRES_FAST);
    assert_int_equal(server_postgres_number(&primary, "SELECT number FROM kept"), 7);
    server_postgres_restart(&primary, SERVER_POSTGRES_IMMEDIATE);
    assert_int_equal(server_postgres_number(&primary, "SELECT number FROM kept"), 7);
}

static void a_standby_takes_over(void **state)
{
    (void)state;
    assert_int_equal(server_postgres_number(&standby, "SELECT pg_is_in_recovery()::int"), 1);
    server_postgres_stop(&primary, SERVER_POSTGRES_FAST);
    server_postgres_promote(&standby);
    assert_int_equal(server_postgres_number(&standby, "SELECT pg_is_in_recovery()::int"), 0);
    server_postgres_run(&standby, "CREATE TABLE written (number int)", NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_hold),
        cmocka_unit_test(data_survives_a_restart),
        cmocka_unit_test(a_standby_takes_over),
    };

    return cmocka_run_group_tests(tests, start_servers, end_servers);
}
