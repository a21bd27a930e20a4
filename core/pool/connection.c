/* SPDX-License-Identifier: MIT */
/* connection: see connection.h. */
#include "pool/connection.h"

#include <assert.h>
#include <string.h>

#include "base/fork.h"
#include "base/memory.h"
#include "engine/token.h"
#include "pool/endpoints.h"
#include "pool/leak.h"
#include "pool/observe.h"
#include "pool/pool.h"
#include "pool/run.h"
#include "pool/watch.h"

#define TO(state) (1u << (state))

/* Which states may follow which; unused where asserts are off. */
__attribute__((unused)) static const unsigned next_states[CP_STATE_COUNT] = {
    [CP_FREE] = TO(CP_OPENING),
    [CP_OPENING] = TO(CP_CHECKING) | TO(CP_CLOSING) | TO(CP_FREE),
    [CP_CHECKING] = TO(CP_LEASED) | TO(CP_BASE) | TO(CP_EXTRA) | TO(CP_CHECKING) | TO(CP_CLOSING),
    [CP_LEASED] = TO(CP_RESETTING) | TO(CP_BASE) | TO(CP_EXTRA) | TO(CP_CLOSING),
    [CP_RESETTING] = TO(CP_CHECKING) | TO(CP_BASE) | TO(CP_EXTRA) | TO(CP_CLOSING),
    [CP_BASE] = TO(CP_CHECKING) | TO(CP_LEASED) | TO(CP_CLOSING),
    [CP_EXTRA] = TO(CP_CHECKING) | TO(CP_LEASED) | TO(CP_BASE) | TO(CP_CLOSING),
    [CP_CLOSING] = TO(CP_FREE),
};

void cp_connection_set_state(struct connpool_connection *connection, enum cp_state state)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    enum cp_state old = connection->state;

    assert((next_states[old] & TO(state)) != 0);
    if (old == CP_BASE) {
        TAILQ_REMOVE(&endpoint->idle[CP_CLASS_BASE], connection, link);
    } else if (old == CP_EXTRA) {
        TAILQ_REMOVE(&endpoint->idle[CP_CLASS_EXTRA], connection, link);
    }
    if (state == CP_BASE) {
        TAILQ_INSERT_TAIL(&endpoint->idle[CP_CLASS_BASE], connection, link);
    } else if (state == CP_EXTRA) {
        TAILQ_INSERT_HEAD(&endpoint->idle[CP_CLASS_EXTRA], connection, link);
    }
    endpoint->count[old]--;
    endpoint->count[state]++;
    connection->state = state;
}

static struct connpool_connection *take_free_record(struct connpool_pool *pool)
{
    struct connpool_connection *connection;

    cp_lock_take(&pool->lock);
    connection = TAILQ_FIRST(&pool->free_connections);
    if (connection != NULL) {
        TAILQ_REMOVE(&pool->free_connections, connection, link);
    }
    cp_lock_give(&pool->lock);
    if (connection == NULL) {
        connection = cp_alloc_lines(sizeof(*connection) + pool->manager->connection_size);
        if (connection != NULL) {
            connection->pool = pool;
        }
    }
    return connection;
}

static void put_free_record(struct connpool_connection *connection)
{
    struct connpool_pool *pool = connection->pool;

    cp_lock_take(&pool->lock);
    TAILQ_INSERT_HEAD(&pool->free_connections, connection, link);
    cp_lock_give(&pool->lock);
}

static void fill_head(struct connpool_connection *connection, struct connpool_endpoint *endpoint)
{
    struct connpool_head *head = (struct connpool_head *)connection->plugin_state;

    memset(connection->plugin_state, 0, endpoint->pool->manager->connection_size);
    head->host = &endpoint->host.table;
    head->options = endpoint->options == NULL ? NULL : cp_options_struct(endpoint->options);
    head->parent = endpoint->plugin_state;
}

/* All but what stale leases read at any time. */
static void reset_record(struct connpool_connection *connection)
{
    size_t kept = offsetof(struct connpool_connection, state);

    memset((char *)connection + kept, 0, sizeof(*connection) - kept);
    for (int i = 0; i < CP_CONNECTION_DESCRIPTORS; i++) {
        connection->descriptor_places[i] = -1;
    }
    connection->idle_fd = -1;
}

/* Of a connection that did not begin. */
static void give_record_back(struct connpool_connection *connection)
{
    cp_token_free(connection->token);
    connection->token = 0;
    put_free_record(connection);
}

