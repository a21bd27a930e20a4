/* SPDX-License-Identifier: MIT */
/* test_manager_state: what the two halves of the test manager share: test_manager.c holds what tests say and ask,
 * test_manager_steps.c is the plugin. */
#ifndef KIT_TEST_MANAGER_STATE_H
#define KIT_TEST_MANAGER_STATE_H

#include <bsd/sys/queue.h>
#include <connpool/manager.h>

#include "test_manager.h"

/* A connection as the host allocates it. */
struct test_state {
    struct connpool_head head;
    uint32_t magic; /* TEST_ALIVE from the first step of open to destroy */
    uint32_t epoch; /* the reset that it was opened after: what a failed test has left counts no more */
    int32_t phase;
    int32_t running; /* the operation that answered again, -1: none */
    atomic_int inside;
    struct test_behaviour behaviour; /* of the one that runs */
    int64_t until;                   /* the end of SLOW and BUSY, 0: not begun */
    atomic_bool is_woken;
    uint64_t token;
    int sockets[2]; /* ours and the peer's, -1: none */
    TAILQ_ENTRY(test_state) live;
    struct test_connection connection;
};

#define TEST_ALIVE UINT32_C(0x616c6976)

/* Record a breach of the ABI; the first one's text stays. */
void test_manager_breach(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A call begins: count and record it. */
void test_manager_called(enum test_operation operation, const struct test_state *state, char letter);
/* What the operation is to answer. */
struct test_behaviour test_manager_behaviour(enum test_operation operation, const struct test_state *state);
void test_manager_set_deadline(enum test_operation operation, int64_t deadline);
void test_manager_set_for_loop(bool for_loop);
/* A connection's open starts (it gets its number), it is destroyed. */
void test_manager_born(struct test_state *state);
void test_manager_died(struct test_state *state);
/* Counts the resets. */
uint32_t test_manager_epoch(void);
/* Endpoint and pool states of an epoch come (+1) and go (-1). */
void test_manager_count_endpoint(uint32_t epoch, int change);
void test_manager_count_pool(uint32_t epoch, int change);
/* Keep a wake for test_manager_wake, and the host to fire it with. */
void test_manager_keep_wake(uint64_t token);
void test_manager_keep_host(const struct connpool_host *host);
/* Wait until test_manager_unblock. */
void test_manager_block(void);
/* Guards the sockets of all connections. */
void test_manager_lock(void);
void test_manager_unlock(void);

#endif
