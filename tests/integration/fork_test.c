/* SPDX-License-Identifier: MIT */
/*
 * fork: a process with leased and parked connections of each manager, a collector, and a reactor in the middle of an
 * open, forks: whatever the child does and however it ends, its end is not seen at the server, not a byte comes from it
 * (no close_notify, no Terminate, no disconnect), and the parent's connections go on; the child has a context of its
 * own with the same plugins (failures.md B9; design.md, Semantics 12).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/async.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "five_servers.h"
#include "harness.h"
#include "sanitizer.h"

/* No room for a third connection, which a pool may open while the parked one is busy. */
#define KEYS ", \"background_collector\": true, \"max_size\": 2"

struct scene {
    enum five_manager manager;
    struct server_proxy proxy;
    connpool *context;
    connpool_pool *pool;
    connpool_lease leased; /* through the proxy, as is the parked one; it came last */
    uint64_t parked_id;
    size_t bytes; /* that one question to the server takes */
};

/* ---- Before ---- */

static size_t bytes_of_a_question(const struct scene *scene)
{
    size_t before = server_proxy_counts(&scene->proxy).from_client;

    five_servers_ask(scene->manager, &scene->leased);
    return server_proxy_counts(&scene->proxy).from_client - before;
}

static void await_parked(const struct scene *scene)
{
    int64_t limit = harness_now_ms() + HARNESS_LIMIT_MS;

    while (harness_statistics(scene->pool).idle_base + harness_statistics(scene->pool).idle_extra == 0) {
        assert_true(harness_now_ms() < limit);
    }
}

static void begin(struct scene *scene, enum five_manager manager)
{
    connpool_lease parked;
    char options[512];

    scene->manager = manager;
    five_servers_proxy(manager, &scene->proxy);
    five_servers_at(manager, manager == FIVE_UNIX ? scene->proxy.listener.endpoint : "127.0.0.1",
                    scene->proxy.listener.port, options, sizeof(options));
    scene->context = five_servers_open(manager, options, KEYS);
    scene->pool = harness_pool(scene->context);
    parked = harness_acquire(scene->pool, "bad");
    scene->parked_id = harness_info(&parked).id;
    scene->leased = harness_acquire(scene->pool, "bad");
    five_servers_ask(manager, &parked);
    harness_release(&parked);
    await_parked(scene);
    (void)bytes_of_a_question(scene); /* the first says more in some protocols */
    scene->bytes = bytes_of_a_question(scene);
    assert_true(scene->bytes > 0);
}

/* ---- After ---- */

/* What the child sent would be counted before the next answer comes, and be what breaks the session. In ssh questions
 * take now more bytes, now less (windows, closes that come later); there a packet of the child's, which has the number
 * of the parent's next one, ends the session for sure. */
static void end(struct scene *scene)
{
    size_t bytes = bytes_of_a_question(scene);
    connpool_lease parked;

    if (scene->manager != FIVE_SSH) {
        assert_int_equal(bytes, scene->bytes);
    }
    parked = harness_acquire(scene->pool, "bad");
    assert_int_equal(harness_info(&parked).id, scene->parked_id);
    five_servers_ask(scene->manager, &parked);
    assert_int_equal(server_proxy_counts(&scene->proxy).open, 2);
    assert_int_equal(server_proxy_counts(&scene->proxy).accepted, 2);
    assert_int_equal(harness_statistics(scene->pool).ended[CONNPOOL_REASON_DEAD], 0);
    harness_release(&parked);
    harness_release(&scene->leased);
    harness_close(scene->context);
    server_proxy_stop(&scene->proxy);
}

