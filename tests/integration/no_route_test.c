/* SPDX-License-Identifier: MIT */
/*
 * Faults of the network itself, in a network of the process's own that has a loopback interface and nothing else. Where
 * the system grants none the tests are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "server_listener.h"

static bool has_network;
static connpool *context;
static connpool_pool *pool;

static bool raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_up = false;

    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
        is_up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    }
    (void)close(fd);
    return is_up;
}

/* Before any thread is started. */
static bool enter_own_network(void)
{
    return (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) && raise_loopback();
}

/* The ports that connecting sockets get. */
static bool set_client_ports(const char *range)
{
    int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
    bool is_set = fd >= 0 && write(fd, range, strlen(range)) == (ssize_t)strlen(range);

    (void)close(fd);
    return is_set;
}

static int begin(void **state)
{
    (void)state;
    context = harness_open("{\"pools\": {\"p\": {\"manager\": \"tcp\", \"connect_timeout\": 2}}}");
    pool = harness_pool(context);
    return 0;
}

static int end(void **state)
{
    (void)state;
    harness_close(context);
    return 0;
}

static connpool_error expect_failure_at_once(const char *endpoint)
{
    int64_t begin_ms = harness_now_ms();
    connpool_error error = harness_acquire_fails(pool, endpoint, HARNESS_LIMIT_MS, CONNPOOL_FAILED);

    assert_true(harness_now_ms() - begin_ms < 1500);
    return error;
}

/* A5 */
static void no_route(void **state)
{
    static const char *const endpoints[] = {"198.51.100.1:80", "[2001:db8::1]:80"};

    (void)state;
    if (!has_network) {
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        connpool_error error = expect_failure_at_once(endpoints[i]);

        assert_int_equal(error.error_class, CONNPOOL_ERROR_UNREACHABLE);
        assert_int_equal(error.os_error, i == 0 ? ENETUNREACH : error.os_error);
    }
}

/* A5: no free port to connect from. */
static void ports_ran_out(void **state)
{
    struct server_listener listener;
    connpool_lease leases[2];
    connpool_error error;

    (void)state;
    if (!has_network || !set_client_ports("40000 40001")) {
        skip();
    }
    server_listener_open(&listener, "127.0.0.1", 0, 8);
    leases[0] = harness_acquire(pool, listener.endpoint);
    leases[1] = harness_acquire(pool, listener.endpoint);
    error = expect_failure_at_once(listener.endpoint);
    assert_int_equal(error.os_error, EADDRNOTAVAIL);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_RESOURCE_LOCAL);
    harness_release(&leases[0]);
    leases[0] = harness_acquire(pool, listener.endpoint);
    harness_release(&leases[0]);
    harness_release(&leases[1]);
    server_listener_close(&listener);
    assert_true(set_client_ports("32768 60999"));
}

/* A24: the only port that the kernel can give to the connecting socket is the one it connects to. */
static void a_connection_to_itself_is_none(void **state)
{
    struct server_listener listener;
    connpool_lease lease;

    (void)state;
    if (!has_network || !set_client_ports("40010 40010")) {
        skip();
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(expect_failure_at_once("127.0.0.1:40010").error_class, CONNPOOL_ERROR_REFUSED);
    }
    assert_true(set_client_ports("32768 60999"));
    server_listener_open(&listener, "127.0.0.1", 40010, 8);
    lease = harness_acquire(pool, "127.0.0.1:40010");
    harness_release(&lease);
    server_listener_close(&listener);
}

/* A23: whatever the machine's resolver is, it cannot be reached from here. */
static void no_resolver(void **state)
{
    (void)state;
    if (!has_network) {
        skip();
    }
    assert_non_null(strstr(harness_acquire_fails(pool, "missing.invalid:80", HARNESS_LIMIT_MS, CONNPOOL_FAILED).text,
                           "missing.invalid"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_route),
        TEST(ports_ran_out),
        TEST(a_connection_to_itself_is_none),
        TEST(no_resolver),
    };

    has_network = enter_own_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
