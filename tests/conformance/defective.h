/* SPDX-License-Identifier: MIT */
/*
 * defective: a manager of a small protocol of lines that can be given one defect at a time, so that the suite shows
 * what it catches. Without one it is sound. Its server is server_lines: each thing said comes back.
 */
#ifndef CONFORM_DEFECTIVE_H
#define CONFORM_DEFECTIVE_H

#include <connpool/manager.h>

enum defect {
    DEFECT_NONE,
    DEFECT_LEAKS_DESCRIPTOR,  /* destroy forgets one */
    DEFECT_DESTROY_CRASHES,   /* in the middle of an open */
    DEFECT_DESTROY_WAITS,     /* for a last word of the peer */
    DEFECT_BLOCKS,            /* a step waits a few milliseconds */
    DEFECT_BLOCKS_FOR_EVER,   /* a step waits for the peer */
    DEFECT_WAITS_FOR_ANSWER,  /* a step waits for the answer to what it said, which is there soon */
    DEFECT_BURNS,             /* a step computes for a few milliseconds */
    DEFECT_AGAIN_FOR_NOTHING, /* again, and nothing that ends the wait */
    DEFECT_AGAIN_MARKED,      /* an operation marked as blocking answers again */
    DEFECT_SPINS,             /* asks for what is always there */
    DEFECT_ANSWERS_NONSENSE,  /* a step answers 77 */
    DEFECT_SECRET_IN_ERROR,
    DEFECT_SECRET_IN_LOG,
    DEFECT_PRINTS,              /* to stderr */
    DEFECT_SIGPIPE,             /* sends without MSG_NOSIGNAL */
    DEFECT_IGNORES_SIGPIPE,     /* for the whole process */
    DEFECT_CHECK_OF_NOTHING,    /* its check makes no round trip */
    DEFECT_IDLE_SEES_NOTHING,   /* its idle takes no notice */
    DEFECT_THREAD_LOCAL,        /* keeps its progress in the thread */
    DEFECT_SHARED_PROGRESS,     /* keeps its progress in one place for all connections */
    DEFECT_EARLY_FAILS,         /* believes that a call means that something is there */
    DEFECT_OWN_TIMEOUT,         /* fails by a time limit of its own */
    DEFECT_WAIT_CHANGES,        /* asks for another time at each call */
    DEFECT_TELLS_NO_DESCRIPTOR, /* and ends its connections at exit, in a forked child too */
    DEFECT_NO_CLOEXEC,
    DEFECT_NATIVE_OF_ANYTHING,
    DEFECT_HANDLE_MODE, /* prepare does not look at FOR_LOOP */
    DEFECT_FAULT_WITHOUT_TEXT,
    DEFECT_REFUSED_IS_INTERNAL, /* the wrong class */
    DEFECT_PIECES,              /* believes that what was said in one piece comes in one */
    DEFECT_CUT_IS_VERDICT,      /* believes that a server that is gone does not like it */
    DEFECT_HELP,                /* a row says nothing of itself */
    DEFECT_PARSER_CRASHES,      /* of text without a colon */
    DEFECT_COUNT
};

/* Give it this defect, in this process from now on. */
void defective_set(enum defect defect);
/* Its table. */
const struct connpool_manager *defective_manager(void);

#endif
