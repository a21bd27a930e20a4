/* SPDX-License-Identifier: MIT */
/* pool_client: a thread that acquires once, for tests in which several wait. */
#ifndef KIT_POOL_CLIENT_H
#define KIT_POOL_CLIENT_H

#include <pthread.h>

#include "pool_fixture.h"

struct pool_client {
    struct pool_fixture *fixture;
    const char *endpoint;
    int timeout_ms;
    connpool_lease lease; /* of the acquire that succeeded: the test's to release */
    connpool_status status;
    connpool_error error;
    atomic_int *turn; /* counts those that were served; may be NULL */
    int place;        /* what it counted before this one */
    atomic_bool is_done;
    pthread_t thread;
};

/* Start a thread that acquires; client is zeroed but for turn. */
void pool_client_start(struct pool_client *client, struct pool_fixture *fixture, const char *endpoint, int timeout_ms);
/* Whether its acquire has ended. */
bool pool_client_is_done(void *client);
/* Wait for its end, at most ten seconds. */
void pool_client_join(struct pool_client *client);
/* The same; the acquire must have succeeded. */
void pool_client_join_ok(struct pool_client *client);

#endif
