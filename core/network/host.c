/* SPDX-License-Identifier: MIT */
/* host: see host.h. The functions of a plugin's table that are not a sub-operation, and the table itself. A table
 * without services (given to load) reads the system's clock, logs nothing, and starts nothing. */
#include "network/host.h"

#include <connpool/version.h>

#include "engine/token.h"
#include "network/dial.h"
#include "network/offload.h"
#include "network/services.h"

static void write_log(const struct connpool_host *table, int32_t level, const char *text)
{
    const struct cp_services *services = cp_host_of(table)->services;

    if (services != NULL && !atomic_load(&services->closed)) {
        cp_log_write(&services->log, level, "%s", text);
    }
}

static int64_t read_clock(const struct connpool_host *table)
{
    static const struct cp_clock system_clock;
    const struct cp_services *services = cp_host_of(table)->services;

    if (services == NULL || atomic_load(&services->closed)) {
        return cp_clock_precise(&system_clock);
    }
    return cp_clock_precise(&services->clock);
}

static void wake(const struct connpool_host *table, uint64_t token)
{
    (void)table;
    if (token != 0) {
        cp_token_wake(token);
    }
}

static const void *get_extension(const struct connpool_host *table, const char *id)
{
    (void)table;
    (void)id;
    return NULL;
}

static const struct connpool_host functions = {
    .size = sizeof(struct connpool_host),
    .name = "libconnpool",
    .version = CONNPOOL_VERSION,
    .log = write_log,
    .clock = read_clock,
    .wake = wake,
    .get_extension = get_extension,
    .dial_start = cp_dial_start,
    .dial_step = cp_dial_step,
    .dial_take = cp_dial_take,
    .dial_stop = cp_dial_stop,
    .resolve_start = cp_resolve_start,
    .resolve_step = cp_resolve_step,
    .resolve_take = cp_resolve_take,
    .resolve_stop = cp_resolve_stop,
    .offload_start = cp_offload_start,
    .offload_step = cp_offload_step,
    .offload_take = cp_offload_take,
    .offload_stop = cp_offload_stop,
};

void cp_host_init(struct cp_host *host, struct cp_services *services)
{
    host->table = functions;
    host->table.context = host;
    host->services = services != NULL ? cp_services_ref(services) : NULL;
    host->lookups = 0;
}

void cp_host_fini(struct cp_host *host)
{
    if (host->services != NULL) {
        cp_lookups_forget(&host->services->lookups, host);
        cp_services_unref(host->services);
        host->services = NULL;
    }
}
