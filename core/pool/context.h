/* SPDX-License-Identifier: MIT */
/*
 * context: what one configuration opens: pools, services, the collector. Its memory is counted: by its opener, by each
 * connection that is not FREE and by each endpoint handle.
 */
#ifndef CP_CONTEXT_H
#define CP_CONTEXT_H

#include <bsd/sys/queue.h>
#include <connpool/connpool.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "engine/driver.h"
#include "engine/loop.h"
#include "network/host.h"
#include "pool/ready.h"

struct cp_carry;
struct cp_collector;
struct cp_config;

/* A loop that a thread drives for its own closes, or a reactor's; told when a replaced clock moves. */
struct cp_driven_loop {
    struct cp_loop *loop;
    LIST_ENTRY(cp_driven_loop) entry;
};

struct connpool {
    struct cp_clock clock;
    struct cp_log log;
    struct cp_sleepers *sleepers;
    struct cp_services *services;
    struct cp_collector *collector; /* NULL: no pool wants one, or the context has closed */
    struct connpool_pool **pools;
    size_t pool_count;
    uint32_t fork_generation;
    uint64_t random_seed;
    _Atomic bool is_closing;
    _Atomic uint64_t references;
    _Atomic uint64_t connections; /* not FREE */

    struct cp_loop *closing_loop; /* made with the context, so that a lack of descriptors cannot stop a close */

    struct cp_lock lock;
    /* Guarded by lock. */
    bool is_closing_driven; /* connpool_close waits, and drives its loop */
    LIST_HEAD(, cp_driven_loop) driven_loops;
    LIST_HEAD(, cp_carry) carried; /* opens and checks that loops drive on (carry.h) */
    struct cp_ready_waiters ready_waiters;
    uint64_t ready_round; /* counts how often they were woken */
};

/* A context with the pools of a configuration, which gives its names and options away. options: as
 * cp_config_take_options made them. NULL: the error. */
struct connpool *cp_context_open(const struct connpool_options *options, struct cp_config *config,
                                 connpool_error *error);
void cp_context_ref(struct connpool *context);
/* The last one frees. No lock held. */
void cp_context_unref(struct connpool *context);

/* Run a loop until it has no task. May wait. */
void cp_context_drive(struct connpool *context, struct cp_loop *loop);

/* A connection became FREE: connpool_close may be waiting for the last. No lock held. */
void cp_context_connection_ended(struct connpool *context);

#endif