struct connpool_connection *cp_connection_new(struct connpool_endpoint *endpoint)
{
    struct connpool_pool *pool = endpoint->pool;
    struct connpool_connection *connection = take_free_record(pool);
    bool is_closing;
    uint64_t token;

    if (connection == NULL) {
        return NULL;
    }
    token = cp_token_new();
    reset_record(connection);
    connection->token = token;
    if (token == 0 || !cp_leak_init(connection, endpoint)) {
        give_record_back(connection);
        return NULL;
    }
    cp_lock_take(&pool->lock);
    is_closing = pool->is_closing;
    if (!is_closing) {
        connection->id = ++pool->next_id;
        endpoint->was_leased_from = true;
        cp_context_ref(pool->context);
        atomic_fetch_add(&pool->context->connections, 1);
    }
    cp_lock_give(&pool->lock);
    if (is_closing) {
        cp_leak_fini(connection);
        give_record_back(connection);
        return NULL;
    }
    atomic_store_explicit(&connection->endpoint, endpoint, memory_order_relaxed);
    fill_head(connection, endpoint);
    cp_leak_track(connection);
    return connection;
}

struct connpool_connection *cp_connection_start(struct connpool_endpoint *endpoint)
{
    struct connpool_connection *connection = cp_connection_new(endpoint);

    if (connection == NULL) {
        return NULL;
    }
    cp_lock_take(&endpoint->lock);
    cp_connection_set_state(connection, CP_OPENING);
    cp_lock_give(&endpoint->lock);
    if (connection->pool->is_observed) {
        connection->opened_at = cp_clock_precise(&connection->pool->context->clock);
    }
    return connection;
}

void cp_connection_record_descriptors(struct connpool_connection *connection)
{
    int32_t found[CP_CONNECTION_DESCRIPTORS];
    int32_t count = 0;

    if (connection->pool->manager->descriptors != NULL) {
        count = connection->pool->manager->descriptors(connection->plugin_state, found, CP_CONNECTION_DESCRIPTORS);
    }
    for (int i = 0; i < CP_CONNECTION_DESCRIPTORS; i++) {
        int64_t old = connection->descriptor_places[i];

        /* Recorded twice for a moment, so that no fork finds it not recorded. */
        connection->descriptor_places[i] = i < count ? cp_fork_record(found[i]) : -1;
        cp_fork_forget(old);
    }
}

/* What the application and the plugin hold of the connection. */
static void destroy(struct connpool_connection *connection)
{
    const struct connpool_manager *manager = connection->pool->manager;

    cp_lock_assert_none();
    if (connection->created != 0 && connection->pool->is_observed) {
        cp_observe_closed(connection);
    }
    if (connection->data_destructor != NULL) {
        connection->data_destructor(connection->data);
    }
    connection->data = NULL;
    connection->data_destructor = NULL;
    if (connection->is_open_started) {
        manager->destroy(connection->plugin_state);
    }
    for (int i = 0; i < CP_CONNECTION_DESCRIPTORS; i++) {
        cp_fork_forget(connection->descriptor_places[i]);
    }
    cp_token_free(connection->token);
    connection->token = 0;
}

static void end(struct connpool_connection *connection, bool passes_slot)
{
    struct connpool_endpoint *endpoint = cp_connection_endpoint(connection);
    struct connpool_pool *pool = connection->pool;
    struct connpool *context = pool->context;
    bool is_named = endpoint->is_named;
    struct cp_wakes wakes = {.count = 0};

    if (!cp_run_abandon(connection)) {
        return;
    }
    destroy(connection);
    cp_lock_take(&pool->lock);
    cp_lock_take(&endpoint->lock);
    if (connection->is_open_started) {
        endpoint->counters.ended[connection->reason]++;
        endpoint->counters.unopened += connection->created == 0;
    }
    cp_leak_untrack(connection);
    cp_watch_connection_ended(connection);
    cp_connection_set_state(connection, CP_FREE);
    cp_lock_give(&endpoint->lock);
    if (passes_slot) {
        cp_line_pass_slot(endpoint, &wakes);
    } else {
        cp_line_unreserve(endpoint, &wakes);
    }
    cp_lock_give(&pool->lock);
    cp_wakes_fire(&wakes);
    if (!is_named) {
        cp_endpoints_purge(pool, cp_clock_coarse(&context->clock));
    }
    cp_context_connection_ended(context);
    put_free_record(connection);
    cp_context_unref(context);
}

void cp_connection_end(struct connpool_connection *connection)
{
    end(connection, false);
}

void cp_connection_end_keep_slot(struct connpool_connection *connection)
{
    end(connection, true);
}
