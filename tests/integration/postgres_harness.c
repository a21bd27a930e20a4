/* SPDX-License-Identifier: MIT */
/* postgres_harness: what the tests of the manager postgres do all the time. */
#include "postgres_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    char text[16384];
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_line(void *argument, int32_t level, const char *text)
{
    size_t length;

    (void)argument;
    (void)level;
    pthread_mutex_lock(&kept.lock);
    length = strlen(kept.text);
    (void)snprintf(kept.text + length, sizeof(kept.text) - length, "%s\n", text);
    pthread_mutex_unlock(&kept.lock);
}

bool postgres_harness_logged(const char *text)
{
    bool found;

    pthread_mutex_lock(&kept.lock);
    found = strstr(kept.text, text) != NULL;
    pthread_mutex_unlock(&kept.lock);
    return found;
}

void postgres_harness_init(void)
{
    assert_int_equal(setenv(POSTGRES_HARNESS_SECRET, SERVER_POSTGRES_PASSWORD, 1), 0);
}

static connpool *__attribute__((format(printf, 1, 0)))
open_json(const char *format, va_list arguments, connpool_error *error)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    char json[4096];
    struct connpool_options options = {.size = sizeof(options),
                                       .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER,
                                       .json = json,
                                       .plugin_path = folders,
                                       .log = keep_line};

    assert_true(vsnprintf(json, sizeof(json), format, arguments) < (int)sizeof(json));
    for (char *each = json; *each != '\0'; each++) {
        *each = *each == '\'' ? '"' : *each;
    }
    kept.text[0] = '\0';
    return connpool_open_with(&options, error);
}

connpool *postgres_harness_open_json(const char *format, ...)
{
    connpool_error error = {.text = ""};
    connpool *context;
    va_list arguments;

    va_start(arguments, format);
    context = open_json(format, arguments, &error);
    va_end(arguments);
    if (context == NULL) {
        fail_msg("open: %s", error.text);
    }
    return context;
}

void postgres_harness_refused(const char *expected, const char *format, ...)
{
    connpool_error error = {.text = ""};
    va_list arguments;

    va_start(arguments, format);
    assert_null(open_json(format, arguments, &error));
    va_end(arguments);
    if (strstr(error.text, expected) == NULL) {
        fail_msg("found: %s, expected: %s", error.text, expected);
    }
    assert_int_equal(error.status, CONNPOOL_INVALID);
}

connpool *postgres_harness_open(const struct server_postgres *postgres, const char *keys, const char *options)
{
    return postgres_harness_open_json("{'pools': {'db': {'manager': 'postgres', %s 'endpoints': {'main': {%s"
                                      "'host': '127.0.0.1', 'port': %u, 'user': 'app', 'dbname': 'app',"
                                      "'password': {'env': '%s'}%s}}}}}",
                                      keys, options, postgres->port, POSTGRES_HARNESS_SECRET,
                                      strstr(options, "'sslmode'") != NULL ? "" : ", 'sslmode': 'disable'");
}

const char *postgres_harness_ask(const connpool_lease *lease, const char *sql)
{
    static char value[256];
    PGconn *pg = connpool_postgres(lease);
    PGresult *result;

    assert_non_null(pg);
    result = PQexec(pg, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(pg));
    }
    (void)snprintf(value, sizeof(value), "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

int postgres_harness_process(const connpool_lease *lease)
{
    return (int)strtol(postgres_harness_ask(lease, "SELECT pg_backend_pid()"), NULL, 10);
}

const char *postgres_harness_fails(const connpool_lease *lease, const char *sql)
{
    static char sqlstate[6];
    PGresult *result = PQexec(connpool_postgres(lease), sql);
    const char *found = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    assert_int_equal(PQresultStatus(result), PGRES_FATAL_ERROR);
    (void)snprintf(sqlstate, sizeof(sqlstate), "%s", found != NULL ? found : "");
    PQclear(result);
    return sqlstate;
}

void postgres_harness_await_no_session(const struct server_postgres *postgres)
{
    int64_t began = harness_now_ms();

    while (server_postgres_number(postgres, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") != 0) {
        assert_true(harness_now_ms() - began < HARNESS_LIMIT_MS);
    }
}

connpool_error postgres_harness_acquire_fails(connpool *context, int32_t error_class, const char *sqlstate)
{
    connpool_error error = harness_acquire_fails(harness_pool(context), "main", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    char found[6];

    if (error.error_class != error_class) {
        fail_msg("class %s, expected %s: %s", connpool_error_class_text(error.error_class),
                 connpool_error_class_text(error_class), error.text);
    }
    assert_string_equal(connpool_postgres_sqlstate(&error, found), sqlstate);
    assert_null(strstr(error.text, SERVER_POSTGRES_PASSWORD));
    return error;
}
