/* SPDX-License-Identifier: MIT */
/* policy: the keys of a pool, checked: sizes and times that the pool obeys. One table (policy.c) has name, default,
 * limits and meaning of each key. */
#ifndef CP_POLICY_H
#define CP_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mistakes.h"

/* Durations in nanoseconds; CP_NEVER (clock.h) where the key is not given and means "none". */
struct cp_policy {
    bool background_collector;
    uint64_t dispose_batch_size; /* 0: by size */
    int64_t idle_timeout;
    int64_t max_lifetime;
    double lifetime_jitter; /* 0 … 1 */
    uint64_t min_idle;
    uint64_t max_size;
    uint64_t total_max_size;
    uint64_t max_endpoints;
    int64_t acquire_timeout; /* CP_NEVER: none */
    int64_t connect_timeout;
    int64_t check_timeout;
    int64_t reset_timeout;
    int64_t dispose_timeout;
    int64_t check_after;
    uint64_t max_uses;    /* 0: none */
    uint64_t max_waiters; /* 0: none */
    int64_t holddown;
    int64_t leak_after; /* CP_NEVER: none */
    bool retry;         /* acquires go on connecting until their time is up */
    bool prewarm;       /* with the collector: min_idle connections are opened ahead of use */
    bool watch;         /* with the collector: parked connections are served by their `idle` step */
};

/* A policy while it is read: where each key's value came from, a bit for each row of the table. */
struct cp_policy_reading {
    struct cp_policy policy;
    uint64_t given; /* at the level read last: the pool, then an endpoint */
    uint64_t ever;  /* at any level: not the default */
    uint64_t wrong; /* a mistake was added: the value tells nothing */
};

/* All keys at their defaults. */
void cp_policy_init(struct cp_policy *policy);
void cp_policy_reading_init(struct cp_policy_reading *reading);

/* Whether it is the name of a key of a pool. */
bool cp_policy_is_key(const char *name);
/* The index-th name, NULL past the last. */
const char *cp_policy_key_name(size_t index);

/* One key of a pool (or, with at_endpoint, of an endpoint's "pool"). base: the path of the object it stands in. The
 * name must be one of the table's. */
void cp_policy_read(struct cp_policy_reading *reading, const char *name, const json_t *value, bool at_endpoint,
                    const char *base, struct cp_mistakes *mistakes);
/* The endpoint's begin: the pool's values, none given. */
void cp_policy_descend(struct cp_policy_reading *reading);
/* The relations between keys, after all were read: those that the level read last could have broken. */
void cp_policy_check(const struct cp_policy_reading *reading, bool at_endpoint, const char *base,
                     struct cp_mistakes *mistakes);

/* Add to a JSON object all keys (with at_endpoint those that an endpoint may override), what is none left out. False:
 * no memory. */
bool cp_policy_describe(const struct cp_policy *policy, bool at_endpoint, json_t *object);
/* Add to a JSON object what each key is in a JSON schema (with at_endpoint those that an endpoint may override). False:
 * no memory. */
bool cp_policy_schema(bool at_endpoint, json_t *properties);

#endif
