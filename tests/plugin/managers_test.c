/* SPDX-License-Identifier: MIT */
/*
 * The managers tcp and unix as they are loaded, with their options as the host resolves them and the host's own dial,
 * but no pool: the test drives the steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/operation.h"
#include "network/host.h"
#include "options/options.h"
#include "plugin/plugin.h"
#include "server_folder.h"
#include "server_listener.h"
#include "server_peer.h"

static const struct cp_clock clock_of_system;
static const struct cp_log no_log;

struct connection {
    const struct connpool_manager *manager;
    struct cp_services *services;
    struct cp_host host;
    struct cp_option_block *options;
    struct connpool_head endpoint;
    struct connpool_head *state;
    struct connpool_fault fault;
};

static const struct connpool_manager *load(const char *name)
{
    static char folder[] = CONNPOOL_TEST_PLUGIN_FOLDER;
    char *const folders[] = {folder, NULL};
    const struct cp_plugin_search search = {.folders = folders, .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER};
    connpool_error error = {.text = ""};
    const struct connpool_manager *manager = cp_plugin_load(name, &search, &error);

    if (manager == NULL) {
        fail_msg("%s", error.text);
    }
    return manager;
}

/* The options of run-time text, with a pool's options in JSON. */
static struct cp_option_block *options_of(const struct connpool_manager *manager, const char *pool, const char *text)
{
    const struct cp_option_source source = {.folder = NULL};
    struct cp_mistakes mistakes = {.origin = "test"};
    connpool_error error = {.text = ""};
    json_t *json = json_loads(pool, 0, NULL);
    struct cp_option_block *defaults;
    struct cp_option_block *block;

    assert_non_null(json);
    defaults = cp_options_resolve(manager, json, "/options", NULL, "", false, &source, &mistakes);
    if (defaults == NULL) {
        fail_msg("%s", mistakes.first);
    }
    block = cp_options_parse_text(manager, defaults, text, &error);
    if (block == NULL) {
        fail_msg("%s", error.text);
    }
    cp_options_unref(defaults);
    json_decref(json);
    return block;
}

static void begin(struct connection *connection, const char *manager, const char *pool, const char *text)
{
    *connection = (struct connection){.manager = load(manager)};
    connection->services = cp_services_new(&clock_of_system, &no_log, 2, 1);
    cp_host_init(&connection->host, connection->services);
    connection->options = options_of(connection->manager, pool, text);
    connection->endpoint =
        (struct connpool_head){.host = &connection->host.table, .options = cp_options_struct(connection->options)};
    cp_fault_init(&connection->fault);
    assert_int_equal(connection->manager->endpoint_init(&connection->endpoint, &connection->fault), 0);
    connection->state = calloc(1, connection->manager->connection_size);
    assert_non_null(connection->state);
    *connection->state = connection->endpoint;
    connection->state->parent = &connection->endpoint;
}

static void end(struct connection *connection)
{
    connection->manager->destroy(connection->state);
    connection->manager->endpoint_fini(&connection->endpoint);
    free(connection->state);
    cp_options_unref(connection->options);
    cp_host_fini(&connection->host);
    cp_services_close(connection->services);
    cp_services_unref(connection->services);
}

/* Drive a step function to its end, as a driver does. */
static int32_t drive(struct connection *connection, connpool_step_fn *step)
{
    struct connpool_wait wait;
    uint32_t ready = 0;

    for (;;) {
        struct pollfd poll_fd;
        int32_t result;

        cp_wait_init(&wait, cp_clock_precise(&clock_of_system), ready, 0);
        result = step(connection->state, &wait, &connection->fault);
        if (result != CONNPOOL_STEP_AGAIN) {
            return result;
        }
        poll_fd.fd = wait.fd;
        poll_fd.events = (short)(((wait.events & CONNPOOL_EVENT_READ) != 0 ? POLLIN : 0) |
                                 ((wait.events & CONNPOOL_EVENT_WRITE) != 0 ? POLLOUT : 0));
        ready = poll(&poll_fd, 1, 10) == 1 ? wait.events : 0;
    }
}

