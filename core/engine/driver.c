/* SPDX-License-Identifier: MIT */
/* driver: the loop of the blocking driver, and the list of those that sleep by a replaced clock. */
#include "engine/driver.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <pthread.h>

#include "base/memory.h"
#include "engine/parker.h"

/* ---- Threads that sleep by a replaced clock ---- */

struct sleeper {
    TAILQ_ENTRY(sleeper) entry;
    struct cp_waker *waker;
    uint64_t kick; /* the last one that it got */
};

struct cp_sleepers {
    bool is_replaced;
    pthread_mutex_t lock;
    TAILQ_HEAD(, sleeper) list; /* those that got the last kick stand at the end */
    uint64_t kick;
};

struct cp_sleepers *cp_sleepers_new(const struct cp_clock *clock)
{
    struct cp_sleepers *sleepers = cp_alloc(sizeof(*sleepers));

    if (sleepers == NULL) {
        return NULL;
    }
    sleepers->is_replaced = cp_clock_is_replaced(clock);
    (void)pthread_mutex_init(&sleepers->lock, NULL);
    TAILQ_INIT(&sleepers->list);
    return sleepers;
}

void cp_sleepers_free(struct cp_sleepers *sleepers)
{
    if (sleepers == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&sleepers->lock);
    cp_free(sleepers);
}

/* A sleeper that has not got this kick, marked as having got it: its waker with a reference. NULL: no more. */
static struct cp_waker *next_to_kick(struct cp_sleepers *sleepers, uint64_t kick)
{
    struct cp_waker *waker = NULL;
    struct sleeper *sleeper;

    (void)pthread_mutex_lock(&sleepers->lock);
    sleeper = TAILQ_FIRST(&sleepers->list);
    if (sleeper != NULL && sleeper->kick < kick) {
        sleeper->kick = kick;
        TAILQ_REMOVE(&sleepers->list, sleeper, entry);
        TAILQ_INSERT_TAIL(&sleepers->list, sleeper, entry);
        waker = cp_waker_ref(sleeper->waker);
    }
    (void)pthread_mutex_unlock(&sleepers->lock);
    return waker;
}

void cp_sleepers_kick(struct cp_sleepers *sleepers)
{
    struct cp_waker *waker;
    uint64_t kick;

    if (sleepers == NULL || !sleepers->is_replaced) {
        return;
    }
    (void)pthread_mutex_lock(&sleepers->lock);
    kick = ++sleepers->kick;
    (void)pthread_mutex_unlock(&sleepers->lock);
    while ((waker = next_to_kick(sleepers, kick)) != NULL) {
        cp_waker_fire(waker);
    }
}

static void sleepers_join(struct cp_sleepers *sleepers, struct sleeper *sleeper, struct cp_waker *waker)
{
    sleeper->waker = waker;
    (void)pthread_mutex_lock(&sleepers->lock);
    sleeper->kick = sleepers->kick; /* it has not looked at the clock yet */
    TAILQ_INSERT_TAIL(&sleepers->list, sleeper, entry);
    (void)pthread_mutex_unlock(&sleepers->lock);
}

static void sleepers_leave(struct cp_sleepers *sleepers, struct sleeper *sleeper)
{
    (void)pthread_mutex_lock(&sleepers->lock);
    TAILQ_REMOVE(&sleepers->list, sleeper, entry);
    (void)pthread_mutex_unlock(&sleepers->lock);
}

/* ---- The driver ---- */

/* How many of the drives on this thread's stack have asked for the waker: a step may call the application, and that may
 * drive another operation. Its waits consume wakes that may be meant for the outer one. */
static _Thread_local unsigned drives_with_waker;

struct cp_waker *cp_driver_waker(void)
{
    struct cp_parker *parker = cp_parker_of_thread();

    return parker == NULL ? NULL : &parker->waker;
}

static struct cp_waker *waker_for_operation(void)
{
    struct cp_waker *waker = cp_driver_waker();

    if (waker != NULL) {
        drives_with_waker++;
    }
    return waker;
}

struct drive {
    struct cp_operation *operation;
    const struct cp_clock *clock;
    int64_t deadline;
    struct connpool_wait wait;
};

