/* SPDX-License-Identifier: MIT */
/* policy: the keys of a pool, checked: sizes and times that the pool obeys. One table (policy.c) has name, default,
 * limits and meaning of each key. */
#ifndef CP_POLICY_H
#define CP_POLICY_H

#include <stdbool.h>
#include <stdint.h>

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
};

#endif
