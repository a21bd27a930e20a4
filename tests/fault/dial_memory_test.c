/* SPDX-License-Identifier: MIT */
/* dial with every allocation failing once: a fault that says so, or a connection, and nothing left behind. */
#include "../unit/services_fixture.h"

#include <connpool/connpool.h>

#include "base/fork.h"
#include "network/dial.h"
#include "server_listener.h"

#define OPTIONS(...) (&(struct connpool_dial_options){.size = sizeof(struct connpool_dial_options), __VA_ARGS__})

static struct fixture fixture;

/* Allocations happen on the resolver's thread too. */
static atomic_int until_failure; /* the allocation that fails; 0: none any more */
static atomic_int living;

static void *allocate(void *argument, size_t size)
{
    void *memory;

    (void)argument;
    if (atomic_load(&until_failure) > 0 && atomic_fetch_sub(&until_failure, 1) == 1) {
        return NULL;
    }
    memory = malloc(size);
    atomic_fetch_add(&living, memory != NULL);
    return memory;
}

static void release(void *argument, void *memory)
{
    (void)argument;
    atomic_fetch_sub(&living, 1);
    free(memory);
}

static int set_up(void **state)
{
    const struct connpool_allocator allocator = {.size = sizeof(allocator), .allocate = allocate, .release = release};

    (void)state;
    assert_int_equal(connpool_use_allocator(&allocator), CONNPOOL_OK);
    assert_non_null(cp_driver_waker());
    return 0;
}

static int32_t step(void *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return cp_dial_step(dial, wait, fault);
}

/* One dial with the k-th allocation failing: whether it connected. */
static bool dial_once(const struct connpool_dial_options *options, int k)
{
    struct connpool_dial *dial;
    struct fixture_drive drive;
    int32_t result;

    cp_fault_init(&drive.fault);
    atomic_store(&until_failure, k);
    dial = cp_dial_start(&fixture.host.table, options, &drive.fault);
    result = dial != NULL ? fixture_run(&drive, step, dial) : -drive.fault.error_class;
    cp_dial_stop(dial);
    if (result != CONNPOOL_STEP_DONE) {
        assert_int_equal(result, -CONNPOOL_ERROR_RESOURCE_LOCAL);
        assert_int_equal(drive.fault.error_class, CONNPOOL_ERROR_RESOURCE_LOCAL);
    }
    return result == CONNPOOL_STEP_DONE;
}

static void each_allocation_fails_once(const struct connpool_dial_options *options, int least)
{
    int k = 0;
    bool connected;

    do {
        unsigned descriptors;
        int before;

        atomic_store(&until_failure, 0);
        before = atomic_load(&living);
        descriptors = fixture_descriptors();
        fixture_init(&fixture, 4, 1);
        connected = dial_once(options, ++k);
        fixture_fini(&fixture);
        assert_int_equal(fixture_descriptors(), descriptors);
        assert_int_equal(atomic_load(&living), before);
    } while (!connected || atomic_load(&until_failure) <= 0);
    assert_true(k > least);
}

/* What the process keeps for ever is there: the rows of the fork record, the tokens. */
static void warm_up(const struct connpool_dial_options *options)
{
    fixture_init(&fixture, 4, 1);
    assert_true(dial_once(options, 0));
    fixture_fini(&fixture);
}

static void by_name(void **state)
{
    static const struct fixture_name names[] = {{.name = "name", .addresses = {"127.0.0.81", "127.0.0.1"}}};
    struct server_listener listener;
    const struct connpool_dial_options *options;

    (void)state;
    fixture_resolve_with(names, 1);
    server_listener_open(&listener, "127.0.0.1", 0, 64);
    options = OPTIONS(.host = "name", .port = listener.port);
    warm_up(options);
    each_allocation_fails_once(options, 4);
    server_listener_close(&listener);
}

static void by_number(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 64);
    each_allocation_fails_once(OPTIONS(.host = "127.0.0.1", .port = listener.port), 3);
    server_listener_close(&listener);
}

static void by_path(void **state)
{
    struct server_listener listener;
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "@connpool-dial-memory-%d", (int)getpid());
    server_listener_open_unix(&listener, path, 64);
    each_allocation_fails_once(OPTIONS(.path = path), 2);
    server_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_name),
        cmocka_unit_test(by_number),
        cmocka_unit_test(by_path),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
