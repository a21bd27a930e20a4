/* SPDX-License-Identifier: MIT */
/* postgres_fault: SQLSTATEs found in libpq's verbose texts, whatever their language, and what they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/postgres.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/postgres/postgres_fault.h"

static void a_state_is_found_in_any_language(void **state)
{
    static const struct {
        const char *text, *sqlstate; /* NULL: none */
    } texts[] = {
        {"connection to server at \"::1\", port 5432 failed: FATAL:  53300: sorry, too many clients already\n",
         "53300"},
        {"FATAL:  28P01: Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen\nORT:  auth_failed, auth.c:339\n",
         "28P01"},
        {"致命错误:  57P03: 数据库系统正在启动\n", "57P03"},
        {"a failed: FATAL:  57P03: starting\nb failed: FATAL:  28000: no\n", "28000"}, /* of several hosts the last */
        {"connection to server at \"127.0.0.1\", port 5432 failed: Connection refused\n", NULL},
        {"FATAL:  5330: short", NULL},
        {"FATAL:  533000: long", NULL},
        {"FATAL:  5330a: small letter", NULL},
        {"FATAL:  53300", NULL},
        {"FATAL:  ", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char found[6] = "";

        assert_int_equal(postgres_fault_find(texts[i].text, found), texts[i].sqlstate != NULL);
        assert_string_equal(found, texts[i].sqlstate != NULL ? texts[i].sqlstate : "");
    }
}

static void a_text_becomes_one_line(void **state)
{
    static const struct {
        const char *text, *line;
    } texts[] = {
        {"FATAL:  53300: sorry\nLOCATION:  InitProcess, proc.c:361\n", "FATAL:  53300: sorry"},
        {"ORT:  auth_failed, auth.c:339\n", ""},
        {"one\n\ttwo\n\n  three", "one; two; three"},
        {"tab\tand\x1b[2Jescape\x7f", "tab and [2Jescape "},
        {"ends with c:12", "ends with c:12"},
        {"\n\n", ""},
        {"", ""},
    };
    char line[64];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        postgres_fault_flatten(texts[i].text, line, sizeof(line));
        assert_string_equal(line, texts[i].line);
    }
}

/* Of any size, as much as there is room for. */
static void a_long_text_is_cut(void **state)
{
    char text[512], line[512];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    text[100] = text[200] = text[201] = '\n';
    for (size_t size = 1; size <= sizeof(line); size++) {
        memset(line, '#', sizeof(line));
        postgres_fault_flatten(text, line, size);
        assert_true(strlen(line) < size);
        assert_true(size == sizeof(line) || line[size] == '#');
    }
}

static void each_state_has_its_class(void **state)
{
    static const struct {
        const char *sqlstate;
        int32_t error_class;
    } states[] = {
        {"28000", CONNPOOL_ERROR_AUTHENTICATION},  {"28P01", CONNPOOL_ERROR_AUTHENTICATION},
        {"42501", CONNPOOL_ERROR_AUTHENTICATION},  {"42601", CONNPOOL_ERROR_CONFIGURATION},
        {"22023", CONNPOOL_ERROR_CONFIGURATION},   {"3D000", CONNPOOL_ERROR_CONFIGURATION},
        {"53300", CONNPOOL_ERROR_RESOURCE_REMOTE}, {"53200", CONNPOOL_ERROR_RESOURCE_REMOTE},
        {"57P01", CONNPOOL_ERROR_TRANSIENT},       {"57P03", CONNPOOL_ERROR_TRANSIENT},
        {"57P05", CONNPOOL_ERROR_CLOSED},          {"25P03", CONNPOOL_ERROR_CLOSED},
        {"25006", CONNPOOL_ERROR_TRANSIENT},       {"08P01", CONNPOOL_ERROR_PROTOCOL},
        {"08006", CONNPOOL_ERROR_CLOSED},          {"0A000", CONNPOOL_ERROR_UNSUPPORTED},
        {"XX000", CONNPOOL_ERROR_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        assert_int_equal(postgres_fault_class(states[i].sqlstate), states[i].error_class);
    }
}

/* The number that an error carries is the server's own, and the typed header makes the text of it again. */
static void a_state_goes_through_its_number(void **state)
{
    static const char *const states[] = {"00000", "28P01", "53300", "57P03", "ZZZZZ", "00001"};
    connpool_error error = {.library_code = 0};
    char text[6];

    (void)state;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        error.library_code = postgres_fault_code(states[i]);
        assert_string_equal(connpool_postgres_sqlstate(&error, text), i == 0 ? "" : states[i]);
    }
    assert_int_equal(postgres_fault_code("53300"), 12485); /* ERRCODE_TOO_MANY_CONNECTIONS */
}

/* What libpq says, in its place. */
static const char *said;
char *PQerrorMessage(const PGconn *pg)
{
    (void)pg;
    return (char *)(uintptr_t)said;
}

/* B19: it is no mistake of the configuration, and no reason to distrust the server. */
static void a_lack_of_memory_is_told(void **state)
{
    static const struct postgres_sight sights[] = {{.is_starting = true}, {.is_tls = true}, {.saw_end = true}};
    static const char *const texts[] = {"out of memory\n", "could not create SSL context: malloc failure\n"};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct connpool_fault fault = {.size = sizeof(fault)};

        said = texts[i % 2];
        assert_int_equal(postgres_fault_connect(&fault, NULL, &sights[i / 2]), -CONNPOOL_ERROR_RESOURCE_LOCAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_found_in_any_language),
        cmocka_unit_test(a_text_becomes_one_line),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(each_state_has_its_class),
        cmocka_unit_test(a_state_goes_through_its_number),
        cmocka_unit_test(a_lack_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
