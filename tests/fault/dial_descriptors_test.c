/* SPDX-License-Identifier: MIT */
/* dial with no descriptors left (failures.md B17): the fault says so, and a race goes on without its epoll. */
#include "../unit/services_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "network/dial.h"
#include "network/dial_race.h"
#include "server_listener.h"

#define OPTIONS(...) (&(struct connpool_dial_options){.size = sizeof(struct connpool_dial_options), __VA_ARGS__})

static struct fixture fixture;
static struct rlimit limit_before;

static int set_up(void **state)
{
    (void)state;
    assert_non_null(cp_driver_waker());
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
    fixture_init(&fixture, 4, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_fini(&fixture);
    return 0;
}

/* So many more descriptors can be opened. */
static void leave_descriptors(unsigned count)
{
    struct rlimit limit = limit_before;
    int highest = -1;

    /* The lowest free numbers are given out first: fill the gaps below by counting from the first that is free. */
    for (unsigned found = 0; found <= count; found++) {
        do {
            highest++;
        } while (fcntl(highest, F_GETFD) != -1);
    }
    limit.rlim_cur = (rlim_t)highest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void restore_descriptors(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
}

static int32_t step(void *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return cp_dial_step(dial, wait, fault);
}

static void no_socket_is_a_local_failure_b17(void **state)
{
    const struct connpool_dial_options *kinds[] = {OPTIONS(.host = "127.0.0.1", .port = 1), OPTIONS(.path = "@none")};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct connpool_dial *dial = cp_dial_start(&fixture.host.table, kinds[i], NULL);
        struct connpool_fault fault;
        struct connpool_wait wait;

        assert_non_null(dial);
        cp_fault_init(&fault);
        leave_descriptors(0);
        assert_int_equal(fixture_step(step, dial, 1, &wait, &fault), -CONNPOOL_ERROR_RESOURCE_LOCAL);
        restore_descriptors();
        assert_int_equal(fault.os_error, EMFILE);
        assert_int_equal(fault.scope, CONNPOOL_SCOPE_CONNECTION);
        assert_non_null(strstr(fault.text, "socket: Too many open files"));
        cp_dial_stop(dial);
    }
}

/* Two sockets can be had, and no epoll: the first is looked at by time. */
static void a_race_goes_on_without_its_epoll_b17(void **state)
{
    static const struct fixture_name names[] = {{.name = "holes", .addresses = {"127.0.0.71", "127.0.0.71"}}};
    struct server_listener hole;
    struct connpool_wait wait;
    struct connpool_dial *dial;
    int64_t now = 1;
    int fillers[8];
    size_t count;
    int32_t result;

    (void)state;
    fixture_resolve_with(names, 1);
    server_listener_open(&hole, "127.0.0.71", 0, 0);
    count = server_listener_fill(&hole, fillers, 8);
    dial = cp_dial_start(&fixture.host.table, OPTIONS(.host = "holes", .port = hole.port), NULL);
    fixture_await(&fixture_resolver.returns, 1);
    do {
        result = fixture_step(step, dial, now, &wait, NULL);
        assert_int_equal(result, CONNPOOL_STEP_AGAIN);
    } while (wait.fd < 0);
    leave_descriptors(1);
    now += CP_DIAL_ATTEMPT_DELAY;
    assert_int_equal(fixture_step(step, dial, now, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.events, CONNPOOL_EVENT_WRITE);
    assert_int_equal(wait.at, now + CP_DIAL_ATTEMPT_DELAY);
    restore_descriptors();
    assert_int_equal(fixture_step(step, dial, now, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.events, CONNPOOL_EVENT_READ);
    assert_int_equal(wait.at, 0);
    cp_dial_stop(dial);
    while (count > 0) {
        (void)close(fillers[--count]);
    }
    server_listener_close(&hole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_socket_is_a_local_failure_b17),
        cmocka_unit_test(a_race_goes_on_without_its_epoll_b17),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
