/* SPDX-License-Identifier: MIT */
/*
 * line_stress: random rounds of one thread that plays all parts, so that each round is always the same: acquires that
 * are stepped by hand stand for threads, beside the requests of up to two reactors, some of which are not
 * dispatched for a while. They come with and without limits, for one endpoint or any of two, give up, are cancelled,
 * release, discard, and submit and cancel from within callbacks; opens are slow, fail and are refused. Whenever all
 * have settled nobody may sleep beside something usable; at the end nobody is stuck and the slots add up, or the
 * context is closed with all of them in the middle (design.md, Semantics 1, 2, 3, 8; semantics.md D26).
 */
#include <string.h>

#include "pool/pool.h"
#include "pool/reactor.h"
#include "pool/recovery.h"
#include "reactor_client.h"
#include "stepped_acquire.h"
#include "stress.h"

#define NAMES            3
#define THREADS          7
#define REACTORS         2
#define CLIENTS          4 /* of each reactor */
#define TURNS            120
#define PASSES           1000 /* more than it takes until nobody has anything to do */
#define DRAINING_TURNS   2000 /* of 50 ms: longer than any pause between opens that fail */
#define ROUNDS           3500
#define SANITIZED_ROUNDS 300

static const char *const names[NAMES] = {"x", "y", "z"};

static const char *const policies[] = {
    "'max_size': 2, 'total_max_size': 3",
    "'max_size': 2, 'total_max_size': 3, 'retry': true",
    "'max_size': 1, 'total_max_size': 2, 'retry': true, 'holddown': 0.05",
    "'max_size': 3, 'total_max_size': 3, 'holddown': 0.02, 'check_after': 0",
    ("'max_size': 3, 'total_max_size': 4, 'retry': true, 'max_waiters': 2, 'check_after': 0.01, 'idle_timeout': 0.1, "
     "'max_uses': 3"),
    "'max_size': 2, 'total_max_size': 2, 'manager': 'test-null'",
};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

struct scene;

struct station {
    struct scene *scene;
    connpool_reactor *reactor;
    bool is_away; /* it is not dispatched */
    struct reactor_client clients[CLIENTS];
    bool is_used[CLIENTS]; /* it waits, or has a connection */
};

struct scene {
    struct pool_fixture fixture;
    connpool_endpoint *endpoints[NAMES];
    struct stepped_acquire threads[THREADS];
    bool is_used[THREADS];
    struct station stations[REACTORS];
    size_t thread_count; /* of these: with few of them reactors have to watch for each other */
    size_t station_count;
    const char *policy;
    unsigned long long round;
    unsigned turn;
};

static uint64_t random_state;
static bool is_calm;          /* the peers do as they should */
static bool may_reset_slowly; /* there is a reactor: else a release waits for the reset, and time stands still */

static uint64_t dice(uint64_t limit)
{
    return stress_below(&random_state, limit);
}

static void fail_in(const struct scene *scene, const char *what, const char *where)
{
    fail_msg("%s %s; round %llu, turn %u, %zu reactors, %s", what, where, scene->round, scene->turn,
             scene->station_count, scene->policy);
}

/* ---- The peers ---- */

/* One die a statement, here and below: a round must be the same by every compiler. */
static struct test_behaviour choose_open(void)
{
    uint64_t kind = dice(6);
    uint64_t delay = dice(100);
    bool is_transient = dice(2) == 0;

    switch (kind) {
    case 0:
        return test_fails(CONNPOOL_ERROR_TRANSIENT);
    case 1:
        return test_fails(is_transient ? CONNPOOL_ERROR_AUTHENTICATION : CONNPOOL_ERROR_RESOURCE_REMOTE);
    case 2:
        return (struct test_behaviour){.kind = TEST_SLOW,
                                       .delay = MILLISECONDS(1 + delay / 2),
                                       .error_class =
                                           is_transient ? CONNPOOL_ERROR_TRANSIENT : CONNPOOL_ERROR_RESOURCE_REMOTE};
    case 3:
        return test_ok();
    default:
        return test_slow(MILLISECONDS(1 + delay));
    }
}

