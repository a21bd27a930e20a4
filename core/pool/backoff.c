/* SPDX-License-Identifier: MIT */
/* backoff: see backoff.h. */
#include "pool/backoff.h"

int64_t cp_backoff_pause(uint32_t failures, double random)
{
    int64_t bound = CP_BACKOFF_FIRST;

    for (uint32_t i = 0; i < failures && bound < CP_BACKOFF_MOST; i++) {
        bound *= 2;
    }
    bound = bound < CP_BACKOFF_MOST ? bound : CP_BACKOFF_MOST;
    return CP_BACKOFF_FIRST + (int64_t)((double)(bound - CP_BACKOFF_FIRST) * random);
}
