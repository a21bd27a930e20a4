/* SPDX-License-Identifier: MIT */
/*
 * test_manager: managers in the process that do as they are told. A test sets, for each operation, what its calls
 * answer; the manager records every call and checks the host from the plugin's side: operations of one connection never
 * beside each other, nothing after destroy, destroy exactly once for each open that was started, waits, faults and
 * heads filled as manager.h says. It counts the connections that live at any instant. Its state is the process's: one
 * test at a time. All functions: any thread; none waits.
 *
 * The managers:
 *   test                all operations
 *   test-null           open and destroy only (and native)
 *   test-sockets        no idle operation, but descriptors: a socket pair for each connection
 *   test-both-sockets   the same, but both ends are its descriptors
 *   test-blocking-open, -check, -prepare, -reset, -idle, -close   one operation marked as blocking
 * Options of all: name (text, in an endpoint), flavour (text), shared (text, read by pool_init). Run-time text is an
 * endpoint's name; "flavoured:NAME" is NAME of flavour "sweet", "broken:NAME" of flavour
 * "broken", whose endpoint_init fails; "same:NAME" is NAME; "!…" is refused.
 */
#ifndef KIT_TEST_MANAGER_H
#define KIT_TEST_MANAGER_H

#include <connpool/connpool.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The type that native knows: a struct test_connection *. */
#define TEST_CONNECTION_TYPE "test.connection/1"

enum test_operation {
    TEST_OPEN,
    TEST_CHECK,
    TEST_PREPARE,
    TEST_RESET,
    TEST_IDLE,
    TEST_CLOSE,
    TEST_STEPS,                /* the number of those that are step functions */
    TEST_DESTROY = TEST_STEPS, /* only recorded */
    TEST_OPERATIONS
};

/* What a call of an operation answers. */
enum test_kind {
    TEST_OK,              /* done at once (idle: nothing to watch) */
    TEST_FAIL,            /* a fault with class, scope and text */
    TEST_SLOW,            /* again until `delay` is over, then done (idle: leasable) */
    TEST_SLOW_SOCKET,     /* again until test_manager_feed made its socket readable, then done */
    TEST_SLOW_WAKE,       /* again until test_manager_wake was called, then done */
    TEST_NEVER,           /* again, waiting for a wake that nobody sends */
    TEST_TRICKLE,         /* again every `delay`, for ever */
    TEST_GARBAGE_CODE,    /* `code`, whatever that is */
    TEST_GARBAGE_NO_WAIT, /* again without anything that ends the wait */
    TEST_SWITCH_SOCKET,   /* as SLOW_SOCKET, but at each call another socket under the same number */
    TEST_WATCH,           /* idle: again with its socket; ready: dead */
    TEST_BUSY,            /* idle: again and busy until `delay` is over, then done */
    TEST_BLOCK            /* blocks the thread until test_manager_unblock; for operations marked as blocking */
};

struct test_behaviour {
    enum test_kind kind;
    int32_t error_class; /* of FAIL; with the SLOW ones: not done but failed at the end, 0: done; with NEVER: noted */
    int32_t scope;
    int32_t code;
    int64_t delay;
    const char *text; /* lives for ever; NULL: "as told" */
};

static inline struct test_behaviour test_ok(void)
{
    return (struct test_behaviour){.kind = TEST_OK};
}
static inline struct test_behaviour test_fails(int32_t error_class)
{
    return (struct test_behaviour){.kind = TEST_FAIL, .error_class = error_class};
}
static inline struct test_behaviour test_slow(int64_t delay)
{
    return (struct test_behaviour){.kind = TEST_SLOW, .delay = delay};
}
static inline struct test_behaviour test_kind(enum test_kind kind)
{
    return (struct test_behaviour){.kind = kind};
}
static inline struct test_behaviour test_garbage(int32_t code)
{
    return (struct test_behaviour){.kind = TEST_GARBAGE_CODE, .code = code};
}

/* What a lease gives to work with. */
struct test_connection {
    uint32_t number;    /* counted from 1 in the order of opening, over all endpoints */
    atomic_int holders; /* for tests: who uses it now */
    char endpoint[24];
};

/* Forget everything: all operations succeed at once, nothing recorded, numbers begin at 1. What lives still (a failed
 * test left it) is not counted any more. */
void test_manager_reset(void);
/* The tables, for connpool_options. */
const struct connpool_manager *const *test_manager_tables(uint32_t *count);

/* From now on every call of an operation does so. Later settings win over earlier ones. */
void test_manager_set(enum test_operation operation, struct test_behaviour behaviour);
/* Only for connections of that endpoint (the text lives for ever). */
void test_manager_set_endpoint(const char *endpoint, enum test_operation operation, struct test_behaviour behaviour);
/* Only for the connection of that number. */
void test_manager_set_connection(uint32_t number, enum test_operation operation, struct test_behaviour behaviour);
/* Only for the nth call of the operation, counted from 1 since the reset. */
void test_manager_set_nth(uint64_t nth, enum test_operation operation, struct test_behaviour behaviour);
/* Asked before all settings, in the plugin's call; must be thread-safe. NULL: nobody. It may call the library where the
 * test means that. */
typedef struct test_behaviour test_choose_fn(enum test_operation operation, const struct test_connection *connection);
void test_manager_choose_by(test_choose_fn *choose);

/* Make the sockets of all connections that have one readable; hang up from the peer's side with hang_up. Returns how
 * many. */
size_t test_manager_feed(bool hang_up);
/* host->wake for every wait with SLOW_WAKE since the reset, also of connections that are gone. Returns how many. */
size_t test_manager_wake(void);
/* Let all that TEST_BLOCK holds go on, now and later. */
void test_manager_unblock(void);
/* Threads that TEST_BLOCK holds now. */
size_t test_manager_blocked(void);

/* Calls of an operation begun since the reset (of a step function: its first steps; idle: all). */
uint64_t test_manager_calls(enum test_operation operation);
/* The deadline that the last call of that operation was given. */
int64_t test_manager_deadline(enum test_operation operation);
/* Whether the last prepare was told that a loop asks for the connection. */
bool test_manager_prepared_for_loop(void);
/* What was called, in order, as words "o1 p1 r1 c1 d1": a letter and the connection's number. Letters: o open, k check,
 * p prepare, r reset, i idle, c close, C close that is cut, d destroy; only those in `letters`. Lives until the next
 * call. */
const char *test_manager_log(const char *letters);
/* Do not record calls (for long runs). */
void test_manager_record(bool record);
/* The endpoint of a connection by number, "" for none. */
const char *test_manager_endpoint_of(uint32_t number);

/* Connections that live now: whose open was started and that are not destroyed. NULL: of all endpoints. */
size_t test_manager_live(const char *endpoint);
/* The most that lived at one instant. */
size_t test_manager_most(const char *endpoint);
size_t test_manager_opened(void);
size_t test_manager_destroyed(void);
/* Endpoint states that live now, and pool states. */
size_t test_manager_endpoints(void);
size_t test_manager_pools(void);

/* How often a rule of the ABI was broken since the reset. */
size_t test_manager_breaches(void);
/* Fails the running test where a rule of the ABI was broken, naming the first breach. */
void test_manager_assert_rules(void);

#endif
