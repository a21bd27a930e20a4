/* SPDX-License-Identifier: MIT */
/*
 * loop: tasks that are to be stepped stand in one queue: those that were started or woken (from any thread), whose
 * descriptor became ready, whose time came. A dispatch collects the latter two, then steps what stands in the queue,
 * but nothing that was queued after it began: so each task is stepped at most once, and what is queued meanwhile keeps
 * the eventfd readable for the next dispatch.
 *
 * The eventfd is written once until it is read: `signalled` is true from before the write until after the read.
 *
 * Descriptors are armed one-shot, with the number of the waiting task's slot and the slot's generation, which rises
 * with each arming: an event of an earlier arming is stale and dropped. Therefore nothing is ever deleted or disarmed:
 * what a task left armed (it ended by time, or was abandoned, or waits for another descriptor now) ends one wait for
 * nothing at most, and after close(2) not even that; while the number may be another's by now, whose registration a
 * delete would hit.
 */
#include "engine/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/events.h"
#include "base/fork.h"
#include "base/memory.h"
#include "engine/loop_slots.h"

#define EVENTS_A_CALL 64
#define LONGEST_SLEEP (3600 * CP_SECOND)

/* When a descriptor could not be armed for want of memory or watches (failures.md B20), its task is stepped after this
 * time. */
#define REARM_DELAY (10 * CP_MILLISECOND)

/* What epoll gives back for the loop's own two; no slot has these numbers. */
#define KEY_EVENT UINT64_C(0)
#define KEY_TIMER UINT64_MAX

RB_HEAD(timed_tasks, cp_task);

struct cp_loop {
    const struct cp_clock *clock;
    _Atomic unsigned references; /* the owner's, and one of each task from its first start until its dispose */
    int epoll, event, timer;
    pthread_mutex_t lock;
    TAILQ_HEAD(, cp_task) live; /* guarded by lock, as all until signalled */
    TAILQ_HEAD(, cp_task) queue;
    size_t count;
    uint64_t starts;
    uint64_t round;
    bool signalled;
    struct timed_tasks timed; /* the loop's thread only, as all below */
    struct cp_loop_slots slots;
    int64_t alarm; /* what the timerfd is set to, 0: nothing. May be earlier than the first task's time */
};

static int compare_times(struct cp_task *a, struct cp_task *b)
{
    if (a->at != b->at) {
        return a->at < b->at ? -1 : 1;
    }
    return (a > b) - (a < b);
}

/* RB_GENERATE_STATIC of libbsd wants a macro that glibc has not. */
RB_GENERATE_INTERNAL(timed_tasks, cp_task, timed, compare_times, __attribute__((unused)) static)

/* ---- Life ---- */

static void close_descriptors(struct cp_loop *loop)
{
    const int descriptors[] = {loop->epoll, loop->timer, loop->event};

    for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
        if (descriptors[i] >= 0) {
            (void)close(descriptors[i]);
        }
    }
}

static void loop_unref(struct cp_loop *loop)
{
    if (atomic_fetch_sub_explicit(&loop->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    close_descriptors(loop);
    cp_loop_slots_fini(&loop->slots);
    (void)pthread_mutex_destroy(&loop->lock);
    cp_free(loop);
}

static bool watch_own(struct cp_loop *loop, int fd, uint64_t key)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = key}};

    return fd >= 0 && epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* False: errno says why. */
static bool open_descriptors(struct cp_loop *loop)
{
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        return false;
    }
    loop->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!watch_own(loop, loop->event, KEY_EVENT)) {
        return false;
    }
    if (cp_clock_is_replaced(loop->clock)) {
        return true;
    }
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return watch_own(loop, loop->timer, KEY_TIMER);
}

struct cp_loop *cp_loop_new(const struct cp_clock *clock, struct connpool_fault *fault)
{
    struct cp_loop *loop = cp_alloc(sizeof(*loop));

