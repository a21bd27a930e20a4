/* SPDX-License-Identifier: MIT */
/*
 * postgres_select: what the pool costs a query. `SELECT 1` on a connection that is acquired and released each time,
 * beside the same while it is kept, as a private one is; through PgBouncer in session mode, where a client's connection
 * stays open; and with a connection made for each query, as programs without a pool of their own do. What leaves cold
 * caches behind, as a connect does, runs in a race of its own. Where the backend runs makes a query several times as
 * long: so it is one connection for all that compares them, first on the client's own processor, then on another.
 */
#include <connpool/postgres.h>
#include <libpq-fe.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "pgbouncer.h"
#include "race.h"

enum { ROUNDS = 401, QUERIES = 50, WARMUP = 10, CONNECT_ROUNDS = 31, CONNECTS = 2, ALONE = 500 };

static const double most_ratio = 1.02; /* the target: at most 2 % slower than a private connection */

struct contestants {
    struct server_postgres postgres;
    struct pgbouncer pgbouncer;
    connpool *context;
    connpool_endpoint *endpoint;
    PGconn *bounced;
    int64_t pause; /* nanoseconds that an acquire and a release take */
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

/* ---- The contestants ---- */

static void acquire(const struct contestants *contestants, connpool_lease *lease)
{
    connpool_error error;

    measure_expect(connpool_endpoint_acquire(contestants->endpoint, CONNPOOL_WAIT_FOREVER, lease, &error), "acquire",
                   &error);
}

/* No query at all: what the pool does by itself. */
static void alone(void *argument, long times)
{
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        acquire(argument, &lease);
        measure_release(&lease);
    }
}

static void pooled(void *argument, long times)
{
    connpool_lease lease;

    for (long i = 0; i < times; i++) {
        acquire(argument, &lease);
        select_one(connpool_postgres(&lease));
        measure_release(&lease);
    }
}

static void query_often(PGconn *connection, long times)
{
    for (long i = 0; i < times; i++) {
        select_one(connection);
    }
}

static void kept(void *argument, long times)
{
    connpool_lease lease;

    acquire(argument, &lease);
    query_often(connpool_postgres(&lease), times);
    measure_release(&lease);
}

/*
 * A backend that is asked again at once never sleeps; one that is asked a little later does, and has to be woken. What
 * a pause as long as an acquire and a release costs, though nothing is done in it, is therefore shown too.
 */
static void kept_with_pauses(void *argument, long times)
{
    const struct contestants *contestants = argument;
    connpool_lease lease;

    acquire(contestants, &lease);
    for (long i = 0; i < times; i++) {
        int64_t until = race_now() + contestants->pause;

        while (race_now() < until) {
        }
        select_one(connpool_postgres(&lease));
    }
    measure_release(&lease);
}

static void bounced(void *argument, long times)
{
    const struct contestants *contestants = argument;

    query_often(contestants->bounced, times);
}

static void connect_often(const char *conninfo, long times)
{
    for (long i = 0; i < times; i++) {
        PGconn *connection = connect_to(conninfo);

        select_one(connection);
        PQfinish(connection);
    }
}

static void bounced_each(void *argument, long times)
{
    const struct contestants *contestants = argument;

    connect_often(contestants->bounced_conninfo, times);
}

static void direct_each(void *argument, long times)
{
    const struct contestants *contestants = argument;

    connect_often(contestants->conninfo, times);
}

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

/* ---- The races ---- */

static void line(const char *name, const struct race_turn *turn, double query)
{
    (void)printf("%-44s %9.2f us %9.2f us %9.3f", name, turn->ns / 1e3, turn->least / 1e3, turn->ns / query);
}

/* The number of the first processor of a set after that one; -1: there is none. */
static int processor_after(const cpu_set_t *processors, int last)
{
    for (int i = last + 1; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET((size_t)i, processors)) {
            return i;
        }
    }
    return -1;
}

static void pin(pid_t process, int processor)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    if (sched_setaffinity(process, sizeof(set), &set) != 0) {
        perror("bench: sched_setaffinity");
        exit(1);
    }
}

