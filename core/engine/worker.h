/* SPDX-License-Identifier: MIT */
/*
 * worker: a bounded set of threads for calls that may block (name resolution; offloaded calls). Threads are made when
 * work comes, end after some time without work, and are detached: nobody ever waits for one. The set lives until its
 * owner has let go of it and its last thread has ended.
 */
#ifndef CP_WORKER_H
#define CP_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <bsd/sys/queue.h>

struct cp_workers;

/* One job, embedded in heap memory that belongs to the job: from cp_workers_submit until run returns. */
struct cp_work {
    TAILQ_ENTRY(cp_work) link;         /* the set's */
    void (*run)(struct cp_work *work); /* on a worker, no lock held, may block; may free the work */
    bool queued;                       /* the set's: not begun yet */
};

/* name: of the threads, at most 15 bytes, lives for ever. most: of the threads, at least 1. idle_time: nanoseconds of
 * the system's monotonic clock after which a thread without work ends. NULL: no memory. */
struct cp_workers *cp_workers_new(const char *name, unsigned most, int64_t idle_time);

/* Run the work on a thread, in order of submission. False: no thread could be made and there is none (failures.md
 * B20), or the set is closed; the work is still the caller's. Any thread, never waits. */
bool cp_workers_submit(struct cp_workers *workers, struct cp_work *work);

/* True: the work had not begun and never will; it is the caller's again. False: it runs, or ran. work must not be freed
 * by its run meanwhile (the caller's lock sees to that). Any thread, never waits. */
bool cp_workers_cancel(struct cp_workers *workers, struct cp_work *work);

/* No new work is taken; what is queued is still run; threads end when there is no more. Any thread, never waits, may be
 * called again. Accepts NULL. */
void cp_workers_close(struct cp_workers *workers);

/* Close, and let go of the set. Accepts NULL. */
void cp_workers_free(struct cp_workers *workers);

/* The threads there are now, at work or not. */
unsigned cp_workers_threads(struct cp_workers *workers);

#endif