    if (loop == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "out of memory for an event loop");
        return NULL;
    }
    loop->clock = clock;
    atomic_init(&loop->references, 1);
    loop->epoll = loop->event = loop->timer = -1;
    (void)pthread_mutex_init(&loop->lock, NULL);
    TAILQ_INIT(&loop->live);
    TAILQ_INIT(&loop->queue);
    RB_INIT(&loop->timed);
    cp_loop_slots_init(&loop->slots);
    if (!open_descriptors(loop)) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, errno,
                           "cannot make the descriptors of an event loop (epoll, eventfd, timerfd)");
        loop_unref(loop);
        return NULL;
    }
    return loop;
}

void cp_loop_free(struct cp_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    assert(cp_loop_count(loop) == 0);
    loop_unref(loop);
}

int cp_loop_fd(const struct cp_loop *loop)
{
    return loop->epoll;
}

size_t cp_loop_count(struct cp_loop *loop)
{
    size_t count;

    (void)pthread_mutex_lock(&loop->lock);
    count = loop->count;
    (void)pthread_mutex_unlock(&loop->lock);
    return count;
}

/* ---- The queue ---- */

/* The loop's lock is held. */
static void queue_task(struct cp_loop *loop, struct cp_task *task)
{
    if (task->is_queued || !task->is_live) {
        return;
    }
    task->is_queued = true;
    task->round = loop->round;
    TAILQ_INSERT_TAIL(&loop->queue, task, queued);
}

/* Unlock, and make the descriptor readable if it is not, or about to be. The caller holds a reference on the loop. */
static void unlock_and_signal(struct cp_loop *loop)
{
    bool signal = !loop->signalled;

    loop->signalled = true;
    (void)pthread_mutex_unlock(&loop->lock);
    if (signal) {
        (void)!eventfd_write(loop->event, 1); /* fails only where the counter is full: then it is readable anyway */
    }
}

void cp_loop_kick(struct cp_loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    unlock_and_signal(loop);
}

static void wake_task(struct cp_waker *waker)
{
    struct cp_task *task = (struct cp_task *)waker;
    struct cp_loop *loop = task->loop;

    (void)pthread_mutex_lock(&loop->lock);
    if (!task->is_live || task->is_queued) {
        (void)pthread_mutex_unlock(&loop->lock);
        return;
    }
    queue_task(loop, task);
    unlock_and_signal(loop);
}

static void dispose_task(struct cp_waker *waker)
{
    struct cp_task *task = (struct cp_task *)waker;
    struct cp_loop *loop = task->loop;

    task->dispose(task);
    loop_unref(loop);
}

/* For the loop's thread outside the collecting part of a dispatch. */
static void queue_for_next(struct cp_loop *loop, struct cp_task *task, uint32_t ready)
{
    task->ready |= ready;
    (void)pthread_mutex_lock(&loop->lock);
    queue_task(loop, task);
    unlock_and_signal(loop);
}

void cp_loop_start(struct cp_loop *loop, struct cp_task *task, struct cp_operation *operation, cp_task_fn *done,
                   cp_task_fn *dispose)
{
    if (atomic_load_explicit(&task->waker.references, memory_order_acquire) == 0) {
        *task = (struct cp_task){.loop = loop};
        cp_waker_init(&task->waker, wake_task, dispose_task);
        (void)atomic_fetch_add_explicit(&loop->references, 1, memory_order_relaxed);
    } else {
        (void)cp_waker_ref(&task->waker);
    }
    operation->waker = &task->waker;
    operation->find_waker = NULL;
    (void)pthread_mutex_lock(&loop->lock);
    assert(!task->is_live && task->loop == loop);
    task->operation = operation;
    task->done = done;
    task->dispose = dispose;
    task->is_live = true;
    task->number = ++loop->starts;
    TAILQ_INSERT_TAIL(&loop->live, task, live);
    loop->count++;
    queue_task(loop, task);
    unlock_and_signal(loop);
}

