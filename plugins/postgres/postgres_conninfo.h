/* SPDX-License-Identifier: MIT */
/*
 * postgres_conninfo: the options as a connection string of libpq's. It names every keyword that libpq knows, because
 * what is not named libpq takes from the environment (PGHOST, PGSSLMODE …), from a service file, or from files in the
 * user's home.
 */
#ifndef POSTGRES_CONNINFO_H
#define POSTGRES_CONNINFO_H

#include <connpool/manager.h>

#include "postgres_buffer.h"

struct postgres_options;

/* Where a connection goes: libpq's lists, with commas. */
struct postgres_conninfo_target {
    const char *names, *addresses, *ports;
};

/* Make the string, in a buffer that this initialises. It holds secrets: end it with postgres_conninfo_fini. 0, or the
 * negative of an error class with the fault filled: out of memory. */
int32_t postgres_conninfo_init(PQExpBuffer buffer, const struct postgres_options *options,
                               const struct postgres_conninfo_target *target, struct connpool_fault *fault);
/* Wipe and free. */
void postgres_conninfo_fini(PQExpBuffer buffer);

/* Whether libpq knows the keys of the map and takes the values of all options. Connects nothing. */
int32_t postgres_conninfo_check(const struct postgres_options *options, struct connpool_fault *fault);

/* Keys of libpq's that the map does not take, ended by NULL. */
extern const char *const postgres_conninfo_refused[];

#endif
