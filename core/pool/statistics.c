/* SPDX-License-Identifier: MIT */
/* statistics: snapshots of sizes, counters, histograms and limits. */
#include <string.h>

#include "base/copy_out.h"
#include "pool/endpoints.h"
#include "pool/pool.h"

static const char *const reason_texts[CONNPOOL_REASON_COUNT] = {
    [CONNPOOL_REASON_IDLE] = "idle",          [CONNPOOL_REASON_LIFETIME] = "lifetime",
    [CONNPOOL_REASON_USES] = "uses",          [CONNPOOL_REASON_EVICTED] = "evicted",
    [CONNPOOL_REASON_DEAD] = "dead",          [CONNPOOL_REASON_DISCARDED] = "discarded",
    [CONNPOOL_REASON_RESET] = "reset",        [CONNPOOL_REASON_DRAINED] = "drained",
    [CONNPOOL_REASON_OPEN] = "open failed",   [CONNPOOL_REASON_ABANDONED] = "abandoned",
    [CONNPOOL_REASON_CLOSED] = "pool closed",
};

const char *connpool_reason_text(connpool_reason reason)
{
    return (size_t)reason < CONNPOOL_REASON_COUNT ? reason_texts[reason] : "unknown reason";
}

static void set_counters(struct connpool_statistics *statistics, const struct cp_counters *counters)
{
    statistics->acquired = counters->acquired;
    statistics->reused = counters->reused;
    statistics->released = counters->released;
    statistics->opened = counters->opened;
    statistics->timed_out = counters->timed_out;
    statistics->failed = counters->failed;
    statistics->waited = counters->waited;
    statistics->overloaded = counters->overloaded;
    statistics->unopened = counters->unopened;
    statistics->leaked = counters->leaked;
    memcpy(statistics->ended, counters->ended, sizeof(statistics->ended));
}

/* The pool's lock is held. */
static void add_endpoint(struct connpool_statistics *sum, struct cp_counters *counters,
                         const connpool_endpoint *endpoint)
{
    struct connpool_endpoint *locked = (struct connpool_endpoint *)endpoint;

    cp_lock_take(&locked->lock);
    sum->endpoints++;
    sum->opening += endpoint->count[CP_OPENING];
    sum->idle_base += (uint64_t)endpoint->count[CP_BASE] + endpoint->looked_at[CP_CLASS_BASE];
    sum->idle_extra += (uint64_t)endpoint->count[CP_EXTRA] + endpoint->looked_at[CP_CLASS_EXTRA];
    sum->leased += (uint64_t)endpoint->count[CP_LEASED] + endpoint->count[CP_CHECKING] -
                   endpoint->looked_at[CP_CLASS_BASE] - endpoint->looked_at[CP_CLASS_EXTRA];
    sum->resetting += endpoint->count[CP_RESETTING];
    sum->closing += endpoint->count[CP_CLOSING];
    cp_counters_add(counters, &endpoint->counters);
    cp_lock_give(&locked->lock);
}

void connpool_pool_statistics(const connpool_pool *pool, struct connpool_statistics *statistics)
{
    struct connpool_pool *locked = (struct connpool_pool *)pool;
    struct connpool_statistics sum = {.size = sizeof(sum)};
    struct cp_counters counters = {0};
    const struct connpool_endpoint *endpoint;

    /* In a forked child another thread may have held the lock for ever: all is 0. */
    if (cp_pool_is_forked(pool)) {
        cp_copy_out(statistics, statistics->size, &sum, sizeof(sum));
        return;
    }
    cp_lock_take(&locked->lock);
    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        add_endpoint(&sum, &counters, endpoint);
    }
    cp_counters_add(&counters, &pool->retired);
    sum.waiters = atomic_load_explicit(&pool->waiters, memory_order_relaxed);
    cp_lock_give(&locked->lock);
    set_counters(&sum, &counters);
    cp_copy_out(statistics, statistics->size, &sum, sizeof(sum));
}

void connpool_endpoint_statistics(const connpool_endpoint *endpoint, struct connpool_statistics *statistics)
{
    struct connpool_statistics sum = {.size = sizeof(sum)};
    struct cp_counters counters = {0};

    if (cp_pool_is_forked(endpoint->pool)) {
        cp_copy_out(statistics, statistics->size, &sum, sizeof(sum));
        return;
    }
    cp_lock_take(&endpoint->pool->lock);
    add_endpoint(&sum, &counters, endpoint);
    sum.waiters = endpoint->waiters;
    cp_lock_give(&endpoint->pool->lock);
    set_counters(&sum, &counters);
    cp_copy_out(statistics, statistics->size, &sum, sizeof(sum));
}

void connpool_pool_histograms(const connpool_pool *pool, struct connpool_histograms *histograms)
{
    struct connpool_pool *locked = (struct connpool_pool *)pool;
    struct connpool_histograms copy = {.size = 0};

    if (!cp_pool_is_forked(pool)) {
        cp_lock_take(&locked->lock);
        copy = pool->histograms;
        cp_lock_give(&locked->lock);
    }
    copy.size = sizeof(copy);
    cp_copy_out(histograms, histograms->size, &copy, sizeof(copy));
}

static double seconds(int64_t span)
{
    return span == CP_NEVER ? -1.0 : (double)span / (double)CP_SECOND;
}

static void limits_of(const struct cp_policy *policy, struct connpool_limits *limits)
{
    struct connpool_limits full = {
        .size = sizeof(full),
        .background_collector = policy->background_collector,
        .dispose_batch_size = policy->dispose_batch_size,
        .min_idle = policy->min_idle,
        .max_size = policy->max_size,
        .total_max_size = policy->total_max_size,
        .max_endpoints = policy->max_endpoints,
        .max_uses = policy->max_uses,
        .max_waiters = policy->max_waiters,
        .idle_timeout = seconds(policy->idle_timeout),
        .max_lifetime = seconds(policy->max_lifetime),
        .lifetime_jitter = policy->lifetime_jitter,
        .acquire_timeout = seconds(policy->acquire_timeout),
        .connect_timeout = seconds(policy->connect_timeout),
        .check_timeout = seconds(policy->check_timeout),
        .reset_timeout = seconds(policy->reset_timeout),
        .dispose_timeout = seconds(policy->dispose_timeout),
        .check_after = seconds(policy->check_after),
        .holddown = seconds(policy->holddown),
        .leak_after = seconds(policy->leak_after),
        .retry = policy->retry,
        .watch = policy->watch && policy->background_collector,
        .prewarm = policy->prewarm,
    };

    cp_copy_out(limits, limits->size, &full, sizeof(full));
}

void connpool_pool_limits(const connpool_pool *pool, struct connpool_limits *limits)
{
    limits_of(&pool->policy, limits);
}

void connpool_endpoint_limits(const connpool_endpoint *endpoint, struct connpool_limits *limits)
{
    limits_of(&endpoint->policy, limits);
}
