/* SPDX-License-Identifier: MIT */
/* loop: start, wake, descriptors, times, abandon; by the system's clock and by a replaced one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/loop.h"

static const struct cp_clock system_clock;

/* A task whose operation answers what its members say. */
struct job {
    struct cp_task task;
    struct cp_operation operation;
    struct cp_loop *loop;
    int steps, abandons, dones, disposals;
    int last;                    /* the step that answers DONE */
    struct connpool_wait answer; /* of the others */
    struct connpool_wait seen;   /* what the last step found */
    void (*on_step)(struct job *job);
    void (*on_done)(struct job *job);
    struct job *other;
    int order;
    int far_end; /* of the pipe that change_descriptor made */
};

static int orders;

static int32_t job_step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct job *job = (struct job *)((char *)operation - offsetof(struct job, operation));

    job->steps++;
    job->order = ++orders;
    job->seen = *wait;
    if (job->on_step != NULL) {
        job->on_step(job);
    }
    if (job->steps == job->last) {
        return CONNPOOL_STEP_DONE;
    }
    wait->fd = job->answer.fd;
    wait->events = job->answer.events;
    wait->at = job->answer.at;
    wait->flags |= job->answer.flags;
    return CONNPOOL_STEP_AGAIN;
}

static void job_abandon(struct cp_operation *operation)
{
    ((struct job *)((char *)operation - offsetof(struct job, operation)))->abandons++;
}

static void job_done(struct cp_task *task)
{
    struct job *job = (struct job *)task;

    job->dones++;
    if (job->on_done != NULL) {
        job->on_done(job);
    }
}

static void job_dispose(struct cp_task *task)
{
    ((struct job *)task)->disposals++;
}

/* A job that is done at step `last` (0: never) and waits for a wake. */
static void job_init(struct job *job, struct cp_loop *loop, int last)
{
    *job = (struct job){.operation = {.step = job_step, .abandon = job_abandon},
                        .loop = loop,
                        .last = last,
                        .answer = {.fd = -1, .flags = CONNPOOL_WAIT_WAKE}};
}

static void job_start(struct job *job)
{
    cp_loop_start(job->loop, &job->task, &job->operation, job_done, job_dispose);
}

static void job_waits_for(struct job *job, int fd, uint32_t events)
{
    job->answer.fd = fd;
    job->answer.events = events;
}

static void job_wake(struct job *job)
{
    cp_waker_fire(cp_waker_ref(&job->task.waker));
}

static struct cp_loop *loop_new(void)
{
    struct cp_loop *loop = cp_loop_new(&system_clock, NULL);

    assert_non_null(loop);
    return loop;
}

static bool is_readable(struct cp_loop *loop)
{
    struct pollfd polled = {.fd = cp_loop_fd(loop), .events = POLLIN};

    return poll(&polled, 1, 0) == 1;
}

static int64_t now(void)
{
    return cp_clock_precise(&system_clock);
}

/* ---- Start and wake ---- */

static void an_empty_loop_is_not_readable(void **state)
{
    struct cp_loop *loop = loop_new();

    (void)state;
    assert_false(is_readable(loop));
    cp_loop_dispatch(loop);
    assert_false(is_readable(loop));
    assert_int_equal(cp_loop_count(loop), 0);
    cp_loop_free(loop);
    cp_loop_free(NULL);
}

static void a_task_runs_in_the_next_dispatch(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;

    (void)state;
    job_init(&job, loop, 1);
    job_start(&job);
    assert_int_equal(job.steps, 0);
    assert_true(is_readable(loop));
    assert_int_equal(cp_loop_count(loop), 1);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 1);
    assert_int_equal(job.dones, 1);
    assert_int_equal(job.disposals, 1);
    assert_int_equal(job.abandons, 0);
    assert_int_equal(cp_loop_count(loop), 0);
    assert_false(is_readable(loop));
    cp_loop_free(loop);
}

static void wakes_before_a_dispatch_are_one_step(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;

    (void)state;
    job_init(&job, loop, 2);
    job_start(&job);
    job_wake(&job);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 1);
    assert_false(is_readable(loop));
    job_wake(&job);
    job_wake(&job);
    assert_true(is_readable(loop));
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 2);
    assert_int_equal(job.dones, 1);
    assert_false(is_readable(loop));
    cp_loop_free(loop);
}

