/* SPDX-License-Identifier: MIT */
/* context: see context.h; connpool_open, connpool_close and what concerns a whole context. */
#include "pool/context.h"

#include <sys/random.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/memory.h"
#include "pool/carry.h"
#include "pool/collector.h"
#include "pool/dispose.h"
#include "pool/pool.h"
#include "pool/reactor.h"
#include "pool/release.h"

/* Threads for name resolution (an endpoint uses at most a quarter of them) and for blocking operations. */
#define RESOLVERS 8
#define WORKERS   16

const char *connpool_version(void)
{
    return CONNPOOL_VERSION;
}

void cp_context_ref(struct connpool *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
}

static void free_context(struct connpool *context)
{
    for (size_t i = 0; i < context->pool_count; i++) {
        cp_pool_free(context->pools[i]);
    }
    cp_free(context->pools);
    cp_loop_free(context->closing_loop);
    cp_sleepers_free(context->sleepers);
    cp_services_unref(context->services);
    cp_lock_fini(&context->lock);
    cp_free(context);
}

void cp_context_unref(struct connpool *context)
{
    if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1) {
        free_context(context);
    }
}

void cp_context_drive(struct connpool *context, struct cp_loop *loop)
{
    struct cp_driven_loop driven = {.loop = loop};

    cp_lock_take(&context->lock);
    LIST_INSERT_HEAD(&context->driven_loops, &driven, entry);
    cp_lock_give(&context->lock);
    while (cp_loop_count(loop) != 0) {
        cp_loop_run(loop, 0);
    }
    cp_lock_take(&context->lock);
    LIST_REMOVE(&driven, entry);
    cp_lock_give(&context->lock);
}

void cp_context_connection_ended(struct connpool *context)
{
    if (atomic_fetch_sub(&context->connections, 1) == 1 && atomic_load(&context->is_closing)) {
        cp_loop_kick(context->closing_loop);
    }
}

static uint64_t seed_from_system(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        struct cp_clock system = {.replaced = {.now = NULL}};

        seed = (uint64_t)cp_clock_precise(&system);
    }
    return seed;
}

/* All but the pools. NULL: the error. */
static struct connpool *new_context(const struct connpool_options *options, connpool_error *error)
{
    struct connpool *context = cp_alloc(sizeof(*context));
    struct connpool_fault fault;

    if (context == NULL || cp_lock_init(&context->lock, CP_RANK_CONTEXT) != 0) {
        cp_free(context);
        (void)cp_error_no_memory(error, "context");
        return NULL;
    }
    cp_fault_init(&fault);
    atomic_init(&context->references, 1);
    context->fork_generation = cp_fork_generation;
    context->log = (struct cp_log){.write = options->log, .argument = options->log_argument};
    if (options->clock != NULL) {
        context->clock.replaced = *options->clock;
    }
    context->random_seed = options->random_seed != 0 ? options->random_seed : seed_from_system();
    context->sleepers = cp_sleepers_new(&context->clock);
    context->services = cp_services_new(&context->clock, &context->log, RESOLVERS, WORKERS);
    context->closing_loop = cp_loop_new(&context->clock, &fault);
    if (context->closing_loop == NULL && fault.error_class != 0) {
        (void)cp_error_set_fault(error, CONNPOOL_NO_MEMORY, &fault, "context");
    } else if (context->sleepers != NULL && context->services != NULL && cp_fork_prepare()) {
        return context;
    } else {
        (void)cp_error_no_memory(error, "context");
    }
    cp_context_unref(context);
    return NULL;
}

static connpool_status add_pools(struct connpool *context, struct cp_config *config, connpool_error *error)
{
    bool wants_collector = false;

    context->pools = cp_alloc_array(config->pool_count + 1, sizeof(struct connpool_pool *));
    if (context->pools == NULL) {
        return cp_error_no_memory(error, "context");
    }
    for (size_t i = 0; i < config->pool_count; i++) {
        struct connpool_pool *pool = cp_pool_new(context, &config->pools[i], error);

        if (pool == NULL) {
            return CONNPOOL_INVALID;
        }
        context->pools[context->pool_count++] = pool;
        wants_collector |= pool->policy.background_collector;
    }
    if (wants_collector) {
        cp_lock_take(&context->lock); /* the thread may want the collector before it is known here */
        context->collector = cp_collector_start(context, error);
        cp_lock_give(&context->lock);
        return context->collector == NULL ? CONNPOOL_NO_MEMORY : CONNPOOL_OK;
    }
    return CONNPOOL_OK;
}

struct connpool *cp_context_open(const struct connpool_options *options, struct cp_config *config,
                                 connpool_error *error)
{
    struct connpool *context = new_context(options, error);

    if (context != NULL && add_pools(context, config, error) != CONNPOOL_OK) {
        cp_context_unref(context);
        context = NULL;
    }
    return context;
}

