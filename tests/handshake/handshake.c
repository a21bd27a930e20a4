/* SPDX-License-Identifier: MIT */
/* handshake: see handshake.h. */
#include "handshake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <connpool/connpool.h>
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virtual_clock.h"

#define WORKERS        8
#define CONNECT_S      5    /* connect_timeout, by the virtual clock */
#define ACQUIRE_MS     1000 /* of every other acquire: it leaves first */
#define HEALTHY_EVERY  16   /* bytes, after which a whole handshake must succeed */
#define NEAR           2
#define HEARD          2 /* sleeps after the fault until all that came before it was heard */
#define TRICKLED       4 /* the same, of a trickle: some more bytes come */
#define PAUSE_MS       20
#define PAUSES         20
#define TRICKLE_MS     1
#define LOOK_MS        100
#define STILL_S        20   /* real seconds without progress: something hangs */
#define SETTLE_MS      5000 /* real: what the collector drives on ends once its time is over */
#define REAL_LIMIT_MS  120
#define REAL_MARGIN_MS 3000 /* on a busy machine; far below what does not end by itself */
#define MEASUREMENTS   3

struct walk;

struct worker {
    struct walk *walk;
    struct server_proxy proxy;
    struct virtual_clock clock;
    connpool *context;
    connpool_pool *pool;
    bool has_collector;
    pthread_t thread;
    atomic_bool is_over;
    _Atomic unsigned awaited; /* the fault, counted by the proxy, that the acquire at hand is to meet; 0: none */
    unsigned heard;           /* sleeps of the acquire since that came */
};

struct walk {
    const struct handshake *handshake;
    enum server_proxy_fault fault;
    enum server_proxy_side side;
    size_t step, last;
    struct handshake_length length;
    struct worker workers[WORKERS];
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t next;      /* byte; guarded by the lock, as are those below */
    unsigned running; /* workers */
    unsigned done;    /* bytes */
    char failure[768];
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

static struct connpool_statistics numbers_of(const connpool_pool *pool)
{
    struct connpool_statistics numbers = {.size = sizeof(numbers)};