static void a_task_woken_in_its_own_step_runs_once_a_dispatch(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;

    (void)state;
    job_init(&job, loop, 4);
    job.on_step = job_wake;
    job_start(&job);
    for (int i = 1; i <= 4; i++) {
        assert_true(is_readable(loop));
        cp_loop_dispatch(loop);
        assert_int_equal(job.steps, i);
    }
    assert_int_equal(job.dones, 1);
    cp_loop_dispatch(loop); /* the wake of its last step ends one wait for nothing */
    assert_false(is_readable(loop));
    cp_loop_free(loop);
}

static void restart(struct job *job)
{
    if (job->dones < 3) {
        job_start(job);
    }
}

static void a_task_may_be_started_again_from_done(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;

    (void)state;
    job_init(&job, loop, 0);
    job.on_done = restart;
    for (int i = 1; i <= 3; i++) {
        job.last = i;
        if (i == 1) {
            job_start(&job);
        }
        assert_true(is_readable(loop));
        assert_int_equal(job.disposals, 0);
        cp_loop_dispatch(loop);
        assert_int_equal(job.dones, i);
    }
    assert_int_equal(job.disposals, 1);
    assert_false(is_readable(loop));
    /* and anew after dispose, in another loop */
    cp_loop_free(loop);
    loop = loop_new();
    job.loop = loop;
    job.last = 4;
    job_start(&job);
    cp_loop_dispatch(loop);
    assert_int_equal(job.disposals, 2);
    cp_loop_free(loop);
}

