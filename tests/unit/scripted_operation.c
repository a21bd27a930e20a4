/* SPDX-License-Identifier: MIT */
/* scripted_operation: see scripted_operation.h. */
#include "scripted_operation.h"

static int32_t scripted_step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct scripted *scripted = (struct scripted *)operation;
    int number = scripted->steps < scripted->count ? scripted->steps : scripted->count - 1;
    const struct connpool_wait *answer = &scripted->answers[number];

    if (scripted->steps < STEPS_MOST) {
        scripted->seen[scripted->steps] = *wait;
    }
    scripted->steps++;
    if (answer->flags & CONNPOOL_WAIT_WAKE) {
        scripted->waker = cp_operation_waker(operation);
    }
    if (scripted->during != NULL) {
        scripted->during(scripted);
    }
    if (answer->size == 0) {
        return CONNPOOL_STEP_DONE;
    }
    wait->fd = answer->fd;
    wait->events = answer->events;
    wait->at = answer->at;
    wait->flags |= answer->flags;
    return CONNPOOL_STEP_AGAIN;
}

static void scripted_abandon(struct cp_operation *operation)
{
    ((struct scripted *)operation)->abandons++;
}

void script(struct scripted *scripted)
{
    *scripted = (struct scripted){.operation = {.step = scripted_step, .abandon = scripted_abandon}};
}

void answer_done(struct scripted *scripted)
{
    scripted->count++;
}

void answer_again(struct scripted *scripted, int fd, uint32_t events, int64_t at, uint32_t flags)
{
    scripted->answers[scripted->count++] = (struct connpool_wait){
        .size = sizeof(struct connpool_wait), .fd = fd, .events = events, .at = at, .flags = flags};
}

void wake_itself(struct scripted *scripted)
{
    if (scripted->waker != NULL) {
        cp_waker_fire(cp_waker_ref(scripted->waker));
    }
}
