/* SPDX-License-Identifier: MIT */
/* counters: what an endpoint counts since it was made; what connpool_statistics tells of it. Guarded by the endpoint's
 * lock. */
#ifndef CP_COUNTERS_H
#define CP_COUNTERS_H

#include <connpool/connpool.h>

struct cp_counters {
    uint64_t acquired, reused, released, opened, timed_out, failed, waited, overloaded, unopened, leaked;
    uint64_t ended[CONNPOOL_REASON_COUNT];
};

/* Every member is a count, so none can be forgotten. */
static inline void cp_counters_add(struct cp_counters *sum, const struct cp_counters *counters)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counters;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) {
        to[i] += from[i];
    }
}

#endif
