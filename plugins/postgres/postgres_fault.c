/* SPDX-License-Identifier: MIT */
/* postgres_fault: see postgres_fault.h. */
#include "postgres_fault.h"

#include <ctype.h>
#include <errno.h>
#include <libintl.h>
#include <stdio.h>
#include <string.h>

#include "../common/fault.h"

#define SQLSTATE_LENGTH 5

/* ---- Classes ---- */

/* The first prefix that fits decides (PostgreSQL's manual, appendix A). */
struct meaning {
    const char *prefix;
    int32_t error_class;
};
static const struct meaning meanings[] = {
    {"28", CONNPOOL_ERROR_AUTHENTICATION},    /* invalid authorization, pg_hba.conf */
    {"42501", CONNPOOL_ERROR_AUTHENTICATION}, /* no right to connect to the database */
    {"42", CONNPOOL_ERROR_CONFIGURATION},     /* statements: syntax, unknown names */
    {"22", CONNPOOL_ERROR_CONFIGURATION},     /* values of settings */
    {"3D", CONNPOOL_ERROR_CONFIGURATION},     /* no such database */
    {"3F", CONNPOOL_ERROR_CONFIGURATION},     /* no such schema */
    {"53", CONNPOOL_ERROR_RESOURCE_REMOTE},   /* too many connections, out of memory, disk full */
    {"57P05", CONNPOOL_ERROR_CLOSED},         /* idle_session_timeout */
    {"57P04", CONNPOOL_ERROR_CONFIGURATION},  /* the database was dropped */
    {"25P03", CONNPOOL_ERROR_CLOSED},         /* idle_in_transaction_session_timeout */
    {"08P01", CONNPOOL_ERROR_PROTOCOL},       {"08", CONNPOOL_ERROR_CLOSED}, {"0A", CONNPOOL_ERROR_UNSUPPORTED},
    {"", CONNPOOL_ERROR_TRANSIENT}, /* 57P01 … 57P03: stopping, crashed, starting; 25006: read only; and the rest */
};

int32_t postgres_fault_class(const char *sqlstate)
{
    const struct meaning *meaning = meanings;

    while (strncmp(sqlstate, meaning->prefix, strlen(meaning->prefix)) != 0) {
        meaning++;
    }
    return meaning->error_class;
}

int64_t postgres_fault_code(const char *sqlstate)
{
    int64_t code = 0;

    for (int i = SQLSTATE_LENGTH - 1; i >= 0; i--) {
        code = code << 6 | ((sqlstate[i] - '0') & 0x3F);
    }
    return code;
}

