/* SPDX-License-Identifier: MIT */
/* operation: what the drivers have in common. */
#include "engine/operation.h"

struct cp_waker *cp_operation_waker(struct cp_operation *operation)
{
    if (operation->waker == NULL && operation->find_waker != NULL) {
        operation->waker = operation->find_waker();
    }
    return operation->waker;
}

void cp_wait_init(struct connpool_wait *wait, int64_t now, uint32_t ready, uint32_t flags)
{
    *wait = (struct connpool_wait){
        .size = sizeof(*wait),
        .flags = flags,
        .fd = -1,
        .ready = ready,
        .now = now,
    };
}
