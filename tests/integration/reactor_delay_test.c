/* SPDX-License-Identifier: MIT */
/*
 * What a peer does, or leaves undone, delays nothing else in its reactor: while a request to a server that is silent,
 * or trickles, or whose name does not resolve is under way, requests to a good one go on beside it, and no dispatch
 * waits, nor computes for over a millisecond (A7, A8, A9, A23 in a loop).
 *
 * That a dispatch waits is read from the kernel's count of the thread's voluntary context switches, what it computes
 * from the thread's own clock; the time on the wall is the machine's. Some of either is the machine's, too: a lock of
 * another thread, an interrupt. What a step does itself it does each time; so the least of several rounds counts.
 *
 * What a library computes for a server that answers is not meant: of a whole login the longest step took 0.1 ms for a
 * socket, 0.7 ms for the exchange of keys in TLS and in SSH, 3.2 ms for the proof of a password in PostgreSQL (SCRAM),
 * on the platform of the failures' list. The good connections are open before, and the trickle ends before those.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/async.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "five_servers.h"
#include "harness.h"
#include "network/resolve.h"
#include "server_listener.h"
#include "server_proxy.h"

#define ROUNDS     10
#define GOOD_TURNS 20      /* requests to the good server in a round, at least */
#define LIMIT      1000000 /* ns of a dispatch */
#define FILLERS    64
/* Nothing ends by its limit in a test */
#define POOL_KEYS ", \"check_after\": 0, \"connect_timeout\": 60, \"check_timeout\": 60, \"reset_timeout\": 60"

/* ---- What an act costs the thread ---- */

struct cost {
    int64_t longest; /* ns of the thread's time, of one act */
    long waits;      /* of all acts */
};