/* The system's errors that libpq puts into its texts by strerror(3), in the language of this thread as ours. */
struct system_error {
    int error;
    int32_t error_class;
};
static const struct system_error system_errors[] = {
    {ECONNREFUSED, CONNPOOL_ERROR_REFUSED},
    {ENOENT, CONNPOOL_ERROR_REFUSED}, /* no such Unix socket */
    {EHOSTUNREACH, CONNPOOL_ERROR_UNREACHABLE},
    {ENETUNREACH, CONNPOOL_ERROR_UNREACHABLE},
    {ENETDOWN, CONNPOOL_ERROR_UNREACHABLE},
    {ETIMEDOUT, CONNPOOL_ERROR_TIMEOUT},
    {ECONNRESET, CONNPOOL_ERROR_CLOSED},
    {EPIPE, CONNPOOL_ERROR_CLOSED},
    {EMFILE, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {ENFILE, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {ENOBUFS, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {ENOMEM, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {EADDRNOTAVAIL, CONNPOOL_ERROR_RESOURCE_LOCAL},
    {EACCES, CONNPOOL_ERROR_REFUSED},
    {EAGAIN, CONNPOOL_ERROR_TRANSIENT}, /* a Unix socket whose queue is full (postgres_open.c) */
    {ENOTDIR, CONNPOOL_ERROR_REFUSED},
};

static const struct system_error *find_system_error(const char *text)
{
    char name[128];

    for (size_t i = 0; i < sizeof(system_errors) / sizeof(system_errors[0]); i++) {
        if (strstr(text, strerror_r(system_errors[i].error, name, sizeof(name))) != NULL) {
            return &system_errors[i];
        }
    }
    return NULL;
}

/* ---- Texts ---- */

/* Whether a line ends as `…, postmaster.c:2340` does: with PQERRORS_VERBOSE, where in its source the server said it. */
static bool is_location(const char *line, size_t length)
{
    size_t end = length;

    while (end > 0 && isdigit((unsigned char)line[end - 1])) {
        end--;
    }
    return end < length && end > 2 && strncmp(line + end - 3, ".c:", 3) == 0;
}

void postgres_fault_flatten(const char *text, char *line, size_t size)
{
    size_t have = 0;

    line[0] = '\0';
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        size_t blank = strspn(text, " \t");

        if (blank < length && !is_location(text, length)) {
            int more = snprintf(line + have, size - have, "%s%.*s", have != 0 ? "; " : "", (int)(length - blank),
                                text + blank);

            have = have + (size_t)more < size ? have + (size_t)more : size - 1;
        }
        text += length + (text[length] == '\n');
    }
    for (char *each = line; *each != '\0'; each++) {
        *each = iscntrl((unsigned char)*each) ? ' ' : *each;
    }
    while (have > 0 && line[have - 1] == '.') {
        line[--have] = '\0';
    }
}

static bool is_sqlstate(const char *text)
{
    for (size_t i = 0; i < SQLSTATE_LENGTH; i++) {
        if (!isdigit((unsigned char)text[i]) && !(text[i] >= 'A' && text[i] <= 'Z')) {
            return false;
        }
    }
    return true;
}

/* PQERRORS_VERBOSE writes "<severity in any language>:  <SQLSTATE>: <message>". */
bool postgres_fault_find(const char *text, char sqlstate[6])
{
    bool found = false;

    for (const char *each = text; (each = strstr(each, ":  ")) != NULL; each += 3) {
        if (is_sqlstate(each + 3) && strncmp(each + 3 + SQLSTATE_LENGTH, ": ", 2) == 0) {
            memcpy(sqlstate, each + 3, SQLSTATE_LENGTH);
            sqlstate[SQLSTATE_LENGTH] = '\0';
            found = true;
        }
    }
    return found;
}

int32_t postgres_fault_say(struct connpool_fault *fault, int32_t error_class, const char *what, const char *text)
{
    char line[sizeof(fault->text)];

    postgres_fault_flatten(text, line, sizeof(line));
    return fault_fill(fault, error_class, 0, "%s%s", what, line);
}

static int32_t say_sqlstate(struct connpool_fault *fault, const char *what, const char *sqlstate, const char *text)
{
    bool is_first = fault->error_class == 0;
    int32_t result = postgres_fault_say(fault, postgres_fault_class(sqlstate), what, text);

    if (is_first) {
        fault->library_code = postgres_fault_code(sqlstate);
    }
    return result;
}

/* ---- Of a session ---- */

int32_t postgres_fault_result(struct connpool_fault *fault, const char *what, const PGconn *pg, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char text[sizeof(fault->text)];

    if (sqlstate == NULL || strlen(sqlstate) != SQLSTATE_LENGTH || !is_sqlstate(sqlstate) || message == NULL) {
        return postgres_fault_say(fault, CONNPOOL_ERROR_CLOSED, what, PQerrorMessage(pg));
    }
    (void)snprintf(text, sizeof(text), "%s (SQLSTATE %s)", message, sqlstate);
    return say_sqlstate(fault, what, sqlstate, text);
}

/* ---- Of an attempt to connect ---- */

/* What libpq says in the language of the thread; its catalogue is named after its versions. */
static bool says(const char *text, const char *english)
{
    char catalogue[24];

    (void)snprintf(catalogue, sizeof(catalogue), "libpq5-%d", PQlibVersion() / 10000);
    return strstr(text, english) != NULL || strstr(text, dgettext(catalogue, english)) != NULL;
}

/* Whether the TLS handshake met the end of the stream; libpq 16 and later leave the line end out. OpenSSL's reasons are
 * not translated. */
static bool speaks_of_end(const char *text)
{
    return says(text, "SSL SYSCALL error: EOF detected\n") || says(text, "SSL SYSCALL error: EOF detected") ||
           strstr(text, "unexpected eof") != NULL;
}

static int32_t class_of_tls(const char *text)
{
    if (speaks_of_end(text)) {
        return CONNPOOL_ERROR_CLOSED;
    }
    if (strstr(text, "alert") != NULL) {
        return strstr(text, "certificate") != NULL || strstr(text, "unknown ca") != NULL
                   ? CONNPOOL_ERROR_AUTHENTICATION /* ours was not accepted */
                   : CONNPOOL_ERROR_PROTOCOL;
    }
    if (strstr(text, "wrong version number") != NULL || strstr(text, "unsupported protocol") != NULL ||
        strstr(text, "packet length") != NULL || strstr(text, "unexpected message") != NULL ||
        strstr(text, "record") != NULL) {
        return CONNPOOL_ERROR_PROTOCOL;
    }
    return CONNPOOL_ERROR_TRUST; /* the certificate, the name in it, the authority's file */
}

/* These words are keywords and names of methods in every language. */
static bool speaks_of_trust(const char *text)
{
    return strstr(text, "requirepeer") != NULL || strstr(text, "channel binding") != NULL ||
           strstr(text, "channel_binding") != NULL || strstr(text, "server signature") != NULL;
}

/* libpq's own lack, and OpenSSL's; of the server's there is an SQLSTATE. */
static bool speaks_of_memory(const char *text)
{
    return says(text, "out of memory") || strstr(text, "malloc failure") != NULL;
}

static int32_t class_of_text(const char *text, const PGconn *pg, const struct postgres_sight *sight)
{
    if (speaks_of_memory(text)) {
        return CONNPOOL_ERROR_RESOURCE_LOCAL;
    }
    if (sight->is_starting) {
        return CONNPOOL_ERROR_CONFIGURATION;
    }
    if (sight->saw_refusal || speaks_of_trust(text)) {
        return CONNPOOL_ERROR_TRUST;
    }
    if (sight->saw_garbage) {
        return CONNPOOL_ERROR_PROTOCOL;
    }
    if (PQconnectionNeedsPassword(pg)) {
        return CONNPOOL_ERROR_AUTHENTICATION;
    }
    if (sight->saw_end) {
        return CONNPOOL_ERROR_CLOSED;
    }
    if (sight->is_tls) {
        return class_of_tls(text);
    }
    /* A server that tells its version has accepted us; it may then not be as target_session_attrs wishes. */
    return sight->is_late || PQparameterStatus(pg, "server_version") != NULL ? CONNPOOL_ERROR_TRANSIENT
                                                                             : CONNPOOL_ERROR_PROTOCOL;
}

int32_t postgres_fault_connect(struct connpool_fault *fault, const PGconn *pg, const struct postgres_sight *sight)
{
    const char *text = PQerrorMessage(pg);
    const struct system_error *error;
    char sqlstate[SQLSTATE_LENGTH + 1];

    if (postgres_fault_find(text, sqlstate)) {
        return say_sqlstate(fault, "", sqlstate, text);
    }
    error = sight->saw_refusal ? NULL : find_system_error(text);
    if (error != NULL) {
        int32_t result = postgres_fault_say(fault, error->error_class, "", text);

        fault->os_error = error->error;
        return result;
    }
    return postgres_fault_say(fault, class_of_text(text, pg, sight), "", text);
}
