/* SPDX-License-Identifier: MIT */
/* postgres_conninfo: see postgres_conninfo.h. */
#include "postgres_conninfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/fault.h"
#include "postgres.h"
#include "postgres_fault.h"

#define MILLISECOND INT64_C(1000000)
#define SECOND      INT64_C(1000000000)

/* A path at which no file can be: libpq looks for files of its own where it is given none, and ignores one that is not
 * there. */
#define NOWHERE "/dev/null/none"

/* Those with an option of their own; secrets; those that load programs or write secrets to files; those that would undo
 * what the manager promises (connect_timeout is the pool's, a service is read from a file). */
const char *const postgres_conninfo_refused[] = {"host",
                                                 "hostaddr",
                                                 "port",
                                                 "dbname",
                                                 "user",
                                                 "password",
                                                 "passfile",
                                                 "application_name",
                                                 "target_session_attrs",
                                                 "sslmode",
                                                 "sslrootcert",
                                                 "sslcert",
                                                 "sslkey",
                                                 "sslpassword",
                                                 "sslcrl",
                                                 "sslcrldir",
                                                 "requirepeer",
                                                 "channel_binding",
                                                 "gssencmode",
                                                 "keepalives",
                                                 "keepalives_idle",
                                                 "keepalives_interval",
                                                 "keepalives_count",
                                                 "tcp_user_timeout",
                                                 "connect_timeout",
                                                 "service",
                                                 "servicefile",
                                                 "gsslib",
                                                 "replication",
                                                 "load_balance_hosts",
                                                 "sslkeylogfile",
                                                 "scram_client_key",
                                                 "scram_server_key",
                                                 "oauth_issuer",
                                                 "oauth_client_id",
                                                 "oauth_client_secret",
                                                 "oauth_scope",
                                                 NULL};

/* What stands for a keyword that is not given. The rest: libpq's own default where it has one, else nothing. */
struct substitute {
    const char *keyword, *value;
};
static const struct substitute substitutes[] = {
    {"passfile", NOWHERE},
    {"sslcert", NOWHERE},
    {"sslkey", NOWHERE},
    {"sslrootcert", NOWHERE},
    {"connect_timeout", "0"},
    {"sslcertmode", "allow"},
    {"min_protocol_version", "3.0"},
    {"max_protocol_version", "3.0"},
};

/* ---- Values ---- */

/* Room for the numbers among the values. */
struct numbers {
    char idle[24], interval[24], count[24], user_timeout[24];
};

struct assignment {
    const char *keyword, *value;
};

#define ASSIGNMENTS 23

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void write_number(char text[24], int64_t value, int64_t unit)
{
    (void)snprintf(text, 24, "%lld", (long long)((value + unit - 1) / unit));
}

static void write_numbers(struct numbers *numbers, const struct postgres_options *options)
{
    write_number(numbers->idle, options->socket.keepalive_idle, SECOND);
    write_number(numbers->interval, options->socket.keepalive_interval, SECOND);
    write_number(numbers->count, options->socket.keepalive_count, 1);
    write_number(numbers->user_timeout, dial_options_user_timeout(&options->socket), MILLISECOND);
}

/* A revocation list that is not there is ignored by libpq; together with a folder it would disable that. */
static const char *crl_of(const struct postgres_options *options)
{
    if (options->sslcrl == NULL && options->sslcrldir == NULL) {
        return NOWHERE;
    }
    return or_empty(options->sslcrl);
}

static void assign(struct assignment assignments[ASSIGNMENTS], const struct postgres_options *options,
                   const struct postgres_conninfo_target *target, struct numbers *numbers)
{
    const struct assignment all[ASSIGNMENTS] = {
        {"host", target->names},
        {"hostaddr", target->addresses},
        {"port", target->ports},
        {"dbname", or_empty(options->dbname)},
        {"user", options->user},
        {"password", or_empty(options->password)},
        {"application_name", or_empty(options->application_name)},
        {"target_session_attrs", postgres_session_attrs[options->target_session_attrs]},
        {"sslmode", postgres_sslmodes[options->sslmode]},
        {"sslrootcert", options->sslrootcert},
        {"sslcert", options->sslcert},
        {"sslkey", options->sslkey},
        {"sslpassword", or_empty(options->sslpassword)},
        {"sslcrl", crl_of(options)},
        {"sslcrldir", or_empty(options->sslcrldir)},
        {"requirepeer", or_empty(options->requirepeer)},
        {"channel_binding", postgres_channel_bindings[options->channel_binding]},
        {"gssencmode", postgres_gssencmodes[options->gssencmode]},
        {"keepalives", options->socket.keepalive_idle != 0 ? "1" : "0"},
        {"keepalives_idle", numbers->idle},
        {"keepalives_interval", numbers->interval},
        {"keepalives_count", numbers->count},
        {"tcp_user_timeout", numbers->user_timeout},
    };

    write_numbers(numbers, options);
    memcpy(assignments, all, sizeof(all));
}

static const char *assigned(const struct assignment *assignments, const char *keyword)
{
    for (size_t i = 0; i < ASSIGNMENTS; i++) {
        if (strcmp(assignments[i].keyword, keyword) == 0) {
            return assignments[i].value;
        }
    }
    return NULL;
}

static const char *mapped(const struct connpool_map *map, const char *keyword)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i], keyword) == 0) {
            return map->values[i];
        }
    }
    return NULL;
}

