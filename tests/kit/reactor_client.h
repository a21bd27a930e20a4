/* SPDX-License-Identifier: MIT */
/*
 * reactor_client: a request as tests make it: the callback notes what it was told, and fails the test where it is
 * called twice, or at another time than inside reactor_turn or reactor_end.
 */
#ifndef KIT_REACTOR_CLIENT_H
#define KIT_REACTOR_CLIENT_H

#include <connpool/async.h>

#include "pool_fixture.h"

struct reactor_client {
    connpool_request request;
    int told; /* how often the callback was called */
    connpool_status status;
    connpool_lease lease; /* of the acquire that succeeded: the test's to release */
    connpool_error error;
    void (*then)(struct reactor_client *client); /* called in the callback; NULL: nothing */
    void *argument;                              /* for then */
    int *turn;                                   /* counts those that were told; may be NULL */
    int place;                                   /* what it counted before this one */
};

/* A reactor of the fixture's context. */
connpool_reactor *reactor_begin(struct pool_fixture *fixture);
/* Close it; must succeed. */
void reactor_end(connpool_reactor *reactor);

/* Submit; must be accepted. client is zeroed but for then, argument and turn. */
void reactor_submit(connpool_reactor *reactor, struct reactor_client *client, struct pool_fixture *fixture,
                    const char *endpoint, int timeout_ms);
/* The callback of a client, for a test that submits by itself. */
void reactor_client_tell(void *argument, connpool_status status, const connpool_lease *lease,
                         const connpool_error *error);
/* Cancel; must be in time. */
void reactor_cancel(struct reactor_client *client);

/* One dispatch; must succeed. */
void reactor_turn(connpool_reactor *reactor);
/* Whether its descriptor is readable now. */
bool reactor_is_readable(const connpool_reactor *reactor);
/* Dispatch as an event loop does, as long as the descriptor is readable. The clock stands still. */
void reactor_run(connpool_reactor *reactor);
/* Move the clock, then run. */
void reactor_run_after(connpool_reactor *reactor, struct pool_fixture *fixture, int64_t nanoseconds);
/* Wait for the descriptor, at most ten seconds, and dispatch, until it has been told; for the system's clock and for
 * what other threads do. */
void reactor_run_until_told(connpool_reactor *reactor, struct reactor_client *client);

/* It was told once, of this status. */
void reactor_assert_told(const struct reactor_client *client, connpool_status status);
/* It was told of a connection of this number, which is released. */
void reactor_give(struct reactor_client *client, uint32_t number);

#endif
