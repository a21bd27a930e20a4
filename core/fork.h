/* SPDX-License-Identifier: MIT */
/*
 * fork: after fork, the child closes the descriptors that the parent's connections had recorded, and its contexts
 * refuse every call. The record is a table of the whole process that the atfork child handler reads without locks: no
 * byte is sent, nothing is freed.
 */
#ifndef CP_FORK_H
#define CP_FORK_H

#include <stdbool.h>
#include <stdint.h>

/* Counts the forks that lie between this process and the first one; a context remembers the value of its opening. */
extern uint32_t cp_fork_generation;

/* Install the handlers, once for the process. False: no memory. */
bool cp_fork_prepare(void);

/* Record a descriptor with its device and inode: the returned place is to be given to cp_fork_forget before or after
 * the descriptor is closed. -1: no memory, or not a descriptor. Any thread, never waits. */
int64_t cp_fork_record(int fd);
/* The descriptor at a place that cp_fork_record returned; -1 accepted as place. */
int cp_fork_descriptor(int64_t place);
void cp_fork_forget(int64_t place);

#endif
