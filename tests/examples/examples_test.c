/* SPDX-License-Identifier: MIT */
/* Each example does what it shows, on a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "certificates.h"
#include "example_runner.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_nginx.h"
#include "server_postgres.h"
#include "server_redis.h"
#include "server_sshd.h"
#include "server_tls.h"

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

static void a_manager_of_one_s_own(void **state)
{
    (void)state;
    example_runner_run(&folder, 1,
                       "visit 1: connection 1, use 1\nvisit 2: connection 1, use 2\nvisit 3: connection 1, use 3\n",
                       "custom_manager %s", redis.endpoint);
    example_runner_run(&folder, 0, "pool 'cache', endpoint '127.0.0.1:1', open: *refused*\n",
                       "custom_manager 127.0.0.1:1");
    example_runner_run(&folder, 0, "*port*1 to 65535*", "custom_manager 127.0.0.1:65536");
}

static void what_an_observer_sees(void **state)
{
    (void)state;
    example_runner_run(&folder, 1,
                       "*\nconnpool_opened_total{pool=\"web\"} [12]\n"
                       "connpool_acquired_total{pool=\"web\"} 1000\n"
                       "connpool_reused_total{pool=\"web\"} 99[89]\n"
                       "connpool_dead_total{pool=\"web\"} 0\n"
                       "connpool_timed_out_total{pool=\"web\"} 0\n"
                       "connpool_failed_total{pool=\"web\",class=\"refused\"} 1\n"
                       "connpool_closed_total{pool=\"web\",reason=\"*\"} [12]\n"
                       "*\nconnpool_acquire_seconds_count{pool=\"web\"} 1000\n"
                       "*\nconnpool_lease_seconds_count{pool=\"web\"} 1000\n*",
                       "observer_metrics %s", redis.endpoint);
}

static void pages_over_one_tls_connection(void **state)
{
    struct certificates certificates;
    struct server_nginx nginx;

    (void)state;
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, 60, 1000, "server", NULL);
    server_folder_write(&folder, "https.json",
                        "{\"pools\": {\"web\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"%s\"}}}}", "ca.pem");
    example_runner_run(&folder, 1,
                       "/: HTTP/1.1 200 OK; connection 1, use 1, full handshake\n"
                       "/index.html: HTTP/1.1 200 OK; connection 1, use 2, full handshake\n"
                       "/: HTTP/1.1 200 OK; connection 2, use 1, resumed handshake\n",
                       "https_fetch https.json localhost:%u", nginx.port);
    /* Without the authority it is nobody's certificate. */
    server_folder_write(&folder, "https.json", "{\"pools\": {\"web\": {\"manager\": \"%s\"}}}", "tls");
    example_runner_run(&folder, 0, "pool 'web', endpoint 'localhost:*', open: *certificate*\n",
                       "https_fetch https.json localhost:%u", nginx.port);
    server_nginx_kill(&nginx);
}

/* nginx ends each connection after a hundred requests: it says so, and the connection is not used again. */
static void many_pages_at_once(void **state)
{
    struct certificates certificates;
    struct server_nginx nginx;

    (void)state;
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_nginx_start_tls(&nginx, &folder, 60, 100, "server", NULL);
    server_folder_write(&folder, "many.json",
                        "{\"pools\": {\"web\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"%s\"}}}}", "ca.pem");
    example_runner_run(
        &folder, 1, "2000 answered, 0 failed, 0 repeated; 20000 bytes in * ms; [23][0-9] connections opened\n",
        "https_many many.json 2000 300 30000 /echo/abc localhost:%u 127.0.0.1:%u", nginx.port, nginx.port);
    /* A connection for each that is in flight. */
    server_folder_write(
        &folder, "wide.json",
        "{\"pools\": {\"web\": {\"manager\": \"tls\", \"options\": {\"ca_file\": \"%s\"}, \"max_size\": 150, "
        "\"total_max_size\": 300}}}",
        "ca.pem");
    example_runner_run(
        &folder, 1, "2000 answered, 0 failed, 0 repeated; 20000 bytes in * ms; [123][0-9][0-9] connections opened\n",
        "https_many wide.json 2000 300 30000 /echo/abc localhost:%u 127.0.0.1:%u", nginx.port, nginx.port);
    example_runner_run(&folder, 0, "localhost:*: another status than 200\n0 answered, 1 failed*",
                       "https_many many.json 1 1 30000 /%%%% localhost:%u", nginx.port);
    server_nginx_kill(&nginx);
    example_runner_run(&folder, 0, "pool 'web', endpoint 'localhost:*', open: *refused*\n0 answered, 2 failed*",
                       "https_many many.json 2 1 30000 / localhost:%u", nginx.port);
}

