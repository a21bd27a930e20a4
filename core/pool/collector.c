/* SPDX-License-Identifier: MIT */
/* collector: see collector.h. */
#include "pool/collector.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_signals.h"
#include "pool/dispose.h"
#include "pool/endpoints.h"
#include "pool/pool.h"
#include "pool/watch.h"

/* failures.md B27: TLS libraries want stack; a plugin's step may use it here. */
#define STACK_SIZE (256 * 1024)
/* How often it looks at what no timer tells: whether the machine slept (monotonic time stands still meanwhile), and
 * unused endpoints whose hold-down has run out. */
#define LOOK_EVERY CP_SECOND
/* The clocks are read one after the other: a difference below this is no sleep. */
#define SLEPT (100 * CP_MILLISECOND)

struct cp_collector {
    struct connpool *context;
    struct cp_loop *loop;
    pthread_t thread;
    atomic_bool must_stop;
    int64_t boot_offset; /* how far the boot-time clock was ahead when the collector looked last */
};

static bool is_served(const struct connpool_pool *pool)
{
    return pool->policy.background_collector;
}

/* One thing that it does for a pool. Returns when it is to be done again at the latest; CP_NEVER. No lock held. */
typedef int64_t duty_fn(struct cp_collector *collector, struct connpool_pool *pool, int64_t now);

static int64_t close_due(struct cp_collector *collector, struct connpool_pool *pool, int64_t now)
{
    struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);

    if (atomic_load_explicit(&pool->next_due, memory_order_relaxed) <= now) {
        cp_lock_take(&pool->lock);
        (void)cp_due_collect(pool, now, SIZE_MAX, &doomed);
        cp_lock_give(&pool->lock);
        cp_dispose_in_loop(collector->loop, &doomed);
    }
    return atomic_load_explicit(&pool->next_due, memory_order_relaxed);
}

static int64_t watch(struct cp_collector *collector, struct connpool_pool *pool, int64_t now)
{
    return cp_watch_sweep(pool, collector->loop, now);
}

static int64_t forget_unused(struct cp_collector *collector, struct connpool_pool *pool, int64_t now)
{
    (void)collector;
    cp_endpoints_purge(pool, now);
    return CP_NEVER; /* LOOK_EVERY is often enough */
}

static int64_t report_leaks(struct cp_collector *collector, struct connpool_pool *pool, int64_t now)
{
    (void)collector;
    if (!pool->finds_leaks) {
        return CP_NEVER;
    }
    if (pool->next_leak_sweep <= now) {
        pool->next_leak_sweep = cp_leak_sweep(pool, now);
    }
    return pool->next_leak_sweep;
}

static int64_t top_up(struct cp_collector *collector, struct connpool_pool *pool, int64_t now)
{
    return cp_supply_top_up(pool, collector->loop, now);
}

static duty_fn *const duties[] = {close_due, watch, forget_unused, report_leaks, top_up};

#define DUTIES (sizeof(duties) / sizeof(duties[0]))

/* Do what is to be done now; returns when there is something next. */
static int64_t serve_all(struct cp_collector *collector, int64_t now)
{
    struct connpool *context = collector->context;
    int64_t next = CP_NEVER;

    for (size_t i = 0; i < context->pool_count; i++) {
        struct connpool_pool *pool = context->pools[i];

        for (size_t k = 0; is_served(pool) && k < DUTIES; k++) {
            int64_t again = duties[k](collector, pool, now);

            next = again < next ? again : next;
        }
    }
    return next;
}

/* What was parked before the machine slept may be dead without a sign. */
static void suspect_all(struct connpool_pool *pool)
{
    struct connpool_endpoint *endpoint;

    cp_lock_take(&pool->lock);
    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        cp_lock_take(&endpoint->lock);
        endpoint->suspect = endpoint->parkings;
        cp_lock_give(&endpoint->lock);
    }
    cp_lock_give(&pool->lock);
}

static int64_t boot_offset(const struct connpool *context)
{
    return cp_clock_boot(&context->clock) - cp_clock_precise(&context->clock);
}

static void look_for_sleep(struct cp_collector *collector)
{
    struct connpool *context = collector->context;
    int64_t offset = boot_offset(context);

    if (offset - collector->boot_offset > SLEPT) {
        for (size_t i = 0; i < context->pool_count; i++) {
            suspect_all(context->pools[i]);
        }
    }
    collector->boot_offset = offset;
}

static void *run(void *argument)
{
    struct cp_collector *collector = argument;
    const struct cp_clock *clock = &collector->context->clock;

    while (!atomic_load(&collector->must_stop)) {
        int64_t now = cp_clock_precise(clock);
        int64_t look_at = cp_time_add(now, LOOK_EVERY);
        int64_t next;

        look_for_sleep(collector);
        next = serve_all(collector, now);
        cp_loop_run(collector->loop, next < look_at ? next : look_at);
    }
    cp_loop_abandon_all(collector->loop);
    return NULL;
}

static int start_thread(struct cp_collector *collector)
{
    pthread_attr_t attributes;
    int result = pthread_attr_init(&attributes);

    if (result != 0) {
        return result;
    }
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    cp_thread_signals_block(&attributes);
    result = pthread_create(&collector->thread, &attributes, run, collector);
    (void)pthread_attr_destroy(&attributes);
    if (result == 0) {
        (void)pthread_setname_np(collector->thread, "connpool-collec");
    }
    return result;
}

struct cp_collector *cp_collector_start(struct connpool *context, connpool_error *error)
{
    struct cp_collector *collector = cp_alloc(sizeof(*collector));
    struct connpool_fault fault;
    int result;

    if (collector == NULL) {
        (void)cp_error_no_memory(error, "collector");
        return NULL;
    }
    cp_fault_init(&fault);
    collector->context = context;
    collector->boot_offset = boot_offset(context);
    collector->loop = cp_loop_new(&context->clock, &fault);
    if (collector->loop == NULL) {
        (void)cp_error_set_fault(error, CONNPOOL_NO_MEMORY, &fault, "collector");
        cp_free(collector);
        return NULL;
    }
    result = start_thread(collector);
    if (result != 0) {
        (void)cp_error_set(error, CONNPOOL_NO_MEMORY, CONNPOOL_ERROR_RESOURCE_LOCAL, "collector: no thread: %s",
                           strerrordesc_np(result));
        cp_loop_free(collector->loop);
        cp_free(collector);
        return NULL;
    }
    return collector;
}

void cp_collector_stop(struct cp_collector *collector)
{
    if (collector == NULL) {
        return;
    }
    atomic_store(&collector->must_stop, true);
    cp_loop_kick(collector->loop);
    (void)pthread_join(collector->thread, NULL);
    cp_loop_free(collector->loop);
    cp_free(collector);
}

void cp_collector_kick_of(struct connpool *context)
{
    cp_lock_take(&context->lock);
    if (context->collector != NULL) {
        cp_loop_kick(context->collector->loop);
    }
    cp_lock_give(&context->lock);
}

struct cp_loop *cp_collector_loop(struct cp_collector *collector)
{
    return collector->loop;
}
