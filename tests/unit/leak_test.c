/* SPDX-License-Identifier: MIT */
/* leak: leak_after: a lease that is held longer is reported once, with who acquired it and where (failures.md B4, B11).
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "pool_fixture.h"
#include "reactor_client.h"

/* What the observer was told. */
struct seen {
    _Atomic unsigned count;
    struct connpool_event event; /* of the last one, as the next */
    struct connpool_leak leak;
    char endpoint[32], thread_name[32], note[CONNPOOL_NOTE_SIZE], where[1024];
};

static void see(void *argument, const struct connpool_event *event)
{
    struct seen *seen = argument;

    assert_true(event->size >= sizeof(*event));
    assert_non_null(event->leak);
    assert_true(event->leak->size >= sizeof(*event->leak));
    seen->event = *event;
    seen->leak = *event->leak;
    (void)snprintf(seen->endpoint, sizeof(seen->endpoint), "%s", event->endpoint);
    (void)snprintf(seen->thread_name, sizeof(seen->thread_name), "%s", event->leak->thread_name);
    (void)snprintf(seen->note, sizeof(seen->note), "%s", event->leak->note == NULL ? "" : event->leak->note);
    (void)snprintf(seen->where, sizeof(seen->where), "%s", event->leak->where);
    atomic_fetch_add(&seen->count, 1);
}

static void observe(struct pool_fixture *fixture, struct seen *seen)
{
    struct connpool_observer observer = {.size = sizeof(observer), .argument = seen, .leaked = see};

    assert_int_equal(connpool_pool_observe(fixture->pool, &observer), CONNPOOL_OK);
}

static uint64_t leaked(struct pool_fixture *fixture)
{
    return pool_numbers(fixture).leaked;
}

/* ---- When ---- */

static void test_a_lease_held_too_long_is_reported_once_B4(void **state)
{
    struct pool_fixture fixture = {0};
    struct seen seen = {.count = 0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    observe(&fixture, &seen);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(10) - 1);
    (void)connpool_maintain(fixture.context);
    assert_int_equal(leaked(&fixture), 0);
    virtual_clock_advance(&fixture.clock, 1);
    (void)connpool_maintain(fixture.context);
    assert_int_equal(leaked(&fixture), 1);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.endpoint, "x");
    assert_int_equal(seen.event.connection, 1);
    assert_int_equal(seen.event.duration, SECONDS(10));
    assert_ptr_equal(seen.event.pool, fixture.pool);
    assert_int_equal(seen.leak.thread, gettid());
    assert_int_equal(seen.leak.thread_has_ended, 0);
    virtual_clock_advance(&fixture.clock, SECONDS(100));
    (void)connpool_maintain(fixture.context);
    assert_true(connpool_lease_valid(&lease)); /* nothing is taken away */
    pool_give(&lease);
    (void)connpool_maintain(fixture.context);
    assert_int_equal(leaked(&fixture), 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(fixture.lines, 1);
    pool_fixture_close(&fixture);
}

static void test_the_log_says_it_all_B4(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    char wanted[256];

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_lease_note(&lease, "the nightly report"), CONNPOOL_OK);
    virtual_clock_advance(&fixture.clock, SECONDS(12));
    (void)connpool_maintain(fixture.context);
    (void)snprintf(wanted, sizeof(wanted),
                   "pool 'p', endpoint 'x': connection 1 is leased for 12.000 s, leak_after is 10.000 s: acquired by "
                   "thread %d (",
                   (int)gettid());
    assert_memory_equal(fixture.last_line, wanted, strlen(wanted));
    assert_non_null(strstr(fixture.last_line, "), noted the nightly report, at "));
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static void test_who_comes_in_time_is_not_reported(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    for (int i = 0; i < 5; i++) {
        lease = pool_take(&fixture, "x");
        virtual_clock_advance(&fixture.clock, SECONDS(9));
        (void)connpool_maintain(fixture.context);
        pool_give(&lease);
        virtual_clock_advance(&fixture.clock, SECONDS(9)); /* idle is not leased */
        (void)connpool_maintain(fixture.context);
    }
    assert_int_equal(leaked(&fixture), 0);
    assert_int_equal(test_manager_opened(), 1);
    /* But each lease is one of its own. */
    for (unsigned i = 1; i < 4; i++) {
        lease = pool_take(&fixture, "x");
        virtual_clock_advance(&fixture.clock, SECONDS(10));
        (void)connpool_maintain(fixture.context);
        assert_int_equal(leaked(&fixture), i);
        pool_give(&lease);
        assert_int_equal(leaked(&fixture), i);
    }
    pool_fixture_close(&fixture);
}

