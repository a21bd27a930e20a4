/* SPDX-License-Identifier: MIT */
/* offload: one blocking call on a worker thread, for a step function; the contract of each is in connpool/manager.h,
 * struct connpool_host. */
#ifndef CP_OFFLOAD_H
#define CP_OFFLOAD_H

#include <connpool/manager.h>

struct connpool_offload *cp_offload_start(const struct connpool_host *host, void (*call)(void *job),
                                          void (*release)(void *job), void *job, struct connpool_fault *fault);
int32_t cp_offload_step(struct connpool_offload *offload, struct connpool_wait *wait, struct connpool_fault *fault);
void *cp_offload_take(struct connpool_offload *offload);
void cp_offload_stop(struct connpool_offload *offload);

#endif
