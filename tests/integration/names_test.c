/* SPDX-License-Identifier: MIT */
/*
 * A23: names, through the whole pool. The resolver is the test's: no packet leaves the machine, and a name can take as
 * long as the test wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <connpool/tcp.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "network/resolve.h"
#include "server_listener.h"

static struct server_listener listener;
static connpool *context;
static connpool_pool *pool;

/* Lookups of slow names wait here until the test lets go of all that do. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned inside; /* guarded by the lock, as the next */
    bool is_open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void wait_at_gate(void)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.inside++;
    while (!gate.is_open) {
        (void)pthread_cond_wait(&gate.moved, &gate.lock);
    }
    gate.inside--;
    (void)pthread_cond_broadcast(&gate.moved);
    (void)pthread_mutex_unlock(&gate.lock);
}

static void let_all_pass(void)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.is_open = true;
    (void)pthread_cond_broadcast(&gate.moved);
    while (gate.inside > 0) {
        (void)pthread_cond_wait(&gate.moved, &gate.lock);
    }
    gate.is_open = false;
    (void)pthread_mutex_unlock(&gate.lock);
}

static atomic_uint lookups;
static _Atomic(const char *) moving_address = "127.0.0.1"; /* what "moving.test" is now */

static struct addrinfo *address_of(const char *text, struct addrinfo *next)
{
    struct addrinfo *address = calloc(1, sizeof(*address) + sizeof(struct sockaddr_in));
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)(address + 1);

    ipv4->sin_family = AF_INET;
    (void)inet_pton(AF_INET, text, &ipv4->sin_addr);
    address->ai_family = AF_INET;
    address->ai_socktype = SOCK_STREAM;
    address->ai_addrlen = sizeof(*ipv4);
    address->ai_addr = (struct sockaddr *)ipv4;
    address->ai_next = next;
    return address;
}

static int resolve(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    (void)service;
    (void)hints;
    atomic_fetch_add(&lookups, 1);
    if (strncmp(name, "slow", 4) == 0) {
        wait_at_gate();
        return EAI_AGAIN;
    }
    if (strcmp(name, "down.test") == 0) {
        return EAI_AGAIN;
    }
    if (strcmp(name, "many.test") == 0) {
        *list = address_of("127.0.0.2", address_of("127.0.0.3", address_of("127.0.0.1", NULL)));
        return 0;
    }
    if (strcmp(name, "moving.test") == 0) {
        *list = address_of(atomic_load(&moving_address), NULL);
        return 0;
    }
    return EAI_NONAME;
}

static void free_addresses(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;

        free(list);
        list = next;
    }
}

/* Before any thread is started. */
static int replace_resolver(void **state)
{
    (void)state;
    cp_resolve_getaddrinfo = resolve;
    cp_resolve_freeaddrinfo = free_addresses;
    return 0;
}

static int begin(void **state)
{
    (void)state;
    atomic_store(&lookups, 0);
    server_listener_open(&listener, "127.0.0.1", 0, 64);
    context = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\", \"connect_timeout\": 0.3}}}");
    pool = harness_pool(context);
    return 0;
}

static int end(void **state)
{
    (void)state;
    harness_close(context);
    server_listener_close(&listener);
    return 0;
}

/* The name, at the listener's port. */
static const char *endpoint_of(const char *name)
{
    static char endpoint[64];

    (void)snprintf(endpoint, sizeof(endpoint), "%s:%u", name, listener.port);
    return endpoint;
}

static void a_name_that_does_not_exist(void **state)
{
    connpool_error error;

    (void)state;
    error = harness_acquire_fails(pool, endpoint_of("missing.test"), HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_UNREACHABLE);
    assert_non_null(strstr(error.text, "missing.test"));
}

static void a_resolver_that_is_down(void **state)
{
    connpool_error error;

    (void)state;
    error = harness_acquire_fails(pool, endpoint_of("down.test"), HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_TRANSIENT);
}

/* The caller's limit and connect_timeout hold, however long the lookup takes, and numeric endpoints are served. */
static void a_resolver_that_does_not_answer(void **state)
{
    int64_t begin_ms = harness_now_ms();
    connpool_error error;
    connpool_lease lease;

    (void)state;
    (void)harness_acquire_fails(pool, endpoint_of("slow-1.test"), 50, CONNPOOL_TIMED_OUT);
    error = harness_acquire_fails(pool, endpoint_of("slow-2.test"), HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_TIMEOUT);
    assert_true(harness_now_ms() - begin_ms < HARNESS_LIMIT_MS / 2);
    begin_ms = harness_now_ms();
    lease = harness_acquire(pool, listener.endpoint);
    assert_true(harness_now_ms() - begin_ms < 1000);
    harness_release(&lease);
    let_all_pass();
}

/* The context goes while the lookup is still in the resolver. */
static void closing_does_not_wait_for_the_resolver(void **state)
{
    int64_t begin_ms = harness_now_ms();

    (void)state;
    (void)harness_acquire_fails(pool, endpoint_of("slow.test"), 50, CONNPOOL_TIMED_OUT);
    harness_close(context);
    assert_true(harness_now_ms() - begin_ms < HARNESS_LIMIT_MS / 2);
    let_all_pass();
    context = NULL;
}

static void all_addresses_are_tried(void **state)
{
    connpool_lease lease = harness_acquire(pool, endpoint_of("many.test"));

    (void)state;
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).opened, 1);
    assert_int_equal(harness_statistics(pool).failed, 0);
}

/* A new connection asks anew: who moved is followed. */
static void a_name_that_moves_is_followed(void **state)
{
    struct server_listener other;
    connpool_lease lease;

    (void)state;
    server_listener_open(&other, "127.0.0.5", listener.port, 8);
    atomic_store(&moving_address, "127.0.0.1");
    lease = harness_acquire(pool, endpoint_of("moving.test"));
    assert_true(server_listener_has_pending(&listener));
    assert_false(server_listener_has_pending(&other));
    harness_discard(&lease);
    atomic_store(&moving_address, "127.0.0.5");
    lease = harness_acquire(pool, endpoint_of("moving.test"));
    assert_true(server_listener_has_pending(&other));
    harness_release(&lease);
    server_listener_close(&other);
}

static void numbers_are_not_looked_up(void **state)
{
    connpool_lease lease = harness_acquire(pool, listener.endpoint);

    (void)state;
    harness_release(&lease);
    assert_int_equal(atomic_load(&lookups), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_that_does_not_exist),      TEST(a_resolver_that_is_down),
        TEST(a_resolver_that_does_not_answer), TEST(closing_does_not_wait_for_the_resolver),
        TEST(all_addresses_are_tried),         TEST(a_name_that_moves_is_followed),
        TEST(numbers_are_not_looked_up),
    };

    return cmocka_run_group_tests(tests, replace_resolver, NULL);
}
