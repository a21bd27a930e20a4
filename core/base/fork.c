/* SPDX-License-Identifier: MIT */
/*
 * fork: the record has no lock, because the child finds it as it stood at the fork, whatever other threads were doing:
 * a row is claimed, filled, then published; the child believes only published rows, and closes a descriptor only where
 * it still is the same file. A row that was claimed at the fork stays claimed in the child: it is lost there.
 *
 * A place is {generation of forks, row}: those that a child inherits name nothing in it.
 */
#include "base/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chunks.h"

enum row_state { ROW_FREE = 0, ROW_CLAIMED, ROW_RECORDED };

struct row {
    _Atomic int state;
    int fd; /* the claimer's until the row is recorded, as the next two */
    dev_t device;
    ino_t inode;
};

uint32_t cp_fork_generation;

static struct cp_chunks rows;
static _Atomic uint32_t row_count; /* rows that are there */
static _Atomic uint32_t hint;      /* a row that may be free; most rows before it are not */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool prepared;

static struct row *row_at(uint32_t index)
{
    return cp_chunks_row(&rows, index, sizeof(struct row));
}

static bool is_same_file(const struct row *row)
{
    struct stat now;

    return fstat(row->fd, &now) == 0 && now.st_dev == row->device && now.st_ino == row->inode;
}

/* Async-signal-safe: only fstat and close. */
static void close_in_child(void)
{
    uint32_t count = atomic_load_explicit(&row_count, memory_order_acquire);

    cp_fork_generation++;
    for (uint32_t i = 0; i < count; i++) {
        struct row *row = row_at(i);

        if (row == NULL || atomic_load_explicit(&row->state, memory_order_acquire) != ROW_RECORDED) {
            continue;
        }
        if (is_same_file(row)) {
            (void)close(row->fd);
        }
        atomic_store_explicit(&row->state, ROW_FREE, memory_order_release);
    }
}

static void prepare(void)
{
    prepared = pthread_atfork(NULL, NULL, close_in_child) == 0;
}

bool cp_fork_prepare(void)
{
    (void)pthread_once(&once, prepare);
    return prepared;
}

/* A row claimed among those from begin to before end, -1: none is free. */
static int64_t claim_between(uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++) {
        int expected = ROW_FREE;

        if (atomic_compare_exchange_strong_explicit(&row_at(i)->state, &expected, ROW_CLAIMED, memory_order_acquire,
                                                    memory_order_relaxed)) {
            return i;
        }
    }
    return -1;
}

/* Make the chunk that begins at row count visible; it ends where the rows have doubled and one first chunk more. */
static bool add_rows(uint32_t count)
{
    uint32_t grown = 2 * count + CP_CHUNKS_FIRST;

    if (!cp_chunks_add(&rows, count, sizeof(struct row))) {
        return false;
    }
    (void)atomic_compare_exchange_strong_explicit(&row_count, &count, grown, memory_order_acq_rel,
                                                  memory_order_relaxed);
    return true;
}

static int64_t claim_row(void)
{
    for (;;) {
        uint32_t count = atomic_load_explicit(&row_count, memory_order_acquire);
        uint32_t begin = atomic_load_explicit(&hint, memory_order_relaxed);
        int64_t index;

        begin = begin < count ? begin : 0;
        index = claim_between(begin, count);
        if (index < 0) {
            index = claim_between(0, begin);
        }
        if (index >= 0) {
            atomic_store_explicit(&hint, (uint32_t)index + 1, memory_order_relaxed);
            return index;
        }
        if (!add_rows(count)) {
            return -1;
        }
    }
}

int64_t cp_fork_record(int fd)
{
    struct stat file;
    struct row *row;
    int64_t index;

    if (fstat(fd, &file) != 0 || (index = claim_row()) < 0) {
        return -1;
    }
    row = row_at((uint32_t)index);
    row->fd = fd;
    row->device = file.st_dev;
    row->inode = file.st_ino;
    atomic_store_explicit(&row->state, ROW_RECORDED, memory_order_release);
    return (int64_t)(cp_fork_generation & INT32_MAX) << 32 | index;
}

/* NULL: none, or a place of the process that this one was forked from. */
static struct row *row_of_place(int64_t place)
{
    if (place < 0 || (uint32_t)(place >> 32) != (cp_fork_generation & INT32_MAX)) {
        return NULL;
    }
    return row_at((uint32_t)place);
}

int cp_fork_descriptor(int64_t place)
{
    const struct row *row = row_of_place(place);

    return row == NULL ? -1 : row->fd;
}

void cp_fork_forget(int64_t place)
{
    struct row *row = row_of_place(place);
    uint32_t index = (uint32_t)place;

    if (row == NULL) {
        return;
    }
    atomic_store_explicit(&row->state, ROW_FREE, memory_order_release);
    if (index < atomic_load_explicit(&hint, memory_order_relaxed)) {
        atomic_store_explicit(&hint, index, memory_order_relaxed);
    }
}
