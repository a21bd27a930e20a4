/* SPDX-License-Identifier: MIT */
/* simple_pool: see simple_pool.h. */
#include "simple_pool.h"

#include <pthread.h>
#include <stdlib.h>

struct simple_pool {
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    int count;
    int stack[];
};

struct simple_pool *simple_pool_new(int connections)
{
    struct simple_pool *pool = malloc(sizeof(*pool) + (size_t)connections * sizeof(pool->stack[0]));

    if (pool == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_cond_init(&pool->freed, NULL);
    for (pool->count = 0; pool->count < connections; pool->count++) {
        pool->stack[pool->count] = pool->count + 1;
    }
    return pool;
}

void simple_pool_free(struct simple_pool *pool)
{
    if (pool != NULL) {
        (void)pthread_cond_destroy(&pool->freed);
        (void)pthread_mutex_destroy(&pool->mutex);
        free(pool);
    }
}

int simple_pool_acquire(struct simple_pool *pool)
{
    int connection;

    (void)pthread_mutex_lock(&pool->mutex);
    while (pool->count == 0) {
        (void)pthread_cond_wait(&pool->freed, &pool->mutex);
    }
    connection = pool->stack[--pool->count];
    (void)pthread_mutex_unlock(&pool->mutex);
    return connection;
}

void simple_pool_release(struct simple_pool *pool, int connection)
{
    (void)pthread_mutex_lock(&pool->mutex);
    pool->stack[pool->count++] = connection;
    (void)pthread_mutex_unlock(&pool->mutex);
    (void)pthread_cond_signal(&pool->freed);
}
