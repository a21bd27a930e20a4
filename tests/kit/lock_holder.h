/* SPDX-License-Identifier: MIT */
/* lock_holder: another thread that has the locks of a context, a pool and an endpoint while the test forks. */
#ifndef KIT_LOCK_HOLDER_H
#define KIT_LOCK_HOLDER_H

#include <connpool/connpool.h>
#include <pthread.h>

struct lock_holder {
    connpool_endpoint *endpoint;
    pthread_barrier_t has, may_go;
    pthread_t thread;
};

/* It has them when this returns: those of the endpoint, its pool and its context. */
void lock_holder_start(struct lock_holder *holder, connpool_endpoint *endpoint);
/* It has given them. */
void lock_holder_stop(struct lock_holder *holder);

#endif