static struct test_behaviour choose_idle(void)
{
    return dice(2) == 0 ? test_fails(CONNPOOL_ERROR_CLOSED)
                        : (struct test_behaviour){.kind = TEST_BUSY, .delay = MILLISECONDS(3)};
}

static struct test_behaviour choose(enum test_operation operation, const struct test_connection *connection)
{
    (void)connection;
    if (is_calm) {
        return test_ok();
    }
    if (operation == TEST_OPEN) {
        return choose_open();
    }
    if (operation == TEST_IDLE && dice(4) == 0) {
        return choose_idle();
    }
    if (operation == TEST_CHECK && dice(3) == 0) {
        return dice(2) == 0 ? test_fails(CONNPOOL_ERROR_CLOSED) : test_slow(MILLISECONDS(1 + dice(5)));
    }
    if (operation == TEST_RESET && dice(6) == 0) {
        return may_reset_slowly ? test_slow(MILLISECONDS(1 + dice(5))) : test_fails(CONNPOOL_ERROR_CLOSED);
    }
    return test_ok();
}

/* ---- Those who acquire ---- */

static int random_limit(void)
{
    return dice(2) == 0 ? CONNPOOL_WAIT_FOREVER : (int)(1 + dice(60));
}

static void end_lease(connpool_lease *lease)
{
    if (dice(4) == 0) {
        assert_int_equal(connpool_discard(lease), CONNPOOL_OK);
    } else {
        pool_give(lease);
    }
}

static void start_thread(struct scene *scene, size_t which)
{
    struct stepped_acquire *thread = &scene->threads[which];
    bool is_for_any = dice(3) == 0;
    uint64_t first = dice(is_for_any ? NAMES - 1 : NAMES);
    int limit = random_limit();

    scene->is_used[which] = true;
    if (is_for_any) {
        stepped_acquire_start_any(thread, &scene->fixture, &names[first], 2, limit);
    } else {
        stepped_acquire_start(thread, &scene->fixture, names[first], limit);
    }
}

static void end_thread(struct scene *scene, size_t which)
{
    struct stepped_acquire *thread = &scene->threads[which];

    scene->is_used[which] = false;
    if (thread->acquire.status == CONNPOOL_OK) {
        end_lease(&thread->acquire.lease);
    }
}

/* As a driver does that cannot wait. */
static void abandon_thread(struct scene *scene, size_t which)
{
    struct stepped_acquire *thread = &scene->threads[which];

    thread->acquire.operation.abandon(&thread->acquire.operation);
    thread->is_done = true;
    for (size_t i = 0; i < thread->count; i++) {
        connpool_endpoint_put(thread->endpoints[i]);
    }
    scene->is_used[which] = false;
}

static void act_as_thread(struct scene *scene, size_t which)
{
    if (!scene->is_used[which]) {
        start_thread(scene, which);
    } else if (scene->threads[which].is_done) {
        end_thread(scene, which);
    } else if (dice(16) == 0) {
        abandon_thread(scene, which);
    }
}

static void react(struct reactor_client *client);

static void submit(struct station *station, size_t which)
{
    struct reactor_client *client = &station->clients[which];
    size_t first = dice(NAMES - 1);
    size_t count = 1 + dice(2);
    int limit = random_limit();

    *client = (struct reactor_client){.then = react, .argument = station};
    station->is_used[which] = true;
    assert_int_equal(connpool_acquire_any_async(station->reactor, &station->scene->endpoints[first], count, limit,
                                                reactor_client_tell, client, &client->request, NULL),
                     CONNPOOL_OK);
}

static void end_client(struct station *station, size_t which)
{
    struct reactor_client *client = &station->clients[which];

    station->is_used[which] = false;
    if (client->told == 0) {
        reactor_cancel(client);
    } else if (client->status == CONNPOOL_OK) {
        end_lease(&client->lease);
    }
}

