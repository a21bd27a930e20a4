/* SPDX-License-Identifier: MIT */
/*
 * supply: the collector opens connections ahead of use, at named endpoints with `prewarm`: up to min_idle idle ones. It
 * takes only slots that nobody waits for and evicts nothing; what it opens goes first to who waits by then.
 *
 * A base connection whose life is near its end is replaced: the new one is opened before it is closed, where there is
 * such a slot.
 *
 * How many are idle is looked at every SUPPLY_LOOK_EVERY (supply.c): an acquire that takes the last one tells nobody,
 * because it would cost a system call on its hot path.
 */
#ifndef CP_SUPPLY_H
#define CP_SUPPLY_H

#include <bsd/sys/queue.h>
#include <stddef.h>
#include <stdint.h>

struct connpool_pool;
struct cp_loop;
struct cp_supply_open;

TAILQ_HEAD(cp_supply_opens, cp_supply_open);

/* What a pool keeps of the opens of its supply that are under way; only the collector's thread. */
struct cp_supply {
    struct cp_supply_opens opens;
    size_t count;
    size_t turn; /* the endpoint that is asked first, as an index of the pool's named ones */
};

void cp_supply_init(struct cp_supply *supply);

/* Start the opens that are wanted at this time, on the collector's loop; once the pool is closing, give up those that
 * are under way. Returns when to look again, CP_NEVER: the pool has no such endpoint. The collector's thread, not from
 * within a step of the loop; no lock held; does not wait. */
int64_t cp_supply_top_up(struct connpool_pool *pool, struct cp_loop *loop, int64_t now);

#endif
