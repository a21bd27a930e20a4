/* SPDX-License-Identifier: MIT */
/*
 * loop: runs many operations in one thread: epoll (one-shot re-arming), timerfd, eventfd; is itself one pollable
 * descriptor (the epoll's). The collector's thread runs one; connpool_close and a release with several closes drive one
 * on the stack of their own thread.
 */
#ifndef CP_LOOP_H
#define CP_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"
#include "operation.h"

struct cp_loop;

/*
 * One operation in a loop. Heap or embedded memory of the caller, zeroed before start; refcounted through its waker:
 * the memory must stay until `dispose`. The loop holds one reference from start until `done` has been called.
 */
struct cp_task;
typedef void cp_task_fn(struct cp_task *task);

#include "loop_task.h"

/* NULL: the fault says why (descriptors, memory). clock outlives the loop. */
struct cp_loop *cp_loop_new(const struct cp_clock *clock, struct connpool_fault *fault);
/* No task may be in it (see cp_loop_abandon_all). Accepts NULL. */
void cp_loop_free(struct cp_loop *loop);
/* The descriptor to poll: readable when cp_loop_dispatch has something to do. */
int cp_loop_fd(const struct cp_loop *loop);
/* Run what is ready, never waits: started and woken tasks, ready descriptors, due times; each task at most once a call.
 * Only the loop's own thread. */
void cp_loop_dispatch(struct cp_loop *loop);
/* Wait until something is ready or the time `until` (0: no limit), then dispatch. Only the loop's own thread. May wait.
 */
void cp_loop_run(struct cp_loop *loop, int64_t until);
/* Tasks that were started and are not done. Only the loop's own thread. */
size_t cp_loop_count(const struct cp_loop *loop);
/* Abandon every task's operation and call its done. Only the loop's own thread. */
void cp_loop_abandon_all(struct cp_loop *loop);
/* Make cp_loop_run return, and look at the clock again. Any thread. */
void cp_loop_kick(struct cp_loop *loop);

/* Hand a task to the loop: its operation is stepped first in the next dispatch. Any thread; takes no memory, cannot
 * fail. done is called in the loop's thread after DONE or abandon; the task may be started again from it. */
void cp_loop_start(struct cp_loop *loop, struct cp_task *task, struct cp_operation *operation, cp_task_fn *done,
                   cp_task_fn *dispose);
/* Abandon the task's operation now and call done; only the loop's own thread, not from within that task's own step. */
void cp_loop_abandon(struct cp_loop *loop, struct cp_task *task);

#endif
