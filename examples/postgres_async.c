/* SPDX-License-Identifier: MIT */
/*
 * postgres_async: how does one thread run several queries at once? Each on a session of its own, as far as the pool has
 * them; one whose session is lost runs again on another:
 *
 *     postgres_async postgres.json master 'SELECT now()' 'SELECT pg_sleep(1)' 'SELECT 1/0'
 *
 * How long a query may take the server is told: "libpq": {"options": "-c statement_timeout=5s"}; how long a server may
 * be gone the option user_timeout says.
 */
#include <connpool/adapters/epoll.h>
#include <connpool/postgres.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ATTEMPTS 3
#define EVENTS   16

struct query {
    const char *sql;
    connpool_lease lease;
    PGconn *session; /* NULL: it waits for one, or has ended */
    PGresult *last;  /* of its results */
    int attempts;
    bool has_failed;
    char answer[512];
};

static struct {
    int epoll;
    struct connpool_epoll pools;
    connpool_endpoint *endpoint;
    int under_way;
} client;

/* ---- The end of a query ---- */

static void end(struct query *query, bool has_failed)
{
    query->has_failed = has_failed;
    client.under_way--;
}

/* The descriptor is the pool's: no event of it is to come any more once the session is back. */
static void unwatch(struct query *query)
{
    PQclear(query->last);
    query->last = NULL;
    epoll_ctl(client.epoll, EPOLL_CTL_DEL, PQsocket(query->session), NULL);
    query->session = NULL;
}

/* All results were read. An error of the query leaves the session as good as before. */
static void finish(struct query *query)
{
    struct connpool_lease_info info = {.size = sizeof(info)};
    ExecStatusType status = PQresultStatus(query->last);
    bool is_right = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;

    connpool_lease_info(&query->lease, &info);
    if (is_right) {
        snprintf(query->answer, sizeof(query->answer), "%.60s; connection %d, use %d, attempt %d",
                 PQntuples(query->last) > 0 ? PQgetvalue(query->last, 0, 0) : PQcmdStatus(query->last), (int)info.id,
                 (int)info.uses, query->attempts);
    } else {
        const char *state = PQresultErrorField(query->last, PG_DIAG_SQLSTATE);

        snprintf(query->answer, sizeof(query->answer), "%s: %s", state == NULL ? PQresStatus(status) : state,
                 PQresultErrorMessage(query->last));
    }
    unwatch(query);
    connpool_release(&query->lease);
    end(query, !is_right);
}

static void acquire(struct query *query);

/* Whether the server ran the query before the session ended nobody knows: run again only what may run twice. */
static void lose(struct query *query, const char *why)
{
    snprintf(query->answer, sizeof(query->answer), "%s", why);
    unwatch(query);
    connpool_discard(&query->lease);
    if (query->attempts < ATTEMPTS) {
        acquire(query);
    } else {
        end(query, true);
    }
}

/* ---- Its way ---- */

/* Level-triggered: libpq does not read until nothing is left. */
static void watch(const struct query *query, int operation, bool is_writing)
{
    struct epoll_event event = {.events = EPOLLIN | (is_writing ? EPOLLOUT : 0), .data.ptr = (void *)query};

    epoll_ctl(client.epoll, operation, PQsocket(query->session), &event);
}

/* What has come. */
static void receive(struct query *query)
{
    while (!PQisBusy(query->session)) {
        PGresult *result = PQgetResult(query->session);

        if (result == NULL && PQstatus(query->session) == CONNECTION_OK) {
            finish(query);
            return;
        }
        if (result == NULL) {
            lose(query, PQerrorMessage(query->session));
            return;
        }
        PQclear(query->last);
        query->last = result;
        if (PQresultStatus(result) == PGRES_COPY_OUT || PQresultStatus(result) == PGRES_COPY_IN) {
            query->attempts = ATTEMPTS;
            lose(query, "COPY is a conversation of its own, which we do not lead");
            return;
        }
    }
}

/* Something is ready, to read or to write. */
static void proceed(struct query *query)
{
    int left = PQflush(query->session);

    if (left < 0 || !PQconsumeInput(query->session)) {
        lose(query, PQerrorMessage(query->session));
        return;
    }
    watch(query, EPOLL_CTL_MOD, left > 0);
    receive(query);
}

static void acquired(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct query *query = argument;

    if (status != CONNPOOL_OK) {
        snprintf(query->answer, sizeof(query->answer), "%s", error->text);
        end(query, true);
        return;
    }
    query->lease = *lease;
    query->session = connpool_postgres(lease);
    if (!PQsendQueryParams(query->session, query->sql, 0, NULL, NULL, NULL, NULL, 0)) {
        lose(query, PQerrorMessage(query->session));
        return;
    }
    watch(query, EPOLL_CTL_ADD, true);
}

static void acquire(struct query *query)
{
    connpool_error error;

    query->attempts++;
    if (connpool_acquire_async(client.pools.reactor, client.endpoint, CONNPOOL_WAIT_DEFAULT, acquired, query, NULL,
                               &error) != CONNPOOL_OK) {
        snprintf(query->answer, sizeof(query->answer), "%s", error.text);
        end(query, true);
    }
}

/* ---- The loop ---- */

static void run(struct query *queries, int count)
{
    struct epoll_event events[EVENTS];

    client.under_way = count;
    for (int i = 0; i < count; i++) {
        acquire(&queries[i]);
    }
    while (client.under_way > 0) {
        int ready = epoll_wait(client.epoll, events, EVENTS, -1);

        for (int i = 0; i < ready; i++) {
            struct query *query = events[i].data.ptr;

            if (query == NULL) {
                connpool_epoll_dispatch(&client.pools);
            } else if (query->session != NULL) { /* else the event is of a session that it had before */
                proceed(query);
            }
        }
    }
}

/* Returns how many failed, -1: none was run. */
static int run_all(connpool *context, const char *endpoint, char **statements, int count)
{
    struct query *queries = calloc((size_t)count, sizeof(*queries));
    connpool_error error = {.text = "no memory"};
    int failed = -1;

    client.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (queries != NULL &&
        connpool_epoll_open(&client.pools, client.epoll, (epoll_data_t){.ptr = NULL}, context, &error) == CONNPOOL_OK &&
        connpool_endpoint_get(connpool_pool_get(context, "db"), endpoint, &client.endpoint, &error) == CONNPOOL_OK) {
        for (int i = 0; i < count; i++) {
            queries[i].sql = statements[i];
        }
        run(queries, count);
        failed = 0;
        for (int i = 0; i < count; i++) {
            printf("%s: %s\n", statements[i], queries[i].answer);
            failed += queries[i].has_failed;
        }
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    connpool_endpoint_put(client.endpoint);
    connpool_epoll_close(&client.pools);
    close(client.epoll);
    free(queries);
    return failed;
}

int main(int argc, char **argv)
{
    connpool_error error;
    connpool *context;
    int failed;

    if (argc < 4) {
        fprintf(stderr, "usage: postgres_async CONFIGURATION ENDPOINT SQL...\n");
        return 2;
    }
    context = connpool_open(argv[1], &error);
    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    failed = run_all(context, argv[2], argv + 3, argc - 3);
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || failed != 0;
}
