/* SPDX-License-Identifier: MIT */
/* recovery: see recovery.h. */
#include "pool/recovery.h"

#include "pool/backoff.h"
#include "pool/pool.h"

/* A limit that nobody met for so long is of yesterday. */
#define FORGOTTEN_AFTER (10 * CP_SECOND)
/* The part by which the longest pause is drawn out at random, so that many processes do not come back together. */
#define SPREAD 0.1

bool cp_recovery_may_pass(int32_t error_class)
{
    return error_class != CONNPOOL_ERROR_AUTHENTICATION && error_class != CONNPOOL_ERROR_TRUST &&
           error_class != CONNPOOL_ERROR_CONFIGURATION && error_class != CONNPOOL_ERROR_UNSUPPORTED;
}

static bool is_kept(const struct connpool_endpoint *endpoint)
{
    return endpoint->policy.prewarm || endpoint->policy.retry;
}

void cp_recovery_failed(struct connpool_endpoint *endpoint, const struct connpool_fault *fault, int64_t now)
{
    struct cp_recovery *recovery = &endpoint->recovery;
    double random;

    if (!is_kept(endpoint)) {
        return;
    }
    recovery->limit = 1;
    random = cp_pool_random(endpoint->pool);
    if (!cp_recovery_may_pass(fault->error_class)) {
        recovery->refused_until =
            cp_time_add(now, CP_BACKOFF_LONGEST + (int64_t)((double)CP_BACKOFF_LONGEST * SPREAD * random));
        recovery->refused = endpoint->pool->next_sequence;
        recovery->refusal = *fault;
    } else if (recovery->until <= now) {
        recovery->failures += recovery->failures != UINT32_MAX;
        recovery->until = cp_time_add(now, cp_backoff_pause(recovery->failures, random));
    }
}

bool cp_recovery_succeeded(struct connpool_endpoint *endpoint, int64_t now)
{
    struct cp_recovery *recovery = &endpoint->recovery;
    uint64_t limit = recovery->limit + 1;

    if (!cp_recovery_is_on(recovery)) {
        return false;
    }
    *recovery = (struct cp_recovery){.limit = limit, .succeeded_at = now};
    if (limit >= endpoint->policy.max_size) {
        recovery->limit = 0;
    }
    return true;
}

/* Slots whose connection is not open yet: its open runs, or is about to. */
static uint64_t opens(struct connpool_endpoint *endpoint)
{
    uint64_t others = 0;

    cp_lock_take(&endpoint->lock);
    for (int state = CP_CHECKING; state < CP_STATE_COUNT; state++) {
        others += endpoint->count[state];
    }
    cp_lock_give(&endpoint->lock);
    return endpoint->size - others;
}

bool cp_recovery_may_open(struct connpool_endpoint *endpoint, int64_t now)
{
    struct cp_recovery *recovery = &endpoint->recovery;
    uint64_t under_way;

    if (!cp_recovery_is_on(recovery)) {
        return true;
    }
    if (recovery->until > now) {
        return false;
    }
    under_way = opens(endpoint);
    if (under_way == 0 && recovery->succeeded_at != 0 && now - recovery->succeeded_at > FORGOTTEN_AFTER) {
        recovery->limit = 0;
        return true;
    }
    return under_way < recovery->limit;
}

bool cp_recovery_is_held(const struct connpool_endpoint *endpoint, int64_t now)
{
    return endpoint->held_until > now &&
           !(endpoint->policy.retry && cp_recovery_may_pass(endpoint->last_fault.error_class));
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t cp_recovery_stopped_until(const struct connpool_endpoint *endpoint)
{
    if (!endpoint->policy.retry) {
        return endpoint->blocked_until;
    }
    return later(endpoint->blocked_until, later(endpoint->held_until, endpoint->recovery.until));
}

int64_t cp_recovery_wait(struct connpool_endpoint *endpoint, int64_t now)
{
    int64_t until = cp_recovery_stopped_until(endpoint);

    if (until > now) {
        return until;
    }
    return endpoint->policy.retry && !cp_recovery_may_open(endpoint, now) ? CP_NEVER : 0;
}
