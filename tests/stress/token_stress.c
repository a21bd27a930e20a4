/* SPDX-License-Identifier: MIT */
/* token: owners that make, point and free tokens against threads that wake whatever they find, also long freed ones;
 * and wakes of a sleeping driver from eight threads, none of which may be lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/driver.h"
#include "engine/token.h"

#undef NDEBUG /* these asserts are the test */
#include <assert.h>

#define OWNERS 4
#define WAKERS 4
#define SHOWN  64
#define ROUNDS 20000

static _Atomic uint64_t shown[SHOWN]; /* tokens, mostly freed ones */
static _Atomic bool stop;
static _Atomic int alive; /* wakers that were not disposed of */

struct watched {
    struct cp_waker waker;
    _Atomic bool is_alive;
    _Atomic unsigned wakes;
};

static void watched_wake(struct cp_waker *waker)
{
    struct watched *watched = (struct watched *)waker;

    assert(watched->is_alive);
    watched->wakes++;
}

static void watched_dispose(struct cp_waker *waker)
{
    struct watched *watched = (struct watched *)waker;

    watched->is_alive = false;
    alive--;
    free(watched);
}

static struct watched *watched_new(void)
{
    struct watched *watched = calloc(1, sizeof(*watched));

    assert(watched != NULL);
    cp_waker_init(&watched->waker, watched_wake, watched_dispose);
    watched->is_alive = true;
    alive++;
    return watched;
}

/* xorshift64 (Marsaglia, Xorshift RNGs, 2003) */
static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void *own(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;

    for (int i = 0; i < ROUNDS; i++) {
        struct watched *first = watched_new(), *second = watched_new();
        uint64_t token = cp_token_new();
        unsigned before;

        assert(token != 0);
        shown[next_random(&random) % SHOWN] = token;
        cp_token_arm(token, &first->waker);
        if (next_random(&random) % 2) {
            cp_token_arm(token, NULL);
        }
        cp_token_arm(token, &second->waker);
        before = second->wakes;
        cp_token_wake(token);
        assert(second->wakes > before);
        cp_token_free(token);
        cp_waker_unref(&first->waker);
        cp_waker_unref(&second->waker);
    }
    return NULL;
}

static void *wake_what_is_shown(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;

    while (!stop) {
        cp_token_wake(shown[next_random(&random) % SHOWN]);
    }
    return NULL;
}

static void c16_late_wakes_touch_nothing_that_ended(void **state)
{
    pthread_t owners[OWNERS], wakers[WAKERS];

    (void)state;
    for (uintptr_t i = 0; i < WAKERS; i++) {
        assert_int_equal(pthread_create(&wakers[i], NULL, wake_what_is_shown, (void *)(i + 101)), 0);
    }
    for (uintptr_t i = 0; i < OWNERS; i++) {
        assert_int_equal(pthread_create(&owners[i], NULL, own, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < OWNERS; i++) {
        assert_int_equal(pthread_join(owners[i], NULL), 0);
    }
    stop = true;
    for (int i = 0; i < WAKERS; i++) {
        assert_int_equal(pthread_join(wakers[i], NULL), 0);
    }
    assert_int_equal(alive, 0);
}

/* ---- A driver that is woken by eight threads ---- */

#define CALLERS 8
#define CALLS   4000

struct counting {
    struct cp_operation operation;
    uint64_t token;
    int fd; /* -1, or a descriptor that never becomes ready */
    _Atomic int calls;
};

/* Waits by turns on the condition and on the descriptor. */
static int32_t counting_step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct counting *counting = (struct counting *)operation;
    int calls;

    cp_token_arm(counting->token, cp_operation_waker(operation));
    calls = counting->calls;
    if (calls == CALLERS * CALLS) {
        return CONNPOOL_STEP_DONE;
    }
    wait->flags |= CONNPOOL_WAIT_WAKE;
    if (calls % 2) {
        wait->fd = counting->fd;
        wait->events = CONNPOOL_EVENT_READ;
    }
    return CONNPOOL_STEP_AGAIN;
}

static void counting_abandon(struct cp_operation *operation)
{
    (void)operation;
}

static void *call(void *argument)
{
    struct counting *counting = argument;

    for (int i = 0; i < CALLS; i++) {
        counting->calls++;
        cp_token_wake(counting->token);
        if (i % 64 == 0) {
            (void)sched_yield();
        }
    }
    return NULL;
}

/* A lost wake is a sleep for ever: the test's time limit. */
static void no_wake_of_eight_threads_is_lost(void **state)
{
    static const struct cp_clock clock;
    struct counting counting = {.operation = {.step = counting_step, .abandon = counting_abandon}};
    pthread_t callers[CALLERS];
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    counting.token = cp_token_new();
    counting.fd = ends[0];
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_create(&callers[i], NULL, call, &counting), 0);
    }
    assert_true(cp_drive(&counting.operation, NULL, &clock, 0));
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(callers[i], NULL), 0);
    }
    cp_token_free(counting.token);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Two threads hand a turn to and fro: each sleeps until the other's wake, so that every one is needed. */
#define TURNS 5000

struct player {
    struct cp_operation operation;
    struct player *other;
    uint64_t token;
    int parity;
    int fd;
    _Atomic int *turn;
};

static int32_t player_step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct player *player = (struct player *)operation;

    cp_token_arm(player->token, cp_operation_waker(operation));
    if (*player->turn % 2 == player->parity) {
        return CONNPOOL_STEP_DONE;
    }
    wait->flags |= CONNPOOL_WAIT_WAKE;
    if (*player->turn % 3 == 0) {
        wait->fd = player->fd;
        wait->events = CONNPOOL_EVENT_READ;
    }
    return CONNPOOL_STEP_AGAIN;
}

static void *play(void *argument)
{
    static const struct cp_clock clock;
    struct player *player = argument;

    for (int i = 0; i < TURNS; i++) {
        bool is_done = cp_drive(&player->operation, NULL, &clock, 0);

        assert(is_done);
        (void)is_done;
        ++*player->turn;
        cp_token_wake(player->other->token);
    }
    return NULL;
}

static void no_single_wake_is_lost(void **state)
{
    struct player players[2];
    pthread_t threads[2];
    _Atomic int turn = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < 2; i++) {
        players[i] = (struct player){.operation = {.step = player_step, .abandon = counting_abandon},
                                     .other = &players[1 - i],
                                     .token = cp_token_new(),
                                     .parity = i,
                                     .fd = ends[0],
                                     .turn = &turn};
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        cp_token_free(players[i].token);
    }
    assert_int_equal(turn, 2 * TURNS);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c16_late_wakes_touch_nothing_that_ended),
        cmocka_unit_test(no_wake_of_eight_threads_is_lost),
        cmocka_unit_test(no_single_wake_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