/* failures.md C25: the loop is gone, its descriptors are not until the late waker is. */
static void c25_a_late_wake_of_a_task_is_harmless(void **state)
{
    struct cp_loop *loop = loop_new();
    struct cp_waker *late;
    struct job job;
    int fd = cp_loop_fd(loop);

    (void)state;
    job_init(&job, loop, 1);
    job_start(&job);
    late = cp_waker_ref(&job.task.waker);
    cp_loop_dispatch(loop);
    cp_waker_fire(cp_waker_ref(late));
    assert_false(is_readable(loop));
    cp_loop_free(loop);
    assert_int_equal(job.disposals, 0);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    cp_waker_fire(late);
    assert_int_equal(job.disposals, 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* ---- Abandon ---- */

static void abandon_other(struct job *job)
{
    cp_loop_abandon(job->loop, &job->other->task);
}

static void an_abandoned_task_is_stepped_no_more(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job first, second;

    (void)state;
    job_init(&first, loop, 1);
    job_init(&second, loop, 0);
    first.other = &second;
    first.on_step = abandon_other;
    job_start(&first);
    job_start(&second); /* queued in the same dispatch */
    cp_loop_dispatch(loop);
    assert_int_equal(second.steps, 0);
    assert_int_equal(second.abandons, 1);
    assert_int_equal(second.dones, 1);
    assert_int_equal(second.disposals, 1);
    assert_int_equal(cp_loop_count(loop), 0);
    job_init(&second, loop, 0);
    cp_loop_abandon(loop, &second.task); /* not in a loop */
    assert_int_equal(second.abandons + second.dones, 0);
    cp_loop_free(loop);
}

static void abandon_in_done(struct job *job)
{
    if (job->other != NULL) {
        cp_loop_abandon(job->loop, &job->other->task);
    }
}

static void a_done_may_abandon_what_waits_for_all_kinds(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job, other;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    job_init(&job, loop, 2);
    job_init(&other, loop, 0);
    job_waits_for(&other, ends[0], CONNPOOL_EVENT_READ);
    other.answer.at = now() + 1000 * CP_SECOND;
    job.on_done = abandon_in_done;
    job.other = &other;
    job_start(&job);
    job_start(&other);
    cp_loop_dispatch(loop);
    assert_int_equal(cp_loop_count(loop), 2);
    assert_int_equal(write(ends[1], "x", 1), 1);
    job_wake(&job);
    cp_loop_dispatch(loop);
    assert_int_equal(other.abandons, 1);
    assert_int_equal(other.disposals, 1);
    assert_int_equal(cp_loop_count(loop), 0);
    cp_loop_dispatch(loop);
    assert_false(is_readable(loop));
    assert_int_equal(other.steps, 1);
    cp_loop_free(loop);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void restart_once(struct job *job)
{
    if (job->dones == 1) {
        job_start(job);
    }
}

static void abandon_all_leaves_what_is_started_meanwhile(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job jobs[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], loop, 0);
        job_start(&jobs[i]);
    }
    jobs[1].on_done = restart_once;
    cp_loop_abandon_all(loop);
    assert_int_equal(cp_loop_count(loop), 1);
    cp_loop_abandon_all(loop);
    assert_int_equal(cp_loop_count(loop), 0);
    assert_int_equal(jobs[0].disposals + jobs[1].disposals + jobs[2].disposals, 3);
    assert_int_equal(jobs[1].abandons, 2);
    cp_loop_free(loop);
}

/* ---- Descriptors ---- */

static void a_ready_descriptor_steps_its_task(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    job_init(&job, loop, 4);
    job_waits_for(&job, ends[0], CONNPOOL_EVENT_READ);
    job_start(&job);
    cp_loop_dispatch(loop);
    assert_false(is_readable(loop));
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (int i = 2; i <= 3; i++) { /* level-triggered: nobody reads it */
        assert_true(is_readable(loop));
        cp_loop_dispatch(loop);
        assert_int_equal(job.steps, i);
        assert_int_equal(job.seen.ready, CONNPOOL_EVENT_READ);
    }
    (void)close(ends[1]);
    cp_loop_dispatch(loop);
    assert_int_equal(job.seen.ready, CONNPOOL_EVENT_READ | CONNPOOL_EVENT_HANGUP);
    assert_int_equal(job.dones, 1);
    cp_loop_free(loop);
    (void)close(ends[0]);
}

static void a_wake_does_not_hide_what_is_ready(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    job_init(&job, loop, 2);
    job_waits_for(&job, ends[0], CONNPOOL_EVENT_READ);
    job_start(&job);
    cp_loop_dispatch(loop);
    assert_int_equal(write(ends[1], "x", 1), 1);
    job_wake(&job);
    cp_loop_dispatch(loop);
    assert_int_equal(job.seen.ready, CONNPOOL_EVENT_READ);
    assert_int_equal(job.dones, 1);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 2);
    cp_loop_free(loop);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Put another pipe under the number that the job waits for. */
static void change_descriptor(struct job *job)
{
    int ends[2];

    if (job->steps == 2) {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(dup3(ends[0], job->answer.fd, O_CLOEXEC), job->answer.fd);
        (void)close(ends[0]);
        job->far_end = ends[1];
    }
}

/* plugin-abi.md, A step, rule 4: the same number is another file at the next step. */
static void the_file_under_a_number_may_change(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    job_init(&job, loop, 3);
    job_waits_for(&job, ends[0], CONNPOOL_EVENT_READ);
    job.on_step = change_descriptor;
    job_start(&job);
    cp_loop_dispatch(loop);
    job_wake(&job);
    cp_loop_dispatch(loop);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 2);
    assert_int_equal(write(job.far_end, "x", 1), 1);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 3);
    assert_int_equal(job.seen.ready, CONNPOOL_EVENT_READ);
    cp_loop_free(loop);
    (void)close(job.far_end);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* failures.md C16: what a task left armed is no event of the task that has its slot now, nor of its own new wait. */