static void act_as_client(struct station *station, size_t which)
{
    if (!station->is_used[which]) {
        submit(station, which);
    } else if (station->clients[which].told != 0 || dice(4) == 0) {
        end_client(station, which);
    }
}

/* In the callback: nothing, or an end of it right here and perhaps something anew, or anything of another. */
static void react(struct reactor_client *client)
{
    struct station *station = client->argument;
    size_t which = (size_t)(client - station->clients);

    if (is_calm || client->status == CONNPOOL_CLOSED) {
        return;
    }
    switch (dice(6)) {
    case 0:
        end_client(station, which);
        break;
    case 1:
        end_client(station, which);
        submit(station, which);
        break;
    case 2:
        act_as_client(station, (which + 1) % CLIENTS);
        break;
    default:
        break;
    }
}

/* ---- Settling ---- */

static bool is_settled(const struct scene *scene)
{
    for (size_t i = 0; i < THREADS; i++) {
        if (scene->is_used[i] && !scene->threads[i].is_done && scene->threads[i].wakes != 0) {
            return false;
        }
    }
    for (size_t i = 0; i < scene->station_count; i++) {
        if (!scene->stations[i].is_away && reactor_is_readable(scene->stations[i].reactor)) {
            return false;
        }
    }
    return true;
}

/* Everybody who is there does what there is to do; the clock stands still. */
static void run_all(struct scene *scene)
{
    int passes = 0;

    do {
        stepped_acquire_run(scene->threads, THREADS);
        for (size_t i = 0; i < scene->station_count; i++) {
            if (!scene->stations[i].is_away) {
                reactor_run(scene->stations[i].reactor);
            }
        }
        if (++passes == PASSES) {
            fail_in(scene, "they wake each other", "for ever");
        }
    } while (!is_settled(scene));
}

static void run_all_after(struct scene *scene, int64_t nanoseconds)
{
    virtual_clock_advance(&scene->fixture.clock, nanoseconds);
    run_all(scene);
}

/* A reactor that is away was called so short a time ago that nobody takes back yet what for. */
static bool is_call_fresh(const struct scene *scene)
{
    int64_t now = virtual_clock_now(&scene->fixture.clock);
    const struct cp_waiter *called;

    TAILQ_FOREACH (called, &scene->fixture.pool->lanes.calls, called) {
        if (called->called_at <= now && now - called->called_at <= CP_PATIENCE) {
            return true;
        }
    }
    return false;
}

static void settle(struct scene *scene, int64_t nanoseconds)
{
    run_all_after(scene, nanoseconds);
    for (int looks = 0; scene->fixture.pool->lanes.call_count != 0 && (looks < 2 || is_call_fresh(scene)); looks++) {
        run_all_after(scene, 3 * CP_PATIENCE); /* what is taken back may call another; a watch may look once more */
    }
}

/* ---- What must hold ---- */

static bool is_away(const struct scene *scene, const struct cp_waiter *waiter)
{
    for (size_t i = 0; i < scene->station_count; i++) {
        if (waiter->lane->loop == scene->stations[i].reactor->loop) {
            return scene->stations[i].is_away;
        }
    }
    return false;
}

static uint64_t idle_at(const struct connpool_endpoint *endpoint)
{
    return endpoint->count[CP_BASE] + endpoint->count[CP_EXTRA];
}

static uint64_t idle_anywhere(const struct connpool_pool *pool)
{
    const struct connpool_endpoint *endpoint;
    uint64_t idle = 0;

    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        idle += idle_at(endpoint);
    }
    return idle;
}

