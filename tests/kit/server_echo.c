/* SPDX-License-Identifier: MIT */
/* server_echo: one thread with one poll; the first two entries are the control and the listener. */
#include "server_echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_peer.h"

#define BACKLOG             512
#define CONNECTIONS_MAXIMUM 512
#define FIRST_CONNECTION    2

struct table {
    struct pollfd entries[FIRST_CONNECTION + CONNECTIONS_MAXIMUM];
    nfds_t count;
};

static void accept_one(struct server_echo *echo, struct table *table)
{
    int fd = accept4(echo->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        atomic_fetch_add(&echo->accepted, 1);
        table->entries[table->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

/* False: the connection ended. */
static bool answer(int fd)
{
    char bytes[512];
    ssize_t length = recv(fd, bytes, sizeof(bytes), 0);

    return length > 0 && send(fd, bytes, (size_t)length, MSG_NOSIGNAL) == length;
}

static void serve_connections(struct table *table)
{
    for (nfds_t i = table->count; i-- > FIRST_CONNECTION;) {
        struct pollfd *entry = &table->entries[i];

        if (entry->revents != 0 && !answer(entry->fd)) {
            (void)close(entry->fd);
            *entry = table->entries[--table->count];
        }
    }
}

/* While answers are held the connections are not looked at. */
static void wait_for_events(struct server_echo *echo, struct table *table)
{
    eventfd_t value;
    bool is_held = atomic_load(&echo->is_held);

    table->entries[1].events = table->count < FIRST_CONNECTION + CONNECTIONS_MAXIMUM ? POLLIN : 0;
    for (nfds_t i = FIRST_CONNECTION; i < table->count; i++) {
        table->entries[i].revents = 0;
    }
    (void)poll(table->entries, is_held ? FIRST_CONNECTION : table->count, -1);
    if (table->entries[0].revents != 0) {
        (void)eventfd_read(echo->control, &value);
    }
}

static void *run(void *argument)
{
    struct server_echo *echo = argument;
    struct table table = {.count = FIRST_CONNECTION};

    table.entries[0] = (struct pollfd){.fd = echo->control, .events = POLLIN};
    table.entries[1] = (struct pollfd){.fd = echo->listener.fd, .events = POLLIN};
    while (!atomic_load(&echo->is_ending)) {
        wait_for_events(echo, &table);
        serve_connections(&table);
        if (table.entries[1].revents != 0) {
            accept_one(echo, &table);
        }
    }
    for (nfds_t i = FIRST_CONNECTION; i < table.count; i++) {
        server_peer_reset(table.entries[i].fd);
    }
    server_listener_close(&echo->listener);
    return NULL;
}

static void start_at(struct server_echo *echo, uint16_t port)
{
    server_listener_open(&echo->listener, "127.0.0.1", port, BACKLOG);
    echo->port = echo->listener.port;
    echo->control = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(echo->control >= 0);
    atomic_store(&echo->is_ending, false);
    atomic_store(&echo->is_held, false);
    assert_int_equal(pthread_create(&echo->thread, NULL, run, echo), 0);
}

void server_echo_start(struct server_echo *echo)
{
    atomic_store(&echo->accepted, 0);
    start_at(echo, 0);
}

void server_echo_restart(struct server_echo *echo)
{
    start_at(echo, echo->port);
}

void server_echo_kill(struct server_echo *echo)
{
    atomic_store(&echo->is_ending, true);
    (void)eventfd_write(echo->control, 1);
    (void)pthread_join(echo->thread, NULL);
    (void)close(echo->control);
}

void server_echo_hold(struct server_echo *echo, bool is_held)
{
    atomic_store(&echo->is_held, is_held);
    (void)eventfd_write(echo->control, 1);
}