/* Servers that accept and say nothing, or something else. */
static void many_pages_of_bad_servers(void **state)
{
    struct certificates certificates;
    struct server_listener silent;
    struct server_tls echo;

    (void)state;
    certificates_init(&certificates, &folder);
    certificates_issue(&certificates, "server", NULL);
    server_listener_open(&silent, "127.0.0.1", 0, 8);
    example_runner_run(&folder, 0,
                       "127.0.0.1:*: no answer in time\n127.0.0.1:*: no answer in time\n"
                       "127.0.0.1:*: no answer in time\n0 answered, 3 failed*; 0 connections opened\n",
                       "https_many many.json 3 2 20 / %s", silent.endpoint);
    server_listener_close(&silent);
    server_tls_start(&echo, &folder, NULL);
    example_runner_run(&folder, 0,
                       "localhost:*: the connection was lost, or speaks no HTTP\n"
                       "0 answered, 1 failed, 0 repeated; 0 bytes in * ms; 1 connections opened\n",
                       "https_many many.json 1 1 30000 / localhost:%u", echo.port);
    server_tls_stop(&echo);
}

static void a_master_and_its_replicas(void **state)
{
    char path[SERVER_PATH_SIZE];
    struct server_postgres master, replica;

    (void)state;
    server_postgres_start_tls(&master, &folder, "master", NULL);
    server_postgres_start_standby(&replica, &master, "replica");
    server_folder_write(&folder, "password", "%s\n", SERVER_POSTGRES_PASSWORD);
    server_folder_write(
        &folder, "postgres.json",
        "{\"pools\": {\"db\": {\"manager\": \"postgres\", \"options\": {\"dbname\": \"app\", \"user\": \"app\","
        " \"password\": {\"file\": \"password\"}, \"sslrootcert\": \"master/ca.crt\"}, \"endpoints\": {"
        "\"master\": {\"host\": \"localhost\", \"port\": %u, \"target_session_attrs\": \"read-write\"},"
        " \"replica-1\": {\"host\": \"localhost\", \"port\": 1},"
        " \"replica-2\": {\"host\": \"localhost\", \"port\": %u}}}}}",
        master.port, replica.port);
    server_folder_path(&folder, "password", path);
    assert_int_equal(chmod(path, 0600), 0);
    example_runner_run(&folder, 1,
                       "master: transaction [0-9]*; connection 1, use 1\n"
                       "replica-2: a standby; connection [0-9], use 1\n"
                       "master: transaction [0-9]*; connection 1, use 2\n"
                       "replica-2: a standby; connection [0-9], use 2\n",
                       "postgres_replicas postgres.json");
    server_postgres_stop(&master, SERVER_POSTGRES_IMMEDIATE);
    example_runner_run(&folder, 0, "pool 'db', endpoint 'master', open: *refused*\n",
                       "postgres_replicas postgres.json");
    server_postgres_stop(&replica, SERVER_POSTGRES_IMMEDIATE);
}

/* Two that end only if they run at the same time; one whose session is ended under it the first time; one whose is each
 * time; errors, which do the session no harm. */
