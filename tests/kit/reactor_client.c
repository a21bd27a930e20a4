/* SPDX-License-Identifier: MIT */
/* reactor_client: see reactor_client.h. */
#include "reactor_client.h"

#include <poll.h>

static _Thread_local bool may_tell;

void reactor_client_tell(void *argument, connpool_status status, const connpool_lease *lease,
                         const connpool_error *error)
{
    struct reactor_client *client = argument;

    assert_true(may_tell);
    assert_int_equal(client->told, 0);
    assert_true((status == CONNPOOL_OK) == (error == NULL));
    assert_int_equal(connpool_lease_valid(lease), status == CONNPOOL_OK);
    client->told++;
    client->status = status;
    client->lease = *lease;
    if (error != NULL) {
        assert_int_equal(error->status, status);
        client->error = *error;
    }
    if (client->turn != NULL) {
        client->place = (*client->turn)++;
    }
    if (client->then != NULL) {
        client->then(client);
    }
}

connpool_reactor *reactor_begin(struct pool_fixture *fixture)
{
    connpool_reactor *reactor = connpool_reactor_new(fixture->context, &fixture->error);

    if (reactor == NULL) {
        fail_msg("connpool_reactor_new: %s", fixture->error.text);
    }
    return reactor;
}

void reactor_end(connpool_reactor *reactor)
{
    may_tell = true;
    assert_int_equal(connpool_reactor_close(reactor), CONNPOOL_OK);
    may_tell = false;
}

void reactor_submit(connpool_reactor *reactor, struct reactor_client *client, struct pool_fixture *fixture,
                    const char *endpoint, int timeout_ms)
{
    connpool_endpoint *handle;
    connpool_status status;
    bool may_tell_around = may_tell;

    client->told = 0;
    assert_int_equal(connpool_endpoint_get(fixture->pool, endpoint, &handle, NULL), CONNPOOL_OK);
    may_tell = false;
    status = connpool_acquire_async(reactor, handle, timeout_ms, reactor_client_tell, client, &client->request,
                                    &fixture->error);
    may_tell = may_tell_around;
    if (status != CONNPOOL_OK) {
        fail_msg("connpool_acquire_async: %s: %s", connpool_status_text(status), fixture->error.text);
    }
    connpool_endpoint_put(handle);
}

void reactor_cancel(struct reactor_client *client)
{
    assert_int_equal(connpool_request_cancel(&client->request), CONNPOOL_OK);
}

void reactor_turn(connpool_reactor *reactor)
{
    may_tell = true;
    assert_int_equal(connpool_reactor_dispatch(reactor), CONNPOOL_OK);
    may_tell = false;
}

bool reactor_is_readable(const connpool_reactor *reactor)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(reactor), .events = POLLIN};

    return poll(&polled, 1, 0) == 1;
}

void reactor_run(connpool_reactor *reactor)
{
    for (int turns = 0; reactor_is_readable(reactor); turns++) {
        if (turns == 10000) {
            fail_msg("the descriptor stays readable");
        }
        reactor_turn(reactor);
    }
}

void reactor_run_after(connpool_reactor *reactor, struct pool_fixture *fixture, int64_t nanoseconds)
{
    virtual_clock_advance(&fixture->clock, nanoseconds);
    reactor_run(reactor);
}

void reactor_run_until_told(connpool_reactor *reactor, struct reactor_client *client)
{
    struct pollfd polled = {.fd = connpool_reactor_fd(reactor), .events = POLLIN};

    while (client->told == 0) {
        if (poll(&polled, 1, 10000) != 1) {
            fail_msg("a request is not told");
        }
        reactor_turn(reactor);
    }
}

void reactor_assert_told(const struct reactor_client *client, connpool_status status)
{
    assert_int_equal(client->told, 1);
    if (client->status != status) {
        fail_msg("%s, expected %s: %s", connpool_status_text(client->status), connpool_status_text(status),
                 client->status == CONNPOOL_OK ? "" : client->error.text);
    }
}

void reactor_give(struct reactor_client *client, uint32_t number)
{
    reactor_assert_told(client, CONNPOOL_OK);
    assert_int_equal(lease_number(&client->lease), number);
    pool_give(&client->lease);
}
