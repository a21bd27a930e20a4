/* SPDX-License-Identifier: MIT */
/*
 * dial: a connected stream socket for a step function. Checks the options, resolves the name, then lets the addresses
 * race (dial_race.h) or connects the Unix socket (dial_unix.h). The contract of each function is in connpool/manager.h,
 * struct connpool_host.
 */
#ifndef CP_DIAL_H
#define CP_DIAL_H

#include <connpool/manager.h>

struct connpool_dial *cp_dial_start(const struct connpool_host *host, const struct connpool_dial_options *options,
                                    struct connpool_fault *fault);
int32_t cp_dial_step(struct connpool_dial *dial, struct connpool_wait *wait, struct connpool_fault *fault);
int32_t cp_dial_take(struct connpool_dial *dial);
void cp_dial_stop(struct connpool_dial *dial);

#endif