/* What somebody who stands at this endpoint could go on with; NULL: nothing. The pool's lock is held. */
static const char *usable(struct connpool_endpoint *endpoint, bool is_opener, int64_t now)
{
    const struct connpool_pool *pool = endpoint->pool;

    if (idle_at(endpoint) != 0) {
        return "an idle connection";
    }
    if (is_opener || endpoint->size >= endpoint->policy.max_size) {
        return NULL;
    }
    if (cp_recovery_is_held(endpoint, now)) {
        return "connects that are held down";
    }
    if (endpoint->held_until > now || cp_recovery_wait(endpoint, now) != 0) {
        return NULL;
    }
    if (pool->total < pool->policy.total_max_size) {
        return "a free slot";
    }
    return idle_anywhere(pool) != 0 ? "a connection to evict" : NULL;
}

/* The pool's lock is held. NULL: nobody of these sleeps beside something usable. */
static const char *missed_by(const struct scene *scene, struct connpool_endpoint *endpoint,
                             const struct cp_places *places)
{
    int64_t now = virtual_clock_now(&scene->fixture.clock);
    const char *missed = NULL;
    const struct cp_place *place;

    TAILQ_FOREACH (place, places, entry) {
        if (missed == NULL && place->waiter->state == CP_WAITER_WAITING && !is_away(scene, place->waiter)) {
            missed = usable(endpoint, place->waiter->is_opener, now);
        }
    }
    return missed;
}

static void assert_nobody_misses(const struct scene *scene)
{
    struct connpool_pool *pool = scene->fixture.pool;
    struct connpool_endpoint *endpoint;

    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        const char *missed;

        cp_lock_take(&pool->lock);
        missed = missed_by(scene, endpoint, &endpoint->places);
        missed = missed != NULL ? missed : missed_by(scene, endpoint, &endpoint->openers);
        cp_lock_give(&pool->lock);
        if (missed != NULL) {
            fail_in(scene, "somebody sleeps beside", missed);
        }
    }
}

static void assert_slots_add_up(const struct scene *scene)
{
    struct connpool_statistics numbers = pool_numbers(&scene->fixture);
    const struct connpool_pool *pool = scene->fixture.pool;
    const struct connpool_endpoint *endpoint;
    uint64_t sizes = 0;

    TAILQ_FOREACH (endpoint, &pool->endpoints, listed) {
        sizes += endpoint->size;
    }
    if (pool->total != sizes || numbers_size(&numbers) != sizes) {
        fail_in(scene, "the slots do not add up", "at the end");
    }
    if (numbers.waiters != 0 || pool_openers(&scene->fixture) != 0 || pool->lanes.call_count != 0) {
        fail_in(scene, "a place in line or a call is left", "at the end");
    }
    if (numbers.leased != 0 || numbers.opening != 0) {
        fail_in(scene, "a connection is left", "at the end");
    }
}

/* ---- A round ---- */

static void begin(struct scene *scene)
{
    pool_fixture_open(&scene->fixture, "%s", scene->policy);
    atomic_store(&scene->fixture.clock.is_manual, true);
    scene->fixture.pool->random = scene->round; /* it was made from a key of this process */
    test_manager_record(false);
    is_calm = false;
    may_reset_slowly = scene->station_count != 0;
    test_manager_choose_by(choose);
    for (size_t i = 0; i < NAMES; i++) {
        assert_int_equal(connpool_endpoint_get(scene->fixture.pool, names[i], &scene->endpoints[i], NULL), CONNPOOL_OK);
    }
    for (size_t i = 0; i < THREADS; i++) {
        scene->threads[i] = (struct stepped_acquire){.fixture = &scene->fixture, .is_done = true};
    }
    for (size_t i = 0; i < scene->station_count; i++) {
        scene->stations[i] = (struct station){.scene = scene, .reactor = reactor_begin(&scene->fixture)};
    }
}

static void make_turn(struct scene *scene)
{
    size_t thread = dice(THREADS);

    if (thread < scene->thread_count) {
        act_as_thread(scene, thread);
    }
    for (size_t i = 0; i < scene->station_count; i++) {
        if (dice(2) == 0) {
            act_as_client(&scene->stations[i], dice(CLIENTS));
        }
        scene->stations[i].is_away = dice(2) == 0;
    }
    settle(scene, dice(3) == 0 ? 0 : (int64_t)dice(20 * CP_MILLISECOND));
    assert_nobody_misses(scene);
}

