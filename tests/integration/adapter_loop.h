/* SPDX-License-Identifier: MIT */
/*
 * adapter_loop: an event loop with adapters in it, as the tests of the adapters use it: one file for each library, each
 * with the same functions, linked to the same tests. The loop is the running test's thread's.
 */
#ifndef ADAPTER_LOOP_H
#define ADAPTER_LOOP_H

#include <connpool/async.h>
#include <stdbool.h>

struct adapter_loop;
struct adapter; /* freed as its library tells that it is closed */

struct adapter_loop *adapter_loop_new(void);
/* Nothing is in it any more. */
void adapter_loop_free(struct adapter_loop *loop);

/* NULL: the adapter was not opened. */
struct adapter *adapter_try_open(struct adapter_loop *loop, connpool *context, connpool_error *error);
connpool_reactor *adapter_reactor(const struct adapter *adapter);
/* Close it in the way of its library; anywhere but in another thread. */
void adapter_close(struct adapter *adapter);
/* How many of the loop's adapters were told to be closed. */
int adapter_loop_closed(const struct adapter_loop *loop);

/* Call a function once after so many milliseconds by the loop's own timer; one at a time. */
void adapter_loop_after(struct adapter_loop *loop, int ms, void (*call)(void *argument), void *argument);
/* Run it as an application does, until nothing keeps it running; with the libraries that know no such end, until all
 * adapters are closed and the timer was called. */
void adapter_loop_run(struct adapter_loop *loop);
/* End the loop with its only adapter in it, which is closed as the library's header says. False: the library wants it
 * closed before. */
bool adapter_loop_drop(struct adapter_loop *loop, struct adapter *adapter);
/* In a callback of the adapter: run the loop for a few turns. False: the library's loop is not to be run there, which
 * was tried where there is an answer to it. */
bool adapter_loop_nest(struct adapter_loop *loop, struct adapter *adapter);
/* In a fork's child: what the library wants there before the loop is run. */
void adapter_loop_forked(struct adapter_loop *loop);

/* From now on, or not any more, the library refuses to watch a descriptor. False: it never does. */
bool adapter_loop_refuse(bool refuses);

#endif