/* Keep this thread and the connection's backend where they are to be. */
static void place(const struct contestants *contestants, int client, int backend)
{
    connpool_lease lease;

    acquire(contestants, &lease);
    pin(0, client);
    pin(PQbackendPID(connpool_postgres(&lease)), backend);
    measure_release(&lease);
}

/* An acquire and a release by themselves: nanoseconds. */
static double race_alone(struct contestants *contestants)
{
    static race_work_fn *const table[] = {alone};
    const struct race_turns race = {.rounds = 101, .times = ALONE, .warmup = WARMUP, .contestants = table, .count = 1};
    struct race_turn turn;

    race_in_turns(&race, contestants, &turn);
    contestants->pause = (int64_t)turn.ns;
    return turn.ns;
}

static void race_queries(struct contestants *contestants)
{
    static race_work_fn *const table[] = {kept, pooled, kept_with_pauses};
    const struct race_turns race = {
        .rounds = ROUNDS, .times = QUERIES, .warmup = WARMUP, .contestants = table, .count = 3};
    double own = race_alone(contestants);
    struct race_turn turns[3];

    race_in_turns(&race, contestants, turns);
    line("a connection that is kept", &turns[0], turns[0].ns);
    (void)printf("\n");
    line("the same, acquired and released each time", &turns[1], turns[0].ns);
    (void)printf("  round by round %.3f, at most %.2f: %s\n", turns[1].ratio, most_ratio,
                 turns[1].ratio <= most_ratio ? "yes" : "NO");
    line("the same, kept, as long a pause before each", &turns[2], turns[0].ns);
    (void)printf("  round by round %.3f\n", turns[2].ratio);
    (void)printf("%-44s %9.2f us %22.3f\n", "an acquire and a release by themselves", own / 1e3, own / turns[0].ns);
}

static void race_bounced(struct contestants *contestants)
{
    static race_work_fn *const table[] = {kept, bounced};
    const struct race_turns race = {
        .rounds = ROUNDS, .times = QUERIES, .warmup = WARMUP, .contestants = table, .count = 2};
    struct race_turn turns[2];

    race_in_turns(&race, contestants, turns);
    line("PostgreSQL, a connection that stays", &turns[0], turns[0].ns);
    (void)printf("\n");
    line("pgbouncer, a connection that stays", &turns[1], turns[0].ns);
    (void)printf("  round by round %.3f\n", turns[1].ratio);
}

static void race_connects(struct contestants *contestants)
{
    static race_work_fn *const table[] = {direct_each, bounced_each};
    const struct race_turns race = {
        .rounds = CONNECT_ROUNDS, .times = CONNECTS, .warmup = 1, .contestants = table, .count = 2};
    struct race_turn turns[2];

    race_in_turns(&race, contestants, turns);
    line("PostgreSQL, connected each time", &turns[0], turns[0].ns);
    (void)printf("\n");
    line("pgbouncer, connected each time", &turns[1], turns[0].ns);
    (void)printf("\n");
}

int main(void)
{
    static struct contestants contestants;
    struct server_folder folder;
    cpu_set_t all;
    int first;
    int second;

    server_folder_init(&folder);
    start(&contestants, &folder);
    (void)sched_getaffinity(0, sizeof(all), &all);
    first = processor_after(&all, -1);
    second = processor_after(&all, first);
    (void)printf(
        "SELECT 1 on loopback, one thread; %d rounds of %d in turns that move on by one, each after a warm-up\n"
        "least: of the best round; ratio: of the medians, to the first line of each part; round by round: the "
        "median of the\nratios within a round\n\n%-44s %12s %12s %9s\n",
        ROUNDS, QUERIES, "client and backend on one processor", "median", "least", "ratio");
    place(&contestants, first, first);
    race_queries(&contestants);
    if (second >= 0) {
        (void)printf("\neach on a processor of its own\n");
        place(&contestants, first, second);
        race_queries(&contestants);
    }
    (void)sched_setaffinity(0, sizeof(all), &all);
    (void)printf("\nother ways, each process wherever it runs\n");
    race_bounced(&contestants);
    race_connects(&contestants);
    end(&contestants);
    server_folder_fini(&folder);
    return 0;
}
