/* SPDX-License-Identifier: MIT */
/* request: see request.h; connpool_acquire_async and connpool_request_cancel. */
#include "pool/request.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/memory.h"
#include "pool/acquire_call.h"
#include "pool/endpoints.h"
#include "pool/reactor.h"

static struct connpool_request_record *record_of_operation(struct cp_operation *operation)
{
    return (struct connpool_request_record *)((char *)operation -
                                              offsetof(struct connpool_request_record, acquire.operation));
}

static struct connpool_request_record *record_of_task(struct cp_task *task)
{
    return (struct connpool_request_record *)((char *)task - offsetof(struct connpool_request_record, task));
}

/* ---- Records ---- */

void cp_requests_init(struct cp_requests *requests)
{
    TAILQ_INIT(&requests->running);
    TAILQ_INIT(&requests->ended);
    TAILQ_INIT(&requests->free);
}

void cp_requests_fini(struct cp_requests *requests)
{
    struct connpool_request_record *record;

    while ((record = TAILQ_FIRST(&requests->free)) != NULL) {
        TAILQ_REMOVE(&requests->free, record, entry);
        cp_waker_unref(&record->task.waker); /* a wake that is under way may hold it a little longer */
    }
}

static void dispose(struct cp_task *task)
{
    cp_free(record_of_task(task));
}

static struct connpool_request_record *take_record(struct connpool_reactor *reactor)
{
    struct connpool_request_record *record = TAILQ_FIRST(&reactor->requests.free);

    if (record != NULL) {
        TAILQ_REMOVE(&reactor->requests.free, record, entry);
        return record;
    }
    record = cp_alloc(sizeof(*record));
    if (record != NULL) {
        record->reactor = reactor;
        record->generation = 1;
    }
    return record;
}

/* Memory for a list of endpoints: their places in line, then their handles. */
static bool new_list(size_t count, struct cp_place **list)
{
    *list = count == 1 ? NULL : cp_alloc(count * (sizeof(**list) + sizeof(struct connpool_endpoint *)));
    return count == 1 || *list != NULL;
}

/* The record keeps the handles, and the list, while its request is under way. */
static void hold_endpoints(struct connpool_request_record *record, struct connpool_endpoint *const *endpoints,
                           size_t count, struct cp_place *list)
{
    record->count = count;
    record->places = list != NULL ? list : &record->place;
    record->endpoints = list != NULL ? (struct connpool_endpoint **)(void *)(list + count) : &record->endpoint;
    for (size_t i = 0; i < count; i++) {
        record->endpoints[i] = endpoints[i];
        if (!endpoints[i]->is_named) {
            cp_lock_take(&endpoints[i]->pool->lock);
            cp_endpoints_ref(endpoints[i]);
            cp_lock_give(&endpoints[i]->pool->lock);
        }
    }
}

static void let_endpoints_go(struct connpool_request_record *record)
{
    for (size_t i = 0; i < record->count; i++) {
        cp_endpoints_put(record->endpoints[i]);
    }
    if (record->places != &record->place) {
        cp_free(record->places);
    }
}

static void put_record(struct connpool_request_record *record)
{
    let_endpoints_go(record);
    TAILQ_INSERT_HEAD(&record->reactor->requests.free, record, entry);
}

/* ---- Running ---- */

static int32_t step(struct cp_operation *operation, struct connpool_wait *wait)
{
    struct connpool_request_record *record = record_of_operation(operation);
    int32_t result;

    record->is_in_step = true;
    result = record->inner.step(operation, wait);
    record->is_in_step = false;
    return result;
}

/* A loop abandons nothing by itself: it was cancelled, or what it runs in closes. */
static void abandon(struct cp_operation *operation)
{
    struct connpool_request_record *record = record_of_operation(operation);

    record->inner.abandon(operation);
    record->acquire.status =
        cp_error_set(&record->acquire.error, CONNPOOL_CLOSED, 0, "pool '%s': the %s is closed",
                     record->acquire.pool->name, record->reactor->is_retiring ? "context" : "reactor");
}

