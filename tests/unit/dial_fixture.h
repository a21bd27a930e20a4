/* SPDX-License-Identifier: MIT */
/* dial_fixture: what tests of dial share: the services that it needs, and a dial driven to its end. */
#ifndef DIAL_FIXTURE_H
#define DIAL_FIXTURE_H

#include "services_fixture.h"

#include "base/fork.h"
#include "network/dial.h"
#include "server_listener.h"

#define OPTIONS(...) (&(struct connpool_dial_options){.size = sizeof(struct connpool_dial_options), __VA_ARGS__})

static struct fixture fixture;

static inline int set_up(void **state)
{
    (void)state;
    assert_true(cp_fork_prepare());
    assert_non_null(cp_driver_waker());
    fixture_init(&fixture, 4, 1);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    fixture_fini(&fixture);
    return 0;
}

static inline int32_t step(void *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return cp_dial_step(dial, wait, fault);
}

static inline struct connpool_dial *start(const struct connpool_dial_options *options)
{
    struct connpool_fault fault;
    struct connpool_dial *dial;

    cp_fault_init(&fault);
    dial = cp_dial_start(&fixture.host.table, options, &fault);
    assert_string_equal(fault.text, "");
    assert_non_null(dial);
    return dial;
}

/* Dial to the end: the descriptor. */
static inline int connect_to(const struct connpool_dial_options *options)
{
    struct connpool_dial *dial = start(options);
    struct fixture_drive drive;
    int fd;

    assert_int_equal(fixture_run(&drive, step, dial), CONNPOOL_STEP_DONE);
    fd = cp_dial_take(dial);
    assert_true(fd >= 0);
    assert_int_equal(cp_dial_take(dial), -1);
    cp_dial_stop(dial);
    return fd;
}

/* Dial to the end, which is a failure: the fault. */
static inline struct connpool_fault fail_to_connect(const struct connpool_dial_options *options)
{
    struct connpool_dial *dial = start(options);
    struct fixture_drive drive;

    assert_true(fixture_run(&drive, step, dial) < 0);
    assert_int_equal(drive.result, -drive.fault.error_class);
    assert_int_equal(cp_dial_take(dial), -1);
    cp_dial_stop(dial);
    return drive.fault;
}

/* A full queue answers no SYN, nor takes a connection to a Unix socket. */
struct black_hole {
    struct server_listener listener;
    int fillers[8];
    size_t count;
};

static inline void black_hole_close(struct black_hole *hole)
{
    while (hole->count > 0) {
        (void)close(hole->fillers[--hole->count]);
    }
    server_listener_close(&hole->listener);
}

#endif
