/* SPDX-License-Identifier: MIT */
/* scripted_operation: an operation whose steps answer by a script, and note what they found. */
#ifndef SCRIPTED_OPERATION_H
#define SCRIPTED_OPERATION_H

#include "engine/driver.h"

#define STEPS_MOST 8

/* Answer i is given by step i; the last one is repeated. */
struct scripted {
    struct cp_operation operation;
    struct connpool_wait answers[STEPS_MOST]; /* size 0: DONE */
    int count;
    int steps;
    int abandons;
    struct connpool_wait seen[STEPS_MOST];     /* as the steps found them */
    void (*during)(struct scripted *scripted); /* called in each step; NULL: nothing */
    void *argument;                            /* for during */
    struct cp_waker *waker;                    /* of the last step that asked for WAKE */
};

/* An empty script. */
void script(struct scripted *scripted);
/* The next answer: done, or again with this wait. */
void answer_done(struct scripted *scripted);
void answer_again(struct scripted *scripted, int fd, uint32_t events, int64_t at, uint32_t flags);
/* For during: fires the waker, if there is one. */
void wake_itself(struct scripted *scripted);

#endif