static void c16_stale_events_are_dropped(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job first, second;
    int old[2], new[2];

    (void)state;
    assert_int_equal(pipe2(old, O_CLOEXEC), 0);
    assert_int_equal(pipe2(new, O_CLOEXEC), 0);
    job_init(&first, loop, 0);
    job_waits_for(&first, old[0], CONNPOOL_EVENT_READ);
    job_start(&first);
    cp_loop_dispatch(loop);
    job_waits_for(&first, new[0], CONNPOOL_EVENT_READ); /* another descriptor, the old one stays armed */
    job_wake(&first);
    cp_loop_dispatch(loop);
    assert_int_equal(write(old[1], "x", 1), 1);
    cp_loop_dispatch(loop);
    assert_int_equal(first.steps, 2);
    assert_false(is_readable(loop));

    cp_loop_abandon(loop, &first.task); /* the new one stays armed */
    job_init(&second, loop, 0);
    second.answer.fd = -1;
    job_start(&second);
    cp_loop_dispatch(loop);
    assert_int_equal(write(new[1], "x", 1), 1);
    cp_loop_dispatch(loop);
    assert_int_equal(second.steps, 1);
    assert_false(is_readable(loop));

    job_waits_for(&second, new[0], CONNPOOL_EVENT_READ); /* a descriptor that another task used */
    job_wake(&second);
    cp_loop_dispatch(loop);
    cp_loop_dispatch(loop);
    assert_int_equal(second.steps, 3);
    assert_int_equal(second.seen.ready, CONNPOOL_EVENT_READ);
    cp_loop_abandon_all(loop);
    cp_loop_free(loop);
    for (int i = 0; i < 2; i++) {
        (void)close(old[i]);
        (void)close(new[i]);
    }
}

static void c16_a_descriptor_that_was_given_up_is_silent(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    job_init(&job, loop, 0);
    job_waits_for(&job, ends[0], CONNPOOL_EVENT_READ);
    job_start(&job);
    cp_loop_dispatch(loop);
    job.answer.fd = -1;
    job_wake(&job);
    cp_loop_dispatch(loop);
    assert_int_equal(write(ends[1], "x", 1), 1);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 2);
    assert_false(is_readable(loop));
    cp_loop_abandon_all(loop);
    cp_loop_free(loop);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void a_regular_file_is_ready_and_a_closed_one_hung_up(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    job_init(&job, loop, 3);
    job_waits_for(&job, fd, CONNPOOL_EVENT_READ);
    job_start(&job);
    cp_loop_dispatch(loop);
    assert_true(is_readable(loop));
    (void)close(fd);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 2);
    assert_int_equal(job.seen.ready, CONNPOOL_EVENT_READ);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 3);
    assert_int_equal(job.seen.ready, CONNPOOL_EVENT_READ | CONNPOOL_EVENT_HANGUP);
    assert_int_equal(job.dones, 1);
    cp_loop_free(loop);
}

/* ---- Time ---- */

static void times_come_in_their_order_not_before(void **state)
{
    static const int spans[] = {30, 10, 20, 10}; /* ms */
    struct cp_loop *loop = loop_new();
    struct job jobs[4];
    int64_t begin = now();

    (void)state;
    for (int i = 0; i < 4; i++) {
        job_init(&jobs[i], loop, 2);
        jobs[i].answer.at = begin + spans[i] * CP_MILLISECOND;
        job_start(&jobs[i]);
    }
    while (cp_loop_count(loop) > 0) {
        cp_loop_run(loop, 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(jobs[i].steps, 2);
        assert_true(jobs[i].seen.now >= jobs[i].answer.at);
        assert_int_equal(jobs[i].seen.ready, 0);
    }
    assert_true(jobs[1].order < jobs[2].order && jobs[3].order < jobs[2].order && jobs[2].order < jobs[0].order);
    cp_loop_free(loop);
}

static void an_earlier_time_moves_the_alarm(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job late, early;

    (void)state;
    job_init(&late, loop, 0);
    late.answer.at = now() + 1000 * CP_SECOND;
    job_start(&late);
    cp_loop_dispatch(loop);
    job_init(&early, loop, 2);
    early.answer.at = now() + 5 * CP_MILLISECOND;
    job_start(&early);
    while (early.dones == 0) {
        cp_loop_run(loop, 0);
    }
    assert_int_equal(late.steps, 1);
    cp_loop_abandon_all(loop);
    cp_loop_free(loop);
}

static void a_time_that_is_past_comes_in_the_next_dispatch(void **state)
{
    struct cp_loop *loop = loop_new();
    struct job job;

    (void)state;
    job_init(&job, loop, 2);
    job.answer.at = 1;
    job_start(&job);
    cp_loop_dispatch(loop);
    assert_int_equal(job.steps, 1);
    assert_true(is_readable(loop));
    cp_loop_dispatch(loop);
    assert_int_equal(job.dones, 1);
    cp_loop_free(loop);
}

static void b22_far_times_are_no_times(void **state)
{
    static const int64_t far[] = {CP_NEVER, CP_NEVER - 1, INT64_MAX / 2};
    struct cp_loop *loop = loop_new();
    struct job jobs[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], loop, 0);
        jobs[i].answer.at = far[i];
        job_start(&jobs[i]);
    }
    cp_loop_dispatch(loop);
    cp_loop_run(loop, now() + CP_MILLISECOND);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jobs[i].steps, 1);
    }
    cp_loop_abandon_all(loop);
    cp_loop_free(loop);
}

