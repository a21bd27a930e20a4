/* SPDX-License-Identifier: MIT */
/* worker: see worker.h. A thread is made under the lock, so that work which was accepted always has a thread: either
 * one was made, or one that exists will come to it. */
#include "engine/worker.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread_signals.h"

/* Address space only. Resolver modules and blocking libraries are known to want more than 256 KiB, and glibc takes the
 * thread-local storage of all loaded libraries out of it. */
#define STACK_SIZE (1024 * 1024)

struct cp_workers {
    pthread_mutex_t lock;
    pthread_cond_t arrival; /* work was queued, or the set was closed */
    TAILQ_HEAD(, cp_work) queue;
    const char *name;
    int64_t idle_time;
    unsigned most;
    unsigned threads;
    unsigned idle;   /* threads that wait for arrival, also those that were signalled and have not woken yet */
    unsigned queued; /* length of the queue */
    bool closed;
    bool owned; /* the owner has not let go; with no thread left either, the set is freed */
};

struct cp_workers *cp_workers_new(const char *name, unsigned most, int64_t idle_time)
{
    struct cp_workers *workers = cp_alloc(sizeof(*workers));
    pthread_condattr_t attributes;

    if (workers == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&workers->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&workers->arrival, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    TAILQ_INIT(&workers->queue);
    workers->name = name;
    workers->most = most > 0 ? most : 1;
    workers->idle_time = idle_time;
    workers->owned = true;
    return workers;
}

static void dispose(struct cp_workers *workers)
{
    (void)pthread_cond_destroy(&workers->arrival);
    (void)pthread_mutex_destroy(&workers->lock);
    cp_free(workers);
}

/* Under the lock: wait for work. False: the thread is to end. */
static bool wait_for_work(struct cp_workers *workers)
{
    struct timespec until;
    int64_t end;
    int error = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    end = cp_time_add((int64_t)until.tv_sec * CP_SECOND + until.tv_nsec, workers->idle_time);
    until.tv_sec = (time_t)(end / CP_SECOND);
    until.tv_nsec = (long)(end % CP_SECOND);
    workers->idle++;
    while (TAILQ_EMPTY(&workers->queue) && !workers->closed && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&workers->arrival, &workers->lock, &until);
    }
    workers->idle--;
    return !TAILQ_EMPTY(&workers->queue);
}

static void *work_on(void *argument)
{
    struct cp_workers *workers = argument;
    struct cp_work *work;
    bool last;

    (void)pthread_setname_np(pthread_self(), workers->name);
    (void)pthread_mutex_lock(&workers->lock);
    while (wait_for_work(workers)) {
        work = TAILQ_FIRST(&workers->queue);
        TAILQ_REMOVE(&workers->queue, work, link);
        workers->queued--;
        work->queued = false;
        (void)pthread_mutex_unlock(&workers->lock);
        work->run(work);
        (void)pthread_mutex_lock(&workers->lock);
    }
    workers->threads--;
    last = workers->threads == 0 && !workers->owned;
    (void)pthread_mutex_unlock(&workers->lock);
    if (last) {
        dispose(workers);
    }
    return NULL;
}

/* Under the lock. */
static bool make_thread(struct cp_workers *workers)
{
    pthread_attr_t attributes;
    pthread_t thread;
    bool made;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    cp_thread_signals_block(&attributes);
    made = pthread_create(&thread, &attributes, work_on, workers) == 0;
    (void)pthread_attr_destroy(&attributes);
    workers->threads += made;
    return made;
}

bool cp_workers_submit(struct cp_workers *workers, struct cp_work *work)
{
    bool accepted;

    (void)pthread_mutex_lock(&workers->lock);
    if (!workers->closed && workers->queued >= workers->idle && workers->threads < workers->most) {
        (void)make_thread(workers);
    }
    accepted = !workers->closed && workers->threads > 0;
    if (accepted) {
        TAILQ_INSERT_TAIL(&workers->queue, work, link);
        workers->queued++;
        work->queued = true;
        (void)pthread_cond_signal(&workers->arrival);
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return accepted;
}

bool cp_workers_cancel(struct cp_workers *workers, struct cp_work *work)
{
    bool cancelled;

    (void)pthread_mutex_lock(&workers->lock);
    cancelled = work->queued;
    if (cancelled) {
        TAILQ_REMOVE(&workers->queue, work, link);
        workers->queued--;
        work->queued = false;
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return cancelled;
}

void cp_workers_close(struct cp_workers *workers)
{
    if (workers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&workers->lock);
    workers->closed = true;
    (void)pthread_cond_broadcast(&workers->arrival);
    (void)pthread_mutex_unlock(&workers->lock);
}

void cp_workers_free(struct cp_workers *workers)
{
    bool last;

    if (workers == NULL) {
        return;
    }
    cp_workers_close(workers);
    (void)pthread_mutex_lock(&workers->lock);
    workers->owned = false;
    last = workers->threads == 0;
    (void)pthread_mutex_unlock(&workers->lock);
    if (last) {
        dispose(workers);
    }
}

unsigned cp_workers_threads(struct cp_workers *workers)
{
    unsigned threads;

    (void)pthread_mutex_lock(&workers->lock);
    threads = workers->threads;
    (void)pthread_mutex_unlock(&workers->lock);
    return threads;
}
