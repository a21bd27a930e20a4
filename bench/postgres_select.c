/* SPDX-License-Identifier: MIT */
/*
 * postgres_select: what the pool costs a query. `SELECT 1` on a connection that is acquired and released each time,
 * beside the same while it is kept, as a private one is (one connection, because a backend's place among the processors
 * makes a query half or twice as long), and through PgBouncer in session mode, where a client's connection stays open,
 * and where it is made for each query, as programs without a pool of their own do. In rounds that take turns; the
 * figures are medians of the rounds.
 */
#include <connpool/postgres.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "pgbouncer.h"
#include "race.h"

enum { ROUNDS = 101, QUERIES = 200, CONNECTS = 2, PAUSE_NS = 600 };

static const double most_ratio = 1.02; /* the target: at most 2 % slower than a private connection */

struct contestants {
    struct server_postgres postgres;
    struct pgbouncer pgbouncer;
    connpool *context;
    connpool_endpoint *endpoint;
    PGconn *bounced;
    char conninfo[256], bounced_conninfo[256];
};

static void select_one(PGconn *connection)
{
    PGresult *result = PQexec(connection, "SELECT 1");

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "bench: SELECT 1: %s\n", PQerrorMessage(connection));
        exit(1);
    }
    PQclear(result);
}

static PGconn *connect_to(const char *conninfo)
{
    PGconn *connection = PQconnectdb(conninfo);

    if (PQstatus(connection) != CONNECTION_OK) {
        (void)fprintf(stderr, "bench: %s\n", PQerrorMessage(connection));
        exit(1);
    }
    return connection;
}

/* ---- The contestants: nanoseconds of one query ---- */

typedef double round_fn(struct contestants *contestants);

static void acquire(const struct contestants *contestants, connpool_lease *lease)
{
    connpool_error error;

    measure_expect(connpool_endpoint_acquire(contestants->endpoint, CONNPOOL_WAIT_FOREVER, lease, &error), "acquire",
                   &error);
}

static void release(connpool_lease *lease)
{
    if (connpool_release(lease) != CONNPOOL_OK) {
        abort();
    }
}

static double pooled(struct contestants *contestants)
{
    int64_t began = race_now();

    for (int i = 0; i < QUERIES; i++) {
        connpool_lease lease;

        acquire(contestants, &lease);
        select_one(connpool_postgres(&lease));
        release(&lease);
    }
    return (double)(race_now() - began) / QUERIES;
}

static double query_often(PGconn *connection)
{
    int64_t began = race_now();

    for (int i = 0; i < QUERIES; i++) {
        select_one(connection);
    }
    return (double)(race_now() - began) / QUERIES;
}

static double private(struct contestants *contestants)
{
    connpool_lease lease;
    double ns;

    acquire(contestants, &lease);
    ns = query_often(connpool_postgres(&lease));
    release(&lease);
    return ns;
}

/*
 * A backend that is asked again at once never sleeps; one that is asked a little later does, and has to be woken. What
 * a pause as long as an acquire and a release costs, though nothing is done in it, is therefore shown too.
 */
static double kept_with_pauses(struct contestants *contestants)
{
    connpool_lease lease;
    int64_t began;
    double ns;

    acquire(contestants, &lease);
    began = race_now();
    for (int i = 0; i < QUERIES; i++) {
        int64_t until = race_now() + PAUSE_NS;

        while (race_now() < until) {
        }
        select_one(connpool_postgres(&lease));
    }
    ns = (double)(race_now() - began) / QUERIES;
    release(&lease);
    return ns;
}

static double bounced(struct contestants *contestants)
{
    return query_often(contestants->bounced);
}

static double connect_often(const char *conninfo)
{
    int64_t began = race_now();

    for (int i = 0; i < CONNECTS; i++) {
        PGconn *connection = connect_to(conninfo);

        select_one(connection);
        PQfinish(connection);
    }
    return (double)(race_now() - began) / CONNECTS;
}

static double bounced_each(struct contestants *contestants)
{
    return connect_often(contestants->bounced_conninfo);
}

static double direct_each(struct contestants *contestants)
{
    return connect_often(contestants->conninfo);
}

enum { POOLED, PRIVATE, CONTESTANTS = 6 };

static const struct {
    const char *name;
    round_fn *round;
} table[CONTESTANTS] = {
    {"connpool, acquired and released each time", pooled},
    {"the same connection, kept", private},
    {"the same, kept, 0.6 us of nothing before each", kept_with_pauses},
    {"pgbouncer, a connection that stays", bounced},
    {"pgbouncer, connected each time", bounced_each},
    {"PostgreSQL, connected each time", direct_each},
};

/* ---- Setting up ---- */

static void start(struct contestants *contestants, const struct server_folder *folder)
{
    char json[512];
    uint16_t port;

    server_postgres_start(&contestants->postgres, folder, "primary", NULL);
    pgbouncer_start(&contestants->pgbouncer, &contestants->postgres);
    port = contestants->postgres.port;
    (void)snprintf(json, sizeof(json),
                   "{\"allow_inline_secrets\": true, \"pools\": {\"db\": {\"manager\": \"postgres\", \"options\": {"
                   "\"user\": \"app\", \"dbname\": \"app\", \"password\": \"%s\", \"sslmode\": \"disable\"},"
                   "\"endpoints\": {\"primary\": {\"host\": \"127.0.0.1\", \"port\": %u}}}}}",
                   SERVER_POSTGRES_PASSWORD, port);
    contestants->context = measure_open(json, NULL);
    contestants->endpoint = measure_endpoint(contestants->context, "db");
    (void)snprintf(contestants->conninfo, sizeof(contestants->conninfo),
                   "host=127.0.0.1 port=%u user=app dbname=app password=%s sslmode=disable", port,
                   SERVER_POSTGRES_PASSWORD);
    (void)snprintf(contestants->bounced_conninfo, sizeof(contestants->bounced_conninfo),
                   "host=127.0.0.1 port=%u user=app dbname=app sslmode=disable", contestants->pgbouncer.port);
    contestants->bounced = connect_to(contestants->bounced_conninfo);
}

static void end(struct contestants *contestants)
{
    PQfinish(contestants->bounced);
    connpool_endpoint_put(contestants->endpoint);
    (void)connpool_close(contestants->context, CONNPOOL_WAIT_FOREVER, NULL);
    pgbouncer_end(&contestants->pgbouncer);
    server_postgres_stop(&contestants->postgres, SERVER_POSTGRES_IMMEDIATE);
}

int main(void)
{
    static struct contestants contestants;
    static double ns[CONTESTANTS][ROUNDS];
    struct server_folder folder;
    double own;

    server_folder_init(&folder);
    start(&contestants, &folder);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONTESTANTS; i++) {
            ns[i][round] = table[i].round(&contestants);
        }
    }
    end(&contestants);
    server_folder_fini(&folder);
    own = race_median(ns[PRIVATE], ROUNDS);
    (void)printf("SELECT 1 on loopback, one thread; medians of %d rounds in turns\n\n", ROUNDS);
    for (int i = 0; i < CONTESTANTS; i++) {
        double median = race_median(ns[i], ROUNDS);

        (void)printf("%-46s %9.1f us  %7.3f of a kept connection", table[i].name, median / 1e3, median / own);
        (void)printf(i == POOLED ? ", at most %.2f: %s\n" : "\n", most_ratio,
                     median <= most_ratio * own ? "yes" : "NO");
    }
    return 0;
}
