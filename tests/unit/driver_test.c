/* SPDX-License-Identifier: MIT */
/* driver: steps, sleeps, wakes, deadlines, by the system's clock (by a replaced one: driver_clock_test.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fork.h"
#include "scripted_operation.h"

static const struct cp_clock system_clock;

static int64_t now(void)
{
    return cp_clock_precise(&system_clock);
}

/* ---- Steps ---- */

static void done_at_once_needs_no_waker(void **state)
{
    struct scripted scripted;

    (void)state;
    script(&scripted);
    answer_done(&scripted);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    assert_int_equal(scripted.steps, 1);
    assert_int_equal(scripted.abandons, 0);
    assert_null(scripted.operation.waker);
    assert_int_equal(scripted.seen[0].size, sizeof(struct connpool_wait));
    assert_int_equal(scripted.seen[0].fd, -1);
    assert_int_equal(scripted.seen[0].ready, 0);
    assert_true(scripted.seen[0].now > 0 && scripted.seen[0].now <= now());
}

static void b22_a_deadline_in_the_past_leaves_one_step(void **state)
{
    struct scripted scripted;

    (void)state;
    script(&scripted);
    answer_again(&scripted, -1, 0, 0, CONNPOOL_WAIT_WAKE);
    errno = 0;
    assert_false(cp_drive(&scripted.operation, NULL, &system_clock, 1));
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(scripted.steps, 1);
    assert_int_equal(scripted.abandons, 1);
}

static void a_last_step_is_made_at_the_deadline(void **state)
{
    struct scripted scripted;
    int64_t deadline = now() + 20 * CP_MILLISECOND;

    (void)state;
    script(&scripted);
    answer_again(&scripted, -1, 0, 0, CONNPOOL_WAIT_WAKE);
    assert_false(cp_drive(&scripted.operation, NULL, &system_clock, deadline));
    assert_int_equal(scripted.steps, 2);
    assert_int_equal(scripted.abandons, 1);
    assert_true(scripted.seen[1].now >= deadline);

    script(&scripted);
    answer_again(&scripted, -1, 0, 0, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, now() + CP_MILLISECOND));
    assert_int_equal(scripted.abandons, 0);
}

static void a_time_ends_a_wait_not_before(void **state)
{
    struct scripted scripted;
    int64_t at = now() + 20 * CP_MILLISECOND;

    (void)state;
    script(&scripted);
    answer_again(&scripted, -1, 0, at, 0);
    answer_done(&scripted);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, CP_NEVER));
    assert_int_equal(scripted.steps, 2);
    assert_true(scripted.seen[1].now >= at);
    assert_int_equal(scripted.seen[1].ready, 0);
}

/* ---- Wakes ---- */