/* The request is over: its callback is told, in which it cannot be cancelled any more. */
static void tell(struct connpool_request_record *record)
{
    struct cp_acquire *acquire = &record->acquire;
    connpool_lease none = CONNPOOL_LEASE_NONE;
    bool is_ok;

    record->generation++;
    cp_acquire_call_ended(acquire, record->began);
    is_ok = acquire->status == CONNPOOL_OK;
    cp_lock_assert_none();
    record->callback(record->argument, acquire->status, is_ok ? &acquire->lease : &none,
                     is_ok ? NULL : &acquire->error);
    if (!cp_reactor_is_forked(record->reactor)) { /* the callback may have forked, and returned in the child */
        put_record(record);
    }
}

static void done(struct cp_task *task)
{
    struct connpool_request_record *record = record_of_task(task);
    struct connpool_reactor *reactor = record->reactor;

    TAILQ_REMOVE(&reactor->requests.running, record, entry);
    if (record->is_cancelled) {
        record->generation++;
        put_record(record);
    } else if (reactor->is_retiring) {
        record->is_ended = true;
        TAILQ_INSERT_TAIL(&reactor->requests.ended, record, entry);
        cp_loop_kick(reactor->loop);
    } else {
        tell(record);
    }
}

/* To its place, if it was passed over; what came free meanwhile may be for it. */
static void return_to_line(struct connpool_request_record *record)
{
    struct connpool_pool *pool = record->acquire.pool;
    struct cp_wakes wakes = {.count = 0};

    cp_lock_take(&pool->lock);
    cp_line_return(pool, &record->acquire.waiter, &wakes);
    cp_lock_give(&pool->lock);
    cp_wakes_fire(&wakes);
}

void cp_requests_return_to_line(struct cp_requests *requests)
{
    struct connpool_request_record *record;

    TAILQ_FOREACH (record, &requests->running, entry) {
        if (record->acquire.is_in_line) {
            return_to_line(record);
        }
    }
}

bool cp_requests_tell(struct cp_requests *requests)
{
    uint32_t generation = cp_fork_generation;
    struct connpool_request_record *record;

    while (generation == cp_fork_generation && (record = TAILQ_FIRST(&requests->ended)) != NULL) {
        TAILQ_REMOVE(&requests->ended, record, entry);
        tell(record);
    }
    return generation == cp_fork_generation;
}

bool cp_requests_close(struct cp_requests *requests)
{
    uint32_t generation = cp_fork_generation;
    struct connpool_request_record *record;

    while (generation == cp_fork_generation && (record = TAILQ_FIRST(&requests->running)) != NULL) {
        cp_loop_abandon(record->reactor->loop, &record->task);
    }
    return generation == cp_fork_generation;
}

/* ---- Calls ---- */

static connpool_status refuse(const struct connpool_reactor *reactor, struct connpool_endpoint *const *endpoints,
                              size_t count, connpool_acquired_fn *callback, connpool_error *error)
{
    connpool_status status;
    const char *pool;

    if (reactor == NULL || callback == NULL) {
        return cp_error_set(error, CONNPOOL_INVALID, 0, "acquire_async: the %s is NULL",
                            reactor == NULL ? "reactor" : "callback");
    }
    status = cp_acquire_call_check_list(endpoints, count, error);
    if (status != CONNPOOL_OK) {
        return status;
    }
    pool = endpoints[0]->pool->name;
    if (endpoints[0]->pool->context != reactor->context) {
        return cp_error_set(error, CONNPOOL_INVALID, 0, "acquire_async: pool '%s' is not of the reactor's context",
                            pool);
    }
    if (!cp_reactor_is_mine(reactor)) {
        return cp_error_set(error, CONNPOOL_INVALID, 0,
                            "acquire_async, pool '%s': called from a thread that is not the reactor's", pool);
    }
    if (reactor->is_closing || atomic_load(&reactor->context->is_closing)) {
        return cp_error_set(error, CONNPOOL_CLOSED, 0, "pool '%s': the %s is closed", pool,
                            reactor->is_closing ? "reactor" : "context");
    }
    return CONNPOOL_OK;
}

