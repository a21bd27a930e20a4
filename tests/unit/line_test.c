/* SPDX-License-Identifier: MIT */
/*
 * The line of waiters, step by step: acquires are driven by hand, so that each test is one interleaving and always the
 * same one. tests/model found both of these as mistakes of the protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <connpool/connpool.h>

#include "pool/acquire.h"

struct null_connection {
    struct connpool_head head;
};

static int32_t null_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

static void null_destroy(void *connection)
{
    (void)connection;
}

static const struct connpool_manager null_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(null_manager),
    .name = "null",
    .version = "1",
    .summary = "opens at once",
    .option_stride = sizeof(struct connpool_option),
    .connection_size = sizeof(struct null_connection),
    .open = null_open,
    .destroy = null_destroy,
};

static int64_t time_now;

static int64_t read_clock(void *argument, uint32_t which)
{
    (void)argument;
    (void)which;
    return time_now;
}

/* An acquire in line, and how often it was woken. */
struct client {
    struct cp_acquire acquire;
    struct cp_place place;
    struct connpool_endpoint *endpoint;
    struct cp_waker waker;
    int wakes;
    void (*on_wake)(struct client *client);
};

static void wake(struct cp_waker *waker)
{
    struct client *client = (struct client *)((char *)waker - offsetof(struct client, waker));

    client->wakes++;
    if (client->on_wake != NULL) {
        client->on_wake(client);
    }
}

static void dispose(struct cp_waker *waker)
{
    (void)waker;
}

static int32_t step(struct client *client)
{
    struct connpool_wait wait;

    cp_wait_init(&wait, time_now, 0, 0);
    return client->acquire.operation.step(&client->acquire.operation, &wait);
}

static void stand_in_line(struct client *client, struct connpool_endpoint *endpoint, int64_t timeout)
{
    memset(client, 0, sizeof(*client));
    client->endpoint = endpoint;
    cp_acquire_init(&client->acquire, &client->endpoint, 1, &client->place, timeout);
    cp_waker_init(&client->waker, wake, dispose);
    client->acquire.operation.waker = &client->waker;
    assert_int_equal(step(client), CONNPOOL_STEP_AGAIN);
}

static connpool *open_context(const char *json)
{
    static const struct connpool_manager *const managers[] = {&null_manager};
    const struct connpool_clock clock = {.size = sizeof(clock), .now = read_clock};
    const struct connpool_options options = {
        .size = sizeof(options), .json = json, .managers = managers, .manager_count = 1, .clock = &clock};
    connpool_error error;
    connpool *context;

    time_now = CP_SECOND;
    context = connpool_open_with(&options, &error);
    if (context == NULL) {
        fail_msg("%s", error.text);
    }
    return context;
}

static connpool_endpoint *endpoint_of(connpool *context, const char *name)
{
    connpool_endpoint *endpoint;

    assert_int_equal(connpool_endpoint_get(connpool_pool_get(context, "p"), name, &endpoint, NULL), CONNPOOL_OK);
    return endpoint;
}

static connpool_lease acquire(connpool_endpoint *endpoint)
{
    connpool_lease lease;

    assert_int_equal(connpool_endpoint_acquire(endpoint, 0x7fffffff, &lease, NULL), CONNPOOL_OK);
    return lease;
}

static void release(connpool_lease lease)
{
    assert_int_equal(connpool_release(&lease), CONNPOOL_OK);
}

/* Semantics 3: a wake that is under way to a waiter which is handed something else is passed on. */
static void test_a_grant_passes_on_the_wake_that_was_under_way(void **state)
{
    connpool *context = open_context("{\"pools\": {\"p\": {\"manager\": \"null\", \"max_size\": 2, "
                                     "\"total_max_size\": 2, \"endpoints\": {\"a\": {}, \"b\": {}}}}}");
    connpool_endpoint *a = endpoint_of(context, "a");
    connpool_endpoint *b = endpoint_of(context, "b");
    connpool_lease a_lease = acquire(a);
    connpool_lease b_lease = acquire(b);
    struct client first;
    struct client second;

    (void)state;
    stand_in_line(&first, a, CP_NEVER);
    stand_in_line(&second, a, CP_NEVER);
    release(a_lease);
    assert_int_equal(first.wakes, 1);
    assert_int_equal(second.wakes, 0);
    time_now += 2 * CP_PATIENCE;
    release(b_lease);
    assert_int_equal(second.wakes, 1);
    assert_int_equal(step(&second), CONNPOOL_STEP_DONE);
    assert_int_equal(step(&first), CONNPOOL_STEP_DONE);
    assert_int_equal(first.acquire.status, CONNPOOL_OK);
    assert_int_equal(second.acquire.status, CONNPOOL_OK);
    release(first.acquire.lease);
    release(second.acquire.lease);
    connpool_endpoint_put(a);
    connpool_endpoint_put(b);
    assert_int_equal(connpool_close(context, 0, NULL), CONNPOOL_OK);
}