/* What has ended is given back. True: somebody waits still. */
static bool collect(struct scene *scene)
{
    bool is_any_left = false;

    for (size_t i = 0; i < THREADS; i++) {
        if (scene->is_used[i] && scene->threads[i].is_done) {
            end_thread(scene, i);
        }
        is_any_left = is_any_left || scene->is_used[i];
    }
    for (size_t i = 0; i < scene->station_count; i++) {
        struct station *station = &scene->stations[i];

        station->is_away = false;
        for (size_t j = 0; j < CLIENTS; j++) {
            if (station->is_used[j] && station->clients[j].told != 0) {
                end_client(station, j);
            }
            is_any_left = is_any_left || station->is_used[j];
        }
    }
    return is_any_left;
}

/* Those that wait for ever must be served once the peers do as they should. */
static void drain(struct scene *scene)
{
    is_calm = true;
    for (unsigned turns = 0; collect(scene); turns++) {
        if (turns == DRAINING_TURNS) {
            fail_in(scene, "somebody is stuck", "at the end");
        }
        settle(scene, MILLISECONDS(50));
    }
    for (int i = 0; i < 4; i++) {
        settle(scene, MILLISECONDS(50)); /* opens that were left */
    }
    assert_slots_add_up(scene);
}

/* Everybody ends, though no time passes. */
static void close_amidst(struct scene *scene)
{
    connpool_status status;

    is_calm = true;
    status = connpool_close(scene->fixture.context, 0, NULL);
    assert_true(status == CONNPOOL_OK || status == CONNPOOL_STILL_LEASED);
    scene->fixture.context = NULL;
    scene->fixture.clock.context = NULL;
    (void)collect(scene);
    run_all(scene);
    if (collect(scene)) {
        fail_in(scene, "somebody is stuck", "after the close");
    }
}

static void end(struct scene *scene)
{
    for (size_t i = 0; i < scene->station_count; i++) {
        reactor_end(scene->stations[i].reactor);
    }
    for (size_t i = 0; i < NAMES; i++) {
        connpool_endpoint_put(scene->endpoints[i]);
    }
    test_manager_choose_by(NULL);
    if (scene->fixture.context != NULL) {
        pool_fixture_close(&scene->fixture);
    } else {
        pool_fixture_assert_nothing_left(&scene->fixture);
    }
}

static void play(uint64_t round)
{
    static struct scene scene;
    unsigned turns;
    bool is_closed;

    random_state = round * UINT64_C(0x9e3779b97f4a7c15) | 1;
    memset(&scene, 0, sizeof(scene));
    scene.round = round;
    scene.policy = policies[round % POLICIES];
    scene.station_count = round / POLICIES % (REACTORS + 1);
    scene.thread_count = dice(THREADS + 1);
    is_closed = dice(4) == 0;
    turns = is_closed ? (unsigned)dice(TURNS) : TURNS;
    begin(&scene);
    for (scene.turn = 0; scene.turn < turns; scene.turn++) {
        make_turn(&scene);
    }
    if (is_closed) {
        close_amidst(&scene);
    } else {
        drain(&scene);
    }
    end(&scene);
}

static void test_nobody_sleeps_beside_something_usable(void **state)
{
    uint64_t rounds = (uint64_t)stress_operations(ROUNDS, SANITIZED_ROUNDS);

    (void)state;
    for (uint64_t round = 1; round <= rounds; round++) {
        play(round);
    }
}

/* Further rounds in which somebody once slept: what was woken first was of the watch's own reactor, and hid the call
 * behind it. */
static void test_rounds_that_found_something(void **state)
{
    static const uint64_t rounds[] = {4336, 36952};

    (void)state;
    for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        play(rounds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_that_found_something),
        cmocka_unit_test(test_nobody_sleeps_beside_something_usable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
