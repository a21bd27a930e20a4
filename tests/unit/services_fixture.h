/* SPDX-License-Identifier: MIT */
/*
 * services_fixture: what the tests of dial, resolve and offload share: a context's services with one endpoint's table,
 * a resolver that answers from a table of names and can be held, and drivers for a sub-operation.
 */
#ifndef SERVICES_FIXTURE_H
#define SERVICES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/driver.h"
#include "engine/token.h"
#include "network/host.h"
#include "network/resolve.h"
#include "network/services.h"

/* Nothing that these tests wait for takes longer. */
#define FIXTURE_LIMIT (20 * CP_SECOND)

static const struct cp_clock fixture_clock;

/* ---- The resolver */

struct fixture_name {
    const char *name;
    int code;     /* getaddrinfo's answer */
    int os_error; /* with EAI_SYSTEM */
    bool held;    /* until fixture_let_go */
    const char *addresses[6];
};

struct fixture_resolver {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct fixture_name *names;
    size_t count;
    bool let_go;
    unsigned calls;        /* so far */
    unsigned held;         /* calls that are held now */
    unsigned returns;      /* results given */
    struct addrinfo hints; /* of the last call */
};

static struct fixture_resolver fixture_resolver = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                                   .changed = PTHREAD_COND_INITIALIZER};

static inline struct addrinfo *fixture_addresses(const struct fixture_name *name)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *first = NULL;
    struct addrinfo **last = &first;

    for (size_t i = 0; name->addresses[i] != NULL; i++) {
        if (getaddrinfo(name->addresses[i], NULL, &hints, last) != 0) {
            abort();
        }
        last = &(*last)->ai_next;
    }
    return first;
}

static inline void fixture_freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;

        list->ai_next = NULL;
        freeaddrinfo(list);
        list = next;
    }
}

static inline int fixture_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                                      struct addrinfo **result)
{
    struct fixture_resolver *resolver = &fixture_resolver;
    const struct fixture_name *name = NULL;

    (void)service;
    (void)pthread_mutex_lock(&resolver->lock);
    for (size_t i = 0; i < resolver->count; i++) {
        if (strcasecmp(resolver->names[i].name, node) == 0) {
            name = &resolver->names[i];
        }
    }
    resolver->calls++;
    resolver->hints = *hints;
    (void)pthread_cond_broadcast(&resolver->changed);
    resolver->held += name != NULL && name->held;
    while (name != NULL && name->held && !resolver->let_go) {
        (void)pthread_cond_wait(&resolver->changed, &resolver->lock);
    }
    resolver->held -= name != NULL && name->held;
    resolver->returns++;
    (void)pthread_cond_broadcast(&resolver->changed);
    (void)pthread_mutex_unlock(&resolver->lock);
    if (name == NULL || name->code != 0) {
        errno = name != NULL ? name->os_error : 0;
        return name != NULL ? name->code : EAI_NONAME;
    }
    *result = fixture_addresses(name);
    return 0;
}

static inline void fixture_resolve_with(const struct fixture_name *names, size_t count)
{
    (void)pthread_mutex_lock(&fixture_resolver.lock);
    fixture_resolver.names = names;
    fixture_resolver.count = count;
    fixture_resolver.let_go = false;
    fixture_resolver.calls = 0;
    fixture_resolver.returns = 0;
    (void)pthread_mutex_unlock(&fixture_resolver.lock);
    if (cp_resolve_getaddrinfo != fixture_getaddrinfo) { /* later a thread may still be in the last test's */
        cp_resolve_getaddrinfo = fixture_getaddrinfo;
        cp_resolve_freeaddrinfo = fixture_freeaddrinfo;
    }
}

static inline void fixture_let_go(void)
{
    (void)pthread_mutex_lock(&fixture_resolver.lock);
    fixture_resolver.let_go = true;
    (void)pthread_cond_broadcast(&fixture_resolver.changed);
    (void)pthread_mutex_unlock(&fixture_resolver.lock);
}

/* Wait until one of the resolver's numbers has reached a value. */
static inline void fixture_await(const unsigned *number, unsigned least)
{
    (void)pthread_mutex_lock(&fixture_resolver.lock);
    while (*number < least) {
        (void)pthread_cond_wait(&fixture_resolver.changed, &fixture_resolver.lock);
    }
    (void)pthread_mutex_unlock(&fixture_resolver.lock);
}