static int descriptor(const struct connection *connection)
{
    void *out = NULL;

    assert_int_equal(connection->manager->native(connection->state, "fd", &out), 0);
    return *(int32_t *)out;
}

/* Open to the listener, exchange something, and park: the server's end. */
static int open_and_exchange(struct connection *connection, const struct server_listener *listener)
{
    int32_t descriptors[2];
    int peer;

    if (drive(connection, connection->manager->open) != CONNPOOL_STEP_DONE) {
        fail_msg("%s", connection->fault.text);
    }
    assert_int_equal(connection->manager->descriptors(connection->state, descriptors, 2), 1);
    assert_int_equal(descriptors[0], descriptor(connection));
    assert_int_equal(drive(connection, connection->manager->prepare), CONNPOOL_STEP_DONE);
    peer = server_listener_accept(listener);
    server_peer_send(descriptor(connection), "question");
    server_peer_expect(peer, "question");
    server_peer_send(peer, "answer");
    server_peer_expect(descriptor(connection), "answer");
    return peer;
}

static void work_with(const char *manager, const char *pool, struct server_listener *listener)
{
    struct connection connection;
    int peer;

    begin(&connection, manager, pool, listener->endpoint);
    peer = open_and_exchange(&connection, listener);
    end(&connection);
    server_peer_await(peer); /* that it was closed */
    (void)close(peer);
    server_listener_close(listener);
}

static void tcp_over_both_families(void **state)
{
    struct server_listener listener;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    work_with("tcp", "{}", &listener);
    server_listener_open(&listener, "::1", 0, 4);
    work_with("tcp", "{\"family\": \"ipv6\", \"bind_address\": \"::1\"}", &listener);
}

static void unix_with_a_path_and_an_abstract_name(void **state)
{
    struct server_listener listener;
    struct server_folder folder;
    char path[SERVER_PATH_SIZE + 1] = "@";

    (void)state;
    server_folder_init(&folder);
    server_folder_path(&folder, "socket", path + 1);
    server_listener_open_unix(&listener, path + 1, 4);
    work_with("unix", "{}", &listener);
    server_listener_open_unix(&listener, path, 4);
    work_with("unix", "{}", &listener);
    server_folder_fini(&folder);
}

/* A12 */
static void tcp_sets_the_options_of_the_socket(void **state)
{
    struct server_listener listener;
    struct connection connection;
    int fd;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    begin(&connection, "tcp", "{\"keepalive_idle\": 7, \"user_timeout\": 1.5}", listener.endpoint);
    (void)close(open_and_exchange(&connection, &listener));
    fd = descriptor(&connection);
    assert_int_equal(server_peer_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1500);
    assert_int_equal(server_peer_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    end(&connection);
    server_listener_close(&listener);
}

/* A10 */
static void a_parked_tcp_connection_that_is_reset(void **state)
{
    struct server_listener listener;
    struct connection connection;

    (void)state;
    server_listener_open(&listener, "127.0.0.1", 0, 4);
    begin(&connection, "tcp", "{}", listener.endpoint);
    server_peer_reset(open_and_exchange(&connection, &listener));
    assert_int_equal(drive(&connection, connection.manager->idle), -CONNPOOL_ERROR_CLOSED);
    assert_int_equal(connection.fault.os_error, ECONNRESET);
    end(&connection);
    server_listener_close(&listener);
}

/* A1 */
static void tcp_that_is_refused(void **state)
{
    struct server_listener listener;
    struct connection connection;

    (void)state;
    server_listener_open_deaf(&listener);
    begin(&connection, "tcp", "{}", listener.endpoint);
    assert_int_equal(drive(&connection, connection.manager->open), -CONNPOOL_ERROR_REFUSED);
    assert_int_equal(connection.fault.os_error, ECONNREFUSED);
    end(&connection);
    server_listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_over_both_families),
        cmocka_unit_test(unix_with_a_path_and_an_abstract_name),
        cmocka_unit_test(tcp_sets_the_options_of_the_socket),
        cmocka_unit_test(a_parked_tcp_connection_that_is_reset),
        cmocka_unit_test(tcp_that_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