static void a_run_ends_at_its_time_and_by_a_kick(void **state)
{
    struct cp_loop *loop = loop_new();
    int64_t until = now() + 20 * CP_MILLISECOND;

    (void)state;
    cp_loop_run(loop, until);
    assert_true(now() >= until);
    cp_loop_run(loop, 1);
    cp_loop_kick(loop);
    cp_loop_run(loop, 0);
    assert_false(is_readable(loop));
    cp_loop_free(loop);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

/* failures.md B14: a signal every millisecond, no SA_RESTART. */
static void b14_signals_neither_end_nor_stretch_a_run(void **state)
{
    const struct itimerval storm = {{0, 1000}, {0, 1000}}, calm = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = count_alarm}, old;
    struct cp_loop *loop = loop_new();
    int64_t until = now() + 50 * CP_MILLISECOND;

    (void)state;
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &storm, NULL), 0);
    cp_loop_run(loop, until);
    assert_true(now() >= until);
    assert_int_equal(setitimer(ITIMER_REAL, &calm, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    assert_true(alarms > 5);
    cp_loop_free(loop);
}

/* ---- A replaced clock ---- */

struct virtual
{
    int64_t time;
    int64_t until;
    int sleeps;
};

static int64_t virtual_now(void *argument, uint32_t which)
{
    (void)which;
    return ((struct virtual *)argument)->time;
}

static void virtual_sleeping(void *argument, int64_t until)
{
    struct virtual *virtual = argument;

    virtual->sleeps++;
    virtual->until = until;
    if (until > virtual->time) {
        virtual->time = until;
    }
}

static void a_replaced_clock_lets_a_day_pass(void **state)
{
    const int64_t day = 86400 * CP_SECOND;
    struct virtual virtual = {.time = 1000};
    struct cp_clock clock = {
        .replaced = {
            .size = sizeof(clock.replaced), .argument = &virtual, .now = virtual_now, .sleeping = virtual_sleeping}};
    struct cp_loop *loop = cp_loop_new(&clock, NULL);
    struct job job;

    (void)state;
    assert_non_null(loop);
    job_init(&job, loop, 2);
    job.answer.at = day;
    job_start(&job);
    cp_loop_run(loop, 0);
    assert_int_equal(virtual.sleeps, 0); /* there was something to do */
    cp_loop_run(loop, day / 2);
    assert_true(virtual.time == day / 2);
    assert_int_equal(job.steps, 1);
    cp_loop_run(loop, 0);
    assert_true(virtual.time == day);
    assert_int_equal(job.dones, 1);
    cp_loop_run(loop, day); /* is past */
    assert_int_equal(virtual.sleeps, 2);
    cp_loop_kick(loop);
    cp_loop_run(loop, 0);
    assert_int_equal(virtual.sleeps, 2);
    cp_loop_free(loop);
}

/* ---- Limits ---- */

#define MANY 10000

/* Each waits for a time and a wake; every second one is woken. */
static void ten_thousand_tasks(void **state)
{
    static struct job jobs[MANY];
    struct cp_loop *loop = loop_new();
    int64_t begin = now();

    (void)state;
    for (int i = 0; i < MANY; i++) {
        job_init(&jobs[i], loop, 2);
        jobs[i].answer.at = begin + 1000 * CP_SECOND + (i * 7919) % MANY;
        job_start(&jobs[i]);
    }
    cp_loop_dispatch(loop);
    assert_int_equal(cp_loop_count(loop), MANY);
    assert_false(is_readable(loop));
    for (int i = 0; i < MANY; i += 2) {
        job_wake(&jobs[i]);
    }
    cp_loop_dispatch(loop);
    assert_int_equal(cp_loop_count(loop), MANY / 2);
    cp_loop_abandon_all(loop);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(jobs[i].steps, i % 2 == 0 ? 2 : 1);
        assert_int_equal(jobs[i].abandons, i % 2);
        assert_int_equal(jobs[i].disposals, 1);
    }
    cp_loop_free(loop);
}

