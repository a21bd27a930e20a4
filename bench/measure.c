/* SPDX-License-Identifier: MIT */
/* measure: see measure.h. */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

#include "race.h"

void measure_expect(connpool_status status, const char *what, const connpool_error *error)
{
    if (status != CONNPOOL_OK) {
        (void)fprintf(stderr, "bench: %s: %s\n", what, error->text);
        exit(1);
    }
}

connpool *measure_open(const char *text, const char *folder)
{
    static char plugins[] = BENCH_PLUGIN_FOLDER;
    static char *const plugin_path[] = {plugins, NULL};
    const struct connpool_options options = {
        .size = sizeof(options),
        .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER,
        .json = text,
        .folder = folder,
        .plugin_path = plugin_path,
    };
    connpool_error error;
    connpool *context = connpool_open_with(&options, &error);

    measure_expect(context != NULL ? CONNPOOL_OK : error.status, "open", &error);
    return context;
}

connpool_endpoint *measure_endpoint(connpool *context, const char *pool)
{
    connpool_endpoint *endpoint;
    connpool_error error;

    measure_expect(connpool_endpoint_get(connpool_pool_get(context, pool), NULL, &endpoint, &error), pool, &error);
    return endpoint;
}

int64_t measure_acquire(connpool_endpoint *endpoint, connpool_lease *lease)
{
    connpool_error error;
    int64_t began = race_now();
    connpool_status status = connpool_endpoint_acquire(endpoint, CONNPOOL_WAIT_DEFAULT, lease, &error);
    int64_t ended = race_now();

    measure_expect(status, "acquire", &error);
    return ended - began;
}

void measure_release(connpool_lease *lease)
{
    if (connpool_release(lease) != CONNPOOL_OK) {
        abort();
    }
}
