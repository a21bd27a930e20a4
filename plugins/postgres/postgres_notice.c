/* SPDX-License-Identifier: MIT */
/* postgres_notice: see postgres_notice.h. */
#include "postgres_notice.h"

#include <stdio.h>
#include <string.h>

#include "postgres_fault.h"

static __thread struct postgres *watched;

void postgres_notice_watch(struct postgres *postgres)
{
    watched = postgres;
}

static bool is_last(const char *severity)
{
    return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

static int32_t level_of(const char *severity)
{
    if (is_last(severity) || strcmp(severity, "ERROR") == 0 || strcmp(severity, "WARNING") == 0) {
        return CONNPOOL_LOG_WARNING;
    }
    return strncmp(severity, "DEBUG", strlen("DEBUG")) == 0 ? CONNPOOL_LOG_DEBUG : CONNPOOL_LOG_INFO;
}

static void write_log(const struct connpool_host *host, const char *severity, const char *message, const char *sqlstate)
{
    char line[232], text[300];

    postgres_fault_flatten(message, line, sizeof(line));
    (void)snprintf(text, sizeof(text), "postgres: %s: %s (SQLSTATE %.5s)", severity, line, sqlstate);
    host->log(host, level_of(severity), text);
}

/*
 * A notice without SQLSTATE is libpq's own; it may come from a PGresult that outlived its connection, which must then
 * not be looked at.
 */
static void receive(void *argument, const PGresult *notice)
{
    struct postgres *postgres = argument;
    const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);

    if (sqlstate == NULL || severity == NULL || message == NULL || strlen(sqlstate) != 5) {
        if (watched != NULL) {
            watched->is_confused = true;
        }
        return;
    }
    if (watched == postgres && is_last(severity) && postgres->last_words.error_class == 0) {
        (void)postgres_fault_result(&postgres->last_words, "", postgres->pg, notice);
    }
    write_log(postgres->head.host, severity, message, sqlstate);
}

void postgres_notice_attach(struct postgres *postgres)
{
    (void)PQsetNoticeReceiver(postgres->pg, receive, postgres);
}