#define PAIRS 100 /* more than epoll gives back in one call */

static void a_dispatch_serves_all_that_is_ready(void **state)
{
    static struct job jobs[PAIRS];
    static int ends[PAIRS][2];
    struct cp_loop *loop = loop_new();

    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
        job_init(&jobs[i], loop, 2);
        job_waits_for(&jobs[i], ends[i][0], CONNPOOL_EVENT_READ);
        job_start(&jobs[i]);
    }
    cp_loop_dispatch(loop);
    for (int i = 0; i < PAIRS; i++) {
        assert_int_equal(write(ends[i][1], "x", 1), 1);
    }
    cp_loop_dispatch(loop);
    assert_int_equal(cp_loop_count(loop), 0);
    cp_loop_free(loop);
    for (int i = 0; i < PAIRS; i++) {
        (void)close(ends[i][0]);
        (void)close(ends[i][1]);
    }
}

/* failures.md B20: no descriptor for epoll, then none for the eventfd, then none for the timerfd. */
static void b20_a_loop_without_descriptors_is_none(void **state)
{
    struct rlimit old, few;
    int first = dup(0);

    (void)state;
    assert_true(first >= 0);
    (void)close(first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    for (int more = 0; more < 3; more++) {
        struct connpool_fault fault;

        cp_fault_init(&fault);
        few.rlim_cur = (rlim_t)(first + more);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_null(cp_loop_new(&system_clock, &fault));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(fault.error_class, CONNPOOL_ERROR_RESOURCE_LOCAL);
        assert_int_equal(fault.os_error, EMFILE);
        assert_int_equal(dup(0), first); /* nothing is left open */
        (void)close(first);
    }
}

static void b24_descriptors_are_close_on_exec(void **state)
{
    int first = dup(0);
    struct cp_loop *loop;

    (void)state;
    (void)close(first);
    loop = loop_new();
    for (int fd = first; fd < first + 3; fd++) {
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    cp_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_loop_is_not_readable),
        cmocka_unit_test(a_task_runs_in_the_next_dispatch),
        cmocka_unit_test(wakes_before_a_dispatch_are_one_step),
        cmocka_unit_test(a_task_woken_in_its_own_step_runs_once_a_dispatch),
        cmocka_unit_test(a_task_may_be_started_again_from_done),
        cmocka_unit_test(c25_a_late_wake_of_a_task_is_harmless),
        cmocka_unit_test(an_abandoned_task_is_stepped_no_more),
        cmocka_unit_test(a_done_may_abandon_what_waits_for_all_kinds),
        cmocka_unit_test(abandon_all_leaves_what_is_started_meanwhile),
        cmocka_unit_test(a_ready_descriptor_steps_its_task),
        cmocka_unit_test(a_wake_does_not_hide_what_is_ready),
        cmocka_unit_test(the_file_under_a_number_may_change),
        cmocka_unit_test(c16_stale_events_are_dropped),
        cmocka_unit_test(c16_a_descriptor_that_was_given_up_is_silent),
        cmocka_unit_test(a_regular_file_is_ready_and_a_closed_one_hung_up),
        cmocka_unit_test(times_come_in_their_order_not_before),
        cmocka_unit_test(an_earlier_time_moves_the_alarm),
        cmocka_unit_test(a_time_that_is_past_comes_in_the_next_dispatch),
        cmocka_unit_test(b22_far_times_are_no_times),
        cmocka_unit_test(a_run_ends_at_its_time_and_by_a_kick),
        cmocka_unit_test(b14_signals_neither_end_nor_stretch_a_run),
        cmocka_unit_test(a_replaced_clock_lets_a_day_pass),
        cmocka_unit_test(ten_thousand_tasks),
        cmocka_unit_test(a_dispatch_serves_all_that_is_ready),
        cmocka_unit_test(b20_a_loop_without_descriptors_is_none),
        cmocka_unit_test(b24_descriptors_are_close_on_exec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
