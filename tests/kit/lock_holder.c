/* SPDX-License-Identifier: MIT */
/* lock_holder: see lock_holder.h. */
#include "lock_holder.h"

#include "pool/pool.h"
#include "pool_fixture.h"

static void *hold(void *argument)
{
    struct lock_holder *holder = argument;
    connpool_endpoint *endpoint = holder->endpoint;

    cp_lock_take(&endpoint->pool->context->lock);
    cp_lock_take(&endpoint->pool->lock);
    cp_lock_take(&endpoint->lock);
    (void)pthread_barrier_wait(&holder->has);
    (void)pthread_barrier_wait(&holder->may_go);
    cp_lock_give(&endpoint->lock);
    cp_lock_give(&endpoint->pool->lock);
    cp_lock_give(&endpoint->pool->context->lock);
    return NULL;
}

void lock_holder_start(struct lock_holder *holder, connpool_endpoint *endpoint)
{
    holder->endpoint = endpoint;
    (void)pthread_barrier_init(&holder->has, NULL, 2);
    (void)pthread_barrier_init(&holder->may_go, NULL, 2);
    assert_int_equal(pthread_create(&holder->thread, NULL, hold, holder), 0);
    (void)pthread_barrier_wait(&holder->has);
}

void lock_holder_stop(struct lock_holder *holder)
{
    (void)pthread_barrier_wait(&holder->may_go);
    assert_int_equal(pthread_join(holder->thread, NULL), 0);
    (void)pthread_barrier_destroy(&holder->has);
    (void)pthread_barrier_destroy(&holder->may_go);
}
