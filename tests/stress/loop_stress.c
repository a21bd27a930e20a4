/* SPDX-License-Identifier: MIT */
/* loop: threads that start and wake tasks against the loop's thread, which steps, times and abandons them. */
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

#include "engine/loop.h"

#undef NDEBUG /* these asserts are the test */
#include <assert.h>

#define STARTERS 8
#define STARTS   2000
#define WAKES    3 /* that a task waits for */

static const struct cp_clock system_clock;

static struct cp_loop *loop;
static int silent; /* a file that never becomes readable */
static _Atomic int starters, done, abandoned, disposed;

enum kind { BY_WAKES, BY_WAKES_AT_A_DESCRIPTOR, BY_TIME, BY_ABANDON, KINDS };

struct job {
    struct cp_task task;
    struct cp_operation operation;
    enum kind kind;
    int steps;
    int fd; /* the job's own number of the silent file */
    _Atomic int wakes;
    bool was_restarted;
};

static struct job *victim; /* the last that waits to be abandoned; the loop's thread only */

static struct job *job_of(struct cp_operation *operation)
{
    return (struct job *)((char *)operation - offsetof(struct job, operation));
}

/* Abandons the one before, from within its own first step. */
static void become_victim(struct job *job)
{
    if (victim == job) {
        return;
    }
    if (victim != NULL) {
        cp_loop_abandon(loop, &victim->task);
    }
    victim = job;
}

static int32_t job_step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct job *job = job_of(operation);

    job->steps++;
    assert(wait->ready == 0);
    if ((job->kind == BY_TIME && job->steps == 3) || job->wakes == WAKES) {
        return CONNPOOL_STEP_DONE;
    }
    wait->flags |= CONNPOOL_WAIT_WAKE;
    switch (job->kind) {
    case BY_TIME:
        wait->at = wait->now + job->steps * 1000;
        break;
    case BY_WAKES_AT_A_DESCRIPTOR:
        wait->fd = job->fd;
        wait->events = CONNPOOL_EVENT_READ;
        break;
    case BY_ABANDON:
        become_victim(job);
        break;
    default:
        break;
    }
    return CONNPOOL_STEP_AGAIN;
}

static void job_abandon(struct cp_operation *operation)
{
    assert(job_of(operation)->kind == BY_ABANDON);
    abandoned++;
}

static void job_dispose(struct cp_task *task)
{
    disposed++;
    free(task);
}

/* Each of those that end by time runs twice. Numbers of descriptors are used again at once. */
static void job_done(struct cp_task *task)
{
    struct job *job = (struct job *)task;

    done++;
    if (job->fd >= 0) {
        (void)close(job->fd);
    }
    if (job->kind == BY_TIME && !job->was_restarted) {
        job->was_restarted = true;
        job->steps = 0;
        cp_loop_start(loop, task, &job->operation, job_done, job_dispose);
    }
}

static struct job *job_new(int number)
{
    struct job *job = calloc(1, sizeof(*job));

    assert(job != NULL);
    job->operation.step = job_step;
    job->operation.abandon = job_abandon;
    job->kind = (enum kind)(number % KINDS);
    job->fd = job->kind == BY_WAKES_AT_A_DESCRIPTOR ? fcntl(silent, F_DUPFD_CLOEXEC, 0) : -1;
    return job;
}

/* A job that waits for wakes cannot end before the last of them: so long this thread may use it. One more wake comes
 * late. */
static void start_and_wake(int number)
{
    struct job *job = job_new(number);
    bool is_woken = job->kind == BY_WAKES || job->kind == BY_WAKES_AT_A_DESCRIPTOR;
    struct cp_waker *waker = &job->task.waker;

    cp_loop_start(loop, &job->task, &job->operation, job_done, job_dispose);
    if (!is_woken) {
        return;
    }
    (void)cp_waker_ref(waker);
    for (int i = 0; i < WAKES; i++) {
        job->wakes++;
        cp_waker_fire(cp_waker_ref(waker));
    }
    cp_waker_fire(waker);
}

static void *start_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < STARTS; i++) {
        start_and_wake(i);
    }
    starters--;
    cp_loop_kick(loop);
    return NULL;
}

/* A lost wake or kick is a sleep for ever: the test's time limit. */
static void tasks_of_eight_threads_all_end(void **state)
{
    const int all = STARTERS * STARTS, quarter = all / KINDS;
    pthread_t threads[STARTERS];
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    silent = ends[0];
    loop = cp_loop_new(&system_clock, NULL);
    assert_non_null(loop);
    starters = STARTERS;
    for (int i = 0; i < STARTERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, start_many, NULL), 0);
    }
    while (starters > 0 || cp_loop_count(loop) > 1 || victim == NULL) {
        cp_loop_run(loop, 0);
    }
    for (int i = 0; i < STARTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    cp_loop_abandon_all(loop);
    assert_int_equal(cp_loop_count(loop), 0);
    assert_int_equal(done, all + quarter);
    assert_int_equal(abandoned, quarter);
    assert_int_equal(disposed, all);
    cp_loop_free(loop);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* failures.md C25: the last wake races with the end of the loop. */
static void *wake_late(void *waker)
{
    cp_waker_fire(waker);
    return NULL;
}

static void c25_a_loop_ends_while_it_is_woken(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct job *job = job_new(BY_WAKES);
        pthread_t thread;

        loop = cp_loop_new(&system_clock, NULL);
        assert_non_null(loop);
        job->wakes = WAKES;
        cp_loop_start(loop, &job->task, &job->operation, job_done, job_dispose);
        assert_int_equal(pthread_create(&thread, NULL, wake_late, cp_waker_ref(&job->task.waker)), 0);
        cp_loop_dispatch(loop);
        cp_loop_free(loop);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_of_eight_threads_all_end),
        cmocka_unit_test(c25_a_loop_ends_while_it_is_woken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