static void a_wake_before_the_sleep_is_not_lost(void **state)
{
    struct scripted scripted;

    (void)state;
    script(&scripted);
    answer_again(&scripted, -1, 0, 0, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    scripted.during = wake_itself;
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    assert_int_equal(scripted.steps, 2);
}

static void a_wake_before_the_poll_is_not_lost(void **state)
{
    struct scripted scripted;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    script(&scripted);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, 0, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    scripted.during = wake_itself;
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    assert_int_equal(scripted.steps, 2);
    assert_int_equal(scripted.seen[1].ready, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

struct waking {
    pthread_t thread;
    struct cp_waker *waker;
};

static void *wake_once(void *argument)
{
    cp_waker_fire(((struct waking *)argument)->waker);
    return NULL;
}

static void start_waking(struct scripted *scripted)
{
    struct waking *waking = scripted->argument;

    if (scripted->steps == 1) {
        waking->waker = cp_waker_ref(scripted->waker);
        assert_int_equal(pthread_create(&waking->thread, NULL, wake_once, waking), 0);
    }
}

static void drive_woken_from_a_thread(int fd, int64_t at, int64_t deadline)
{
    struct scripted scripted;
    struct waking waking;

    script(&scripted);
    answer_again(&scripted, fd, fd < 0 ? 0 : CONNPOOL_EVENT_READ, at, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    scripted.during = start_waking;
    scripted.argument = &waking;
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, deadline));
    assert_int_equal(scripted.steps, 2);
    assert_int_equal(pthread_join(waking.thread, NULL), 0);
}

/* failures.md B22, finding 10: none of these is out of range for a system call, none returns early. */
static void b22_far_deadlines_sleep_until_woken(void **state)
{
    static const int64_t far[] = {0, CP_NEVER, CP_NEVER - 1, INT64_MAX / 2, 3000000000 * CP_SECOND};
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        drive_woken_from_a_thread(-1, 0, far[i]);
        drive_woken_from_a_thread(-1, far[i], 0);
        drive_woken_from_a_thread(ends[0], 0, far[i]);
        drive_woken_from_a_thread(ends[0], far[i], far[i]);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* What an outer operation is told while its step drives another must end the outer one's wait too. */
static void drive_another(struct scripted *scripted)
{
    struct scripted *inner = scripted->argument;

    if (scripted->steps == 1) {
        wake_itself(scripted);
        assert_true(cp_drive(&inner->operation, NULL, &system_clock, 0));
    }
}

static void a_drive_within_a_step_consumes_no_wake_of_the_outer(void **state)
{
    struct scripted outer, inner;

    (void)state;
    script(&inner);
    answer_again(&inner, -1, 0, 0, CONNPOOL_WAIT_WAKE);
    answer_done(&inner);
    script(&outer);
    answer_again(&outer, -1, 0, 0, CONNPOOL_WAIT_WAKE);
    answer_done(&outer);
    outer.during = drive_another;
    outer.argument = &inner;
    assert_true(cp_drive(&outer.operation, NULL, &system_clock, 0));
    assert_int_equal(outer.steps, 2);
    assert_int_equal(inner.steps, 2);
}

static void *drive_in_thread(void *argument)
{
    assert_true(cp_drive(argument, NULL, &system_clock, 0));
    return NULL;
}

static void keep_waker(struct scripted *scripted)
{
    if (scripted->argument == NULL) {
        scripted->argument = cp_waker_ref(scripted->waker);
    }
}

/* A waiter's memory outlives its wake: the thread is gone when it is woken. */
static void a_kept_waker_outlives_its_thread(void **state)
{
    struct scripted scripted;
    pthread_t thread;

    (void)state;
    script(&scripted);
    answer_again(&scripted, -1, 0, 1, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    scripted.during = keep_waker;
    assert_int_equal(pthread_create(&thread, NULL, drive_in_thread, &scripted.operation), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    cp_waker_fire(scripted.argument);
}

/* ---- Descriptors ---- */

static void a_descriptor_ends_a_wait(void **state)
{
    struct scripted scripted;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    script(&scripted);
    answer_again(&scripted, ends[1], CONNPOOL_EVENT_WRITE, 0, 0);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, now() + CP_MILLISECOND, 0);
    answer_done(&scripted);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    assert_int_equal(scripted.seen[1].ready, CONNPOOL_EVENT_WRITE);
    assert_int_equal(scripted.seen[2].ready, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    script(&scripted);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, 0, 0);
    answer_done(&scripted);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    assert_int_equal(scripted.seen[1].ready, CONNPOOL_EVENT_READ);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void hang_up_and_a_closed_descriptor_are_reported(void **state)
{
    struct scripted scripted;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)close(ends[1]);
    script(&scripted);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, 0, 0);
    answer_done(&scripted);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    assert_int_equal(scripted.seen[1].ready, CONNPOOL_EVENT_READ | CONNPOOL_EVENT_HANGUP);
    (void)close(ends[0]);

    script(&scripted);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_WRITE, 0, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    assert_int_equal(scripted.seen[1].ready, CONNPOOL_EVENT_WRITE | CONNPOOL_EVENT_HANGUP);
}

/* With a reference: the thread may be gone before it is used. */
static _Atomic(struct cp_waker *) published_waker;

static void publish_waker(struct scripted *scripted)
{
    if (scripted->steps == 1) {
        atomic_store(&published_waker, cp_waker_ref(scripted->waker));
    }
}

static void *drive_without_descriptors(void *argument)
{
    struct scripted *scripted = argument;

    assert_true(cp_drive(&scripted->operation, NULL, &system_clock, 0));
    return NULL;
}

/* failures.md B17, B20: no eventfd is to be had, which a new thread has not yet; a wake ends the wait all the same. */
static void b20_no_eventfd_ends_by_a_wake_too(void **state)
{
    struct rlimit old, few = {3, 0};
    struct scripted scripted;
    struct cp_waker *waker;
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = old.rlim_max;
    script(&scripted);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, 0, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    scripted.during = publish_waker;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(pthread_create(&thread, NULL, drive_without_descriptors, &scripted), 0);
    while ((waker = atomic_exchange(&published_waker, NULL)) == NULL) {
        (void)sched_yield();
    }
    cp_waker_fire(waker);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(scripted.steps, 2);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* failures.md B24: whatever a thread polls with is closed in what it executes. */
static void b24_descriptors_are_close_on_exec(void **state)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int events = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char path[300], target[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "[eventfd]") != NULL) {
            assert_true((fcntl((int)strtol(entry->d_name, NULL, 10), F_GETFD) & FD_CLOEXEC) != 0);
            events++;
        }
    }
    (void)closedir(folder);
    assert_int_equal(events, 1);
}

/* ---- Interruptions ---- */

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

static void set_interval(suseconds_t microseconds)
{
    struct itimerval interval = {{0, microseconds}, {0, microseconds}};

    assert_int_equal(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

/* failures.md B14: a signal every millisecond, no SA_RESTART. */
static void b14_signals_neither_end_nor_stretch_a_wait(void **state)
{
    struct sigaction action = {.sa_handler = count_alarm}, old;
    struct scripted scripted;
    int ends[2];
    int64_t begin = now();

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    script(&scripted);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, begin + 50 * CP_MILLISECOND, CONNPOOL_WAIT_WAKE);
    answer_again(&scripted, -1, 0, begin + 100 * CP_MILLISECOND, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    set_interval(1000);
    assert_true(cp_drive(&scripted.operation, NULL, &system_clock, 0));
    set_interval(0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    assert_int_equal(scripted.steps, 3);
    assert_true(scripted.seen[1].now >= begin + 50 * CP_MILLISECOND);
    assert_true(scripted.seen[2].now >= begin + 100 * CP_MILLISECOND);
    assert_true(alarms > 10);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void cancel_itself(struct scripted *scripted)
{
    if (scripted->steps == 1) {
        assert_int_equal(pthread_cancel(pthread_self()), 0);
    }
    pthread_testcancel();
}

static void *drive_cancelled(void *argument)
{
    struct scripted *scripted = argument;

    assert_true(cp_drive(&scripted->operation, NULL, &system_clock, 0));
    scripted->argument = scripted;
    pthread_testcancel();
    return NULL;
}

/* failures.md B12: neither a step nor a wait is a cancellation point; what comes after the drive is. */
static void b12_a_cancel_waits_for_the_end_of_the_drive(void **state)
{
    struct scripted scripted;
    pthread_t thread;
    void *result = NULL;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    script(&scripted);
    answer_again(&scripted, -1, 0, now() + CP_MILLISECOND, 0);
    answer_again(&scripted, ends[0], CONNPOOL_EVENT_READ, now() + 2 * CP_MILLISECOND, CONNPOOL_WAIT_WAKE);
    answer_done(&scripted);
    scripted.during = cancel_itself;
    assert_int_equal(pthread_create(&thread, NULL, drive_cancelled, &scripted), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_ptr_equal(scripted.argument, &scripted);
    assert_int_equal(scripted.steps, 3);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- Fork ---- */

/* failures.md B9: a child that opens its own context does not wait with a parker whose lock another thread of its
 * parent may have held. */
static void b9_a_forked_child_waits_with_a_parker_of_its_own(void **state)
{
    struct cp_waker *before = cp_driver_waker();
    int status = -1;
    pid_t child;

    (void)state;
    assert_true(cp_fork_prepare());
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(cp_driver_waker() != before && cp_driver_waker() != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_ptr_equal(cp_driver_waker(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_at_once_needs_no_waker),
        cmocka_unit_test(b22_a_deadline_in_the_past_leaves_one_step),
        cmocka_unit_test(a_last_step_is_made_at_the_deadline),
        cmocka_unit_test(a_time_ends_a_wait_not_before),
        cmocka_unit_test(b22_far_deadlines_sleep_until_woken),
        cmocka_unit_test(a_wake_before_the_sleep_is_not_lost),
        cmocka_unit_test(a_wake_before_the_poll_is_not_lost),
        cmocka_unit_test(a_drive_within_a_step_consumes_no_wake_of_the_outer),
        cmocka_unit_test(a_kept_waker_outlives_its_thread),
        cmocka_unit_test(a_descriptor_ends_a_wait),
        cmocka_unit_test(hang_up_and_a_closed_descriptor_are_reported),
        cmocka_unit_test(b20_no_eventfd_ends_by_a_wake_too),
        cmocka_unit_test(b24_descriptors_are_close_on_exec),
        cmocka_unit_test(b14_signals_neither_end_nor_stretch_a_wait),
        cmocka_unit_test(b12_a_cancel_waits_for_the_end_of_the_drive),
        cmocka_unit_test(b9_a_forked_child_waits_with_a_parker_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
