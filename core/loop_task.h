/* SPDX-License-Identifier: MIT */
/* loop_task: the memory of a task, to be embedded; all members are the loop's (core/loop.c). */
#ifndef CP_LOOP_TASK_H
#define CP_LOOP_TASK_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "operation.h"

struct cp_task {
    struct cp_waker waker;
    struct cp_loop *loop;
    struct cp_operation *operation;
    void (*done)(struct cp_task *task);
    void (*dispose)(struct cp_task *task);
    TAILQ_ENTRY(cp_task) queued; /* in the loop's queue of what is to be stepped; guarded by the loop's lock */
    bool is_queued;
    RB_ENTRY(cp_task) timed; /* by at; the loop's thread only, as all below */
    TAILQ_ENTRY(cp_task) live;
    int64_t at;
    int fd; /* armed in the epoll, -1: none */
    uint32_t ready;
    uint64_t slot; /* slot and generation in the epoll data */
};

#endif
