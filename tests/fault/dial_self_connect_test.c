/* SPDX-License-Identifier: MIT */
/* dial to a closed port among those that the kernel gives to clients (failures.md A24): sooner or later the kernel
 * connects the socket to itself; dial never hands such a socket out. */
#include "../unit/services_fixture.h"

#include <stdio.h>

#include "network/dial.h"
#include "server_listener.h"

#define OPTIONS(...) (&(struct connpool_dial_options){.size = sizeof(struct connpool_dial_options), __VA_ARGS__})

/* On one machine it took 9745 attempts; a bound, since chance decides. */
#define ATTEMPTS 40000

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture_init(&fixture, 4, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_fini(&fixture);
    return 0;
}

static int32_t step(void *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return cp_dial_step(dial, wait, fault);
}

/* Even numbers are what connect gives out first. */
static uint16_t client_port(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    unsigned low = 0, high = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%u %u", &low, &high), 2);
    (void)fclose(file);
    return (uint16_t)(low + ((high - low) / 2 & ~1u));
}

static void no_socket_is_its_own_peer_a24(void **state)
{
    uint16_t port = client_port();
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; i < ATTEMPTS && found == 0; i++) {
        struct connpool_dial *dial = cp_dial_start(
            &fixture.host.table, OPTIONS(.host = "127.0.0.1", .port = port, .bind_host = "127.0.0.1"), NULL);
        struct connpool_fault fault;
        struct connpool_wait wait;
        int32_t result;

        cp_fault_init(&fault);
        do {
            result = fixture_step(step, dial, 1, &wait, &fault);
        } while (result == CONNPOOL_STEP_AGAIN);
        assert_int_equal(result, -CONNPOOL_ERROR_REFUSED);
        found += strstr(fault.text, "connected to itself") != NULL;
        cp_dial_stop(dial);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_socket_is_its_own_peer_a24)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
