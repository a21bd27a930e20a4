/* SPDX-License-Identifier: MIT */
/* parker: a mutex and a condition; beside them an eventfd for a thread that must poll. */
#include "engine/parker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/events.h"
#include "base/fork.h"
#include "base/memory.h"

/* The longest sleep of one system call: whatever a deadline is, its timespec stays in range (failures.md B22). */
#define LONGEST_SLEEP (3600 * CP_SECOND)

/* Where no eventfd is to be had, a poll ends this often to look for a wake (failures.md B17: what can go on without a
 * descriptor does). */
#define LOOK_FOR_WAKE (20 * CP_MILLISECOND)

static _Thread_local struct cp_parker *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* only for its destructor: a thread that ends gives back its parker */
static bool has_key;

static const struct cp_clock system_clock;

static void wake(struct cp_waker *waker)
{
    struct cp_parker *parker = (struct cp_parker *)waker;
    bool signal, write_event;

    (void)pthread_mutex_lock(&parker->lock);
    signal = !parker->latched && parker->sleeps;
    write_event = !parker->latched && parker->polls;
    parker->latched = true;
    (void)pthread_mutex_unlock(&parker->lock);
    if (signal) {
        (void)pthread_cond_signal(&parker->woken);
    }
    if (write_event) {
        (void)!eventfd_write(parker->event, 1); /* fails only where the counter is full: then it is readable anyway */
    }
}

static void dispose(struct cp_waker *waker)
{
    struct cp_parker *parker = (struct cp_parker *)waker;

    if (parker->event >= 0) {
        (void)close(parker->event);
    }
    (void)pthread_cond_destroy(&parker->woken);
    (void)pthread_mutex_destroy(&parker->lock);
    cp_free(parker);
}

static void thread_ends(void *parker)
{
    mine = NULL;
    cp_waker_unref(parker);
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, thread_ends) == 0;
}

static struct cp_parker *parker_new(void)
{
    struct cp_parker *parker = cp_alloc(sizeof(*parker));

    if (parker == NULL) {
        return NULL;
    }
    cp_waker_init(&parker->waker, wake, dispose);
    (void)pthread_mutex_init(&parker->lock, NULL);
    (void)pthread_cond_init(&parker->woken, NULL);
    parker->event = -1;
    parker->generation = cp_fork_generation;
    return parker;
}

struct cp_parker *cp_parker_of_thread(void)
{
    struct cp_parker *parker;

    /* After a fork the parent's is left alone: another thread may have been waking it, its lock held. */
    if (mine != NULL && mine->generation == cp_fork_generation) {
        return mine;
    }
    (void)pthread_once(&once, make_key);
    parker = has_key ? parker_new() : NULL;
    if (parker == NULL) {
        return NULL;
    }
    if (pthread_setspecific(key, parker) != 0) {
        cp_waker_unref(&parker->waker);
        return NULL;
    }
    mine = parker;
    return parker;
}

void cp_parker_latch(struct cp_parker *parker)
{
    (void)pthread_mutex_lock(&parker->lock);
    parker->latched = true;
    (void)pthread_mutex_unlock(&parker->lock);
}

/* The end of one system call's sleep from now, as far as until (0: no limit) lets it. */
static struct timespec chunk_until(int64_t now, int64_t until)
{
    int64_t end = cp_time_earlier(now + LONGEST_SLEEP, until);

    return (struct timespec){.tv_sec = (time_t)(end / CP_SECOND), .tv_nsec = (long)(end % CP_SECOND)};
}

static enum cp_parker_result sleep_on_condition(struct cp_parker *parker, int64_t until)
{
    enum cp_parker_result result;

    (void)pthread_mutex_lock(&parker->lock);
    parker->sleeps = true;
    while (!parker->latched) {
        int64_t now = cp_clock_precise(&system_clock);
        struct timespec end;
        int error;

        if (until != 0 && now >= until) {
            break;
        }
        end = chunk_until(now, until);
        error = pthread_cond_clockwait(&parker->woken, &parker->lock, CLOCK_MONOTONIC, &end);
        assert(error == 0 || error == ETIMEDOUT);
        (void)error;
    }
    result = parker->latched ? CP_PARKER_WOKEN : CP_PARKER_TIME;
    parker->sleeps = false;
    parker->latched = false;
    (void)pthread_mutex_unlock(&parker->lock);
    return result;
}

/* Poll until something is ready or the time has come; EINTR and a long wait's parts begin again with the time that is
 * left (failures.md B14). As poll(2). */
static int poll_until(struct pollfd *polled, nfds_t count, int64_t until)
{
    for (;;) {
        int64_t now = cp_clock_precise(&system_clock);
        bool is_past = until != 0 && now >= until;
        struct timespec left = chunk_until(0, is_past || until == 0 ? 0 : until - now);
        int result;

        if (is_past) {
            left = (struct timespec){0};
        }
        result = ppoll(polled, count, &left, NULL);
        if (result > 0 || (result == 0 && is_past) || (result < 0 && errno != EINTR)) {
            return result;
        }
    }
}

/* Whether a wake came before the poll began. */
static bool begin_poll(struct cp_parker *parker)
{
    bool latched;

    (void)pthread_mutex_lock(&parker->lock);
    latched = parker->latched;
    parker->latched = false;
    parker->polls = parker->event >= 0;
    (void)pthread_mutex_unlock(&parker->lock);
    return latched;
}

/* Whether a wake came since. One that comes after this is latched, though a byte of it may end the next poll early. */
static bool end_poll(struct cp_parker *parker, bool event_is_ready)
{
    eventfd_t count;
    bool latched;

    if (event_is_ready) {
        (void)!eventfd_read(parker->event, &count);
    }
    (void)pthread_mutex_lock(&parker->lock);
    parker->polls = false;
    latched = parker->latched;
    /* Without an eventfd a wake did not end this poll, and stays for the next sleep. */
    if (parker->event >= 0) {
        parker->latched = false;
    }
    (void)pthread_mutex_unlock(&parker->lock);
    return latched && parker->event >= 0;
}

static enum cp_parker_result sleep_on_descriptor(struct cp_parker *parker, const struct connpool_wait *wait,
                                                 int64_t until, uint32_t *ready)
{
    struct pollfd polled[2] = {
        {.fd = wait->fd, .events = cp_events_to_poll(wait->events)},
        {.fd = parker->event, .events = POLLIN}, /* -1 is skipped by poll */
    };
    bool woken = begin_poll(parker);
    int result = poll_until(polled, 2, woken ? CP_PARKER_PAST : until);
    int error = errno;

    woken = end_poll(parker, result > 0 && polled[1].revents != 0) || woken;
    if (result < 0) {
        errno = error;
        return CP_PARKER_FAILED;
    }
    if (polled[0].revents != 0) {
        *ready = cp_events_from_poll(polled[0].revents, wait->events);
    }
    return result > 0 || woken ? CP_PARKER_WOKEN : CP_PARKER_TIME;
}

enum cp_parker_result cp_parker_sleep(struct cp_parker *parker, const struct connpool_wait *wait, bool may_wake,
                                      int64_t until, uint32_t *ready)
{
    *ready = 0;
    if (wait->fd < 0) {
        return sleep_on_condition(parker, until);
    }
    if (may_wake && parker->event < 0) {
        parker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (parker->event < 0) {
            until = cp_time_earlier(until, cp_clock_precise(&system_clock) + LOOK_FOR_WAKE);
        }
    }
    return sleep_on_descriptor(parker, wait, until, ready);
}
