/* SPDX-License-Identifier: MIT */
/* loop_slots: an array that doubles, with a list of free slots through it. */
#include "engine/loop_slots.h"

#include "base/memory.h"

#define FIRST_CAPACITY 16u

struct cp_loop_slot {
    struct cp_task *task; /* NULL: free */
    uint32_t generation;
    uint32_t next; /* in the list of free slots */
};

void cp_loop_slots_init(struct cp_loop_slots *slots)
{
    *slots = (struct cp_loop_slots){.count = 1};
}

void cp_loop_slots_fini(struct cp_loop_slots *slots)
{
    cp_free(slots->slots);
    *slots = (struct cp_loop_slots){0};
}

static bool grow(struct cp_loop_slots *slots)
{
    uint32_t capacity = slots->capacity == 0 ? FIRST_CAPACITY : slots->capacity * 2;
    struct cp_loop_slot *grown = cp_grow(slots->slots, slots->capacity * sizeof(*grown), capacity * sizeof(*grown));

    if (grown == NULL) {
        return false;
    }
    slots->slots = grown;
    slots->capacity = capacity;
    return true;
}

/* A free slot's number, 0: no memory. */
static uint32_t take(struct cp_loop_slots *slots)
{
    uint32_t number = slots->free;

    if (number != 0) {
        slots->free = slots->slots[number].next;
        return number;
    }
    if (slots->count >= slots->capacity && !grow(slots)) {
        return 0;
    }
    return slots->count++;
}

uint64_t cp_loop_slots_arm(struct cp_loop_slots *slots, struct cp_task *task)
{
    if (task->slot == 0) {
        task->slot = take(slots);
        if (task->slot == 0) {
            return 0;
        }
        slots->slots[task->slot].task = task;
    }
    return (uint64_t)++slots->slots[task->slot].generation << 32 | task->slot;
}

void cp_loop_slots_disarm(struct cp_loop_slots *slots, struct cp_task *task)
{
    if (task->slot != 0) {
        slots->slots[task->slot].generation++;
    }
}

void cp_loop_slots_leave(struct cp_loop_slots *slots, struct cp_task *task)
{
    struct cp_loop_slot *slot;

    if (task->slot == 0) {
        return;
    }
    slot = &slots->slots[task->slot];
    slot->task = NULL;
    slot->generation++;
    slot->next = slots->free;
    slots->free = task->slot;
    task->slot = 0;
}

struct cp_task *cp_loop_slots_find(const struct cp_loop_slots *slots, uint64_t key)
{
    uint32_t number = (uint32_t)key;

    if (number >= slots->count || slots->slots[number].generation != (uint32_t)(key >> 32)) {
        return NULL;
    }
    return slots->slots[number].task;
}
