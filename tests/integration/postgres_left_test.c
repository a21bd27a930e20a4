/* SPDX-License-Identifier: MIT */
/* What libpq would let pass, wait for or leave behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certificates.h"
#include "postgres_harness.h"
#include "server_listener.h"

#define FILL_SIZE 4096

static struct server_folder folder;
static struct server_postgres server;

static int start_server(void **state)
{
    (void)state;
    postgres_harness_init();
    server_folder_init(&folder);
    server_postgres_start_tls(&server, &folder, "pg", NULL);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_postgres_stop(&server, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

static connpool *open_with_tls(const char *options)
{
    char all[512];

    (void)snprintf(all, sizeof(all), "'sslmode': 'verify-full', 'sslrootcert': '%s',%s", server.authority, options);
    return postgres_harness_open(&server, "", all);
}

/* A17: a list that can be read is heeded; revoked: the server's certificate is in it. */
static void expect_of_list(bool revoked, connpool_status status)
{
    struct server_folder files;
    struct certificates certificates = {.folder = &files};
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    char path[SERVER_PATH_SIZE];
    char options[128];
    connpool *context;

    assert_true(snprintf(files.path, sizeof(files.path), "%s", server.path) < (int)sizeof(files.path));
    certificates_revoke(&certificates, "ca", revoked ? "server" : NULL);
    certificates_path(&certificates, "ca", "crl", path);
    (void)snprintf(options, sizeof(options), "'sslcrl': '%s',", path);
    context = open_with_tls(options);
    if (status == CONNPOOL_OK) {
        lease = harness_acquire(harness_pool(context), "main");
        harness_release(&lease);
    } else {
        (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_TRUST, "");
    }
    harness_close(context);
}

static void a_revocation_list_is_heeded(void **state)
{
    static const char *const names[][2] = {{"ca.crt", "ca.pem"}, {"data/server.crt", "server.pem"}};
    char path[SERVER_PATH_SIZE + 16];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", server.path, names[i][1]);
        assert_int_equal(symlink(names[i][0], path), 0);
    }
    expect_of_list(false, CONNPOOL_OK);
    expect_of_list(true, CONNPOOL_FAILED);
}

/* S7: libpq takes a list that it cannot read to its end for none, and goes on without. */
static void a_broken_revocation_list_is_not_passed_over(void **state)
{
    char path[SERVER_PATH_SIZE];
    char options[128];
    connpool *context;

    (void)state;
    server_folder_write(&folder, "broken.crl", "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n");
    server_folder_path(&folder, "broken.crl", path);
    (void)snprintf(options, sizeof(options), "'sslcrl': '%s',", path);
    context = open_with_tls(options);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_CONFIGURATION, "");
    harness_close(context);
}

/* B17: it is not the file that is wrong, and later it can be opened. */
static void a_lack_of_descriptors_is_no_mistake_of_the_configuration(void **state)
{
    connpool *context = open_with_tls("");
    connpool_lease lease;
    struct rlimit usual, none;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_RESOURCE_LOCAL, "");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    lease = harness_acquire(harness_pool(context), "main");
    harness_release(&lease);
    harness_close(context);
}

static void a_key_is_no_engine(void **state)
{
    (void)state;
    postgres_harness_refused("found a path with ':'",
                             "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app', 'sslmode': 'require',"
                             "'sslcert': '/tmp/none', 'sslkey': '/tmp/engine:key'},"
                             "'endpoints': {'main': {'host': 'localhost'}}}}}");
}