static void start(struct connpool_request_record *record, int64_t timeout)
{
    struct connpool_reactor *reactor = record->reactor;
    struct connpool_pool *pool = record->endpoints[0]->pool;
    bool is_first = record->task.loop == NULL;
    int cancel_state = cp_cancel_disable();

    cp_acquire_init(&record->acquire, record->endpoints, record->count, record->places, timeout);
    record->acquire.flags = CONNPOOL_WAIT_FOR_LOOP;
    record->acquire.waiter.lane = &reactor->lanes[pool->index];
    record->inner = record->acquire.operation;
    record->acquire.operation.step = step;
    record->acquire.operation.abandon = abandon;
    record->began = cp_acquire_call_began(pool);
    record->is_cancelled = false;
    record->is_ended = false;
    TAILQ_INSERT_TAIL(&reactor->requests.running, record, entry);
    cp_loop_start(reactor->loop, &record->task, &record->acquire.operation, done, dispose);
    if (is_first) {
        (void)cp_waker_ref(&record->task.waker);
    }
    cp_cancel_restore(cancel_state);
}

/* called_from: the return address of the public function. */
static connpool_status submit(connpool_reactor *reactor, connpool_endpoint *const *endpoints, size_t count,
                              int timeout_ms, connpool_acquired_fn *callback, void *argument, connpool_request *request,
                              void *called_from, connpool_error *error)
{
    connpool_status status = refuse(reactor, endpoints, count, callback, error);
    struct connpool_request_record *record;
    struct cp_place *list;
    int64_t timeout = CP_NEVER;

    if (status == CONNPOOL_OK) {
        status = cp_acquire_call_timeout(endpoints[0], timeout_ms, &timeout, error);
    }
    if (status != CONNPOOL_OK) {
        return status;
    }
    record = new_list(count, &list) ? take_record(reactor) : NULL;
    if (record == NULL) {
        cp_free(list);
        return cp_error_no_memory(error, endpoints[0]->pool->name);
    }
    hold_endpoints(record, endpoints, count, list);
    record->callback = callback;
    record->argument = argument;
    if (endpoints[0]->pool->finds_leaks) {
        cp_leak_site_capture(&record->acquire.site, called_from);
    }
    start(record, timeout);
    if (request != NULL) {
        *request = (connpool_request){.record = record, .generation = record->generation};
    }
    return CONNPOOL_OK;
}

connpool_status connpool_acquire_any_async(connpool_reactor *reactor, connpool_endpoint *const *endpoints, size_t count,
                                           int timeout_ms, connpool_acquired_fn *callback, void *argument,
                                           connpool_request *request, connpool_error *error)
{
    return submit(reactor, endpoints, count, timeout_ms, callback, argument, request, __builtin_return_address(0),
                  error);
}

connpool_status connpool_acquire_async(connpool_reactor *reactor, connpool_endpoint *endpoint, int timeout_ms,
                                       connpool_acquired_fn *callback, void *argument, connpool_request *request,
                                       connpool_error *error)
{
    return submit(reactor, &endpoint, 1, timeout_ms, callback, argument, request, __builtin_return_address(0), error);
}

static void cancel(struct connpool_request_record *record)
{
    struct connpool_reactor *reactor = record->reactor;

    if (!record->is_ended) {
        struct cp_reactor_visit visit = cp_reactor_enter(reactor);

        record->is_cancelled = true;
        cp_loop_abandon(reactor->loop, &record->task);
        cp_reactor_exit(visit);
        return;
    }
    TAILQ_REMOVE(&reactor->requests.ended, record, entry);
    record->generation++;
    put_record(record);
}

connpool_status connpool_request_cancel(connpool_request *request)
{
    struct connpool_request_record *record = request == NULL ? NULL : request->record;

    if (record == NULL) {
        return CONNPOOL_STALE;
    }
    if (cp_reactor_is_forked(record->reactor)) {
        return CONNPOOL_FORKED;
    }
    if (!cp_reactor_is_mine(record->reactor)) {
        return CONNPOOL_INVALID;
    }
    if (record->generation != request->generation) {
        return CONNPOOL_STALE;
    }
    if (record->is_in_step) {
        return CONNPOOL_INVALID;
    }
    cancel(record);
    request->record = NULL;
    return CONNPOOL_OK;
}