static long switches_now(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

static int64_t cpu_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- A reactor with a good endpoint and a bad one ---- */

struct bench {
    enum five_manager manager;
    connpool *context;
    connpool_endpoint *good, *bad;
    struct server_proxy *proxy; /* the bad peer, or NULL */
    size_t trickle;             /* bytes that are to come in a round */
    /* Of the round: */
    struct server_proxy_counts before;
    connpool_reactor *reactor;
    connpool_request request; /* to the bad one */
    connpool_lease lease;     /* of the bad one, until it is released in the round */
    struct cost cost;
    unsigned good_turns;
    bool is_ending;
};

/* A way of being bad. */
struct way {
    void (*prepare)(struct bench *bench);  /* before each round; NULL: nothing */
    void (*begin)(struct bench *bench);    /* what is under way in the round; it is measured */
    bool (*has_come)(struct bench *bench); /* whether the peer has done, or left undone, what it is bad for */
};

static void open_bench(struct bench *bench, enum five_manager manager, const char *bad)
{
    connpool_pool *pool;
    connpool_lease lease;

    *bench = (struct bench){.manager = manager};
    bench->context = five_servers_open(manager, bad, POOL_KEYS);
    pool = harness_pool(bench->context);
    lease = harness_acquire(pool, "good");
    harness_release(&lease);
    assert_int_equal(connpool_endpoint_get(pool, "good", &bench->good, NULL), CONNPOOL_OK);
    assert_int_equal(connpool_endpoint_get(pool, "bad", &bench->bad, NULL), CONNPOOL_OK);
}

static void close_bench(struct bench *bench)
{
    connpool_endpoint_put(bench->good);
    connpool_endpoint_put(bench->bad);
    harness_close(bench->context);
}

static struct connpool_statistics statistics_of_bad(const struct bench *bench)
{
    struct connpool_statistics statistics = {.size = sizeof(statistics)};

    connpool_endpoint_statistics(bench->bad, &statistics);
    return statistics;
}

static void tell_bad(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    const struct bench *bench = argument;

    (void)lease;
    fail_msg("%s: the bad server: %s: %s", five_names[bench->manager], connpool_status_text(status),
             error == NULL ? "" : error->text);
}

static void ask_bad(struct bench *bench)
{
    assert_int_equal(connpool_acquire_async(bench->reactor, bench->bad, CONNPOOL_WAIT_FOREVER, tell_bad, bench,
                                            &bench->request, NULL),
                     CONNPOOL_OK);
}

static void release_bad(struct bench *bench)
{
    harness_release(&bench->lease);
}

static void ask_good(struct bench *bench);

/* Once more: each is a round trip, where the manager has one. */
static void tell_good(void *argument, connpool_status status, const connpool_lease *lease, const connpool_error *error)
{
    struct bench *bench = argument;
    connpool_lease mine = *lease;

    if (bench->is_ending && status == CONNPOOL_CLOSED) {
        return;
    }
    if (status != CONNPOOL_OK) {
        fail_msg("%s: the good server: %s", five_names[bench->manager], error->text);
    }
    harness_release(&mine);
    bench->good_turns++;
    ask_good(bench);
}

static void ask_good(struct bench *bench)
{
    assert_int_equal(
        connpool_acquire_async(bench->reactor, bench->good, CONNPOOL_WAIT_FOREVER, tell_good, bench, NULL, NULL),
        CONNPOOL_OK);
}

static void dispatch(struct bench *bench)
{
    assert_int_equal(connpool_reactor_dispatch(bench->reactor), CONNPOOL_OK);
}

static void cancel_bad(struct bench *bench)
{
    connpool_status status = connpool_request_cancel(&bench->request);

    assert_true(status == CONNPOOL_OK || status == CONNPOOL_STALE);
}

static void close_reactor(struct bench *bench)
{
    bench->is_ending = true;
    assert_int_equal(connpool_reactor_close(bench->reactor), CONNPOOL_OK);
}

/* What the act costs goes to the round's account. */
static void measured(struct bench *bench, void (*act)(struct bench *bench))
{
    struct cost *cost = &bench->cost;
    long switches = switches_now();
    int64_t cpu = cpu_now();

    act(bench);
    cpu = cpu_now() - cpu;
    cost->waits += switches_now() - switches;
    cost->longest = cpu > cost->longest ? cpu : cost->longest;
}

static void run_round(struct bench *bench, const struct way *way)
{
    struct pollfd polled = {.events = POLLIN};

    if (way->prepare != NULL) {
        way->prepare(bench);
    }
    bench->request = (connpool_request)CONNPOOL_REQUEST_NONE;
    bench->cost = (struct cost){0};
    bench->good_turns = 0;
    bench->is_ending = false;
    bench->reactor = connpool_reactor_new(bench->context, NULL);
    assert_non_null(bench->reactor);
    measured(bench, way->begin);
    measured(bench, ask_good);
    polled.fd = connpool_reactor_fd(bench->reactor);
    while (bench->good_turns < GOOD_TURNS || !way->has_come(bench)) {
        assert_int_equal(poll(&polled, 1, HARNESS_LIMIT_MS), 1);
        measured(bench, dispatch);
    }
    measured(bench, cancel_bad);
    measured(bench, close_reactor);
}

static void expect_no_delay(struct bench *bench, const struct way *way)
{
    struct cost least = {.longest = INT64_MAX, .waits = LONG_MAX};

    for (int i = 0; i < ROUNDS && (least.longest > LIMIT || least.waits > 0); i++) {
        run_round(bench, way);
        least.longest = bench->cost.longest < least.longest ? bench->cost.longest : least.longest;
        least.waits = bench->cost.waits < least.waits ? bench->cost.waits : least.waits;
    }
    if (least.waits > 0) {
        fail_msg("%s: in each of %d rounds the reactor's thread waited, %ld times at least", five_names[bench->manager],
                 ROUNDS, least.waits);
    }
    if (least.longest > LIMIT) {
        fail_msg("%s: in each of %d rounds an act took over %d us of the thread's time, at least %lld us",
                 five_names[bench->manager], ROUNDS, LIMIT / 1000, (long long)least.longest / 1000);
    }
}

/* ---- A server that does not answer the connect ---- */

static bool is_opening(struct bench *bench)
{
    return statistics_of_bad(bench).opening == 1;
}

static void a_connect_that_is_not_answered(enum five_manager manager, const char *address)
{
    const struct way way = {.begin = ask_bad, .has_come = is_opening};
    struct server_listener listener;
    int fillers[FILLERS];
    char bad[256];
    struct bench bench;
    size_t count;

    if (manager == FIVE_UNIX) {
        server_listener_open_unix(&listener, address, 0);
    } else {
        server_listener_open(&listener, address, 0, 0);
    }
    count = server_listener_fill(&listener, fillers, FILLERS);
    five_servers_at(manager, address, listener.port, bad, sizeof(bad));
    open_bench(&bench, manager, bad);
    expect_no_delay(&bench, &way);
    close_bench(&bench);
    while (count > 0) {
        (void)close(fillers[--count]);
    }
    server_listener_close(&listener);
}

static void silent_at_the_connect(void **state)
{
    (void)state;
    a_connect_that_is_not_answered(FIVE_TCP, "127.0.0.1");
    a_connect_that_is_not_answered(FIVE_UNIX, "@connpool-test-full");
}

/* ---- A name that does not resolve ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_open; /* guarded by the lock */
    pthread_t loop;
    atomic_uint inside;
    atomic_bool is_in_loop; /* somebody looked up a name in the reactor's thread */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static int never_resolve(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    (void)name;
    (void)service;
    (void)hints;
    (void)list;
    if (pthread_equal(pthread_self(), gate.loop)) {
        atomic_store(&gate.is_in_loop, true);
        return EAI_AGAIN;
    }
    atomic_fetch_add(&gate.inside, 1);
    (void)pthread_mutex_lock(&gate.lock);
    while (!gate.is_open) {
        (void)pthread_cond_wait(&gate.moved, &gate.lock);
    }
    (void)pthread_mutex_unlock(&gate.lock);
    return EAI_AGAIN;
}

static void open_gate(bool is_open)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.is_open = is_open;
    (void)pthread_cond_broadcast(&gate.moved);
    (void)pthread_mutex_unlock(&gate.lock);
}

