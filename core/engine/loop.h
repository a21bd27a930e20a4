/* SPDX-License-Identifier: MIT */
/*
 * loop: runs many operations in one thread: epoll (one-shot re-arming), timerfd, eventfd; is itself one pollable
 * descriptor (the epoll's). The collector's thread runs one; a reactor is one, with its requests; connpool_close and a
 * release with several closes drive one on the stack of their own thread.
 */
#ifndef CP_LOOP_H
#define CP_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "engine/operation.h"

struct cp_loop;

/*
 * One operation in a loop. Heap or embedded memory of the caller, zeroed before the first start; counted through its
 * waker: the memory must stay until `dispose`. The loop holds one reference from start until `done` has returned.
 */
struct cp_task;
typedef void cp_task_fn(struct cp_task *task);

#include "engine/loop_task.h"

/* NULL: the fault says why (descriptors, memory). clock must outlive cp_loop_free. */
struct cp_loop *cp_loop_new(const struct cp_clock *clock, struct connpool_fault *fault);
/* No task may be in it (see cp_loop_abandon_all). Its descriptors are closed when the last task was disposed of, so
 * that a late wake meets none of another's (failures.md C25). Accepts NULL. */
void cp_loop_free(struct cp_loop *loop);
/* The descriptor to poll: readable when cp_loop_dispatch has something to do. With a replaced clock it does not become
 * readable for time: cp_loop_run, or a kick. */
int cp_loop_fd(const struct cp_loop *loop);
/* Run what is ready, never waits: started and woken tasks, ready descriptors, due times; each task at most once a call.
 * What is started or woken meanwhile runs in the next one, for which the descriptor stays readable. Only the loop's own
 * thread, not from within a step. Not a cancellation point. */
void cp_loop_dispatch(struct cp_loop *loop);
/* Wait until something is ready or the time `until` (0: no limit). Only the loop's own thread. May wait. Not a
 * cancellation point. */
void cp_loop_wait(struct cp_loop *loop, int64_t until);
/* The same, then dispatch. Only the loop's own thread. May wait.
 * Not a cancellation point. */
void cp_loop_run(struct cp_loop *loop, int64_t until);
/* Tasks that were started and are not done. Any thread. */
size_t cp_loop_count(struct cp_loop *loop);
/* Abandon the operation of every task that is in the loop now and call its done; tasks that are started from there
 * stay. Only the loop's own thread, not from within a step. */
void cp_loop_abandon_all(struct cp_loop *loop);
/* Make cp_loop_run return, and look at the clock again. Any thread. */
void cp_loop_kick(struct cp_loop *loop);

/*
 * Hand a task to the loop: its operation is stepped first in the next dispatch. Any thread; takes no memory, cannot
 * fail. done is called once, in the loop's thread, without locks, after DONE or abandon; the task may be started again
 * from it. dispose is called once no reference is left, in whichever thread gave back the last one: the memory is then
 * the owner's, and the task may be started anew, as if zeroed. Until dispose a task may be started again only in the
 * same loop.
 */
void cp_loop_start(struct cp_loop *loop, struct cp_task *task, struct cp_operation *operation, cp_task_fn *done,
                   cp_task_fn *dispose);
/* From within the task's own step, which then answers AGAIN: it waits for this from now on, and what it leaves in its
 * own wait counts for nothing. For a descriptor that may be closed by others once the step lets go of it. */
void cp_loop_stand(struct cp_loop *loop, struct cp_task *task, const struct connpool_wait *wait);
/* Abandon the task's operation now and call done; only the loop's own thread, not from within that task's own step,
 * though from within another's. Nothing where the task is not in a loop (never started, or done). */
void cp_loop_abandon(struct cp_loop *loop, struct cp_task *task);

#endif
