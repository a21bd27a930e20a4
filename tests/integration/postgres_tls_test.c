/* SPDX-License-Identifier: MIT */
/* TLS to a real PostgreSQL: verified by default, and each way in which that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "postgres_harness.h"

static struct server_folder folder;
static struct server_postgres server, plain; /* plain: without TLS, with an authority of its own */

static int start_servers(void **state)
{
    (void)state;
    postgres_harness_init();
    server_folder_init(&folder);
    server_postgres_start_tls(&server, &folder, "tls", NULL);
    server_postgres_start_tls(&plain, &folder, "plain", "ssl = off\n");
    return 0;
}

static int end_servers(void **state)
{
    (void)state;
    server_postgres_stop(&server, SERVER_POSTGRES_IMMEDIATE);
    server_postgres_stop(&plain, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

/* An endpoint "main" of a server at a host, with these options. */
static connpool *open_to(const struct server_postgres *postgres, const char *host, const char *options)
{
    return postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {%s"
                                      "'host': '%s', 'port': %u, 'user': 'app', 'password': {'env': '%s'}}}}}}",
                                      options, host, postgres->port, POSTGRES_HARNESS_SECRET);
}

static void expect_failure(const struct server_postgres *postgres, const char *host, const char *options,
                           int32_t error_class)
{
    connpool *context = open_to(postgres, host, options);

    (void)postgres_harness_acquire_fails(context, error_class, "");
    harness_close(context);
}

static const char *trusting(const struct server_postgres *authority, const char *more)
{
    static char options[512];

    (void)snprintf(options, sizeof(options), "'sslrootcert': '%s',%s", authority->authority, more);
    return options;
}

static void the_right_certificate_is_accepted(void **state)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        connpool *context = open_to(&server, hosts[i], trusting(&server, "'channel_binding': 'require',"));

        for (unsigned uses = 1; uses <= 2; uses++) {
            connpool_lease lease = harness_acquire(harness_pool(context), "main");

            assert_int_equal(PQsslInUse(connpool_postgres(&lease)), 1);
            assert_string_equal(
                postgres_harness_ask(&lease, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t");
            assert_int_equal(harness_info(&lease).uses, uses);
            harness_release(&lease);
        }
        harness_close(context);
    }
}

/* A17. */
static void an_unknown_authority_is_not_trusted(void **state)
{
    (void)state;
    expect_failure(&server, "localhost", trusting(&plain, ""), CONNPOOL_ERROR_TRUST);
    expect_failure(&server, "localhost", trusting(&plain, "'sslmode': 'verify-ca',"), CONNPOOL_ERROR_TRUST);
}

/* A17: the certificate names localhost and its addresses, and no other of this machine. */
static void another_name_is_not_trusted(void **state)
{
    (void)state;
    expect_failure(&server, "127.0.0.2", trusting(&server, ""), CONNPOOL_ERROR_REFUSED); /* nobody listens there */
    server_postgres_run(&server, "ALTER SYSTEM SET listen_addresses = '*'", NULL, 0);
    server_postgres_restart(&server, SERVER_POSTGRES_FAST);
    expect_failure(&server, "127.0.0.2", trusting(&server, ""), CONNPOOL_ERROR_TRUST);
}

/* A32. */
static void a_server_without_tls_is_not_trusted(void **state)
{
    (void)state;
    expect_failure(&plain, "localhost", trusting(&server, ""), CONNPOOL_ERROR_TRUST);
    expect_failure(&plain, "localhost", "'sslmode': 'require',", CONNPOOL_ERROR_TRUST);
}

static void verification_needs_an_authority(void **state)
{
    (void)state;
    postgres_harness_refused("sslrootcert is missing",
                             "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app'},"
                             "'endpoints': {'main': {'host': 'localhost'}}}}}");
    postgres_harness_refused("one of sslcert and sslkey",
                             "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app', 'sslmode': 'disable',"
                             "'sslcert': '/tmp/none'}, 'endpoints': {'main': {'host': 'localhost'}}}}}");
}

/* libpq takes a list of revoked certificates that it cannot read for an empty one, and says of other files that are
 * missing what it says of a server that is not trusted. */
static void files_that_cannot_be_used_are_told(void **state)
{
    char options[256];
    const char *const each[] = {
        "'sslrootcert': '/no/such/file',",
        "'sslcrl': '/no/such/file',",
        "'sslcrldir': '/no/such/folder',",
        "'sslcert': '/no/such/file', 'sslkey': '/no/such/file',",
        options,
    };

    (void)state;
    (void)snprintf(options, sizeof(options), "'sslcrl': '%s',", server.authority); /* a certificate is no such list */
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        expect_failure(&server, "localhost", i == 0 ? each[i] : trusting(&server, each[i]),
                       CONNPOOL_ERROR_CONFIGURATION);
    }
    (void)snprintf(options, sizeof(options), "'sslcert': '%s', 'sslkey': '%s',", server.authority, server.authority);
    expect_failure(&server, "localhost", trusting(&server, options), CONNPOOL_ERROR_CONFIGURATION); /* mode 0644 */
}

/* A13 of this manager: the server asks for a certificate of the client; libpq says it within the login. */
static void a_client_certificate_that_is_missing_is_told(void **state)
{
    char rules[SERVER_PATH_SIZE + 32];
    connpool *context;
    FILE *file;

    (void)state;
    (void)snprintf(rules, sizeof(rules), "%s/data/pg_hba.conf", server.path);
    file = fopen(rules, "we");
    assert_non_null(file);
    assert_true(fputs("local all postgres trust\nhostssl all all all scram-sha-256 clientcert=verify-ca\n", file) > 0);
    assert_int_equal(fclose(file), 0);
    server_postgres_run(&server, "SELECT pg_reload_conf()", NULL, 0);
    server_postgres_restart(&server, SERVER_POSTGRES_FAST);
    context = open_to(&server, "localhost", trusting(&server, ""));
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_AUTHENTICATION, "28000");
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_certificate_is_accepted),
        cmocka_unit_test(an_unknown_authority_is_not_trusted),
        cmocka_unit_test(another_name_is_not_trusted),
        cmocka_unit_test(a_server_without_tls_is_not_trusted),
        cmocka_unit_test(verification_needs_an_authority),
        cmocka_unit_test(files_that_cannot_be_used_are_told),
        cmocka_unit_test(a_client_certificate_that_is_missing_is_told),
    };

    return cmocka_run_group_tests(tests, start_servers, end_servers);
}