static inline unsigned fixture_read(const unsigned *number)
{
    unsigned value;

    (void)pthread_mutex_lock(&fixture_resolver.lock);
    value = *number;
    (void)pthread_mutex_unlock(&fixture_resolver.lock);
    return value;
}

/* ---- Services */

struct fixture {
    struct cp_services *services;
    struct cp_host host;
};

static inline void fixture_init(struct fixture *fixture, unsigned resolvers, unsigned workers)
{
    const struct cp_log log = {.write = NULL};

    fixture->services = cp_services_new(&fixture_clock, &log, resolvers, workers);
    assert_non_null(fixture->services);
    cp_host_init(&fixture->host, fixture->services);
}

/* End, whatever its threads are doing. */
static inline void fixture_abandon(struct fixture *fixture)
{
    cp_host_fini(&fixture->host);
    cp_services_close(fixture->services);
    cp_services_unref(fixture->services);
}

/* End, and wait until its threads have, so that none reaches into the next test; none may be held. */
static inline void fixture_fini(struct fixture *fixture)
{
    struct cp_services *services = cp_services_ref(fixture->services);

    fixture_abandon(fixture);
    while (cp_workers_threads(services->resolvers) + cp_workers_threads(services->offload) > 0) {
        (void)sched_yield();
    }
    cp_services_unref(services);
}

static inline unsigned fixture_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

/* ---- Drivers */

typedef int32_t fixture_step_fn(void *object, struct connpool_wait *wait, struct connpool_fault *fault);

struct fixture_drive {
    struct cp_operation operation;
    fixture_step_fn *step;
    void *object;
    uint64_t token;
    unsigned steps;
    int32_t result;
    struct connpool_fault fault;
};

static inline int32_t fixture_operation_step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct fixture_drive *drive = (struct fixture_drive *)operation;

    if (drive->token == 0) {
        drive->token = cp_token_new();
        cp_token_arm(drive->token, cp_operation_waker(operation));
    }
    wait->token = drive->token;
    drive->steps++;
    drive->result = drive->step(drive->object, wait, &drive->fault);
    return drive->result == CONNPOOL_STEP_AGAIN ? CONNPOOL_STEP_AGAIN : CONNPOOL_STEP_DONE;
}

static inline void fixture_operation_abandon(struct cp_operation *operation)
{
    (void)operation;
}

/* Drive to the end in this thread, by the system's clock; the result. */
static inline int32_t fixture_run(struct fixture_drive *drive, fixture_step_fn *step, void *object)
{
    *drive = (struct fixture_drive){.operation = {.step = fixture_operation_step, .abandon = fixture_operation_abandon},
                                    .step = step,
                                    .object = object};
    cp_fault_init(&drive->fault);
    assert_true(cp_drive(&drive->operation, NULL, &fixture_clock, cp_clock_precise(&fixture_clock) + FIXTURE_LIMIT));
    cp_token_free(drive->token);
    return drive->result;
}

/* One step at a time of the test's choice. */
static inline int32_t fixture_step(fixture_step_fn *step, void *object, int64_t now, struct connpool_wait *wait,
                                   struct connpool_fault *fault)
{
    cp_wait_init(wait, now, 0, 0);
    return step(object, wait, fault);
}

/* Wait until the descriptor of a wait is ready. */
static inline void fixture_await_ready(const struct connpool_wait *wait)
{
    struct pollfd poll_fd = {.fd = wait->fd,
                             .events = (short)((wait->events & CONNPOOL_EVENT_READ ? POLLIN : 0) |
                                               (wait->events & CONNPOOL_EVENT_WRITE ? POLLOUT : 0))};

    assert_true(wait->fd >= 0);
    assert_int_equal(poll(&poll_fd, 1, (int)(FIXTURE_LIMIT / CP_MILLISECOND)), 1);
}

static inline bool fixture_is_ready(const struct connpool_wait *wait)
{
    struct pollfd poll_fd = {.fd = wait->fd,
                             .events = (short)((wait->events & CONNPOOL_EVENT_READ ? POLLIN : 0) |
                                               (wait->events & CONNPOOL_EVENT_WRITE ? POLLOUT : 0))};

    return poll(&poll_fd, 1, 0) == 1;
}

#endif