static bool is_resolving(struct bench *bench)
{
    (void)bench;
    assert_false(atomic_load(&gate.is_in_loop));
    return atomic_load(&gate.inside) > 0;
}

static void a_name_that_does_not_resolve(void **state)
{
    static const enum five_manager managers[] = {FIVE_TCP, FIVE_TLS, FIVE_POSTGRES, FIVE_SSH};
    const struct way way = {.begin = ask_bad, .has_come = is_resolving};

    (void)state;
    gate.loop = pthread_self();
    for (size_t i = 0; i < sizeof(managers) / sizeof(managers[0]); i++) {
        struct bench bench;
        char bad[256];

        five_servers_at(managers[i], "slow.test", 1, bad, sizeof(bad));
        open_gate(false);
        atomic_store(&gate.inside, 0);
        open_bench(&bench, managers[i], bad);
        expect_no_delay(&bench, &way);
        open_gate(true);
        close_bench(&bench);
    }
}

/* ---- A server that is silent, or trickles ---- */

/* Those whose open is a conversation. */
static const struct talker {
    enum five_manager manager;
    size_t trickle; /* bytes, so few that what costs the library much to compute has not begun */
} talkers[] = {{FIVE_TLS, 100}, {FIVE_POSTGRES, 60}, {FIVE_SSH, 200}};

