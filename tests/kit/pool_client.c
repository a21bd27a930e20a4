/* SPDX-License-Identifier: MIT */
/* pool_client: see pool_client.h. */
#include "pool_client.h"

#include "pool_driver.h"

static void *acquire_once(void *argument)
{
    struct pool_client *client = argument;

    client->status = pool_driver_acquire(client->fixture->pool, client->endpoint, client->timeout_ms, &client->lease,
                                         &client->error);
    if (client->turn != NULL) {
        client->place = atomic_fetch_add(client->turn, 1);
    }
    atomic_store(&client->is_done, true);
    return NULL;
}

void pool_client_start(struct pool_client *client, struct pool_fixture *fixture, const char *endpoint, int timeout_ms)
{
    client->fixture = fixture;
    client->endpoint = endpoint;
    client->timeout_ms = timeout_ms;
    assert_int_equal(pthread_create(&client->thread, NULL, acquire_once, client), 0);
}

bool pool_client_is_done(void *client)
{
    return atomic_load(&((struct pool_client *)client)->is_done);
}

void pool_client_join(struct pool_client *client)
{
    await(pool_client_is_done, client, "an acquire to end");
    assert_int_equal(pthread_join(client->thread, NULL), 0);
}

void pool_client_join_ok(struct pool_client *client)
{
    pool_client_join(client);
    if (client->status != CONNPOOL_OK) {
        fail_msg("%s: %s", connpool_status_text(client->status), client->error.text);
    }
}