/* ---- Time ---- */

static void forget_time(struct cp_loop *loop, struct cp_task *task)
{
    if (task->is_timed) {
        RB_REMOVE(timed_tasks, &loop->timed, task);
        task->is_timed = false;
    }
}

static void remember_time(struct cp_loop *loop, struct cp_task *task, int64_t at, int64_t now)
{
    if (at == 0 || at == CP_NEVER) {
        return;
    }
    if (at <= now) {
        queue_for_next(loop, task, 0);
        return;
    }
    task->at = at;
    task->is_timed = true;
    (void)RB_INSERT(timed_tasks, &loop->timed, task);
}

/* The time of the first task that waits for one, 0: none does. */
static int64_t first_time(struct cp_loop *loop)
{
    struct cp_task *first = RB_MIN(timed_tasks, &loop->timed);

    return first == NULL ? 0 : first->at;
}

/* An alarm that rings too early is left: it ends one wait for nothing, which costs less than setting it each time. */
static void set_alarm(struct cp_loop *loop)
{
    int64_t at = first_time(loop);
    struct itimerspec alarm = {.it_value = {.tv_sec = (time_t)(at / CP_SECOND), .tv_nsec = (long)(at % CP_SECOND)}};

    if (loop->timer < 0 || at == 0 || (loop->alarm != 0 && loop->alarm <= at)) {
        return;
    }
    (void)timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &alarm, NULL);
    loop->alarm = at;
}

/* ---- Descriptors ---- */

/* 0, or an errno. */
static int epoll_arm(int epoll, int fd, struct epoll_event *event)
{
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, event) == 0) {
        return 0;
    }
    if (errno == ENOENT && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, event) == 0) {
        return 0;
    }
    return errno;
}

/* Arm the descriptor that the task's last step asked for. */
static void arm_descriptor(struct cp_loop *loop, struct cp_task *task, const struct connpool_wait *wait)
{
    struct epoll_event event = {.events = (uint32_t)cp_events_to_poll(wait->events) | EPOLLONESHOT};
    int error;

    task->asked = wait->events;
    event.data.u64 = cp_loop_slots_arm(&loop->slots, task);
    error = event.data.u64 == 0 ? ENOMEM : epoll_arm(loop->epoll, wait->fd, &event);
    switch (error) {
    case 0:
        break;
    case EPERM: /* a regular file: always ready */
        queue_for_next(loop, task, wait->events);
        break;
    case EBADF: /* as poll says it: POLLNVAL */
        queue_for_next(loop, task, cp_events_from_poll(POLLNVAL, wait->events));
        break;
    default:
        forget_time(loop, task);
        remember_time(loop, task, cp_time_earlier(wait->at, wait->now + REARM_DELAY), wait->now);
    }
}

/* ---- Steps ---- */

/* Take the task out of the loop; its reference remains. */
static void detach(struct cp_loop *loop, struct cp_task *task)
{
    forget_time(loop, task);
    cp_loop_slots_leave(&loop->slots, task);
    task->ready = 0;
    (void)pthread_mutex_lock(&loop->lock);
    if (task->is_queued) {
        TAILQ_REMOVE(&loop->queue, task, queued);
        task->is_queued = false;
    }
    TAILQ_REMOVE(&loop->live, task, live);
    task->is_live = false;
    loop->count--;
    (void)pthread_mutex_unlock(&loop->lock);
}

static void finish(struct cp_task *task)
{
    task->done(task);
    cp_waker_unref(&task->waker);
}

/* What the task waited for before is over. */
static void stand(struct cp_loop *loop, struct cp_task *task, const struct connpool_wait *wait)
{
    cp_loop_slots_disarm(&loop->slots, task);
    remember_time(loop, task, wait->at, wait->now);
    if (wait->fd >= 0) {
        arm_descriptor(loop, task, wait);
    }
}