/* More than are woken in one turn. */
#define CROWD (CP_WAKES + 10)
static struct client crowd[CROWD];

/* In the gap between two turns of a close: another waiter's time runs out, and its memory is used for something else.
 */
static void run_out_of_time(struct client *client)
{
    struct client *late = &crowd[CROWD - 1];

    client->on_wake = NULL;
    time_now += CP_SECOND;
    assert_int_equal(step(late), CONNPOOL_STEP_DONE);
    assert_int_equal(late->acquire.status, CONNPOOL_CLOSED);
    memset(&late->acquire, 0xa5, sizeof(late->acquire));
    memset(&late->place, 0xa5, sizeof(late->place));
}

static void test_a_close_in_turns_meets_a_waiter_whose_time_runs_out(void **state)
{
    connpool *context = open_context("{\"pools\": {\"p\": {\"manager\": \"null\", \"max_size\": 1, \"endpoints\": "
                                     "{\"a\": {}}}}}");
    connpool_endpoint *a = endpoint_of(context, "a");
    connpool_lease lease = acquire(a);
    size_t left;

    (void)state;
    for (size_t i = 0; i < CROWD; i++) {
        stand_in_line(&crowd[i], a, CP_SECOND);
    }
    crowd[0].on_wake = run_out_of_time;
    assert_int_equal(connpool_close(context, 0, &left), CONNPOOL_STILL_LEASED);
    assert_int_equal(left, 1);
    for (size_t i = 0; i < CROWD - 1; i++) {
        assert_int_equal(crowd[i].wakes, 1);
        assert_int_equal(step(&crowd[i]), CONNPOOL_STEP_DONE);
        assert_int_equal(crowd[i].acquire.status, CONNPOOL_CLOSED);
    }
    release(lease);
    connpool_endpoint_put(a);
}

#define LONG_LINE 10000

/* B30: who stands in line holds the memory of its place and no other; each release wakes the first, nobody else, and
 * those in the middle leave as easily. */
static void test_ten_thousand_in_line_B30(void **state)
{
    connpool *context = open_context("{\"pools\": {\"p\": {\"manager\": \"null\", \"max_size\": 1, \"endpoints\": "
                                     "{\"a\": {}}}}}");
    connpool_endpoint *a = endpoint_of(context, "a");
    connpool_lease lease = acquire(a);
    struct client *clients = calloc(LONG_LINE, sizeof(*clients));
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    (void)state;
    assert_non_null(clients);
    for (size_t i = 0; i < LONG_LINE; i++) {
        stand_in_line(&clients[i], a, i % 2 == 0 ? CP_NEVER : CP_SECOND);
    }
    connpool_endpoint_statistics(a, &numbers);
    assert_int_equal(numbers.waiters, LONG_LINE);
    time_now += CP_SECOND;
    for (size_t i = LONG_LINE - 1; i < LONG_LINE; i -= 2) { /* every other, from the end: their time is over */
        assert_int_equal(step(&clients[i]), CONNPOOL_STEP_DONE);
        assert_int_equal(clients[i].acquire.status, CONNPOOL_TIMED_OUT);
        assert_int_equal(clients[i].wakes, 0);
    }
    for (size_t i = 0; i < LONG_LINE; i += 2) {
        assert_int_equal(clients[i].wakes, 0);
        release(lease);
        assert_int_equal(clients[i].wakes, 1);
        assert_int_equal(step(&clients[i]), CONNPOOL_STEP_DONE);
        assert_int_equal(clients[i].acquire.status, CONNPOOL_OK);
        lease = clients[i].acquire.lease;
    }
    connpool_endpoint_statistics(a, &numbers);
    assert_int_equal(numbers.waiters, 0);
    assert_int_equal(numbers.opened, 1);
    release(lease);
    free(clients);
    connpool_endpoint_put(a);
    assert_int_equal(connpool_close(context, 0, NULL), CONNPOOL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grant_passes_on_the_wake_that_was_under_way),
        cmocka_unit_test(test_a_close_in_turns_meets_a_waiter_whose_time_runs_out),
        cmocka_unit_test(test_ten_thousand_in_line_B30),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
