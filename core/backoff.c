/* SPDX-License-Identifier: MIT */
/* backoff: see backoff.h. */
#include "backoff.h"

#define GROWTH 3

int64_t cp_backoff_next(int64_t last, double random)
{
    int64_t upper = GROWTH * (last < CP_BACKOFF_FIRST ? CP_BACKOFF_FIRST : last);

    upper = upper < CP_BACKOFF_MOST ? upper : CP_BACKOFF_MOST;
    return CP_BACKOFF_FIRST + (int64_t)((double)(upper - CP_BACKOFF_FIRST) * random);
}