static void several_queries_at_once(void **state)
{
    struct server_postgres postgres;
    char path[SERVER_PATH_SIZE];

    (void)state;
    server_postgres_start(&postgres, &folder, "async", NULL);
    server_postgres_run(&postgres, "CREATE SEQUENCE once; CREATE SEQUENCE meeting; GRANT ALL ON once, meeting TO app",
                        NULL, 0);
    server_postgres_run(&postgres,
                        "CREATE FUNCTION meet() RETURNS text AS $$ BEGIN PERFORM nextval('meeting');"
                        " WHILE (SELECT last_value FROM meeting) < 2 LOOP PERFORM pg_sleep(0.001); END LOOP;"
                        " RETURN 'met'; END $$ LANGUAGE plpgsql",
                        NULL, 0);
    server_folder_write(&folder, "password", "%s\n", SERVER_POSTGRES_PASSWORD);
    server_folder_path(&folder, "password", path);
    assert_int_equal(chmod(path, 0600), 0);
    server_folder_write(
        &folder, "async.json",
        "{\"pools\": {\"db\": {\"manager\": \"postgres\", \"max_size\": 3, \"options\": {\"dbname\": \"app\","
        " \"user\": \"app\", \"password\": {\"file\": \"password\"}, \"sslmode\": \"disable\"}, \"endpoints\":"
        " {\"master\": {\"host\": \"127.0.0.1\", \"port\": %u}}}}}",
        postgres.port);
    example_runner_run(&folder, 1,
                       "SELECT meet(): met; connection [123], use 1, attempt 1\n"
                       "SELECT meet(): met; connection [123], use 1, attempt 1\n"
                       "SELECT CASE*: ; connection [1-4], use [1-5], attempt 2\n"
                       "SET work_mem = 64: SET; connection [1-4], use [1-5], attempt 1\n"
                       "SELECT repeat*: xxxx*xxxx; connection [1-4], use [1-5], attempt 1\n",
                       "postgres_async async.json master 'SELECT meet()' 'SELECT meet()'"
                       " \"SELECT CASE WHEN nextval('once') = 1 THEN pg_terminate_backend(pg_backend_pid()) END\""
                       " 'SET work_mem = 64' \"SELECT repeat('x', 1000000)\"");
    example_runner_run(&folder, 0,
                       "SELECT 1/0: 22012: ERROR:  division by zero\n*"
                       "COPY (SELECT 1) TO STDOUT: COPY is a conversation*\n"
                       "SELECT pg_terminate*: *terminating connection*\n"
                       "SELECT 2: 2; connection *\n",
                       "postgres_async async.json master 'SELECT 1/0' 'COPY (SELECT 1) TO STDOUT'"
                       " 'SELECT pg_terminate_backend(pg_backend_pid())' 'SELECT 2'");
    server_postgres_stop(&postgres, SERVER_POSTGRES_IMMEDIATE);
    example_runner_run(&folder, 0, "SELECT 1: pool 'db', endpoint 'master', open: *refused*\n",
                       "postgres_async async.json master 'SELECT 1'");
}

static void commands_over_one_ssh_session(void **state)
{
    struct server_sshd sshd;

    (void)state;
    server_sshd_start(&sshd, &folder, "");
    server_folder_write(&folder, "ssh.json",
                        "{\"pools\": {\"machines\": {\"manager\": \"ssh\", \"options\": {\"user\": \"" SERVER_SSHD_USER
                        "\", \"known_hosts\": \"%s\", \"private_key\": \"%s\"}}}}",
                        sshd.known_hosts, sshd.private_key);
    example_runner_run(&folder, 1,
                       "out\necho out: exit status 0; session 1, use 1\n"
                       "err\necho err >&2; exit 3: exit status 3; session 1, use 2\n",
                       "ssh_run ssh.json %s 'echo out' 'echo err >&2; exit 3'", sshd.endpoint);
    server_sshd_kill(&sshd);
    example_runner_run(&folder, 0, "pool 'machines', endpoint '*', open: *refused*\n", "ssh_run ssh.json %s true",
                       sshd.endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manager_of_one_s_own),    cmocka_unit_test(pages_over_one_tls_connection),
        cmocka_unit_test(a_master_and_its_replicas), cmocka_unit_test(commands_over_one_ssh_session),
        cmocka_unit_test(what_an_observer_sees),     cmocka_unit_test(many_pages_at_once),
        cmocka_unit_test(several_queries_at_once),   cmocka_unit_test(many_pages_of_bad_servers),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
