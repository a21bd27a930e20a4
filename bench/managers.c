/* SPDX-License-Identifier: MIT */
/*
 * managers: for each manager, what a new connection costs to a real server on loopback, and what a reused one, with the
 * look at its health that each acquire makes. Both in turns in one run; the figures are medians.
 */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "race.h"
#include "servers.h"

enum { ROUNDS = 200 };

struct figures {
    double connect_us, reuse_us;
};

static void give_back(connpool_lease *lease, connpool_status (*how)(connpool_lease *))
{
    if (how(lease) != CONNPOOL_OK) {
        abort();
    }
}

/* A connection that is opened, released, and acquired again; then it ends, so that the next round opens one. */
static struct figures race(connpool_endpoint *endpoint)
{
    static double connects[ROUNDS];
    static double reuses[ROUNDS];
    connpool_lease lease;

    for (int round = 0; round < ROUNDS; round++) {
        connects[round] = (double)measure_acquire(endpoint, &lease) / 1e3;
        give_back(&lease, connpool_release);
        reuses[round] = (double)measure_acquire(endpoint, &lease) / 1e3;
        give_back(&lease, connpool_discard);
    }
    return (struct figures){race_median(connects, ROUNDS), race_median(reuses, ROUNDS)};
}

static void report(connpool *context, const char *pool)
{
    connpool_endpoint *endpoint = measure_endpoint(context, pool);
    struct figures figures = race(endpoint);

    connpool_endpoint_put(endpoint);
    (void)printf("%-10s %12.1f %12.2f %10.0f\n", pool, figures.connect_us, figures.reuse_us,
                 figures.connect_us / figures.reuse_us);
}

int main(void)
{
    static struct servers servers;
    connpool *context;
    connpool_pool *pool;

    servers_start(&servers);
    context = measure_open(servers.configuration, servers.folder.path);
    (void)printf("a connection to a server on loopback, opened against reused; medians of %d, in turns\n\n", ROUNDS);
    (void)printf("%-10s %12s %12s %10s\n", "manager", "connect us", "reuse us", "ratio");
    for (size_t i = 0; (pool = connpool_pool_at(context, i)) != NULL; i++) {
        report(context, connpool_pool_name(pool));
    }
    (void)printf("\na new connection of tls resumes the session of one before, of tls-full none\n");
    (void)connpool_close(context, CONNPOOL_WAIT_FOREVER, NULL);
    servers_end(&servers);
    return 0;
}
