/* SPDX-License-Identifier: MIT */
/* local_check: see local_check.h. */
#include "pool/local_check.h"

#include <errno.h>
#include <poll.h>

#include "base/error.h"
#include "base/events.h"
#include "pool/pool.h"
#include "pool/run.h"

static void poll_now(struct pollfd *polled, nfds_t count)
{
    while (poll(polled, count, 0) < 0 && errno == EINTR) {
    }
}

enum cp_local_check cp_local_check_step(struct connpool_connection *connection, struct connpool_wait *wait,
                                        struct cp_operation *driven)
{
    int32_t result;

    cp_run_start(connection, CP_IDLE, wait->now);
    connection->is_first_step = wait->ready == 0;
    result = cp_run_step(connection, wait, driven);
    if (result < 0) {
        return CP_LOCAL_DEAD;
    }
    if (result == CONNPOOL_STEP_DONE) {
        cp_wait_init(wait, wait->now, 0, 0);
    }
    connection->idle_is_named = true;
    connection->idle_fd = wait->fd;
    connection->idle_events = wait->events;
    connection->idle_is_busy = (wait->flags & CONNPOOL_WAIT_BUSY) != 0;
    return connection->idle_is_busy ? CP_LOCAL_BUSY : CP_LOCAL_ALIVE;
}

static enum cp_local_check step_idle(struct connpool_connection *connection, int64_t now, uint32_t ready)
{
    struct connpool_wait wait;

    cp_wait_init(&wait, now, ready, 0);
    return cp_local_check_step(connection, &wait, NULL);
}

/* A peer that only half closed is told as readable: its end of file is. */
static uint32_t ready_of(const struct connpool_connection *connection, short happened)
{
    short readable = (short)((happened & POLLRDHUP) != 0 ? POLLIN : 0);

    return cp_events_from_poll((short)(happened | readable), connection->idle_events);
}

uint32_t cp_local_check_ready(const struct connpool_connection *connection)
{
    struct pollfd polled = {.fd = connection->idle_fd,
                            .events = (short)(cp_events_to_poll(connection->idle_events) | POLLRDHUP)};

    if (connection->idle_fd >= 0) {
        poll_now(&polled, 1);
    }
    return polled.revents == 0 ? 0 : ready_of(connection, polled.revents);
}

/* plugin-abi.md, A step, rule 8: the first call if none was made, a poll, one call with what is ready. */
static enum cp_local_check check_by_idle(struct connpool_connection *connection, int64_t now)
{
    enum cp_local_check result =
        connection->idle_is_named && !connection->idle_is_busy ? CP_LOCAL_ALIVE : step_idle(connection, now, 0);
    uint32_t ready;

    if (result == CP_LOCAL_DEAD) {
        return result;
    }
    ready = cp_local_check_ready(connection);
    return ready == 0 ? result : step_idle(connection, now, ready);
}

/* Nothing is to come from the peer of a parked connection: what is readable is dead (failures.md A10, A11, A20). */
enum cp_local_check cp_local_check_descriptors(struct connpool_connection *connection, int32_t *descriptors,
                                               int32_t *count)
{
    struct pollfd polled[CP_CONNECTION_DESCRIPTORS];
    int32_t found =
        connection->pool->manager->descriptors(connection->plugin_state, descriptors, CP_CONNECTION_DESCRIPTORS);

    *count = found < CP_CONNECTION_DESCRIPTORS ? found : CP_CONNECTION_DESCRIPTORS;
    for (int32_t i = 0; i < *count; i++) {
        polled[i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN | POLLRDHUP};
    }
    if (*count > 0) {
        poll_now(polled, (nfds_t)*count);
    }
    for (int32_t i = 0; i < *count; i++) {
        if (polled[i].revents != 0) {
            connection->kind = CP_IDLE;
            cp_fault_init(&connection->fault);
            (void)cp_fault_set(&connection->fault, CONNPOOL_ERROR_CLOSED, 0,
                               "the peer closed the connection, or sent something, while it was idle");
            return CP_LOCAL_DEAD;
        }
    }
    return CP_LOCAL_ALIVE;
}

enum cp_local_check cp_local_check(struct connpool_connection *connection, int64_t now)
{
    const struct connpool_manager *manager = connection->pool->manager;
    int32_t descriptors[CP_CONNECTION_DESCRIPTORS];
    int32_t count;

    cp_lock_assert_none();
    if (manager->idle != NULL) {
        return check_by_idle(connection, now);
    }
    return manager->descriptors != NULL ? cp_local_check_descriptors(connection, descriptors, &count) : CP_LOCAL_ALIVE;
}
