/* SPDX-License-Identifier: MIT */
/* pool_fixture: see pool_fixture.h. */
#include "pool_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/driver.h"
#include "engine/token.h"
#include "pool/pool.h"
#include "pool_driver.h"

static void write_log(void *argument, int32_t level, const char *text)
{
    struct pool_fixture *fixture = argument;

    (void)level;
    if (atomic_fetch_add(&fixture->lines, 1) == 0) {
        (void)snprintf(fixture->last_line, sizeof(fixture->last_line), "%s", text);
    }
}

static void to_json(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            *text = '"';
        }
    }
}

static struct connpool_options options_of(struct pool_fixture *fixture, const char *json,
                                          const struct connpool_clock *clock)
{
    struct connpool_options options = {.size = sizeof(options), .json = json, .random_seed = 1};

    options.managers = test_manager_tables(&options.manager_count);
    options.log = write_log;
    options.log_argument = fixture;
    options.clock = fixture->real_clock ? NULL : clock;
    return options;
}

/* More tokens than any test needs: their table never shrinks. */
static void warm_tokens(void)
{
    static uint64_t tokens[2048];

    for (size_t i = 0; i < 2048; i++) {
        tokens[i] = cp_token_new();
    }
    for (size_t i = 0; i < 2048; i++) {
        cp_token_free(tokens[i]);
    }
}

size_t process_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    size_t count = 0;

    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count;
}

static bool threads_are_gone(void *argument)
{
    return process_threads() <= *(const size_t *)argument;
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* The thread sanitizer has a thread of its own from the first one on. */
static void warm_threads(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* What the process keeps for ever is taken by a first pool of each manager. */
static void warm(void)
{
    static bool is_warm;
    struct pool_fixture fixture = {.real_clock = true};
    size_t threads;
    uint32_t count;
    const struct connpool_manager *const *tables = test_manager_tables(&count);

    if (is_warm) {
        return;
    }
    is_warm = true;
    warm_threads();
    threads = process_threads();
    failing_allocator_install();
    warm_tokens();
    assert_non_null(cp_driver_waker());
    for (uint32_t i = 0; i < count; i++) {
        char json[160];
        connpool_lease lease;

        (void)snprintf(json, sizeof(json), "{\"pools\": {\"p\": {\"manager\": \"%s\"}}}", tables[i]->name);
        assert_int_equal(pool_fixture_try_open(&fixture, json), CONNPOOL_OK);
        lease = pool_take(&fixture, "x");
        pool_give(&lease);
        assert_int_equal(connpool_close(fixture.context, 10000, NULL), CONNPOOL_OK);
    }
    /* Workers give their memory back when they end. */
    await(threads_are_gone, &threads, "the workers to end");
}

connpool_status pool_fixture_try_open(struct pool_fixture *fixture, const char *json)
{
    struct connpool_clock clock;
    struct connpool_options options;

    warm();
    virtual_clock_init(&fixture->clock);
    clock = virtual_clock_table(&fixture->clock);
    options = options_of(fixture, json, &clock);
    if (!fixture->keeps_settings) {
        test_manager_reset();
    }
    fixture->blocks = failing_allocator_blocks();
    fixture->context = connpool_open_with(&options, &fixture->error);
    if (fixture->context == NULL) {
        return fixture->error.status;
    }
    fixture->clock.context = fixture->context;
    fixture->pool = connpool_pool_at(fixture->context, 0);
    return CONNPOOL_OK;
}

static void open_text(struct pool_fixture *fixture, char *json)
{
    to_json(json);
    if (pool_fixture_try_open(fixture, json) != CONNPOOL_OK) {
        fail_msg("connpool_open_with: %s", fixture->error.text);
    }
}

void pool_fixture_open_json(struct pool_fixture *fixture, const char *json, ...)
{
    char text[4096];
    va_list arguments;
    int length;

    va_start(arguments, json);
    length = vsnprintf(text, sizeof(text), json, arguments);
    va_end(arguments);
    assert_in_range(length, 0, sizeof(text) - 1);
    open_text(fixture, text);
}

void pool_fixture_open(struct pool_fixture *fixture, const char *keys, ...)
{
    char given[2048], text[4096];
    va_list arguments;
    int length;

    va_start(arguments, keys);
    length = vsnprintf(given, sizeof(given), keys, arguments);
    va_end(arguments);
    assert_in_range(length, 0, sizeof(given) - 1);
    (void)snprintf(text, sizeof(text), "{'pools': {'p': {%s%s%s%s}}}",
                   strstr(given, "'manager'") == NULL ? "'manager': 'test', " : "",
                   strstr(given, "'lifetime_jitter'") == NULL ? "'lifetime_jitter': 0" : "'x-jitter': 0",
                   given[0] == '\0' ? "" : ", ", given);
    open_text(fixture, text);
}

/* Threads of the library that nobody joins give their memory back when they end. */
static bool memory_is_back(void *argument)
{
    return failing_allocator_blocks() <= ((const struct pool_fixture *)argument)->blocks;
}

static bool connections_are_gone(void *argument)
{
    (void)argument;
    return test_manager_live(NULL) == 0 && test_manager_endpoints() == 0 && test_manager_pools() == 0;
}

void pool_fixture_assert_nothing_left(struct pool_fixture *fixture)
{
    await(connections_are_gone, NULL, "connections, endpoints and pool states to be gone");
    assert_int_equal(test_manager_destroyed(), test_manager_opened());
    await(memory_is_back, fixture, "the library's memory to be given back");
    test_manager_assert_rules();
}

void pool_fixture_close(struct pool_fixture *fixture)
{
    size_t still_leased = 0;

    /* A worker that ends a connection needs its time. */
    assert_int_equal(connpool_close(fixture->context, fixture->real_clock ? 10000 : 0, &still_leased), CONNPOOL_OK);
    fixture->context = NULL;
    fixture->clock.context = NULL;
    pool_fixture_assert_nothing_left(fixture);
}

connpool_status pool_try(struct pool_fixture *fixture, const char *endpoint, int timeout_ms, connpool_lease *lease)
{
    return pool_driver_acquire(fixture->pool, endpoint, timeout_ms, lease, &fixture->error);
}

connpool_lease pool_take(struct pool_fixture *fixture, const char *endpoint)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status = pool_try(fixture, endpoint, 60000, &lease);

    if (status != CONNPOOL_OK) {
        fail_msg("acquire from %s: %s: %s", endpoint == NULL ? "(NULL)" : endpoint, connpool_status_text(status),
                 fixture->error.text);
    }
    assert_true(connpool_lease_valid(&lease));
    return lease;
}

void pool_give(connpool_lease *lease)
{
    assert_int_equal(connpool_release(lease), CONNPOOL_OK);
    assert_false(connpool_lease_valid(lease));
}

void pool_park(struct pool_fixture *fixture, const char *endpoint, size_t count)
{
    connpool_lease leases[1024];

    assert_true(count <= 1024);
    for (size_t i = 0; i < count; i++) {
        leases[i] = pool_take(fixture, endpoint);
    }
    for (size_t i = 0; i < count; i++) {
        pool_give(&leases[i]);
    }
}

struct test_connection *lease_connection(const connpool_lease *lease)
{
    struct test_connection *connection = connpool_lease_native(lease, TEST_CONNECTION_TYPE);

    assert_non_null(connection);
    return connection;
}

uint32_t lease_number(const connpool_lease *lease)
{
    return lease_connection(lease)->number;
}

struct connpool_statistics pool_numbers(const struct pool_fixture *fixture)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    connpool_pool_statistics(fixture->pool, &numbers);
    return numbers;
}

