/* SPDX-License-Identifier: MIT */
/*
 * What is configured holds, and nothing else: S24, D15. libpq takes what it is not told from the environment, from
 * service files, from a file of passwords and from a folder of certificates in the user's home.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postgres_harness.h"

static struct server_folder folder;
static struct server_postgres server;

/* Each of these alone would make the connection fail, or another one. */
static const char *const hostile[][2] = {
    {"PGHOST", "host.invalid"},
    {"PGHOSTADDR", "192.0.2.1"},
    {"PGPORT", "1"},
    {"PGDATABASE", "postgres"},
    {"PGUSER", "postgres"},
    {"PGPASSWORD", "wrong"},
    {"PGREQUIREPEER", "daemon"},
    {"PGCHANNELBINDING", "require"},
    {"PGSSLMODE", "require"},
    {"PGSSLCOMPRESSION", "x"},
    {"PGSSLCERT", "/no/such/certificate"},
    {"PGSSLKEY", "/no/such/key"},
    {"PGSSLROOTCERT", "/no/such/authority"},
    {"PGSSLCRL", "/no/such/list"},
    {"PGSSLCRLDIR", "/no/such/folder"},
    {"PGSSLSNI", "x"},
    {"PGSSLMINPROTOCOLVERSION", "TLSv9"},
    {"PGSSLMAXPROTOCOLVERSION", "TLSv1"},
    {"PGGSSENCMODE", "require"},
    {"PGKRBSRVNAME", "x"},
    {"PGGSSLIB", "x"},
    {"PGCONNECT_TIMEOUT", "x"},
    {"PGCLIENTENCODING", "LATIN1"},
    {"PGTARGETSESSIONATTRS", "standby"},
    {"PGOPTIONS", "-c search_path=evil"},
    {"PGAPPNAME", "evil"},
    {"PGSERVICE", "evil"},
};
#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))

static const char service[] = "[evil]\n"
                              "host=host.invalid\n"
                              "hostaddr=192.0.2.1\n"
                              "sslpassword=x\n"
                              "fallback_application_name=evil\n"
                              "keepalives=0\n"
                              "tcp_user_timeout=1\n"
                              "options=-c search_path=evil\n"
                              "replication=true\n";

static void make_hostile(void)
{
    char path[SERVER_PATH_SIZE];

    for (size_t i = 0; i < HOSTILE; i++) {
        assert_int_equal(setenv(hostile[i][0], hostile[i][1], 1), 0);
    }
    server_folder_write(&folder, "service.conf", "%s", service);
    server_folder_path(&folder, "service.conf", path);
    assert_int_equal(setenv("PGSERVICEFILE", path, 1), 0);
    server_folder_write(&folder, ".pgpass", "*:*:*:*:%s\n", SERVER_POSTGRES_PASSWORD);
    server_folder_path(&folder, ".pgpass", path);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(setenv("PGPASSFILE", path, 1), 0);
    assert_int_equal(setenv("HOME", folder.path, 1), 0);
}

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_postgres_start_tls(&server, &folder, "pg", NULL);
    postgres_harness_init();
    make_hostile();
    return 0;
}

/* The kit's own connections are libpq's too. */
static int end_server(void **state)
{
    (void)state;
    server_postgres_stop(&server, SERVER_POSTGRES_IMMEDIATE);
    server_folder_fini(&folder);
    return 0;
}

static void expect_keyword(const connpool_lease *lease, const char *keyword, const char *value)
{
    PQconninfoOption *options = PQconninfo(connpool_postgres(lease));

    for (const PQconninfoOption *each = options; each->keyword != NULL; each++) {
        if (strcmp(each->keyword, keyword) == 0) {
            assert_string_equal(each->val != NULL ? each->val : "", value);
        }
    }
    PQconninfoFree(options);
}

static void expect_unmoved(const char *tls, int is_tls)
{
    connpool *context = postgres_harness_open(&server, "", tls);
    connpool_lease lease = harness_acquire(harness_pool(context), "main");

    assert_int_equal(PQsslInUse(connpool_postgres(&lease)), is_tls);
    assert_string_equal(postgres_harness_ask(&lease, "SELECT current_user || current_database()"), "appapp");
    assert_string_equal(postgres_harness_ask(&lease, "SHOW search_path"), "\"$user\", public");
    assert_string_equal(postgres_harness_ask(&lease, "SHOW application_name"), "");
    assert_string_equal(postgres_harness_ask(&lease, "SHOW client_encoding"), "UTF8");
    expect_keyword(&lease, "keepalives", "1");
    expect_keyword(&lease, "keepalives_idle", "60");
    expect_keyword(&lease, "tcp_user_timeout", "90000");
    expect_keyword(&lease, "replication", "");
    expect_keyword(&lease, "service", "");
    harness_release(&lease);
    harness_close(context);
}

static void the_environment_has_no_say(void **state)
{
    char tls[256];

    (void)state;
    expect_unmoved("", 0);
    (void)snprintf(tls, sizeof(tls), "'sslmode': 'verify-full', 'sslrootcert': '%s',", server.authority);
    expect_unmoved(tls, 1);
}

/* Neither PGPASSWORD nor a file of passwords is a password that was configured. */
static void no_password_comes_from_elsewhere(void **state)
{
    connpool *context;

    (void)state;
    assert_int_equal(setenv("PGPASSWORD", SERVER_POSTGRES_PASSWORD, 1), 0);
    context = postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {"
                                         "'host': '127.0.0.1', 'port': %u, 'user': 'app', 'sslmode': 'disable'}}}}}",
                                         server.port);
    (void)postgres_harness_acquire_fails(context, CONNPOOL_ERROR_AUTHENTICATION, "");
    harness_close(context);
}

