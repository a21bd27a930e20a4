/* SPDX-License-Identifier: MIT */
/*
 * loop_slots: which task an epoll event is for. A key is slot and generation; the generation rises when a descriptor is
 * armed, fires, or is given up, so that a key is good for one arming only. Only the loop's own thread.
 */
#ifndef CP_LOOP_SLOTS_H
#define CP_LOOP_SLOTS_H

#include "engine/loop_task.h"

struct cp_loop_slots {
    struct cp_loop_slot *slots; /* number 0 is not used */
    uint32_t count, capacity;
    uint32_t free; /* the first of a list, 0: none */
};

void cp_loop_slots_init(struct cp_loop_slots *slots);
/* Frees what they hold, not the tasks. */
void cp_loop_slots_fini(struct cp_loop_slots *slots);
/* A new key for the task; those it had name nothing any more. 0: no memory. */
uint64_t cp_loop_slots_arm(struct cp_loop_slots *slots, struct cp_task *task);
/* The task's key names nothing any more; it keeps its slot. */
void cp_loop_slots_disarm(struct cp_loop_slots *slots, struct cp_task *task);
/* The task gives back its slot. */
void cp_loop_slots_leave(struct cp_loop_slots *slots, struct cp_task *task);
/* NULL: the key is stale. */
struct cp_task *cp_loop_slots_find(const struct cp_loop_slots *slots, uint64_t key);

#endif