static bool is_over(const struct drive *drive, int64_t now)
{
    return drive->deadline != 0 && now >= drive->deadline;
}

/* Whether the operation is done. */
static bool make_step(struct drive *drive, int64_t now, uint32_t ready)
{
    cp_wait_init(&drive->wait, now, ready, 0);
    return drive->operation->step(drive->operation, &drive->wait) == CONNPOOL_STEP_DONE;
}

static enum cp_parker_result sleep_by_replaced_clock(const struct drive *drive, struct cp_parker *parker, int64_t until,
                                                     uint32_t *ready)
{
    const struct connpool_clock *replaced = &drive->clock->replaced;
    enum cp_parker_result result = cp_parker_sleep(parker, &drive->wait, true, CP_PARKER_PAST, ready);

    if (result != CP_PARKER_TIME) {
        return result;
    }
    if (replaced->sleeping != NULL) {
        replaced->sleeping(replaced->argument, until);
    }
    if (until != 0 && cp_clock_precise(drive->clock) >= until) {
        return CP_PARKER_TIME;
    }
    return cp_parker_sleep(parker, &drive->wait, true, 0, ready); /* until a wake or a kick */
}

static bool sleep_for(const struct drive *drive, struct cp_parker *parker, uint32_t *ready)
{
    int64_t until = cp_time_earlier(drive->wait.at, drive->deadline);
    bool may_wake = (drive->wait.flags & CONNPOOL_WAIT_WAKE) != 0;
    enum cp_parker_result result;

    if (until == CP_NEVER) {
        until = 0;
    }
    result = cp_clock_is_replaced(drive->clock) ? sleep_by_replaced_clock(drive, parker, until, ready)
                                                : cp_parker_sleep(parker, &drive->wait, may_wake, until, ready);
    return result != CP_PARKER_FAILED;
}

/* Sleep and step in turn. 0: done; else why not. */
static int drive_on(struct drive *drive, struct cp_parker *parker)
{
    for (;;) {
        uint32_t ready;
        int64_t now;

        if (!sleep_for(drive, parker, &ready)) {
            return errno;
        }
        now = cp_clock_precise(drive->clock);
        if (make_step(drive, now, ready)) {
            return 0;
        }
        if (is_over(drive, now)) {
            return ETIMEDOUT;
        }
    }
}

static int drive_sleeping(struct drive *drive, struct cp_sleepers *sleepers)
{
    bool is_tracked = cp_clock_is_replaced(drive->clock) && sleepers != NULL;
    struct sleeper sleeper;
    int error;

    if (cp_operation_waker(drive->operation) == NULL) {
        return ENOMEM;
    }
    if (is_tracked) {
        sleepers_join(sleepers, &sleeper, drive->operation->waker);
    }
    error = drive_on(drive, cp_parker_of_thread());
    if (is_tracked) {
        sleepers_leave(sleepers, &sleeper);
    }
    return error;
}

static int drive_to_end(struct drive *drive, struct cp_sleepers *sleepers)
{
    int64_t now = cp_clock_coarse(drive->clock);
    int error;

    if (make_step(drive, now, 0)) {
        return 0;
    }
    error = is_over(drive, now) ? ETIMEDOUT : drive_sleeping(drive, sleepers);
    if (error != 0) {
        drive->operation->abandon(drive->operation);
    }
    return error;
}

bool cp_drive(struct cp_operation *operation, struct cp_sleepers *sleepers, const struct cp_clock *clock,
              int64_t deadline)
{
    struct drive drive = {.operation = operation, .clock = clock, .deadline = deadline};
    unsigned around = drives_with_waker;
    int error, cancel_state;

    operation->waker = NULL;
    operation->find_waker = waker_for_operation;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    error = drive_to_end(&drive, sleepers);
    if (drives_with_waker != around) {
        drives_with_waker = around;
        if (around > 0) {
            cp_parker_latch(cp_parker_of_thread());
        }
    }
    (void)pthread_setcancelstate(cancel_state, NULL);
    if (error != 0) {
        errno = error;
    }
    return error == 0;
}