void cp_loop_stand(struct cp_loop *loop, struct cp_task *task, const struct connpool_wait *wait)
{
    stand(loop, task, wait);
    task->stands = true;
}

static void step_task(struct cp_loop *loop, struct cp_task *task)
{
    struct connpool_wait wait;
    int64_t now = cp_clock_precise(loop->clock);

    forget_time(loop, task);
    cp_wait_init(&wait, now, task->ready, 0);
    task->ready = 0;
    task->stands = false;
    if (task->operation->step(task->operation, &wait) == CONNPOOL_STEP_DONE) {
        detach(loop, task);
        finish(task);
        return;
    }
    wait.now = now;
    if (!task->stands) {
        stand(loop, task, &wait);
    }
}

void cp_loop_abandon(struct cp_loop *loop, struct cp_task *task)
{
    bool is_live;

    (void)pthread_mutex_lock(&loop->lock);
    is_live = task->is_live;
    (void)pthread_mutex_unlock(&loop->lock);
    if (!is_live) {
        return;
    }
    detach(loop, task);
    task->operation->abandon(task->operation);
    finish(task);
}

/* The first live task whose start has at most this number, NULL: none. */
static struct cp_task *first_live(struct cp_loop *loop, uint64_t number)
{
    struct cp_task *task;

    (void)pthread_mutex_lock(&loop->lock);
    task = TAILQ_FIRST(&loop->live);
    if (task != NULL && task->number > number) {
        task = NULL;
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return task;
}

void cp_loop_abandon_all(struct cp_loop *loop)
{
    struct cp_task *task;
    uint64_t last;

    (void)pthread_mutex_lock(&loop->lock);
    last = loop->starts;
    (void)pthread_mutex_unlock(&loop->lock);
    while ((task = first_live(loop, last)) != NULL) {
        cp_loop_abandon(loop, task);
    }
}

/* ---- Dispatch ---- */

/* Queue a task for the dispatch that is collecting. */
static void queue_now(struct cp_loop *loop, struct cp_task *task)
{
    (void)pthread_mutex_lock(&loop->lock);
    queue_task(loop, task);
    (void)pthread_mutex_unlock(&loop->lock);
}

/* Whether it was the eventfd. */
static bool collect_event(struct cp_loop *loop, const struct epoll_event *event)
{
    uint64_t count;
    struct cp_task *task;

    if (event->data.u64 == KEY_EVENT) {
        (void)!eventfd_read(loop->event, &count);
        return true;
    }
    if (event->data.u64 == KEY_TIMER) {
        (void)!read(loop->timer, &count, sizeof(count));
        loop->alarm = 0;
        return false;
    }
    task = cp_loop_slots_find(&loop->slots, event->data.u64);
    if (task != NULL) {
        cp_loop_slots_disarm(&loop->slots, task);
        task->ready |= cp_events_from_poll((short)event->events, task->asked);
        queue_now(loop, task);
    }
    return false;
}

/* The eventfd was read. What comes from here on writes it again; what came before is seen by this dispatch, which has
 * not looked at the clock and at the queue yet. */
static void end_signal(struct cp_loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    loop->signalled = false;
    (void)pthread_mutex_unlock(&loop->lock);
}

/* Queue the tasks whose descriptors are ready. */
static void collect_events(struct cp_loop *loop)
{
    struct epoll_event events[EVENTS_A_CALL];
    bool was_signalled = false;
    int count;

    do {
        count = epoll_wait(loop->epoll, events, EVENTS_A_CALL, 0);
        for (int i = 0; i < count; i++) {
            was_signalled = collect_event(loop, &events[i]) || was_signalled;
        }
    } while (count == EVENTS_A_CALL || (count < 0 && errno == EINTR));
    if (was_signalled) {
        end_signal(loop);
    }
}

/* Queue the tasks whose time has come, in the order of their times. */
static void collect_times(struct cp_loop *loop)
{
    int64_t now = first_time(loop) == 0 ? 0 : cp_clock_precise(loop->clock);
    struct cp_task *task;

    while ((task = RB_MIN(timed_tasks, &loop->timed)) != NULL && task->at <= now) {
        forget_time(loop, task);
        queue_now(loop, task);
    }
}

/* From here on what is queued is for the next dispatch. */
static uint64_t begin_round(struct cp_loop *loop)
{
    uint64_t round;

    (void)pthread_mutex_lock(&loop->lock);
    round = ++loop->round;
    (void)pthread_mutex_unlock(&loop->lock);
    return round;
}

/* The first task that was queued before this round, no longer in the queue. NULL: none. */
static struct cp_task *take_queued(struct cp_loop *loop, uint64_t round)
{
    struct cp_task *task;

