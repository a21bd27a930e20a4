/* SPDX-License-Identifier: MIT */
/*
 * pool_fixture: a context with the test manager and a virtual clock, opened from a line of configuration, and closed
 * with a look at what must be left: no connection, each destroyed once, no memory, no rule of the ABI broken. Failures
 * fail the running cmocka test.
 */
#ifndef KIT_POOL_FIXTURE_H
#define KIT_POOL_FIXTURE_H

#include <connpool/connpool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_allocator.h"
#include "test_manager.h"
#include "virtual_clock.h"

struct pool_fixture {
    connpool *context;
    connpool_pool *pool; /* the first */
    struct virtual_clock clock;
    bool real_clock;        /* set before opening: the system's clock */
    bool keeps_settings;    /* set before opening: the test manager is not reset */
    atomic_bool is_closing; /* for tests: connpool_close was called */
    size_t blocks;          /* memory that the library held before */
    _Atomic size_t lines;   /* written to the log */
    char last_line[256];
    connpool_error error; /* of the last pool_try */
};

/*
 * Open a pool "p" of the manager "test" with these keys, printf-like; single quotes stand for double ones:
 * pool_fixture_open(&fixture, "'min_idle': %d, 'max_size': 2", 1). The manager is reset. "manager" and
 * "lifetime_jitter" (0) are put in where the keys do not say.
 */
void pool_fixture_open(struct pool_fixture *fixture, const char *keys, ...) __attribute__((format(printf, 2, 3)));
/* Keys for a pool that is as it is without any. */
#define POOL_DEFAULTS "'min_idle': 1"
/* The same with a whole configuration. */
void pool_fixture_open_json(struct pool_fixture *fixture, const char *json, ...) __attribute__((format(printf, 2, 3)));
/* The same, returns the status instead of failing the test; with another than CONNPOOL_OK nothing is open. */
connpool_status pool_fixture_try_open(struct pool_fixture *fixture, const char *json);
/* Close, at once by a virtual clock; no lease may be out. Checks what is left. */
void pool_fixture_close(struct pool_fixture *fixture);
/* Only the checks, where the test has closed the context itself. */
void pool_fixture_assert_nothing_left(struct pool_fixture *fixture);

/* Acquire; must succeed. */
connpool_lease pool_take(struct pool_fixture *fixture, const char *endpoint);
/* Acquire with a limit; the error is in fixture->error. */
connpool_status pool_try(struct pool_fixture *fixture, const char *endpoint, int timeout_ms, connpool_lease *lease);
/* Release; must succeed. */
void pool_give(connpool_lease *lease);
/* Acquire and release count connections at once, so that they are parked. At most 1024. */
void pool_park(struct pool_fixture *fixture, const char *endpoint, size_t count);
/* The number of a lease's connection. */
uint32_t lease_number(const connpool_lease *lease);
struct test_connection *lease_connection(const connpool_lease *lease);

/* A snapshot of the pool, or of an endpoint. */
struct connpool_statistics pool_numbers(const struct pool_fixture *fixture);
struct connpool_statistics endpoint_numbers(const struct pool_fixture *fixture, const char *endpoint);
/* The sum of all states of a snapshot: connections that exist. */
uint64_t numbers_size(const struct connpool_statistics *numbers);
uint64_t numbers_idle(const struct connpool_statistics *numbers);

/* Threads of this process. */
size_t process_threads(void);
/* Yield until condition(argument) holds; fails the test after ten seconds. For what other threads do. */
void await(bool (*condition)(void *argument), void *argument, const char *what);
/* Yield until so many acquires stand in the pool's line. */
void await_waiters(struct pool_fixture *fixture, uint64_t count);
/* The places in line, at all endpoints, of acquires that open. */
uint64_t pool_openers(const struct pool_fixture *fixture);
/* Yield until so many connections live. */
void await_live(size_t count);
/* Wake the collector, and yield until it has looked at all it serves, and what came of that, at the time that is. */
void await_collector(struct pool_fixture *fixture);
/* Move the clock, then the same. */
void await_collector_after(struct pool_fixture *fixture, int64_t nanoseconds);

#endif
