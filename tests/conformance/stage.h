/* SPDX-License-Identifier: MIT */
/*
 * stage: a manager driven by hand. One endpoint of it, with options, heads and host as the library makes them but no
 * pool, and connections whose every step the case makes itself, or lets a driver of the library make. Each answer is
 * held against manager.h; what breaks a rule fails the case.
 */
#ifndef CONFORM_STAGE_H
#define CONFORM_STAGE_H

#include <connpool/manager.h>
#include <jansson.h>
#include <stdatomic.h>

#include "conform.h"
#include "engine/loop.h"
#include "engine/operation.h"
#include "network/host.h"
#include "options/options.h"
#include "pool/connection.h"

struct stage {
    const struct conform_subject *subject;
    const struct connpool_manager *manager;
    struct cp_services *services;
    struct cp_host host;
    struct cp_option_block *options;
    struct connpool_head *pool; /* NULL: the manager has none */
    struct connpool_head *endpoint;
    /* What drive does, set by the case: */
    bool hops;         /* each step in a thread of its own */
    bool is_early;     /* each step is made twice more at once, before anything can be ready */
    bool is_late;      /* ten seconds pass before each step */
    atomic_llong lead; /* how far the stage's clock is before the system's, ns */
    struct cp_clock clock;
    /* What it saw: */
    int64_t longest_cpu;     /* most CPU time of a step that is not marked as blocking, ns */
    int64_t longest_blocked; /* most time for which such a step gave its CPU away, ns */
    char longest_name[40];
};

struct stage_connection {
    struct cp_operation operation; /* first */
    struct cp_task task;
    struct stage *stage;
    struct connpool_head *state;
    struct cp_waker waker;
    int event; /* what the waker writes to */
    uint64_t token;
    enum cp_kind kind;
    uint32_t flags; /* CONNPOOL_WAIT_FOR_LOOP, _CUT for the operation that runs */
    struct connpool_wait wait;
    struct connpool_fault fault;
    int32_t result;
    unsigned steps;    /* of the operation that runs */
    bool is_made;      /* its first step was made */
    bool is_open_done; /* open answered DONE */
};

/* The time of a stage's clock. */
int64_t stage_now(const struct stage *stage);

/* The subject's manager, loaded; the case fails where that is refused. Lives for ever. */
const struct connpool_manager *stage_manager(const struct conform_subject *subject);

/* Open a stage with this endpoint object (taken over; NULL: the subject's). Fails the case where a part refuses. */
void stage_open(struct stage *stage, const struct conform_subject *subject, json_t *endpoint);
/* All connections must have been destroyed. */
void stage_close(struct stage *stage);

/* A connection on which nothing was done yet. */
void stage_connect(struct stage *stage, struct stage_connection *connection);
/* The manager's destroy, if its open was started. */
void stage_destroy(struct stage_connection *connection);

bool stage_has(const struct stage *stage, enum cp_kind kind);
bool stage_is_blocking(const struct stage *stage, enum cp_kind kind);

/* Begin an operation; nothing is called yet. */
void stage_start(struct stage_connection *connection, enum cp_kind kind, uint32_t flags);
/* Make one step, with what became ready. An operation that the manager has not is DONE. */
int32_t stage_step(struct stage_connection *connection, uint32_t ready);
/* Wait for what the last step asked, at most so long; returns what became ready. *ended (may be NULL): whether the wait
 * ended, by whatever it was to end. */
uint32_t stage_wait(struct stage_connection *connection, int limit_ms, bool *ended);
/* An operation from its begin to its end, as the stage is set; idle ends with the first answer that is not BUSY. */
int32_t stage_drive(struct stage_connection *connection, enum cp_kind kind, uint32_t flags);
/* The same, but no longer than so many milliseconds; CONNPOOL_STEP_AGAIN: it has not ended. */
int32_t stage_drive_for(struct stage_connection *connection, enum cp_kind kind, uint32_t flags, int limit_ms);
/* The same, at most so many steps; true: it ended before. */
bool stage_drive_some(struct stage_connection *connection, enum cp_kind kind, uint32_t flags, unsigned steps);
/* The same by the library's blocking driver, and by its loop. */
int32_t stage_drive_blocking(struct stage_connection *connection, enum cp_kind kind, uint32_t flags);
int32_t stage_drive_loop(struct stage_connection *connection, enum cp_kind kind, uint32_t flags);
/* The same for several connections in one loop; each has its own result. */
void stage_drive_all(struct stage_connection *connections, size_t count, enum cp_kind kind, uint32_t flags);

/* stage_drive of open; fails the case where it does not succeed. */
void stage_must_open(struct stage *stage, struct stage_connection *connection);
/* What a healthy connection's operation must answer: done, or of idle again. */
void stage_must(struct stage_connection *connection, enum cp_kind kind, uint32_t flags);

/* How many connections may be open at once: so many, or fewer where the server or this process may have only so many.
 * Raises the process's limit of descriptors. */
size_t stage_permitted(const struct conform_subject *subject, size_t most);

/* Descriptors of this process, by number, at most as many as the set holds. */
struct stage_descriptors {
    int fd[4096];
    size_t count;
};
void stage_list_descriptors(struct stage_descriptors *descriptors);
size_t stage_count_descriptors(void);
bool stage_holds(const struct stage_descriptors *descriptors, int fd);

#endif
