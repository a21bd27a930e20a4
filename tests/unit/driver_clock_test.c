/* SPDX-License-Identifier: MIT */
/* driver, by a replaced clock: whoever sleeps says until when, and looks again at every kick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "scripted_operation.h"

static const struct cp_clock system_clock;

struct virtual
{
    pthread_mutex_t lock;
    pthread_cond_t slept;
    int64_t time;
    int64_t until; /* of the last that was about to sleep */
    int sleeps;
    bool moves_itself;
};

static int64_t virtual_now(void *argument, uint32_t which)
{
    struct virtual *virtual = argument;
    int64_t time;

    (void)which;
    (void)pthread_mutex_lock(&virtual->lock);
    time = virtual->time;
    (void)pthread_mutex_unlock(&virtual->lock);
    return time;
}

static void virtual_sleeping(void *argument, int64_t until)
{
    struct virtual *virtual = argument;

    (void)pthread_mutex_lock(&virtual->lock);
    virtual->until = until;
    virtual->sleeps++;
    if (virtual->moves_itself && until > virtual->time) {
        virtual->time = until;
    }
    (void)pthread_cond_broadcast(&virtual->slept);
    (void)pthread_mutex_unlock(&virtual->lock);
}

static void virtual_init(struct virtual *virtual, struct cp_clock *clock, bool moves_itself)
{
    *virtual = (struct virtual){.lock = PTHREAD_MUTEX_INITIALIZER,
                                .slept = PTHREAD_COND_INITIALIZER,
                                .time = 1000,
                                .moves_itself = moves_itself};
    clock->replaced = (struct connpool_clock){
        .size = sizeof(struct connpool_clock), .argument = virtual, .now = virtual_now, .sleeping = virtual_sleeping};
}

static void a_clock_that_moves_itself_lets_a_day_pass(void **state)
{
    const int64_t day = 86400 * CP_SECOND;
    struct virtual virtual;
    struct cp_clock clock;
    struct cp_sleepers *sleepers;
    struct scripted scripted;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    virtual_init(&virtual, &clock, true);
    sleepers = cp_sleepers_new(&clock);
    script(&scripted);
    answer_again(&scripted, -1, 0, day, 0);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, 2 * day, 0);
    answer_again(&scripted, -1, 0, 0, CONNPOOL_WAIT_WAKE);
    assert_false(cp_drive(&scripted.operation, sleepers, &clock, 3 * day));
    assert_int_equal(scripted.steps, 4);
    assert_true(scripted.seen[0].now == 1000);
    assert_true(scripted.seen[1].now == day);
    assert_true(scripted.seen[2].now == 2 * day);
    assert_true(scripted.seen[3].now == 3 * day);
    cp_sleepers_free(sleepers);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Where there is no sleep, the clock is not told of one. */
static void what_is_ready_moves_no_clock(void **state)
{
    struct virtual virtual;
    struct cp_clock clock;
    struct cp_sleepers *sleepers;
    struct scripted scripted;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    virtual_init(&virtual, &clock, true);
    sleepers = cp_sleepers_new(&clock);
    script(&scripted);
    answer_again(&scripted, ends[1], CONNPOOL_EVENT_WRITE, 5000, CONNPOOL_WAIT_WAKE);
    answer_again(&scripted, -1, 0, 5000, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    scripted.during = wake_itself;
    assert_true(cp_drive(&scripted.operation, sleepers, &clock, 0));
    assert_int_equal(virtual.sleeps, 0);
    assert_int_equal(virtual.time, 1000);
    cp_sleepers_free(sleepers);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

#define SLEEPERS 8

struct sleeping {
    pthread_t thread;
    struct scripted scripted;
    struct cp_sleepers *sleepers;
    const struct cp_clock *clock;
};

static void *sleep_by_clock(void *argument)
{
    struct sleeping *sleeping = argument;

    assert_true(cp_drive(&sleeping->scripted.operation, sleeping->sleepers, sleeping->clock, 0));
    return NULL;
}

static void move_to(struct virtual *virtual, int64_t time)
{
    (void)pthread_mutex_lock(&virtual->lock);
    virtual->time = time;
    (void)pthread_mutex_unlock(&virtual->lock);
}

static void wait_for_sleeps(struct virtual *virtual, int count)
{
    (void)pthread_mutex_lock(&virtual->lock);
    while (virtual->sleeps < count) {
        (void)pthread_cond_wait(&virtual->slept, &virtual->lock);
    }
    (void)pthread_mutex_unlock(&virtual->lock);
}

/* Half of them poll a descriptor. */
static void every_sleeper_is_kicked(void **state)
{
    static struct sleeping all[SLEEPERS];
    struct virtual virtual;
    struct cp_clock clock;
    struct cp_sleepers *sleepers;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    virtual_init(&virtual, &clock, false);
    sleepers = cp_sleepers_new(&clock);
    for (int i = 0; i < SLEEPERS; i++) {
        all[i].sleepers = sleepers;
        all[i].clock = &clock;
        script(&all[i].scripted);
        answer_again(&all[i].scripted, i % 2 ? ends[0] : -1, i % 2 ? CONNPOOL_EVENT_READ : 0, 2000, 0);
        answer_again(&all[i].scripted, -1, 0, 2000, 0);
        answer_done(&all[i].scripted);
        assert_int_equal(pthread_create(&all[i].thread, NULL, sleep_by_clock, &all[i]), 0);
    }
    wait_for_sleeps(&virtual, SLEEPERS);
    cp_sleepers_kick(sleepers); /* nothing has moved: each looks and sleeps again */
    wait_for_sleeps(&virtual, 2 * SLEEPERS);
    move_to(&virtual, 2000);
    cp_sleepers_kick(sleepers);
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        assert_int_equal(all[i].scripted.steps, 3);
        assert_true(all[i].scripted.seen[2].now == 2000);
    }
    cp_sleepers_free(sleepers);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void without_a_replaced_clock_a_kick_is_nothing(void **state)
{
    struct cp_sleepers *sleepers = cp_sleepers_new(&system_clock);

    (void)state;
    cp_sleepers_kick(sleepers);
    cp_sleepers_kick(NULL);
    cp_sleepers_free(sleepers);
    cp_sleepers_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_moves_itself_lets_a_day_pass),
        cmocka_unit_test(what_is_ready_moves_no_clock),
        cmocka_unit_test(every_sleeper_is_kicked),
        cmocka_unit_test(without_a_replaced_clock_a_kick_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