/* Without a collector and without a call of connpool_maintain. */
static void test_at_the_latest_when_it_comes_back(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(11));
    assert_int_equal(leaked(&fixture), 0);
    pool_give(&lease);
    assert_int_equal(leaked(&fixture), 1);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(11));
    assert_int_equal(connpool_discard(&lease), CONNPOOL_OK);
    assert_int_equal(leaked(&fixture), 2);
    pool_fixture_close(&fixture);
}

static void test_a_release_that_closes_what_is_due_looks(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease, other;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10, 'idle_timeout': 10, 'min_idle': 0");
    lease = pool_take(&fixture, "x");
    pool_park(&fixture, "y", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    other = pool_take(&fixture, "x");
    assert_int_equal(leaked(&fixture), 0);
    pool_give(&other);
    assert_int_equal(leaked(&fixture), 1);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

struct wanted {
    struct pool_fixture *fixture;
    uint64_t count;
};

static bool is_leaked(void *argument)
{
    const struct wanted *wanted = argument;

    return leaked(wanted->fixture) >= wanted->count;
}

static void await_leaked(struct pool_fixture *fixture, uint64_t count)
{
    struct wanted wanted = {fixture, count};

    await(is_leaked, &wanted, "leaks to be reported");
}

/* Not before leak_after and within a tenth of it, whenever the lease began between two looks of the collector: one each
 * 0.7 s, and the time goes on in such steps. */
static void test_the_collector_reports_in_time_B4(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[10];

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10, 'max_size': 10, 'background_collector': true");
    atomic_store(&fixture.clock.is_manual, true);
    for (int i = 0; i < 40; i++) {
        uint64_t due = 0, overdue = 0;

        for (int k = 0; k < 10; k++) {
            due += 7 * (i - k) >= 100;
            overdue += 7 * (i - k) >= 110;
        }
        await_leaked(&fixture, overdue);
        assert_true(leaked(&fixture) <= due);
        if (i < 10) {
            leases[i] = pool_take(&fixture, "x");
        }
        virtual_clock_advance(&fixture.clock, MILLISECONDS(700));
    }
    for (int i = 0; i < 10; i++) {
        pool_give(&leases[i]);
    }
    assert_int_equal(leaked(&fixture), 10);
    pool_fixture_close(&fixture);
}

/* More than one look finds. */
static void test_many_at_once(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[100];

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10, 'max_size': 100");
    for (int i = 0; i < 100; i++) {
        leases[i] = pool_take(&fixture, "x");
    }
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(leaked(&fixture), 100);
    assert_int_equal(fixture.lines, 100);
    for (int i = 0; i < 100; i++) {
        pool_give(&leases[i]);
    }
    pool_fixture_close(&fixture);
}

static void test_an_endpoint_has_its_own(void **state)
{
    struct pool_fixture fixture = {0};
    struct connpool_limits limits = {.size = sizeof(limits)};
    connpool_endpoint *quick;
    connpool_lease lease, other;

    (void)state;
    pool_fixture_open(&fixture, "'endpoints': {'quick': {'name': 'q', 'pool': {'leak_after': 1}}, "
                                "'other': {'name': 'o'}}");
    connpool_pool_limits(fixture.pool, &limits);
    assert_true(limits.leak_after < 0);
    assert_int_equal(connpool_endpoint_get(fixture.pool, "quick", &quick, NULL), CONNPOOL_OK);
    connpool_endpoint_limits(quick, &limits);
    assert_true(limits.leak_after > 0.99 && limits.leak_after < 1.01);
    connpool_endpoint_put(quick);
    lease = pool_take(&fixture, "quick");
    other = pool_take(&fixture, "other");
    assert_int_equal(connpool_lease_note(&other, "in vain"), CONNPOOL_OK);
    virtual_clock_advance(&fixture.clock, SECONDS(1000));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(leaked(&fixture), 1);
    assert_int_equal(endpoint_numbers(&fixture, "quick").leaked, 1);
    pool_give(&lease);
    pool_give(&other);
    assert_int_equal(leaked(&fixture), 1);
    pool_fixture_close(&fixture);
}

/* ---- Who and where ---- */

struct borrower {
    struct pool_fixture *fixture;
    connpool_lease lease;
    pid_t thread;
};

static void *borrow_and_end(void *argument)
{
    struct borrower *borrower = argument;

    (void)prctl(PR_SET_NAME, "borrower");
    borrower->thread = gettid();
    borrower->lease = pool_take(borrower->fixture, "x");
    return NULL;
}

static bool is_gone(void *argument)
{
    return tgkill(getpid(), *(const pid_t *)argument, 0) != 0;
}

static void test_a_thread_that_ended_while_it_held_one_B11(void **state)
{
    struct pool_fixture fixture = {0};
    struct seen seen = {.count = 0};
    struct borrower borrower = {.fixture = &fixture};
    pthread_t thread;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    observe(&fixture, &seen);
    assert_int_equal(pthread_create(&thread, NULL, borrow_and_end, &borrower), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    await(is_gone, &borrower.thread, "the thread to be gone from the kernel's lists");
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.leak.thread, borrower.thread);
    assert_int_equal(seen.leak.thread_has_ended, 1);
    assert_string_equal(seen.thread_name, "borrower");
    assert_non_null(strstr(fixture.last_line, " (borrower), which has ended, at "));
    pool_give(&borrower.lease);
    pool_fixture_close(&fixture);
}

typedef void function(void);

/* Whether a frame "object+0xoffset" lies in a function, which is short. */
static bool is_frame_in(const char *frame, uintptr_t code)
{
    const char *plus = strchr(frame, '+');
    struct link_map *map = NULL;
    uintptr_t address;
    Dl_info info;

    assert_non_null(plus);
    assert_int_not_equal(dladdr1((void *)code, &info, (void **)&map, RTLD_DL_LINKMAP), 0);
    address = (uintptr_t)strtoull(plus + 1, NULL, 16) + map->l_addr;
    return address > code && address - code < 1024;
}

static struct pool_fixture there;
static connpool_endpoint *x;
static connpool_reactor *reactor;
static connpool_lease out;

static __attribute__((noinline)) void acquire_here(void)
{
    assert_int_equal(connpool_acquire(there.pool, "x", 1000, &out, NULL), CONNPOOL_OK);
}

static __attribute__((noinline)) void acquire_by_handle_here(void)
{
    assert_int_equal(connpool_endpoint_acquire(x, 1000, &out, NULL), CONNPOOL_OK);
}

static __attribute__((noinline)) void try_here(void)
{
    assert_int_equal(connpool_try_acquire(x, &out, NULL), CONNPOOL_OK);
}

static __attribute__((noinline)) void acquire_any_here(void)
{
    assert_int_equal(connpool_acquire_any(&x, 1, 1000, &out, NULL), CONNPOOL_OK);
}

static void keep(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    (void)argument;
    (void)error;
    assert_int_equal(status, CONNPOOL_OK);
    out = *lease;
}

static __attribute__((noinline)) void submit_here(void)
{
    assert_int_equal(connpool_acquire_async(reactor, x, 1000, keep, NULL, NULL, NULL), CONNPOOL_OK);
}

static __attribute__((noinline)) void submit_any_here(void)
{
    assert_int_equal(connpool_acquire_any_async(reactor, &x, 1, 1000, keep, NULL, NULL, NULL), CONNPOOL_OK);
}

static const char *second_frame(const char *where)
{
    const char *separator = strstr(where, " < ");

    if (separator == NULL) {
        fail_msg("one frame only: %s", where);
    }
    return separator + strlen(" < ");
}

/* The first frame is the library's caller, the second is who called that. */
static __attribute__((noinline)) void assert_is_told(function *acquire)
{
    struct seen seen = {.count = 0};

    observe(&there, &seen);
    acquire();
    reactor_run(reactor);
    virtual_clock_advance(&there.clock, SECONDS(10));
    (void)connpool_maintain(there.context);
    assert_int_equal(seen.count, 1);
    if (!is_frame_in(seen.where, (uintptr_t)acquire) ||
        !is_frame_in(second_frame(seen.where), (uintptr_t)assert_is_told)) {
        fail_msg("not where it was called: %s", seen.where);
    }
    pool_give(&out);
}

static void test_where_it_was_acquired_B4(void **state)
{
    (void)state;
    there = (struct pool_fixture){.context = NULL};
    pool_fixture_open(&there, "'leak_after': 10, 'manager': 'test-null'");
    reactor = reactor_begin(&there);
    assert_int_equal(connpool_endpoint_get(there.pool, "x", &x, NULL), CONNPOOL_OK);
    assert_is_told(acquire_here);
    assert_is_told(acquire_by_handle_here);
    assert_is_told(try_here);
    assert_is_told(acquire_any_here);
    assert_is_told(submit_here);
    assert_is_told(submit_any_here);
    connpool_endpoint_put(x);
    reactor_end(reactor);
    pool_fixture_close(&there);
}

/* ---- Notes ---- */

static void test_notes(void **state)
{
    struct pool_fixture fixture = {0};
    struct seen seen = {.count = 0};
    connpool_lease lease, copy;
    char longer[2 * CONNPOOL_NOTE_SIZE];

    (void)state;
    memset(longer, 'n', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    pool_fixture_open(&fixture, "'leak_after': 10");
    observe(&fixture, &seen);
    lease = pool_take(&fixture, "x");
    copy = lease;
    assert_int_equal(connpool_lease_note(&lease, CONNPOOL_HERE), CONNPOOL_OK);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_non_null(strstr(seen.note, "leak_test.c:"));
    pool_give(&lease);
    /* Of a lease, not of its connection. */
    assert_int_equal(connpool_lease_note(&copy, "late"), CONNPOOL_STALE);
    assert_int_equal(connpool_lease_note(&lease, "late"), CONNPOOL_STALE);
    assert_int_equal(connpool_lease_note(NULL, "late"), CONNPOOL_STALE);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(seen.count, 2);
    assert_null(seen.leak.note);
    pool_give(&lease);
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_lease_note(&lease, longer), CONNPOOL_OK);
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(strlen(seen.note), CONNPOOL_NOTE_SIZE - 1);
    assert_int_equal(connpool_lease_note(&lease, NULL), CONNPOOL_OK);
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

static connpool_status note_it(void *argument, const connpool_lease *lease, connpool_error *error)
{
    (void)argument;
    (void)error;
    return connpool_lease_note(lease, "by the hook");
}

static void test_a_note_of_the_hook_stays(void **state)
{
    struct pool_fixture fixture = {0};
    struct seen seen = {.count = 0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    observe(&fixture, &seen);
    connpool_pool_on_configure(fixture.pool, note_it, NULL);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.note, "by the hook");
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

/* ---- Less usual ---- */

/* The hook gives the new connection back itself, and it is acquired anew before the first acquire has ended: what is
 * known is of the lease that is out. */
struct hasty {
    struct pool_fixture fixture;
    connpool_lease again;
};

static connpool_status give_back_and_take_again(void *argument, const connpool_lease *lease, connpool_error *error)
{
    struct hasty *hasty = argument;
    connpool_lease copy = *lease;

    assert_int_equal(connpool_release(&copy), CONNPOOL_OK);
    return connpool_acquire(hasty->fixture.pool, "x", 1000, &hasty->again, error);
}

static void test_a_hook_that_gives_back(void **state)
{
    struct hasty hasty = {.again = CONNPOOL_LEASE_NONE};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&hasty.fixture, "'leak_after': 10, 'max_size': 1");
    connpool_pool_on_configure(hasty.fixture.pool, give_back_and_take_again, &hasty);
    assert_int_equal(connpool_acquire(hasty.fixture.pool, "x", 1000, &lease, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_release(&lease), CONNPOOL_STALE);
    virtual_clock_advance(&hasty.fixture.clock, SECONDS(10));
    (void)connpool_maintain(hasty.fixture.context);
    assert_int_equal(leaked(&hasty.fixture), 1);
    pool_give(&hasty.again);
    pool_fixture_close(&hasty.fixture);
}

/* An endpoint of run time whose lease comes back, and that is gone, while it is reported. */
static void release_it(void *argument, const struct connpool_event *event)
{
    assert_string_equal(event->endpoint, "x");
    assert_int_equal(connpool_discard(argument), CONNPOOL_OK);
    assert_string_equal(event->endpoint, "x");
}

static void test_an_observer_that_gives_back(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    struct connpool_observer observer = {.size = sizeof(observer), .argument = &lease, .leaked = release_it};

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    assert_int_equal(connpool_pool_observe(fixture.pool, &observer), CONNPOOL_OK);
    lease = pool_take(&fixture, "x");
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    assert_int_equal(leaked(&fixture), 1);
    assert_int_equal(pool_numbers(&fixture).endpoints, 0);
    pool_fixture_close(&fixture);
}

static void test_a_lease_that_outlives_the_context(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    lease = pool_take(&fixture, "x");
    assert_int_equal(connpool_close(fixture.context, 0, NULL), CONNPOOL_STILL_LEASED);
    fixture.clock.context = NULL;
    virtual_clock_advance(&fixture.clock, SECONDS(20));
    assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
    assert_int_equal(fixture.lines, 1);
    pool_fixture_assert_nothing_left(&fixture);
}

static void test_without_memory_for_the_record(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease lease;
    connpool_status status = CONNPOOL_NO_MEMORY;

    (void)state;
    pool_fixture_open(&fixture, "'leak_after': 10");
    for (uint64_t k = 1; status != CONNPOOL_OK; k++) {
        assert_int_equal(status, CONNPOOL_NO_MEMORY);
        failing_allocator_fail(k, false);
        status = connpool_acquire(fixture.pool, "x", 1000, &lease, NULL);
        failing_allocator_fail(0, false);
    }
    pool_give(&lease);
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lease_held_too_long_is_reported_once_B4),
        cmocka_unit_test(test_the_log_says_it_all_B4),
        cmocka_unit_test(test_who_comes_in_time_is_not_reported),
        cmocka_unit_test(test_at_the_latest_when_it_comes_back),
        cmocka_unit_test(test_a_release_that_closes_what_is_due_looks),
        cmocka_unit_test(test_the_collector_reports_in_time_B4),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_an_endpoint_has_its_own),
        cmocka_unit_test(test_a_thread_that_ended_while_it_held_one_B11),
        cmocka_unit_test(test_where_it_was_acquired_B4),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_a_note_of_the_hook_stays),
        cmocka_unit_test(test_a_hook_that_gives_back),
        cmocka_unit_test(test_an_observer_that_gives_back),
        cmocka_unit_test(test_a_lease_that_outlives_the_context),
        cmocka_unit_test(test_without_memory_for_the_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
