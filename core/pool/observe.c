/* SPDX-License-Identifier: MIT */
/* observe: see observe.h. */
#include "pool/observe.h"

#include <string.h>

#define MEMBER(name) offsetof(struct connpool_observer, name)

/* member: the offset in a struct connpool_observer of the function that is to be told. */
static void tell(struct connpool_pool *pool, size_t member, struct connpool_event *event)
{
    const struct cp_observer *observer = atomic_load(&pool->observer);
    connpool_observe_fn *observe = NULL;

    if (observer != NULL) {
        memcpy(&observe, (const char *)&observer->functions + member, sizeof(observe));
    }
    if (observe != NULL) {
        event->size = sizeof(*event);
        event->pool = pool;
        cp_lock_assert_none();
        observe(observer->functions.argument, event);
    }
}

/* Bucket i holds durations of at least 2^i and under 2^(i+1) nanoseconds. */
static void count(struct connpool_pool *pool, struct connpool_histogram *histogram, int64_t duration)
{
    uint64_t value = duration > 0 ? (uint64_t)duration : 0;
    size_t bucket = value < 2 ? 0 : (size_t)(63 - __builtin_clzll(value));
    size_t last = sizeof(histogram->buckets) / sizeof(histogram->buckets[0]) - 1;

    cp_lock_take(&pool->lock);
    histogram->buckets[bucket < last ? bucket : last]++;
    histogram->count++;
    histogram->sum += value;
    cp_lock_give(&pool->lock);
}

static int64_t age_of(const struct connpool_connection *connection)
{
    return cp_clock_precise(&connection->pool->context->clock) - connection->created;
}

static struct connpool_event about(const struct connpool_connection *connection, int64_t duration)
{
    return (struct connpool_event){
        .endpoint = cp_connection_endpoint(connection)->name, .connection = connection->id, .duration = duration};
}

void cp_observe_opened(struct connpool_connection *connection, int64_t duration)
{
    struct connpool_pool *pool = connection->pool;
    struct connpool_event event = about(connection, duration);

    count(pool, &pool->histograms.open, duration);
    tell(pool, MEMBER(opened), &event);
}

void cp_observe_acquired(const connpool_lease *lease, bool is_new, int64_t duration)
{
    struct connpool_pool *pool = lease->connection->pool;
    struct connpool_event event = about(lease->connection, duration);

    event.is_new = is_new;
    count(pool, &pool->histograms.acquire, duration);
    tell(pool, MEMBER(acquired), &event);
}

void cp_observe_released(struct connpool_connection *connection, int64_t duration)
{
    struct connpool_pool *pool = connection->pool;
    struct connpool_event event = about(connection, duration);

    count(pool, &pool->histograms.lease, duration);
    tell(pool, MEMBER(released), &event);
}

void cp_observe_dead(struct connpool_connection *connection, const connpool_error *error)
{
    struct connpool_event event = about(connection, age_of(connection));

    event.error = error;
    tell(connection->pool, MEMBER(dead), &event);
}

void cp_observe_closed(struct connpool_connection *connection)
{
    struct connpool_event event = about(connection, age_of(connection));

    event.reason = connection->reason;
    tell(connection->pool, MEMBER(closed), &event);
}

void cp_observe_leaked(struct connpool_endpoint *endpoint, uint64_t connection, int64_t held,
                       const struct connpool_leak *leak)
{
    struct connpool_event event = {
        .endpoint = endpoint->name, .connection = connection, .duration = held, .leak = leak};

    tell(endpoint->pool, MEMBER(leaked), &event);
}

void cp_observe_acquire_error(struct connpool_endpoint *endpoint, const connpool_error *error, int64_t duration)
{
    struct connpool_pool *pool = endpoint->pool;
    struct connpool_event event = {.endpoint = endpoint->name, .duration = duration, .error = error};

    tell(pool, error->status == CONNPOOL_TIMED_OUT ? MEMBER(timed_out) : MEMBER(failed), &event);
}
