/* SPDX-License-Identifier: MIT */
/* dial under a storm of signals (failures.md B14): every dial ends as it would in peace. */
#include "../unit/services_fixture.h"

#include <signal.h>
#include <sys/time.h>

#include "network/dial.h"
#include "server_listener.h"

#define OPTIONS(...) (&(struct connpool_dial_options){.size = sizeof(struct connpool_dial_options), __VA_ARGS__})
#define DIALS        2000

static struct fixture fixture;
static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void storm(suseconds_t microseconds)
{
    const struct itimerval timer = {.it_interval = {.tv_usec = microseconds}, .it_value = {.tv_usec = microseconds}};

    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static int set_up(void **state)
{
    const struct sigaction action = {.sa_handler = count_signal};

    (void)state;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
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

static int32_t dial_once(const struct connpool_dial_options *options)
{
    struct connpool_dial *dial = cp_dial_start(&fixture.host.table, options, NULL);
    struct fixture_drive drive;
    int32_t result;

    assert_non_null(dial);
    result = fixture_run(&drive, step, dial);
    cp_dial_stop(dial);
    return result;
}

static void dials_end_as_in_peace_b14(void **state)
{
    static const struct fixture_name names[] = {{.name = "name", .addresses = {"127.0.0.81", "127.0.0.1"}}};
    struct server_listener tcp, local, deaf;
    char path[64];
    unsigned wrong = 0;

    (void)state;
    fixture_resolve_with(names, 1);
    (void)snprintf(path, sizeof(path), "@connpool-dial-interrupt-%d", (int)getpid());
    server_listener_open(&tcp, "127.0.0.1", 0, 64);
    server_listener_open_unix(&local, path, 64);
    server_listener_open_deaf(&deaf);
    storm(200);
    for (unsigned i = 0; i < DIALS; i++) {
        wrong += dial_once(OPTIONS(.host = "name", .port = tcp.port)) != CONNPOOL_STEP_DONE;
        wrong += dial_once(OPTIONS(.path = path)) != CONNPOOL_STEP_DONE;
        wrong += dial_once(OPTIONS(.host = "127.0.0.1", .port = deaf.port)) != -CONNPOOL_ERROR_REFUSED;
        while (server_listener_has_pending(&tcp)) {
            (void)close(server_listener_accept(&tcp));
        }
        while (server_listener_has_pending(&local)) {
            (void)close(server_listener_accept(&local));
        }
    }
    storm(0);
    assert_int_equal(wrong, 0);
    assert_true(signals > 0);
    server_listener_close(&tcp);
    server_listener_close(&local);
    server_listener_close(&deaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dials_end_as_in_peace_b14)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