static void expect_well(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- The child ---- */

/* A child that hangs ends by a signal. */
static void limit_child(void)
{
    const struct itimerval limit = {.it_value = {.tv_sec = 20}};

    (void)setitimer(ITIMER_REAL, &limit, NULL);
}

/* As programs end, with all that libraries do then; to the sanitizers what other threads held is a leak. */
_Noreturn static void end_child(bool is_well)
{
    if (IS_ADDRESS_SANITIZED || IS_THREAD_SANITIZED) {
        _exit(is_well ? 0 : 1);
    }
    exit(is_well ? 0 : 1);
}

static bool end_everything(struct scene *scene)
{
    connpool_lease lease;
    bool is_refused = connpool_acquire(scene->pool, "bad", 1000, &lease, NULL) == CONNPOOL_FORKED &&
                      connpool_release(&scene->leased) == CONNPOOL_FORKED &&
                      connpool_discard(&scene->leased) == CONNPOOL_FORKED;

    connpool_pool_drain(scene->pool);
    (void)connpool_maintain(scene->context);
    return connpool_close(scene->context, 1000, NULL) == CONNPOOL_FORKED && is_refused;
}

/* ---- In the middle of an open ---- */

struct opening {
    connpool_reactor *reactor;
    connpool_endpoint *endpoint;
    connpool_request request;
    connpool_lease lease;
    connpool_status status;
    int told;
};

static void tell(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct opening *opening = argument;

    (void)error;
    opening->told++;
    opening->status = status;
    opening->lease = *lease;
}

static void begin_open(struct opening *opening, const struct scene *scene)
{
    opening->reactor = connpool_reactor_new(scene->context, NULL);
    assert_non_null(opening->reactor);
    assert_int_equal(connpool_endpoint_get(scene->pool, "good", &opening->endpoint, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_acquire_async(opening->reactor, opening->endpoint, HARNESS_LIMIT_MS, tell, opening,
                                            &opening->request, NULL),
                     CONNPOOL_OK);
    assert_int_equal(connpool_reactor_dispatch(opening->reactor), CONNPOOL_OK);
}

static void end_open(struct opening *opening)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(opening->reactor), .events = POLLIN};

    while (opening->told == 0) {
        assert_int_equal(poll(&polled, 1, 2 * HARNESS_LIMIT_MS), 1);
        assert_int_equal(connpool_reactor_dispatch(opening->reactor), CONNPOOL_OK);
    }
    assert_int_equal(opening->told, 1);
    assert_int_equal(opening->status, CONNPOOL_OK);
    harness_release(&opening->lease);
    connpool_endpoint_put(opening->endpoint);
    assert_int_equal(connpool_reactor_close(opening->reactor), CONNPOOL_OK);
}

static bool end_reactor(struct opening *opening)
{
    return connpool_request_cancel(&opening->request) == CONNPOOL_FORKED &&
           connpool_reactor_dispatch(opening->reactor) == CONNPOOL_FORKED &&
           connpool_reactor_close(opening->reactor) == CONNPOOL_FORKED;
}

static void a_child_that_ends_everything(enum five_manager manager)
{
    struct scene scene = {.leased = CONNPOOL_LEASE_NONE};
    struct opening opening = {.told = 0};
    pid_t child;

    begin(&scene, manager);
    begin_open(&opening, &scene);
    child = fork();
    if (child == 0) {
        limit_child();
        end_child(end_everything(&scene) && end_reactor(&opening));
    }
    expect_well(child);
    end_open(&opening);
    end(&scene);
}

/* Another program takes the child's place, or nothing at all was done with connpool in it. */
static void a_child_that_runs_a_program(enum five_manager manager)
{
    struct scene scene = {.leased = CONNPOOL_LEASE_NONE};
    struct opening opening = {.told = 0};
    pid_t child;

    begin(&scene, manager);
    begin_open(&opening, &scene);
    child = fork();
    if (child == 0) {
        (void)execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    expect_well(child);
    end_open(&opening);
    end(&scene);
}

/* ---- A context of the child's own ---- */

static void a_child_with_its_own_context(enum five_manager manager)
{
    struct scene scene = {.leased = CONNPOOL_LEASE_NONE};
    pid_t child;

    begin(&scene, manager);
    child = fork();
    if (child == 0) {
        connpool *own;
        connpool_lease lease;

        limit_child();
        own = five_servers_open(manager, "", KEYS);
        lease = harness_acquire(harness_pool(own), "good");
        five_servers_ask(manager, &lease);
        harness_release(&lease);
        lease = harness_acquire(harness_pool(own), "good");
        five_servers_ask(manager, &lease);
        harness_release(&lease);
        harness_close(own);
        end_child(end_everything(&scene));
    }
    expect_well(child);
    end(&scene);
}

#define TESTS(name, manager)                                                                                           \
    static void name##_a_child_that_ends_everything(void **state)                                                      \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        a_child_that_ends_everything(manager);                                                                         \
    }                                                                                                                  \
    static void name##_a_child_that_runs_a_program(void **state)                                                       \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        a_child_that_runs_a_program(manager);                                                                          \
    }                                                                                                                  \
    static void name##_a_child_with_its_own_context(void **state)                                                      \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        a_child_with_its_own_context(manager);                                                                         \
    }

TESTS(tcp, FIVE_TCP)
TESTS(unix_socket, FIVE_UNIX)
TESTS(tls, FIVE_TLS)
TESTS(postgres, FIVE_POSTGRES)
TESTS(ssh, FIVE_SSH)

#define LIST(name)                                                                                                     \
    cmocka_unit_test(name##_a_child_that_ends_everything), cmocka_unit_test(name##_a_child_that_runs_a_program),       \
        cmocka_unit_test(name##_a_child_with_its_own_context)

int main(void)
{
    const struct CMUnitTest tests[] = {LIST(tcp), LIST(unix_socket), LIST(tls), LIST(postgres), LIST(ssh)};

    return cmocka_run_group_tests(tests, five_servers_begin, five_servers_end);
}
