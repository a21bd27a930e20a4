/* SPDX-License-Identifier: MIT */
/* offload: see offload.h. Two sides hold the object, the plugin's operation and the worker; whichever is last releases
 * the job. The worker touches nothing of the context: the token outlives everything. */
#include "network/offload.h"

#include <errno.h>
#include <pthread.h>

#include "base/error.h"
#include "base/memory.h"
#include "engine/token.h"
#include "network/services.h"

struct connpool_offload {
    struct cp_work work;        /* first */
    struct cp_workers *workers; /* lives as long as the host's services: touched by the plugin's side only */
    void (*call)(void *job);
    void (*release)(void *job);
    void *job;
    pthread_mutex_t lock; /* guards the rest */
    uint64_t token;       /* of the step that waits, 0: none yet */
    bool complete;
    bool stopped;
};

static void dispose(struct connpool_offload *offload)
{
    (void)pthread_mutex_destroy(&offload->lock);
    cp_free(offload);
}

static void release_job(struct connpool_offload *offload)
{
    if (offload->release != NULL) {
        offload->release(offload->job);
    }
    dispose(offload);
}

static void run(struct cp_work *work)
{
    struct connpool_offload *offload = (struct connpool_offload *)work;
    uint64_t token;
    bool stopped;

    offload->call(offload->job);
    (void)pthread_mutex_lock(&offload->lock);
    offload->complete = true;
    token = offload->token;
    stopped = offload->stopped;
    (void)pthread_mutex_unlock(&offload->lock);
    if (stopped) {
        release_job(offload);
    } else if (token != 0) {
        cp_token_wake(token);
    }
}

struct connpool_offload *cp_offload_start(const struct connpool_host *host, void (*call)(void *job),
                                          void (*release)(void *job), void *job, struct connpool_fault *fault)
{
    struct cp_services *services = cp_host_of(host)->services;
    struct connpool_offload *offload;

    if (services == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_UNSUPPORTED, 0, "load has no workers: offload from a step function");
        return NULL;
    }
    offload = cp_alloc(sizeof(*offload));
    if (offload == NULL) {
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, ENOMEM, "offload: out of memory");
        return NULL;
    }
    offload->work.run = run;
    offload->workers = services->offload;
    offload->call = call;
    offload->release = release;
    offload->job = job;
    (void)pthread_mutex_init(&offload->lock, NULL);
    if (!cp_workers_submit(services->offload, &offload->work)) {
        dispose(offload);
        (void)cp_fault_set(fault, CONNPOOL_ERROR_RESOURCE_LOCAL, EAGAIN,
                           "offload: no worker thread could be started, and none is running");
        return NULL;
    }
    return offload;
}

int32_t cp_offload_step(struct connpool_offload *offload, struct connpool_wait *wait, struct connpool_fault *fault)
{
    bool complete;

    (void)fault;
    (void)pthread_mutex_lock(&offload->lock);
    complete = offload->complete;
    offload->token = wait->token;
    (void)pthread_mutex_unlock(&offload->lock);
    if (complete) {
        return CONNPOOL_STEP_DONE;
    }
    wait->flags |= CONNPOOL_WAIT_WAKE;
    return CONNPOOL_STEP_AGAIN;
}

static bool is_complete(struct connpool_offload *offload)
{
    bool complete;

    (void)pthread_mutex_lock(&offload->lock);
    complete = offload->complete;
    (void)pthread_mutex_unlock(&offload->lock);
    return complete;
}

void *cp_offload_take(struct connpool_offload *offload)
{
    return is_complete(offload) ? offload->job : NULL;
}

void cp_offload_stop(struct connpool_offload *offload)
{
    bool complete;

    if (offload == NULL) {
        return;
    }
    if (cp_workers_cancel(offload->workers, &offload->work)) {
        release_job(offload);
        return;
    }
    (void)pthread_mutex_lock(&offload->lock);
    complete = offload->complete;
    offload->stopped = true;
    (void)pthread_mutex_unlock(&offload->lock);
    if (complete) {
        release_job(offload);
    }
}