connpool *connpool_open_with(const struct connpool_options *given, connpool_error *error)
{
    struct cp_mistakes mistakes = {0};
    struct connpool_options options;
    struct cp_config *config;
    struct connpool *context;

    if (cp_config_take_options(given, &options, error) != CONNPOOL_OK) {
        return NULL;
    }
    cp_memory_keep_allocator();
    config = cp_config_load(&options, &mistakes, error);
    if (config == NULL) {
        return NULL;
    }
    context = cp_context_open(&options, config, error);
    cp_config_free(config);
    return context;
}

connpool *connpool_open(const char *path, connpool_error *error)
{
    struct connpool_options options = {.size = sizeof(options), .path = path};

    return connpool_open_with(&options, error);
}

static void set_closing_driven(struct connpool *context, bool is_driven)
{
    cp_lock_take(&context->lock);
    context->is_closing_driven = is_driven;
    cp_lock_give(&context->lock);
}

static void close_pools(struct connpool *context)
{
    for (size_t i = 0; i < context->pool_count; i++) {
        struct cp_connection_list doomed = TAILQ_HEAD_INITIALIZER(doomed);

        cp_pool_close(context->pools[i], &doomed);
        cp_dispose_in_loop(context->closing_loop, &doomed);
    }
}

static bool is_all_gone(struct connpool *context)
{
    return atomic_load(&context->connections) == 0 && cp_loop_count(context->closing_loop) == 0;
}

/* Drive the closes until no connection is left or the time has come. */
static void wait_until_gone(struct connpool *context, int64_t deadline)
{
    int64_t until = deadline == CP_NEVER ? 0 : deadline;

    do {
        cp_loop_run(context->closing_loop, until);
    } while (!is_all_gone(context) && cp_clock_precise(&context->clock) < deadline);
}

/* Other threads must not find the collector while it stops. */
static void stop_collector(struct connpool *context)
{
    struct cp_collector *collector;

    cp_lock_take(&context->lock);
    collector = context->collector;
    context->collector = NULL;
    cp_lock_give(&context->lock);
    cp_collector_stop(collector);
}

connpool_status connpool_close(connpool *context, int timeout_ms, size_t *still_leased)
{
    int64_t deadline = CP_NEVER;
    int cancel_state;
    size_t left;

    if (context == NULL) {
        return CONNPOOL_OK;
    }
    if (context->fork_generation != cp_fork_generation) {
        return CONNPOOL_FORKED;
    }
    if (timeout_ms < CONNPOOL_WAIT_FOREVER || (timeout_ms != 0 && cp_reactor_is_dispatching())) {
        return CONNPOOL_INVALID;
    }
    if (atomic_exchange(&context->is_closing, true)) {
        return CONNPOOL_CLOSED;
    }
    if (timeout_ms >= 0) {
        deadline = cp_time_add(cp_clock_precise(&context->clock), timeout_ms * CP_MILLISECOND);
    }
    cancel_state = cp_cancel_disable();
    set_closing_driven(context, true);
    cp_reactor_retire_of_thread(context);
    cp_ready_wake_all(context);
    close_pools(context);
    cp_carry_end_all(context);
    cp_collector_kick_of(context);
    if (!is_all_gone(context)) {
        wait_until_gone(context, deadline);
    }
    set_closing_driven(context, false);
    stop_collector(context);
    cp_loop_abandon_all(context->closing_loop);
    cp_services_close(context->services);
    left = atomic_load(&context->connections);
    if (still_leased != NULL) {
        *still_leased = left;
    }
    cp_context_unref(context);
    cp_cancel_restore(cancel_state);
    return left == 0 ? CONNPOOL_OK : CONNPOOL_STILL_LEASED;
}

void connpool_clock_moved(connpool *context)
{
    const struct cp_driven_loop *driven;
    int cancel_state;

    if (context->fork_generation != cp_fork_generation) {
        return;
    }
    cancel_state = cp_cancel_disable();
    cp_sleepers_kick(context->sleepers);
    cp_loop_kick(context->closing_loop);
    cp_lock_take(&context->lock);
    LIST_FOREACH (driven, &context->driven_loops, entry) {
        cp_loop_kick(driven->loop);
    }
    cp_lock_give(&context->lock);
    cp_collector_kick_of(context);
    cp_cancel_restore(cancel_state);
}

size_t connpool_maintain(connpool *context)
{
    size_t count = 0;

    if (context->fork_generation != cp_fork_generation) {
        return 0;
    }
    for (size_t i = 0; i < context->pool_count; i++) {
        count += cp_release_collect(context->pools[i], cp_clock_precise(&context->clock));
    }
    return count;
}