    (void)pthread_mutex_lock(&loop->lock);
    task = TAILQ_FIRST(&loop->queue);
    if (task != NULL && task->round < round) {
        TAILQ_REMOVE(&loop->queue, task, queued);
        task->is_queued = false;
    } else {
        task = NULL;
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return task;
}

void cp_loop_dispatch(struct cp_loop *loop)
{
    uint32_t generation = cp_fork_generation;
    struct cp_task *task;
    int cancel_state;
    uint64_t round;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    collect_events(loop);
    collect_times(loop);
    round = begin_round(loop);
    /* A task may have forked, and come back in the child: there the loop's descriptors are the parent's. */
    while (generation == cp_fork_generation && (task = take_queued(loop, round)) != NULL) {
        step_task(loop, task);
    }
    if (generation == cp_fork_generation) {
        set_alarm(loop);
    }
    (void)pthread_setcancelstate(cancel_state, NULL);
}

/* ---- Run ---- */

/* Poll the loop's descriptor until it is readable, or as long as this, in nanoseconds. Whether it may be. */
static bool poll_loop(struct cp_loop *loop, int64_t span)
{
    struct pollfd polled = {.fd = loop->epoll, .events = POLLIN};
    int64_t part = span < LONGEST_SLEEP ? span : LONGEST_SLEEP;
    struct timespec time = {.tv_sec = (time_t)(part / CP_SECOND), .tv_nsec = (long)(part % CP_SECOND)};

    return ppoll(&polled, 1, &time, NULL) > 0;
}

/* Signals and a long wait's parts begin again with the time that is left (failures.md B14). */
static void wait_by_system_clock(struct cp_loop *loop, int64_t until)
{
    for (;;) {
        int64_t now = cp_clock_precise(loop->clock);
        int64_t left = until == 0 ? CP_NEVER : until - now;

        if (poll_loop(loop, left > 0 ? left : 0) || left <= 0) {
            return;
        }
    }
}

static void wait_by_replaced_clock(struct cp_loop *loop, int64_t until)
{
    const struct connpool_clock *replaced = &loop->clock->replaced;
    int64_t end = cp_time_earlier(first_time(loop), until == CP_NEVER ? 0 : until);

    if (poll_loop(loop, 0) || (end != 0 && cp_clock_precise(loop->clock) >= end)) {
        return;
    }
    if (replaced->sleeping != NULL) {
        replaced->sleeping(replaced->argument, end);
    }
    if (end != 0 && cp_clock_precise(loop->clock) >= end) {
        return;
    }
    while (!poll_loop(loop, CP_NEVER)) { /* until an event or a kick */
    }
}

void cp_loop_wait(struct cp_loop *loop, int64_t until)
{
    int cancel_state;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    if (cp_clock_is_replaced(loop->clock)) {
        wait_by_replaced_clock(loop, until);
    } else {
        wait_by_system_clock(loop, until);
    }
    (void)pthread_setcancelstate(cancel_state, NULL);
}

void cp_loop_run(struct cp_loop *loop, int64_t until)
{
    cp_loop_wait(loop, until);
    cp_loop_dispatch(loop);
}