    connpool_pool_statistics(pool, &numbers);
    return numbers;
}

/* The first failure of a walk is told. Always false. */
static bool __attribute__((format(printf, 3, 4))) fail_at(struct walk *walk, size_t byte, const char *format, ...)
{
    static const char *const faults[] = {"nothing", "silence", "reset", "end", "trickle", "garbage"};
    va_list arguments;

    (void)pthread_mutex_lock(&walk->lock);
    if (walk->failure[0] == '\0') {
        int length =
            snprintf(walk->failure, sizeof(walk->failure), "%s after byte %zu of the %s: ", faults[walk->fault], byte,
                     walk->side == SERVER_PROXY_SERVER ? "server" : "client");

        va_start(arguments, format);
        (void)vsnprintf(walk->failure + length, sizeof(walk->failure) - (size_t)length, format, arguments);
        va_end(arguments);
    }
    (void)pthread_cond_signal(&walk->moved);
    (void)pthread_mutex_unlock(&walk->lock);
    return false;
}

/* ---- The clock ---- */

/* Only where nothing more is to come of itself. */
static bool is_moved_for(enum server_proxy_fault fault)
{
    return fault == SERVER_PROXY_SILENCE || fault == SERVER_PROXY_TRICKLE || fault == SERVER_PROXY_GARBAGE;
}

static bool has_fault_come(const struct worker *worker)
{
    unsigned awaited = atomic_load(&worker->awaited);

    return awaited != 0 && server_proxy_counts(&worker->proxy).faults >= awaited;
}

static void move_to(struct worker *worker, int64_t until)
{
    if (until > virtual_clock_now(&worker->clock)) {
        virtual_clock_advance(&worker->clock, until - virtual_clock_now(&worker->clock));
    }
}

/* A pause of the manager's own, before it looks again. */
static bool is_pause(const struct worker *worker, int64_t until)
{
    return until != 0 && until - virtual_clock_now(&worker->clock) <= MILLISECONDS(PAUSE_MS);
}

/* While all is well it takes the time that it takes, and so does the way of an end or a reset to the client; after
 * another fault some pauses are enough to notice it. */
static void pause_until(struct worker *worker, int64_t until)
{
    if (!has_fault_come(worker) || !is_moved_for(worker->walk->fault)) {
        int64_t pause = until - virtual_clock_now(&worker->clock);

        (void)server_proxy_wait_faults(&worker->proxy, UINT_MAX, (int)(pause / MILLISECONDS(1)));
    } else if (++worker->heard > PAUSES) {
        until += SECONDS(CONNECT_S);
    }
    move_to(worker, until);
}

/*
 * The acquire is about to sleep. Once the fault has come it looks again, since the last bytes may have come since it
 * looked, and if it then still has nothing to do, its time is over.
 */
static void about_to_sleep(void *argument, int64_t until)
{
    struct worker *worker = argument;
    unsigned enough = worker->walk->fault == SERVER_PROXY_TRICKLE ? TRICKLED : HEARD;

    virtual_clock_on_sleep(&worker->clock, about_to_sleep, worker);
    if (is_pause(worker, until)) {
        pause_until(worker, until);
        return;
    }
    if (!is_moved_for(worker->walk->fault) || !has_fault_come(worker)) {
        return;
    }
    if (++worker->heard >= enough && until != 0) {
        move_to(worker, until);
    } else if (worker->walk->fault != SERVER_PROXY_TRICKLE) {
        connpool_clock_moved(worker->context);
    }
}

/* Where it sleeps already as the fault comes, it is woken to look. */
static void *watch(void *argument)
{
    struct worker *worker = argument;
    unsigned seen = 0;

    while (!atomic_load(&worker->is_over)) {
        bool has_come = server_proxy_wait_faults(&worker->proxy, seen + 1, LOOK_MS);

        seen = server_proxy_counts(&worker->proxy).faults;
        /* Of a trickle, the last byte may be what came. */
        if (has_come || worker->walk->fault == SERVER_PROXY_TRICKLE) {
            connpool_clock_moved(worker->context);
        }
    }
    return NULL;
}

/* ---- One context ---- */

/* Its clock is the calling thread's. False: error says why. */
static bool open_context(struct worker *worker, bool has_real_clock, connpool_error *error)
{
    static char plugin_folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {plugin_folder, NULL};
    const struct handshake *handshake = worker->walk->handshake;
    struct connpool_clock clock;
    char keys[3072];
    char json[4096];
    struct connpool_options options = {
        .size = sizeof(options), .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER, .json = json, .plugin_path = folders};

    virtual_clock_init(&worker->clock);
    atomic_store(&worker->clock.is_manual, true);
    clock = virtual_clock_table(&worker->clock);
    options.clock = has_real_clock ? NULL : &clock;
    handshake->describe(worker->proxy.listener.port, keys, sizeof(keys));
    (void)snprintf(json, sizeof(json),
                   "{\"pools\": {\"p\": {\"manager\": \"%s\", \"max_size\": 1, \"background_collector\": %s,"
                   " \"connect_timeout\": %d%s}}}",
                   handshake->manager, worker->has_collector ? "true" : "false", CONNECT_S, keys);
    worker->context = connpool_open_with(&options, error);
    if (worker->context == NULL) {
        return false;
    }
    worker->pool = connpool_pool_at(worker->context, 0);
    worker->clock.context = has_real_clock ? NULL : worker->context;
    return true;
}

static void set_rule(struct worker *worker, enum server_proxy_fault fault, enum server_proxy_side side, size_t after)
{
    struct server_proxy_rule rule = {.fault = fault, .side = side, .after = after, .interval_ms = TRICKLE_MS};

    server_proxy_set_rule(&worker->proxy, &rule);
}

/* ---- A byte ---- */

static unsigned allowed_classes(const struct walk *walk)
{
    switch (walk->fault) {
    case SERVER_PROXY_RESET:
    case SERVER_PROXY_END:
        return walk->handshake->cut_classes;
    case SERVER_PROXY_GARBAGE:
        return walk->handshake->garbage_classes | HANDSHAKE_CLASS(TIMEOUT);
    default:
        return HANDSHAKE_CLASS(TIMEOUT);
    }
}

static bool check_error(struct worker *worker, size_t byte, connpool_status status, const connpool_error *error,
                        bool is_limited)
{
    struct walk *walk = worker->walk;

    if (status == CONNPOOL_TIMED_OUT && is_limited && is_moved_for(walk->fault)) {
        return true;
    }
    if (status != CONNPOOL_FAILED) {
        return fail_at(walk, byte, "%s: %s", connpool_status_text(status), error->text);
    }
    if ((allowed_classes(walk) & (1u << error->error_class)) == 0) {
        return fail_at(walk, byte, "class %s: %s", connpool_error_class_text(error->error_class), error->text);
    }
    return error->text[0] != '\0' || fail_at(walk, byte, "an error without a text");
}

static bool is_empty(const struct connpool_statistics *numbers)
{
    return numbers->opening + numbers->idle_base + numbers->idle_extra + numbers->leased + numbers->resetting +
               numbers->closing + numbers->waiters ==
           0;
}

/* An open that succeeds as its acquire's time runs out is parked; of half a handshake it is none. */
static bool drain(struct worker *worker, size_t byte)
{
    size_t passed = server_proxy_counts(&worker->proxy).from_server;

    if (passed < worker->walk->length.needed) {
        return fail_at(worker->walk, byte, "a connection is parked after %zu bytes of %zu", passed,
                       worker->walk->length.needed);
    }
    connpool_pool_drain(worker->pool);
    return true;
}

/* An open that the acquire left goes on with the collector until its own limit. */
static bool await_empty(struct worker *worker, size_t byte)
{
    int64_t until_ms = now_ms() + SETTLE_MS;
    struct connpool_statistics numbers = numbers_of(worker->pool);

    if (worker->has_collector) {
        virtual_clock_advance(&worker->clock, SECONDS(2 * CONNECT_S));
    }
    while (!is_empty(&numbers)) {
        if (numbers.idle_base + numbers.idle_extra > 0) {
            if (!drain(worker, byte)) {
                return false;
            }
        } else if (!worker->has_collector || now_ms() > until_ms) {
            return fail_at(worker->walk, byte, "%ju opening, %ju leased, %ju closing are left",
                           (uintmax_t)numbers.opening, (uintmax_t)numbers.leased, (uintmax_t)numbers.closing);
        }
        (void)sched_yield();
        numbers = numbers_of(worker->pool);
    }
    return true;
}

static bool try_byte(struct worker *worker, size_t byte)
{
    struct walk *walk = worker->walk;
    bool is_limited = byte % 2 == 1;
    connpool_lease lease;
    connpool_error error = {.text = ""};
    connpool_status status;

    set_rule(worker, walk->fault, walk->side, byte);
    worker->heard = 0;
    atomic_store(&worker->awaited, server_proxy_counts(&worker->proxy).faults + 1);
    status = connpool_acquire(worker->pool, "e", is_limited ? ACQUIRE_MS : CONNPOOL_WAIT_FOREVER, &lease, &error);
    atomic_store(&worker->awaited, 0);
    if (status == CONNPOOL_OK) {
        size_t passed = server_proxy_counts(&worker->proxy).from_server;

        (void)connpool_discard(&lease);
        if (passed < walk->length.needed) {
            return fail_at(walk, byte, "success after %zu bytes of %zu", passed, walk->length.needed);
        }
    } else if (!check_error(worker, byte, status, &error, is_limited)) {
        return false;
    }
    return await_empty(worker, byte);
}

static bool try_healthy(struct worker *worker, size_t byte)
{
    connpool_lease lease;
    connpool_error error = {.text = ""};

    set_rule(worker, SERVER_PROXY_FORWARD, SERVER_PROXY_SERVER, 0);
    if (connpool_acquire(worker->pool, "e", CONNPOOL_WAIT_FOREVER, &lease, &error) != CONNPOOL_OK) {
        return fail_at(worker->walk, byte, "the next acquire: %s", error.text);
    }
    (void)connpool_discard(&lease);
    return true;
}

static bool is_near(const size_t *places, unsigned count, size_t byte)
{
    for (unsigned i = 0; i < count; i++) {
        if (byte + NEAR >= places[i] && byte <= places[i] + NEAR) {
            return true;
        }
    }
    return false;
}

static bool is_chosen(const struct walk *walk, size_t byte)
{
    const struct server_proxy_counts *turns = &walk->length.turns;

    return byte >= walk->last || byte % walk->step == 0 ||
           (walk->side == SERVER_PROXY_SERVER ? is_near(turns->server_at, turns->server_turns, byte)
                                              : is_near(turns->client_at, turns->client_turns, byte));
}

/* False: none is left. */
static bool next_byte(struct walk *walk, size_t *byte)
{
    bool is_left;

    (void)pthread_mutex_lock(&walk->lock);
    is_left = walk->next <= walk->last && walk->failure[0] == '\0';
    if (is_left) {
        *byte = walk->next;
        do {
            walk->next++;
        } while (!is_chosen(walk, walk->next));
        walk->done++;
        (void)pthread_cond_signal(&walk->moved);
    }
    (void)pthread_mutex_unlock(&walk->lock);
    return is_left;
}

static void walk_on(struct worker *worker)
{
    struct walk *walk = worker->walk;
    unsigned count = 0;
    size_t byte = 0;
    bool goes_on = true;

    virtual_clock_on_sleep(&worker->clock, about_to_sleep, worker);
    while (goes_on && next_byte(walk, &byte)) {
        goes_on = try_byte(worker, byte) && (++count % HEALTHY_EVERY != 0 || try_healthy(worker, byte));
    }
    if (goes_on) {
        (void)try_healthy(worker, byte);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct walk *walk = worker->walk;
    connpool_error error = {.text = ""};
    pthread_t watcher;

    if (!open_context(worker, false, &error)) {
        (void)fail_at(walk, 0, "open: %s", error.text);
    } else if (pthread_create(&watcher, NULL, watch, worker) == 0) {
        walk_on(worker);
        atomic_store(&worker->is_over, true);
        (void)pthread_join(watcher, NULL);
    }
    (void)pthread_mutex_lock(&walk->lock);
    walk->running--;
    (void)pthread_cond_signal(&walk->moved);
    (void)pthread_mutex_unlock(&walk->lock);
    return NULL;
}

/* ---- The walk ---- */

static void init_walk(struct walk *walk, const struct handshake *handshake)
{
    pthread_condattr_t attributes;

    memset(walk, 0, sizeof(*walk));
    walk->handshake = handshake;
    (void)pthread_mutex_init(&walk->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&walk->moved, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static void fini_walk(struct walk *walk)
{
    (void)pthread_cond_destroy(&walk->moved);
    (void)pthread_mutex_destroy(&walk->lock);
}

static void start_worker(struct walk *walk, unsigned number)
{
    struct worker *worker = &walk->workers[number];

    worker->walk = walk;
    worker->has_collector = number % 2 == 1;
    server_proxy_start(&worker->proxy, walk->handshake->target);
    assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void end_worker(struct worker *worker)
{
    (void)pthread_join(worker->thread, NULL);
    assert_int_equal(connpool_close(worker->context, SETTLE_MS, NULL), CONNPOOL_OK);
    server_proxy_await_open(&worker->proxy, 0);
    server_proxy_stop(&worker->proxy);
}

/* Until all workers have ended. */
static void await_workers(struct walk *walk)
{
    struct timespec limit;
    unsigned done = 0;
    bool is_still = false;

    (void)clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += STILL_S;
    (void)pthread_mutex_lock(&walk->lock);
    while (walk->running > 0 && !is_still) {
        is_still =
            pthread_cond_timedwait(&walk->moved, &walk->lock, &limit) != 0 && walk->running > 0 && done == walk->done;
        if (done != walk->done) {
            done = walk->done;
            (void)clock_gettime(CLOCK_MONOTONIC, &limit);
            limit.tv_sec += STILL_S;
        }
    }
    (void)pthread_mutex_unlock(&walk->lock);
    if (is_still) {
        fail_msg("%u acquires hang, near byte %zu of fault %d", walk->running, walk->next, (int)walk->fault);
    }
}

void handshake_walk(const struct handshake *handshake, enum server_proxy_fault fault, enum server_proxy_side side,
                    size_t step)
{
    bool is_full = getenv("CONNPOOL_TEST_EVERY_BYTE") != NULL;
    static struct walk walk;                                       /* where the test fails its threads go on */
    struct handshake_length length = handshake_measure(handshake); /* and what a thread keeps is open */
    size_t descriptors_before = descriptors();

    init_walk(&walk, handshake);
    walk.length = length;
    walk.fault = fault;
    walk.side = side;
    walk.step = is_full ? 1 : step;
    walk.last = side == SERVER_PROXY_SERVER ? walk.length.server : walk.length.client;
    walk.running = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        start_worker(&walk, i);
    }
    await_workers(&walk);
    if (walk.failure[0] != '\0') {
        fail_msg("%s", walk.failure); /* what it left behind may wait for a clock that nobody moves */
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        end_worker(&walk.workers[i]);
    }
    assert_true(walk.next > walk.last);
    assert_int_equal(descriptors(), descriptors_before);
    fini_walk(&walk);
}

/* ---- By the system's clock ---- */

static void open_real(struct walk *walk, const struct handshake *handshake)
{
    struct worker *worker = &walk->workers[0];
    connpool_error error = {.text = ""};

    init_walk(walk, handshake);
    worker->walk = walk;
    server_proxy_start(&worker->proxy, handshake->target);
    if (!open_context(worker, true, &error)) {
        fail_msg("open: %s", error.text);
    }
}

static void close_real(struct walk *walk)
{
    struct worker *worker = &walk->workers[0];

    assert_int_equal(connpool_close(worker->context, SETTLE_MS, NULL), CONNPOOL_OK);
    server_proxy_stop(&worker->proxy);
    fini_walk(walk);
}

/* What the proxy has counted as the acquire ended. */
static struct server_proxy_counts take_once(struct worker *worker)
{
    struct server_proxy_counts counts;
    connpool_lease lease;
    connpool_error error = {.text = ""};

    if (connpool_acquire(worker->pool, "e", CONNPOOL_WAIT_FOREVER, &lease, &error) != CONNPOOL_OK) {
        fail_msg("%s", error.text);
    }
    counts = server_proxy_counts(&worker->proxy);
    (void)connpool_discard(&lease);
    return counts;
}

/* Of one handshake: where the server has the last word the count is exact as the acquire ends; else the client's last
 * word, and what the server says to it, still come. */
static struct server_proxy_counts count_once(struct worker *worker)
{
    struct server_proxy_counts counts = take_once(worker);

    server_proxy_await_open(&worker->proxy, 0);
    return worker->walk->handshake->end == HANDSHAKE_ENDS_WITH_SERVER ? counts : server_proxy_counts(&worker->proxy);
}

struct handshake_length handshake_measure(const struct handshake *handshake)
{
    static struct walk walk;
    struct worker *worker = &walk.workers[0];
    struct handshake_length length = {.needed = SIZE_MAX};

    open_real(&walk, handshake);
    for (int i = 0; i < MEASUREMENTS; i++) {
        struct server_proxy_counts counts = count_once(worker);
        size_t needed = counts.from_server;

        if (handshake->end == HANDSHAKE_ENDS_WITH_CLIENT) {
            assert_true(counts.server_turns > 0);
            needed = counts.server_at[counts.server_turns - 1];
        }
        length.turns = counts;
        length.server = counts.from_server > length.server ? counts.from_server : length.server;
        length.client = counts.from_client > length.client ? counts.from_client : length.client;
        length.needed = needed < length.needed ? needed : length.needed;
    }
    length.needed -= handshake->slack;
    close_real(&walk);
    return length;
}

static void keep_time_at(struct worker *worker, enum server_proxy_fault fault, size_t byte)
{
    connpool_lease lease;
    connpool_error error = {.text = ""};
    int64_t begin_ms;
    int64_t took_ms;

    worker->walk->fault = fault;
    set_rule(worker, fault, SERVER_PROXY_SERVER, byte);
    begin_ms = now_ms();
    assert_int_equal(connpool_acquire(worker->pool, "e", REAL_LIMIT_MS, &lease, &error), CONNPOOL_TIMED_OUT);
    took_ms = now_ms() - begin_ms;
    assert_in_range(took_ms, REAL_LIMIT_MS - 1, REAL_LIMIT_MS + REAL_MARGIN_MS);
    assert_true(await_empty(worker, byte));
}

void handshake_keep_time(const struct handshake *handshake)
{
    static struct walk walk;
    struct handshake_length length = handshake_measure(handshake);
    size_t descriptors_before = descriptors();

    open_real(&walk, handshake);
    for (size_t i = 0; i < 5; i++) {
        keep_time_at(&walk.workers[0], SERVER_PROXY_SILENCE, i * (length.needed - 1) / 4);
    }
    /* A byte each millisecond: each is news, and none gains the acquire any time. */
    keep_time_at(&walk.workers[0], SERVER_PROXY_TRICKLE, 0);
    keep_time_at(&walk.workers[0], SERVER_PROXY_TRICKLE, length.needed / 3);
    set_rule(&walk.workers[0], SERVER_PROXY_FORWARD, SERVER_PROXY_SERVER, 0);
    (void)take_once(&walk.workers[0]);
    close_real(&walk);
    assert_int_equal(descriptors(), descriptors_before);
}
