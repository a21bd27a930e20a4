/* SPDX-License-Identifier: MIT */
/* loop_task: the memory of a task, to be embedded; all members are the loop's (core/engine/loop.c). */
#ifndef CP_LOOP_TASK_H
#define CP_LOOP_TASK_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/operation.h"

struct cp_task {
    struct cp_waker waker; /* first: the waker is the task */
    struct cp_loop *loop;  /* counted, from the first start until dispose */
    struct cp_operation *operation;
    void (*done)(struct cp_task *task);
    void (*dispose)(struct cp_task *task);
    TAILQ_ENTRY(cp_task) live; /* guarded by the loop's lock, as all until is_queued */
    uint64_t number;           /* of the start, rising along the live ones */
    TAILQ_ENTRY(cp_task) queued;
    uint64_t round; /* the dispatch that was the latest when it was queued; that one does not step it */
    bool is_live;
    bool is_queued;
    bool is_timed; /* the loop's thread only, as all below */
    RB_ENTRY(cp_task) timed;
    int64_t at;
    uint32_t slot;  /* its place among those that wait for descriptors, 0: none */
    uint32_t asked; /* the events that its descriptor is armed for */
    uint32_t ready;
    bool stands; /* its step has said what it waits for: cp_loop_stand */
};

#endif