/* libpq wants to find the service that the environment names, though it uses nothing of it. */
static void a_service_that_is_not_found_is_told(void **state)
{
    (void)state;
    assert_int_equal(setenv("PGSERVICE", "unknown", 1), 0);
    postgres_harness_refused(
        "definition of service \"unknown\" not found",
        "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app', 'sslmode': 'disable'},"
        "'endpoints': {'main': {'host': 'localhost'}}}}}");
    assert_int_equal(unsetenv("PGSERVICE"), 0);
}

static void what_libpq_sends_by_itself_is_told(void **state)
{
    connpool *context;

    (void)state;
    assert_int_equal(setenv("PGTZ", "Asia/Tokyo", 1), 0);
    context = postgres_harness_open(&server, "", "");
    assert_true(postgres_harness_logged("PGDATESTYLE, PGTZ or PGGEQO"));
    harness_close(context);
    assert_int_equal(unsetenv("PGTZ"), 0);
}

/* D15: a value stays a value, whatever is in it. */
static void a_value_is_no_connection_string(void **state)
{
    static const char *const names[] = {"x host=evil",   "host=evil", "postgresql://evil/x",
                                        "x' host='evil", "x\\\\",     "x\\\\' host=evil"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char options[128];
        connpool *context;
        connpool_error error;

        (void)snprintf(options, sizeof(options), "'application_name': '%s',", "name");
        context = postgres_harness_open_json(
            "{'pools': {'db': {'manager': 'postgres', 'endpoints': {'main': {%s'host': '127.0.0.1', 'port': %u,"
            "'user': 'app', 'dbname': '%s', 'sslmode': 'disable', 'password': {'env': '%s'}}}}}}",
            options, server.port, strchr(names[i], '\'') != NULL ? "x\\u0027 host=\\u0027evil" : names[i],
            POSTGRES_HARNESS_SECRET);
        error = postgres_harness_acquire_fails(context, CONNPOOL_ERROR_CONFIGURATION, "3D000");
        assert_non_null(strstr(error.text, "127.0.0.1"));
        harness_close(context);
    }
}

struct refusal {
    const char *map, *expected;
};

/* The pass-through map: what has an option of its own, secrets, what loads programs, what libpq does not know. */
static void the_map_is_checked(void **state)
{
    static const struct refusal refusals[] = {
        {"'host': 'x'", "found the key \"host\""},
        {"'hostaddr': '127.0.0.1'", "found the key \"hostaddr\""},
        {"'password': 'x'", "found the key \"password\""},
        {"'sslpassword': 'x'", "found the key \"sslpassword\""},
        {"'passfile': '/tmp/x'", "found the key \"passfile\""},
        {"'service': 'x'", "found the key \"service\""},
        {"'gsslib': 'x'", "found the key \"gsslib\""},
        {"'connect_timeout': '1'", "found the key \"connect_timeout\""},
        {"'sslmode': 'disable'", "found the key \"sslmode\""},
        {"'no_such_keyword': 'x'", "found the key \"no_such_keyword\", expected a keyword of libpq"},
        {"'ssl_min_protocol_version': 'TLSv9'", "TLSv9"},
        {"'client_encoding': 7", "7"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const char *expected = strcmp(refusals[i].expected, "7") == 0 ? "client_encoding" : refusals[i].expected;

        postgres_harness_refused(expected,
                                 "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app', 'sslmode':"
                                 "'disable', 'libpq': {%s}}, 'endpoints': {'main': {'host': 'localhost'}}}}}",
                                 refusals[i].map);
    }
}

static void the_map_reaches_libpq(void **state)
{
    connpool *context = postgres_harness_open(
        &server, "", "'libpq': {'client_encoding': 'LATIN1', 'options': '-c search_path=mine -c geqo=off'},");
    connpool_lease lease = harness_acquire(harness_pool(context), "main");

    (void)state;
    assert_string_equal(postgres_harness_ask(&lease, "SHOW client_encoding"), "LATIN1");
    assert_string_equal(postgres_harness_ask(&lease, "SHOW search_path"), "mine");
    assert_string_equal(postgres_harness_ask(&lease, "SHOW geqo"), "off");
    harness_release(&lease);
    harness_close(context);
}

static void hosts_have_their_form(void **state)
{
    static const struct refusal refusals[] = {
        {"a b", "the host is neither"},       {"a,", "the host is empty"},          {",a", "the host is empty"},
        {"a:0", "the port is not"},           {"a:70000", "the port is not"},       {"[::1]", "expected host:port"},
        {"a,/run/postgresql,:1", "is empty"}, {"host=evil", "the host is neither"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        postgres_harness_refused(refusals[i].expected,
                                 "{'pools': {'db': {'manager': 'postgres', 'options': {'user': 'app', 'sslmode':"
                                 "'disable'}, 'endpoints': {'main': {'host': '%s'}}}}}",
                                 refusals[i].map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_has_no_say),
        cmocka_unit_test(no_password_comes_from_elsewhere),
        cmocka_unit_test(a_service_that_is_not_found_is_told),
        cmocka_unit_test(what_libpq_sends_by_itself_is_told),
        cmocka_unit_test(a_value_is_no_connection_string),
        cmocka_unit_test(the_map_is_checked),
        cmocka_unit_test(the_map_reaches_libpq),
        cmocka_unit_test(hosts_have_their_form),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
