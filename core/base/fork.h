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

/* Counts the forks that lie between this process and the first one; a context remembers the value of its opening.
 * Changes only in a child that has one thread yet. */
extern uint32_t cp_fork_generation;

/* Install the handler, once for the process, before the first record. False: no memory. Any thread. */
bool cp_fork_prepare(void);

/* Record a descriptor with its device and inode: the returned place is to be given to cp_fork_forget before or after
 * the descriptor is closed (before is better: a child then never looks at the number's next owner). -1: no memory, or
 * not a descriptor. Any thread, never waits. */
int64_t cp_fork_record(int fd);
/* The descriptor at a place that cp_fork_record returned and that is not forgotten yet; -1: place is -1, or was
 * recorded before this process was forked (its descriptor is closed). */
int cp_fork_descriptor(int64_t place);
/* Once for each record. Accepts -1, and does nothing with a place that was recorded before a fork. Any thread. */
void cp_fork_forget(int64_t place);

#endif
