/* SPDX-License-Identifier: MIT */
/*
 * postgres_replicas: how do I write to a master and read from whichever replica is free?
 *
 *     postgres_replicas postgres.json
 *
 * where the pool "db" has an endpoint "master", and its other endpoints are replicas.
 */
#include <connpool/connpool.h>
#include <connpool/postgres.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#define REPLICAS_MAXIMUM 8

/* Runs one statement and prints the first value of its answer. A session that broke is discarded; one that merely
 * refused the statement is as good as before. */
static int ask(connpool_lease *lease, const char *statement)
{
    struct connpool_lease_info info = {.size = sizeof(info)};
    PGconn *session = connpool_postgres(lease);
    PGresult *result = PQexec(session, statement);
    int failed = PQresultStatus(result) != PGRES_TUPLES_OK;

    connpool_lease_info(lease, &info);
    if (failed) {
        fprintf(stderr, "%s: %s", info.endpoint, PQerrorMessage(session));
    } else {
        printf("%s: %s; connection %d, use %d\n", info.endpoint, PQgetvalue(result, 0, 0), (int)info.id,
               (int)info.uses);
    }
    PQclear(result);
    if (PQstatus(session) != CONNECTION_OK) {
        connpool_discard(lease);
    } else {
        connpool_release(lease);
    }
    return failed ? -1 : 0;
}

static int write_to_master(connpool_pool *db)
{
    connpool_lease lease;
    connpool_error error;

    if (connpool_acquire(db, "master", CONNPOOL_WAIT_DEFAULT, &lease, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    return ask(&lease, "SELECT 'transaction ' || pg_current_xact_id()");
}

/* An idle connection of any replica; if there is none a new one; a replica that is down is left out. */
static int read_from_any(connpool_endpoint *const *replicas, size_t count)
{
    connpool_lease lease;
    connpool_error error;

    if (connpool_acquire_any(replicas, count, CONNPOOL_WAIT_DEFAULT, &lease, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    return ask(&lease, "SELECT CASE WHEN pg_is_in_recovery() THEN 'a standby' ELSE 'no standby' END");
}

/* The handles of all endpoints but the master's. */
static size_t get_replicas(connpool_pool *db, connpool_endpoint *replicas[REPLICAS_MAXIMUM])
{
    const char *name;
    size_t count = 0;

    for (size_t i = 0; count < REPLICAS_MAXIMUM && (name = connpool_pool_endpoint_name(db, i)) != NULL; i++) {
        if (strcmp(name, "master") != 0 && connpool_endpoint_get(db, name, &replicas[count], NULL) == CONNPOOL_OK) {
            count++;
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    connpool_endpoint *replicas[REPLICAS_MAXIMUM];
    connpool_error error;
    connpool *context = connpool_open(argc > 1 ? argv[1] : "postgres.json", &error);
    connpool_pool *db;
    size_t count;
    int result = 0;

    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    db = connpool_pool_get(context, "db");
    if (db == NULL) {
        fprintf(stderr, "the configuration has no pool \"db\"\n");
        connpool_close(context, 0, NULL);
        return 1;
    }
    count = get_replicas(db, replicas);
    for (int i = 0; result == 0 && i < 2; i++) {
        result = write_to_master(db) != 0 || read_from_any(replicas, count) != 0;
    }
    for (size_t i = 0; i < count; i++) {
        connpool_endpoint_put(replicas[i]);
    }
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || result != 0;
}