static void through_proxy(const struct talker *talker, const struct server_proxy_rule *rule, const struct way *way,
                          const char *options)
{
    struct server_proxy proxy;
    struct bench bench;
    char bad[512];
    size_t length;

    five_servers_proxy(talker->manager, &proxy);
    server_proxy_set_rule(&proxy, rule);
    five_servers_at(talker->manager, "127.0.0.1", proxy.listener.port, bad, sizeof(bad));
    length = strlen(bad);
    (void)snprintf(bad + length, sizeof(bad) - length, "%s", options);
    open_bench(&bench, talker->manager, bad);
    bench.proxy = &proxy;
    bench.trickle = talker->trickle;
    expect_no_delay(&bench, way);
    server_proxy_stop(&proxy);
    close_bench(&bench);
}

static void count_before(struct bench *bench)
{
    bench->before = server_proxy_counts(bench->proxy);
}

static bool is_silent(struct bench *bench)
{
    return server_proxy_counts(bench->proxy).faults > bench->before.faults && is_opening(bench);
}

static bool has_trickled(struct bench *bench)
{
    return server_proxy_counts(bench->proxy).trickled >= bench->before.trickled + bench->trickle;
}

static void silent_at_the_handshake(void **state)
{
    const struct server_proxy_rule rule = {.fault = SERVER_PROXY_SILENCE};
    const struct way way = {.prepare = count_before, .begin = ask_bad, .has_come = is_silent};

    (void)state;
    for (size_t i = 0; i < sizeof(talkers) / sizeof(talkers[0]); i++) {
        through_proxy(&talkers[i], &rule, &way, "");
    }
}

static void trickling_at_the_handshake(void **state)
{
    const struct server_proxy_rule rule = {.fault = SERVER_PROXY_TRICKLE, .interval_ms = 1};
    const struct way way = {.prepare = count_before, .begin = ask_bad, .has_come = has_trickled};

    (void)state;
    for (size_t i = 0; i < sizeof(talkers) / sizeof(talkers[0]); i++) {
        through_proxy(&talkers[i], &rule, &way, "");
    }
}

/* ---- A server that falls silent later ---- */

static void open_then_silence(struct bench *bench)
{
    bench->lease = harness_acquire(harness_pool(bench->context), "bad");
    server_proxy_break(bench->proxy, SERVER_PROXY_SILENCE);
}

static void park_then_silence(struct bench *bench)
{
    connpool_lease lease = harness_acquire(harness_pool(bench->context), "bad");

    harness_release(&lease);
    server_proxy_break(bench->proxy, SERVER_PROXY_SILENCE);
}

static bool is_checking(struct bench *bench)
{
    return statistics_of_bad(bench).leased == 1;
}

static bool is_resetting(struct bench *bench)
{
    return statistics_of_bad(bench).resetting == 1;
}

static void silent_at_a_check(void **state)
{
    const struct server_proxy_rule rule = {.fault = SERVER_PROXY_FORWARD};
    const struct way way = {.prepare = park_then_silence, .begin = ask_bad, .has_come = is_checking};

    (void)state;
    through_proxy(&talkers[1], &rule, &way, "");
    through_proxy(&talkers[2], &rule, &way, "");
}

static void silent_at_a_reset(void **state)
{
    const struct server_proxy_rule rule = {.fault = SERVER_PROXY_FORWARD};
    const struct way way = {.prepare = open_then_silence, .begin = release_bad, .has_come = is_resetting};

    (void)state;
    through_proxy(&talkers[1], &rule, &way, ", \"discard_all\": true");
}

/* Before any thread is started. */
static int set_up(void **state)
{
    cp_resolve_getaddrinfo = never_resolve;
    return five_servers_begin(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_at_the_connect),   cmocka_unit_test(a_name_that_does_not_resolve),
        cmocka_unit_test(silent_at_the_handshake), cmocka_unit_test(trickling_at_the_handshake),
        cmocka_unit_test(silent_at_a_check),       cmocka_unit_test(silent_at_a_reset),
    };

    return cmocka_run_group_tests(tests, set_up, five_servers_end);
}