static const char *substituted(const PQconninfoOption *known, const struct postgres_options *options)
{
    for (size_t i = 0; i < sizeof(substitutes) / sizeof(substitutes[0]); i++) {
        if (strcmp(substitutes[i].keyword, known->keyword) == 0) {
            return substitutes[i].value;
        }
    }
    /* libpq 16 and later can be told never to send a password in clear text; 15 is watched (postgres_open.c). */
    if (strcmp(known->keyword, "require_auth") == 0 && !options->cleartext_password &&
        options->sslmode < POSTGRES_SSLMODE_VERIFY_CA) {
        return "!password";
    }
    return or_empty(known->compiled);
}

/* NULL: the keyword is not to be named. libpq takes an empty service for the name of one; a number must not be empty,
 * but where no environment variable stands for it none need be named. */
static const char *value_of(const PQconninfoOption *known, const struct assignment *assignments,
                            const struct postgres_options *options)
{
    const char *value = assigned(assignments, known->keyword);

    if (value == NULL) {
        value = mapped(&options->libpq, known->keyword);
    }
    if (value != NULL) {
        return value;
    }
    if (strncmp(known->keyword, "service", strlen("service")) == 0) {
        return NULL;
    }
    value = substituted(known, options);
    return value[0] == '\0' && known->envvar == NULL && strcmp(known->keyword, "replication") != 0 &&
                   strcmp(known->keyword, "fallback_application_name") != 0
               ? NULL
               : value;
}

/* ---- The string ---- */

static void append_quoted(PQExpBuffer buffer, const char *keyword, const char *value)
{
    appendPQExpBuffer(buffer, "%s='", keyword);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\') {
            appendPQExpBufferChar(buffer, '\\');
        }
        appendPQExpBufferChar(buffer, *value);
    }
    appendPQExpBufferStr(buffer, "' ");
}

/* Enough for all values, each of their characters escaped: so the buffer never moves and leaves no copy behind. */
static size_t room_for(const PQconninfoOption *known, const struct assignment *assignments,
                       const struct postgres_options *options)
{
    size_t room = 1;

    for (; known->keyword != NULL; known++) {
        const char *value = value_of(known, assignments, options);

        room += value == NULL ? 0 : strlen(known->keyword) + 2 * strlen(value) + 4;
    }
    return room;
}

static int32_t no_memory(struct connpool_fault *fault)
{
    return fault_fill(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, 0, "out of memory");
}

int32_t postgres_conninfo_init(PQExpBuffer buffer, const struct postgres_options *options,
                               const struct postgres_conninfo_target *target, struct connpool_fault *fault)
{
    struct assignment assignments[ASSIGNMENTS];
    struct numbers numbers;
    PQconninfoOption *known = PQconninfoParse("", NULL);

    initPQExpBuffer(buffer);
    if (known == NULL) {
        return no_memory(fault);
    }
    assign(assignments, options, target, &numbers);
    (void)enlargePQExpBuffer(buffer, room_for(known, assignments, options));
    for (const PQconninfoOption *each = known; each->keyword != NULL; each++) {
        const char *value = value_of(each, assignments, options);

        if (value != NULL) {
            append_quoted(buffer, each->keyword, value);
        }
    }
    PQconninfoFree(known);
    return PQExpBufferBroken(buffer) ? no_memory(fault) : 0;
}

void postgres_conninfo_fini(PQExpBuffer buffer)
{
    if (!PQExpBufferBroken(buffer)) {
        explicit_bzero(buffer->data, buffer->maxlen);
    }
    termPQExpBuffer(buffer);
}

/* ---- Checks ---- */

static const PQconninfoOption *find(const PQconninfoOption *known, const char *keyword)
{
    for (; known->keyword != NULL; known++) {
        if (strcmp(known->keyword, keyword) == 0) {
            return known;
        }
    }
    return NULL;
}

/* The row refuses what was known when it was written, this what the libpq in use says. */
static int32_t check_keys(const struct postgres_options *options, const PQconninfoOption *known,
                          struct connpool_fault *fault)
{
    for (uint32_t i = 0; i < options->libpq.count; i++) {
        const char *key = options->libpq.keys[i];
        const PQconninfoOption *found = find(known, key);

        if (found == NULL) {
            return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                              "libpq: found the key \"%.64s\", expected a keyword of libpq %d", key, PQlibVersion());
        }
        if (found->dispchar[0] == '*') {
            return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                              "libpq: found the key \"%.64s\", expected other keys: this one is a secret", key);
        }
    }
    return 0;
}

/* libpq checks values only when it begins to connect: let it begin where nothing can be. */
static int32_t check_values(const struct postgres_options *options, struct connpool_fault *fault)
{
    const struct postgres_conninfo_target target = {NOWHERE, "", "5432"};
    PQExpBufferData conninfo;
    int32_t result = postgres_conninfo_init(&conninfo, options, &target, fault);
    PGconn *pg;

    if (result == 0) {
        pg = PQconnectStart(conninfo.data);
        if (pg == NULL) {
            result = no_memory(fault);
        } else if (strstr(PQerrorMessage(pg), NOWHERE "/.s.PGSQL.") == NULL) {
            result = postgres_fault_say(fault, CONNPOOL_ERROR_CONFIGURATION, "", PQerrorMessage(pg));
        }
        PQfinish(pg);
    }
    postgres_conninfo_fini(&conninfo);
    return result;
}

int32_t postgres_conninfo_check(const struct postgres_options *options, struct connpool_fault *fault)
{
    PQconninfoOption *known = PQconninfoParse("", NULL);
    int32_t result;

    if (known == NULL) {
        return no_memory(fault);
    }
    result = check_keys(options, known, fault);
    PQconninfoFree(known);
    return result != 0 ? result : check_values(options, fault);
}
