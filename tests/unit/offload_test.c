/* SPDX-License-Identifier: MIT */
/* offload: the call runs on another thread, the job is released once by whichever side is last, nothing joins. */
#include "services_fixture.h"

#include "network/offload.h"

/* A job is held until it is let go; the test keeps its own hands on the counters, not on the job. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned called, released;
static bool let_go;
static struct fixture fixture;

struct job {
    pthread_t thread;
    int answer;
};

static void call(void *argument)
{
    struct job *job = argument;

    (void)pthread_mutex_lock(&lock);
    called++;
    (void)pthread_cond_broadcast(&changed);
    while (!let_go) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    job->thread = pthread_self();
    job->answer = 42;
}

static void release(void *job)
{
    free(job);
    (void)pthread_mutex_lock(&lock);
    released++;
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

static void let(bool go)
{
    (void)pthread_mutex_lock(&lock);
    let_go = go;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    (void)state;
    called = released = 0;
    let(false);
    fixture_init(&fixture, 1, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_fini(&fixture);
    return 0;
}

static int32_t step(void *offload, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return cp_offload_step(offload, wait, fault);
}

static struct connpool_offload *start(struct job **job)
{
    *job = calloc(1, sizeof(**job));
    return cp_offload_start(&fixture.host.table, call, release, *job, NULL);
}

static void the_call_runs_elsewhere_and_wakes_the_step(void **state)
{
    struct connpool_offload *offload;
    struct connpool_wait wait;
    struct fixture_drive drive;
    struct job *job;

    (void)state;
    offload = start(&job);
    assert_non_null(offload);
    await(&called, 1);
    assert_int_equal(fixture_step(step, offload, 1, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_true((wait.flags & CONNPOOL_WAIT_WAKE) != 0);
    assert_int_equal(wait.fd, -1);
    assert_null(cp_offload_take(offload));
    let(true);
    assert_int_equal(fixture_run(&drive, step, offload), CONNPOOL_STEP_DONE);
    assert_ptr_equal(cp_offload_take(offload), job);
    assert_int_equal(job->answer, 42);
    assert_false(pthread_equal(job->thread, pthread_self()));
    assert_int_equal(released, 0);
    cp_offload_stop(offload);
    assert_int_equal(released, 1);
    cp_offload_stop(NULL);
}

static void stopped_in_the_call_the_worker_releases(void **state)
{
    struct connpool_offload *offload;
    struct job *job;

    (void)state;
    offload = start(&job);
    await(&called, 1);
    cp_offload_stop(offload);
    let(true);
    await(&released, 1);
}

static void stopped_in_the_queue_the_call_is_never_made(void **state)
{
    struct connpool_offload *first, *second;
    struct job *job;

    (void)state;
    first = start(&job);
    await(&called, 1);
    second = start(&job);
    cp_offload_stop(second);
    assert_int_equal(released, 1);
    let(true);
    cp_offload_stop(first);
    await(&released, 2);
    assert_int_equal(called, 1);
}

/* The context is gone while the call runs. */
static void a_call_outlives_the_services(void **state)
{
    struct connpool_offload *offload;
    struct job *job;

    (void)state;
    offload = start(&job);
    await(&called, 1);
    cp_offload_stop(offload);
    fixture_abandon(&fixture);
    let(true);
    await(&released, 1);
    fixture_init(&fixture, 1, 1);
}

static void where_nothing_starts_the_job_stays_the_callers(void **state)
{
    struct connpool_fault fault;
    struct cp_host host;
    struct job job;

    (void)state;
    cp_host_init(&host, NULL);
    cp_fault_init(&fault);
    assert_null(cp_offload_start(&host.table, call, release, &job, &fault));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_UNSUPPORTED);
    cp_host_fini(&host);
    cp_services_close(fixture.services);
    cp_fault_init(&fault);
    assert_null(cp_offload_start(&fixture.host.table, call, release, &job, &fault));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_RESOURCE_LOCAL);
    assert_int_equal(called + released, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_call_runs_elsewhere_and_wakes_the_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_in_the_call_the_worker_releases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_in_the_queue_the_call_is_never_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_outlives_the_services, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_nothing_starts_the_job_stays_the_callers, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