/* S5 */
static void openssls_errors_are_not_left_to_the_application(void **state)
{
    connpool *context = open_with_tls("");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");
    char path[SERVER_PATH_SIZE];
    char options[192];

    (void)state;
    assert_int_equal(ERR_peek_error(), 0);
    harness_release(&lease);
    harness_close(context);
    server_folder_write(&folder, "broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    server_folder_path(&folder, "broken.pem", path);
    (void)snprintf(options, sizeof(options), "'sslmode': 'verify-full', 'sslrootcert': '%s',", path);
    context = postgres_harness_open(&server, "", options);
    (void)harness_acquire_fails(harness_pool(context), "main", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(ERR_peek_error(), 0);
    harness_close(context);
}

/* D47: the rest of a COPY is in libpq, and the server reads nothing any more. */
static void a_close_does_not_wait_for_the_rest_of_a_copy(void **state)
{
    static const char bytes[FILL_SIZE] = "";
    connpool *context = postgres_harness_open(&server, "'max_uses': 1,", "");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");
    PGconn *pg = connpool_postgres(&lease);
    int process = postgres_harness_process(&lease);
    PGresult *result;

    (void)state;
    (void)postgres_harness_ask(&lease, "CREATE TEMP TABLE t (a text)");
    result = PQexec(pg, "COPY t FROM STDIN");
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    assert_int_equal(PQputCopyData(pg, "x\n", 2), 1);
    assert_int_equal(kill(process, SIGSTOP), 0);
    while (send(PQsocket(pg), bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    harness_release(&lease);
    assert_int_equal(kill(process, SIGCONT), 0);
    harness_close(context);
}

/* ---- A server that the test plays */

struct rogue {
    struct server_listener listener;
    pthread_t thread;
    size_t first; /* bytes of the requests that come alone */
    char heard[512];
    size_t heard_length;
};

static void await_acknowledged(int fd)
{
    int left = 1;

    while (left > 0 && ioctl(fd, SIOCOUTQ, &left) == 0) {
        (void)sched_yield();
    }
}

/* libpq 15 goes on behind the salt, whatever length the request for an MD5 said: there another one begins. */
static void *ask_within_a_request(void *argument)
{
    static const char requests[] = "R\0\0\0\25\0\0\0\5salt"
                                   "R\0\0\0\10\0\0\0\3";
    struct rogue *rogue = argument;
    int fd = server_listener_accept(&rogue->listener);
    char bytes[256];
    ssize_t length;

    assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
    (void)send(fd, requests, rogue->first, MSG_NOSIGNAL);
    await_acknowledged(fd);
    (void)send(fd, requests + rogue->first, sizeof(requests) - 1 - rogue->first, MSG_NOSIGNAL);
    while ((length = recv(fd, rogue->heard + rogue->heard_length, sizeof(rogue->heard) - rogue->heard_length, 0)) > 0) {
        rogue->heard_length += (size_t)length;
    }
    (void)close(fd);
    return NULL;
}

static void expect_no_password(size_t first)
{
    struct rogue rogue = {.first = first};
    connpool *context;

    server_listener_open(&rogue.listener, "127.0.0.1", 0, 8);
    assert_int_equal(pthread_create(&rogue.thread, NULL, ask_within_a_request, &rogue), 0);
    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints':"
                                         " {'main': {'host': '127.0.0.1', 'port': %u, 'user': 'app',"
                                         " 'sslmode': 'disable', 'password': {'env': '%s'}}}}}}",
                                         rogue.listener.port, POSTGRES_HARNESS_SECRET);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_TRUST, "");
    harness_close(context);
    assert_int_equal(pthread_join(rogue.thread, NULL), 0);
    assert_null(memmem(rogue.heard, rogue.heard_length, SERVER_POSTGRES_PASSWORD, strlen(SERVER_POSTGRES_PASSWORD)));
    server_listener_close(&rogue.listener);
}

/* A31: at once, and cut within each of the two. */
static void a_request_within_a_request_is_seen(void **state)
{
    static const size_t firsts[] = {0, 3, 9, 13, 17, 21};

    (void)state;
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        expect_no_password(firsts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revocation_list_is_heeded),
        cmocka_unit_test(a_broken_revocation_list_is_not_passed_over),
        cmocka_unit_test(a_lack_of_descriptors_is_no_mistake_of_the_configuration),
        cmocka_unit_test(a_key_is_no_engine),
        cmocka_unit_test(openssls_errors_are_not_left_to_the_application),
        cmocka_unit_test(a_close_does_not_wait_for_the_rest_of_a_copy),
        cmocka_unit_test(a_request_within_a_request_is_seen),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
