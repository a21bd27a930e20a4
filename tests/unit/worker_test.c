/* SPDX-License-Identifier: MIT */
/* worker: threads come with work, at most so many, in order, with their attributes, and go; nobody joins them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/worker.h"

#define FOR_EVER (3600 * CP_SECOND)

/* Made to fail by the test: the linker sends the library's calls here. */
static bool no_threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

/* What the jobs and the test share; a job goes on when it is let go. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned begun;
static unsigned ended;
static unsigned let_go;

struct job {
    struct cp_work work; /* first */
    unsigned number;     /* when it began */
    size_t stack;
    char name[16];
    bool signals_blocked;
    bool faults_blocked;
};

static void look_at_thread(struct job *job)
{
    pthread_attr_t attributes;
    sigset_t signals;

    (void)pthread_getattr_np(pthread_self(), &attributes);
    (void)pthread_attr_getstacksize(&attributes, &job->stack);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_getname_np(pthread_self(), job->name, sizeof(job->name));
    (void)pthread_sigmask(SIG_BLOCK, NULL, &signals);
    job->signals_blocked = sigismember(&signals, SIGTERM) == 1 && sigismember(&signals, SIGALRM) == 1;
    job->faults_blocked = sigismember(&signals, SIGSEGV) == 1;
}

static void run(struct cp_work *work)
{
    struct job *job = (struct job *)work;

    look_at_thread(job);
    (void)pthread_mutex_lock(&lock);
    job->number = ++begun;
    (void)pthread_cond_broadcast(&changed);
    while (let_go < job->number) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    ended++;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void await(const unsigned *number, unsigned value)
{
    (void)pthread_mutex_lock(&lock);
    while (*number < value) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
}

/* Let the jobs that began first go. */
static void let(unsigned count)
{
    (void)pthread_mutex_lock(&lock);
    let_go = count;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    (void)state;
    begun = ended = let_go = 0;
    no_threads = false;
    return 0;
}

static void starts_threads_as_work_comes_and_no_more_than_allowed(void **state)
{
    struct cp_workers *workers = cp_workers_new("test-worker", 2, FOR_EVER);
    struct job jobs[4];

    (void)state;
    assert_int_equal(cp_workers_threads(workers), 0);
    for (unsigned i = 0; i < 4; i++) {
        jobs[i].work.run = run;
        assert_true(cp_workers_submit(workers, &jobs[i].work));
        assert_int_equal(cp_workers_threads(workers), i == 0 ? 1 : 2);
    }
    await(&begun, 2);
    let(4);
    await(&ended, 4);
    assert_true(jobs[3].number > jobs[0].number && jobs[3].number > jobs[1].number);
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(jobs[i].name, "test-worker");
        assert_true(jobs[i].stack >= (size_t)256 * 1024);
        assert_true(jobs[i].signals_blocked);
        assert_false(jobs[i].faults_blocked);
    }
    cp_workers_free(workers);
}

static void an_idle_thread_takes_the_next_job(void **state)
{
    struct cp_workers *workers = cp_workers_new("test-worker", 8, FOR_EVER);
    struct job jobs[8];

    (void)state;
    let(8);
    for (unsigned i = 0; i < 8; i++) {
        jobs[i].work.run = run;
        assert_true(cp_workers_submit(workers, &jobs[i].work));
        await(&ended, i + 1);
    }
    assert_in_range(cp_workers_threads(workers), 1, 7); /* one, unless it was slow to become idle */
    cp_workers_free(workers);
}

/* One idle thread is one job's: a second that comes before it wakes does not stand behind the first, which may block.
 */
static void an_idle_thread_is_counted_for_one_job(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct cp_workers *workers = cp_workers_new("test-worker", 8, FOR_EVER);
        struct job jobs[3] = {{.work = {.run = run}}, {.work = {.run = run}}, {.work = {.run = run}}};

        (void)set_up(NULL);
        let(1);
        assert_true(cp_workers_submit(workers, &jobs[0].work));
        await(&ended, 1);
        assert_true(cp_workers_submit(workers, &jobs[1].work));
        assert_true(cp_workers_submit(workers, &jobs[2].work));
        await(&begun, 3);
        let(3);
        await(&ended, 3);
        cp_workers_free(workers);
    }
}

static void an_idle_thread_ends(void **state)
{
    struct cp_workers *workers = cp_workers_new("test-worker", 2, 1);
    struct job job = {.work = {.run = run}};

    (void)state;
    let(1);
    assert_true(cp_workers_submit(workers, &job.work));
    await(&ended, 1);
    while (cp_workers_threads(workers) > 0) {
        (void)sched_yield();
    }
    cp_workers_free(workers);
}

static void work_that_has_not_begun_can_be_cancelled(void **state)
{
    struct cp_workers *workers = cp_workers_new("test-worker", 1, FOR_EVER);
    struct job first = {.work = {.run = run}};
    struct job second = {.work = {.run = run}};
    struct job third = {.work = {.run = run}};

    (void)state;
    assert_true(cp_workers_submit(workers, &first.work));
    assert_true(cp_workers_submit(workers, &second.work));
    assert_true(cp_workers_submit(workers, &third.work));
    await(&begun, 1);
    assert_false(cp_workers_cancel(workers, &first.work));
    assert_true(cp_workers_cancel(workers, &second.work));
    assert_false(cp_workers_cancel(workers, &second.work));
    let(2);
    await(&ended, 2);
    assert_int_equal(third.number, 2);
    cp_workers_free(workers);
}

static void without_any_thread_work_is_refused_b20(void **state)
{
    struct cp_workers *workers = cp_workers_new("test-worker", 4, FOR_EVER);
    struct job first = {.work = {.run = run}};
    struct job second = {.work = {.run = run}};

    (void)state;
    no_threads = true;
    assert_false(cp_workers_submit(workers, &first.work));
    assert_false(cp_workers_cancel(workers, &first.work));
    no_threads = false;
    assert_true(cp_workers_submit(workers, &first.work));
    no_threads = true;
    assert_true(cp_workers_submit(workers, &second.work)); /* there is one, it will come to it */
    assert_int_equal(cp_workers_threads(workers), 1);
    let(2);
    await(&ended, 2);
    no_threads = false;
    cp_workers_free(workers);
}

/* Nobody joins: the set is gone for its owner while a job is stuck, and what is queued is still run. */
static void a_closed_set_ends_after_its_last_job(void **state)
{
    struct cp_workers *workers = cp_workers_new("test-worker", 1, FOR_EVER);
    struct job first = {.work = {.run = run}};
    struct job second = {.work = {.run = run}};
    struct job late = {.work = {.run = run}};

    (void)state;
    assert_true(cp_workers_submit(workers, &first.work));
    assert_true(cp_workers_submit(workers, &second.work));
    await(&begun, 1);
    cp_workers_close(workers);
    assert_false(cp_workers_submit(workers, &late.work));
    cp_workers_free(workers);
    let(2);
    await(&ended, 2);
    cp_workers_close(NULL);
    cp_workers_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_threads_as_work_comes_and_no_more_than_allowed, set_up),
        cmocka_unit_test_setup(an_idle_thread_takes_the_next_job, set_up),
        cmocka_unit_test_setup(an_idle_thread_is_counted_for_one_job, set_up),
        cmocka_unit_test_setup(an_idle_thread_ends, set_up),
        cmocka_unit_test_setup(work_that_has_not_begun_can_be_cancelled, set_up),
        cmocka_unit_test_setup(without_any_thread_work_is_refused_b20, set_up),
        cmocka_unit_test_setup(a_closed_set_ends_after_its_last_job, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
