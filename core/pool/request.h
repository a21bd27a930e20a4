/* SPDX-License-Identifier: MIT */
/*
 * request: one asynchronous acquire: an acquire as a task of a reactor's loop, and the callback that is told of its
 * end. Records are the reactor's: one that has ended is used again with the next generation, so that a request that is
 * over can always be told, and no memory is taken once the reactor is warm. All functions: the reactor's own thread.
 */
#ifndef CP_REQUEST_H
#define CP_REQUEST_H

#include <connpool/async.h>

#include "engine/loop.h"
#include "pool/acquire.h"

struct connpool_request_record {
    struct cp_acquire acquire;
    struct cp_place *places;              /* one for each endpoint: `place`, or behind a list */
    struct connpool_endpoint **endpoints; /* counted: `endpoint`, or a list in memory of its own */
    size_t count;
    struct connpool_endpoint *endpoint;
    struct cp_place place;
    struct cp_task task;              /* the reactor holds one reference on its waker as long as it lives */
    struct connpool_reactor *reactor; /* constant */
    connpool_acquired_fn *callback;
    void *argument;
    int64_t began;             /* 0 unless observed */
    uint64_t generation;       /* rises when it ends */
    struct cp_operation inner; /* the acquire's own step and abandon */
    bool is_in_step;
    bool is_cancelled;
    bool is_ended;                              /* in the list of those */
    TAILQ_ENTRY(connpool_request_record) entry; /* in one of the lists below */
};

TAILQ_HEAD(cp_request_list, connpool_request_record);

struct cp_requests {
    struct cp_request_list running;
    struct cp_request_list ended; /* not told yet */
    struct cp_request_list free;
};

void cp_requests_init(struct cp_requests *requests);
/* None is under way. */
void cp_requests_fini(struct cp_requests *requests);

/* Those that were passed over return to their places in line. */
void cp_requests_return_to_line(struct cp_requests *requests);
/* Tell of those that ended without being told. False, here and in cp_requests_close: a callback forked, and this is the
 * child; nothing more was done. */
bool cp_requests_tell(struct cp_requests *requests);
/* End all with CONNPOOL_CLOSED, not from within a step of one. */
bool cp_requests_close(struct cp_requests *requests);

#endif