struct connpool_statistics endpoint_numbers(const struct pool_fixture *fixture, const char *endpoint)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers)};
    connpool_endpoint *handle;

    assert_int_equal(connpool_endpoint_get(fixture->pool, endpoint, &handle, NULL), CONNPOOL_OK);
    connpool_endpoint_statistics(handle, &numbers);
    connpool_endpoint_put(handle);
    return numbers;
}

uint64_t numbers_idle(const struct connpool_statistics *numbers)
{
    return numbers->idle_base + numbers->idle_extra;
}

uint64_t numbers_size(const struct connpool_statistics *numbers)
{
    return numbers->opening + numbers_idle(numbers) + numbers->leased + numbers->resetting + numbers->closing;
}

static int64_t real_seconds(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

void await(bool (*condition)(void *argument), void *argument, const char *what)
{
    int64_t limit = real_seconds() + 10;

    while (!condition(argument)) {
        if (real_seconds() > limit) {
            fail_msg("waited in vain for %s (%zu live, %zu opened, %zu destroyed, %zu blocks)", what,
                     test_manager_live(NULL), test_manager_opened(), test_manager_destroyed(),
                     failing_allocator_blocks());
        }
        sched_yield();
    }
}

struct waiters_wanted {
    struct pool_fixture *fixture;
    uint64_t count;
};

static bool has_waiters(void *argument)
{
    const struct waiters_wanted *wanted = argument;

    return pool_numbers(wanted->fixture).waiters == wanted->count;
}

void await_waiters(struct pool_fixture *fixture, uint64_t count)
{
    struct waiters_wanted wanted = {fixture, count};

    await(has_waiters, &wanted, "acquires to stand in line");
}

uint64_t pool_openers(const struct pool_fixture *fixture)
{
    struct connpool_endpoint *endpoint;
    uint64_t count = 0;

    cp_lock_take(&fixture->pool->lock);
    TAILQ_FOREACH (endpoint, &fixture->pool->endpoints, listed) {
        count += atomic_load(&endpoint->opener_count);
    }
    cp_lock_give(&fixture->pool->lock);
    return count;
}

static bool has_live(void *argument)
{
    return test_manager_live(NULL) == *(const size_t *)argument;
}

void await_live(size_t count)
{
    await(has_live, &count, "so many connections to live");
}

struct turns_wanted {
    const struct pool_fixture *fixture;
    uint64_t count;
};

/* It reads the boot-time clock once in each of its turns. */
static bool has_turned(void *argument)
{
    const struct turns_wanted *wanted = argument;

    connpool_clock_moved(wanted->fixture->context);
    return atomic_load(&wanted->fixture->clock.reads[CONNPOOL_CLOCK_BOOT]) >= wanted->count;
}

void await_collector(struct pool_fixture *fixture)
{
    /* The turn that it is in, one in which it starts what is wanted, one in which that runs, one that sees the end. */
    struct turns_wanted wanted = {fixture, atomic_load(&fixture->clock.reads[CONNPOOL_CLOCK_BOOT]) + 4};

    await(has_turned, &wanted, "the collector to look");
}

void await_collector_after(struct pool_fixture *fixture, int64_t nanoseconds)
{
    virtual_clock_advance(&fixture->clock, nanoseconds);
    await_collector(fixture);
}
