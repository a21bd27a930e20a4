/* SPDX-License-Identifier: MIT */
/*
 * server_proxy: one thread with one epoll, which serves the pairs of server_proxy_pair. The lock guards the rule, the
 * commands and the counts; the pairs are the thread's own.
 */
#include "server_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_peer.h"
#include "server_proxy_pair.h"

#define BACKLOG         512
#define EVENTS          64
#define PATIENCE_MS     5000
#define CONNECT_SECONDS 2 /* the server is on this machine */

static void parse_target(struct server_proxy_state *state, const char *text)
{
    union server_proxy_address *address = &state->target;
    const char *colon = strrchr(text, ':');
    char host[64] = "";

    if (text[0] == '/' || text[0] == '@') {
        assert_true(strlen(text) < sizeof(address->local.sun_path));
        address->local.sun_family = AF_UNIX;
        memcpy(address->local.sun_path, text, strlen(text));
        state->target_length = sizeof(address->local);
        if (text[0] == '@') {
            address->local.sun_path[0] = '\0';
            state->target_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text));
        }
        return;
    }
    assert_non_null(colon);
    if (text[0] == '[') {
        assert_true((size_t)(colon - text) < sizeof(host));
        memcpy(host, text + 1, (size_t)(colon - text) - 2);
        address->ipv6.sin6_family = AF_INET6;
        address->ipv6.sin6_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
        assert_int_equal(inet_pton(AF_INET6, host, &address->ipv6.sin6_addr), 1);
        state->target_length = sizeof(address->ipv6);
        return;
    }
    assert_true((size_t)(colon - text) < sizeof(host));
    memcpy(host, text, (size_t)(colon - text));
    address->ipv4.sin_family = AF_INET;
    address->ipv4.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    assert_int_equal(inet_pton(AF_INET, host, &address->ipv4.sin_addr), 1);
    state->target_length = sizeof(address->ipv4);
}

/* ---- The thread ---- */

static void ask(const struct server_proxy_state *state, struct server_proxy_end *end, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};

    if (end->fd >= 0 && events != end->events) {
        assert_int_equal(epoll_ctl(state->epoll, EPOLL_CTL_MOD, end->fd, &event), 0);
        end->events = events;
    }
}

/* What either end is looked at for: room in the stream that it feeds, a stream that it blocks. */
static void ask_both(const struct server_proxy_state *state, struct server_proxy_pair *pair)
{
    struct server_proxy_stream *of_server = &pair->streams[SERVER_PROXY_SERVER];
    struct server_proxy_stream *of_client = &pair->streams[SERVER_PROXY_CLIENT];
    bool reads_server = of_server->length == 0 && !of_server->has_ended && !server_proxy_pair_is_silent(pair);
    bool reads_client = of_client->length == 0 && !of_client->has_ended;

    ask(state, &pair->server, (reads_server ? EPOLLIN : 0u) | (of_client->is_blocked ? EPOLLOUT : 0u));
    ask(state, &pair->client, (reads_client ? EPOLLIN : 0u) | (of_server->is_blocked ? EPOLLOUT : 0u));
}

static void add(const struct server_proxy_state *state, struct server_proxy_pair *pair, struct server_proxy_end *end)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};

    end->pair = pair;
    end->events = event.events;
    assert_int_equal(epoll_ctl(state->epoll, EPOLL_CTL_ADD, end->fd, &event), 0);
}

/* Small pieces leave at once, so that what the other end reads is what was passed on. */
static void send_at_once(int fd)
{
    int yes = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* a Unix socket has none */
}

static int connect_target(const struct server_proxy_state *state)
{
    struct timeval limit = {.tv_sec = CONNECT_SECONDS};
    int fd = socket(state->target.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    send_at_once(fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, &state->target.any, state->target_length) == 0) {
        return fd;
    }
    (void)close(fd);
    return -1;
}

/* Count a connection that was accepted, and give it the rule of now. */
static struct server_proxy_pair *new_pair(struct server_proxy_state *state, int client, int server)
{
    struct server_proxy_pair *pair = calloc(1, sizeof(*pair));
    struct server_proxy_counts *counts = &state->counts;

    assert_non_null(pair);
    pair->client.fd = client;
    pair->server.fd = server;
    server_proxy_lock(state);
    pair->rule = state->rule;
    pair->number = ++counts->accepted;
    pair->speaker = SERVER_PROXY_CLIENT;
    counts->open++;
    counts->from_server = counts->from_client = 0;
    counts->server_turns = counts->client_turns = 0;
    server_proxy_unlock(state);
    TAILQ_INSERT_TAIL(&state->pairs, pair, entry);
    return pair;
}

static void accept_one(struct server_proxy_state *state)
{
    int client = accept4(state->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct server_proxy_pair *pair;
    int server;

    if (client < 0) {
        return;
    }
    server = connect_target(state);
    if (server < 0) {
        server_proxy_lock(state);
        state->counts.refused++;
        server_proxy_unlock(state);
        server_peer_reset(client);
        return;
    }
    send_at_once(client);
    pair = new_pair(state, client, server);
    add(state, pair, &pair->client);
    add(state, pair, &pair->server);
    server_proxy_pair_serve(state, pair);
    ask_both(state, pair);
}

static void free_condemned(struct server_proxy_state *state)
{
    struct server_proxy_pair *pair;
    struct server_proxy_pair *next;
    unsigned count = 0;

    TAILQ_FOREACH_SAFE (pair, &state->pairs, entry, next) {
        if (pair->is_condemned) {
            TAILQ_REMOVE(&state->pairs, pair, entry);
            free(pair);
            count++;
        }
    }
    if (count > 0) {
        server_proxy_lock(state);
        state->counts.open -= count;
        server_proxy_unlock(state);
    }
}

/* Milliseconds until something is due; -1: nothing is. */
static int next_due(const struct server_proxy_state *state)
{
    const struct server_proxy_pair *pair;
    int64_t first = INT64_MAX;
    int64_t now = server_proxy_now();

    TAILQ_FOREACH (pair, &state->pairs, entry) {
        for (unsigned side = 0; side < 2; side++) {
            const struct server_proxy_stream *stream = &pair->streams[side];

            if (stream->length > 0 && !stream->is_blocked && stream->due < first) {
                first = stream->due;
            }
        }
    }
    if (first == INT64_MAX) {
        return -1;
    }
    return first <= now ? 0 : (int)((first - now + 999999) / 1000000);
}

static void serve_all(struct server_proxy_state *state)
{
    struct server_proxy_pair *pair;

    TAILQ_FOREACH (pair, &state->pairs, entry) {
        if (!pair->is_condemned) {
            server_proxy_pair_serve(state, pair);
            ask_both(state, pair);
        }
    }
}

static void set_listening(struct server_proxy_state *state, bool is_listening)
{
    struct epoll_event event = {.events = is_listening ? EPOLLIN : 0, .data.ptr = &state->listener};

    if (state->is_listening != is_listening) {
        state->is_listening = is_listening;
        assert_int_equal(epoll_ctl(state->epoll, EPOLL_CTL_MOD, state->listener, &event), 0);
    }
}

static void break_all(struct server_proxy_state *state, enum server_proxy_fault fault)
{
    struct server_proxy_pair *pair;

    TAILQ_FOREACH (pair, &state->pairs, entry) {
        if (!pair->is_condemned) {
            pair->rule.fault = fault;
            server_proxy_pair_fault(state, pair);
        }
    }
}

/* False: end. */
static bool obey(struct server_proxy_state *state)
{
    enum server_proxy_fault fault;
    unsigned ordered;
    bool is_held;
    bool goes_on;
    eventfd_t value;

    (void)eventfd_read(state->control, &value);
    server_proxy_lock(state);
    ordered = state->ordered;
    fault = state->break_with;
    state->break_with = SERVER_PROXY_FORWARD;
    is_held = state->is_held;
    goes_on = !state->is_ending;
    server_proxy_unlock(state);
    set_listening(state, !is_held);
    if (fault != SERVER_PROXY_FORWARD) {
        break_all(state, fault);
    }
    server_proxy_lock(state);
    state->obeyed = ordered;
    server_proxy_unlock(state);
    return goes_on;
}

/* An error or a hang-up that nobody reads would be reported for ever. */
static void see_hang_up(struct server_proxy_end *end, uint32_t events)
{
    struct server_proxy_pair *pair = end->pair;

    if ((events & (EPOLLERR | EPOLLHUP)) == 0 || (end->events & EPOLLIN) != 0) {
        return; /* where it is read, reading tells */
    }
    if (end == &pair->server && server_proxy_pair_is_silent(pair)) {
        server_proxy_end_close(end, false); /* which the client must not see */
        return;
    }
    if (end == &pair->server && pair->streams[SERVER_PROXY_SERVER].length > 0) {
        pair->streams[SERVER_PROXY_SERVER].has_ended = true; /* the client still gets what it said */
        server_proxy_end_close(end, false);
        return;
    }
    server_proxy_pair_condemn(pair, (events & EPOLLERR) != 0);
}

static bool turn(struct server_proxy_state *state)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(state->epoll, events, EVENTS, next_due(state));
    bool goes_on = true;

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &state->control) {
            goes_on = obey(state);
        } else if (events[i].data.ptr == &state->listener) {
            accept_one(state);
        } else if (!((struct server_proxy_end *)events[i].data.ptr)->pair->is_condemned) {
            see_hang_up(events[i].data.ptr, events[i].events);
        }
    }
    serve_all(state);
    free_condemned(state);
    return goes_on;
}

static void *run(void *argument)
{
    struct server_proxy_state *state = argument;
    struct server_proxy_pair *pair;

    while (turn(state)) {
    }
    TAILQ_FOREACH (pair, &state->pairs, entry) {
        server_proxy_pair_condemn(pair, true);
    }
    free_condemned(state);
    return NULL;
}

/* ---- The test's side ---- */

static void watch(const struct server_proxy_state *state, int fd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};

    assert_int_equal(epoll_ctl(state->epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

static void start(struct server_proxy *proxy, const char *target)
{
    struct server_proxy_state *state = calloc(1, sizeof(*state));
    pthread_condattr_t attributes;

    assert_non_null(state);
    proxy->state = state;
    parse_target(state, target);
    TAILQ_INIT(&state->pairs);
    (void)pthread_mutex_init(&state->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&state->moved, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    state->listener = proxy->listener.fd;
    state->is_listening = true;
    state->control = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    state->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_true(state->control >= 0 && state->epoll >= 0);
    watch(state, state->control, &state->control);
    watch(state, state->listener, &state->listener);
    assert_int_equal(pthread_create(&state->thread, NULL, run, state), 0);
}

void server_proxy_start(struct server_proxy *proxy, const char *target)
{
    server_listener_open(&proxy->listener, "127.0.0.1", 0, BACKLOG);
    start(proxy, target);
}

void server_proxy_start_unix(struct server_proxy *proxy, const char *path, const char *target)
{
    server_listener_open_unix(&proxy->listener, path, BACKLOG);
    start(proxy, target);
}

void server_proxy_stop(struct server_proxy *proxy)
{
    struct server_proxy_state *state = proxy->state;

    if (state == NULL) {
        return;
    }
    server_proxy_lock(state);
    state->is_ending = true;
    server_proxy_unlock(state);
    (void)eventfd_write(state->control, 1);
    (void)pthread_join(state->thread, NULL);
    server_listener_close(&proxy->listener);
    (void)close(state->control);
    (void)close(state->epoll);
    (void)pthread_cond_destroy(&state->moved);
    (void)pthread_mutex_destroy(&state->lock);
    free(state);
    proxy->state = NULL;
}

void server_proxy_set_rule(const struct server_proxy *proxy, const struct server_proxy_rule *rule)
{
    server_proxy_lock(proxy->state);
    proxy->state->rule = *rule;
    server_proxy_unlock(proxy->state);
}

struct server_proxy_counts server_proxy_counts(const struct server_proxy *proxy)
{
    struct server_proxy_counts counts;

    server_proxy_lock(proxy->state);
    counts = proxy->state->counts;
    server_proxy_unlock(proxy->state);
    return counts;
}

typedef bool condition_fn(const struct server_proxy_state *state, size_t count);

/* Until the condition holds; false: not within the limit. */
static bool wait_for(const struct server_proxy *proxy, condition_fn *condition, size_t count, int limit_ms)
{
    struct server_proxy_state *state = proxy->state;
    int64_t until = server_proxy_now() + (int64_t)limit_ms * 1000000;
    struct timespec limit = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    int result = 0;
    bool holds;

    (void)pthread_mutex_lock(&state->lock);
    while (!(holds = condition(state, count)) && result == 0) {
        result = pthread_cond_timedwait(&state->moved, &state->lock, &limit);
    }
    (void)pthread_mutex_unlock(&state->lock);
    return holds;
}

static bool has_faults(const struct server_proxy_state *state, size_t count)
{
    return state->counts.faults >= count;
}

static bool has_trickled(const struct server_proxy_state *state, size_t count)
{
    return state->counts.trickled >= count;
}

static bool has_open(const struct server_proxy_state *state, size_t count)
{
    return state->counts.open <= count;
}

static bool has_obeyed(const struct server_proxy_state *state, size_t count)
{
    return state->obeyed >= count;
}

/* With the lock held, which is given back: wait until the thread has done what the state says now. */
static void order(const struct server_proxy *proxy)
{
    unsigned number = ++proxy->state->ordered;

    server_proxy_unlock(proxy->state);
    (void)eventfd_write(proxy->state->control, 1);
    assert_true(wait_for(proxy, has_obeyed, number, PATIENCE_MS));
}

void server_proxy_break(const struct server_proxy *proxy, enum server_proxy_fault fault)
{
    server_proxy_lock(proxy->state);
    proxy->state->break_with = fault;
    order(proxy);
}

void server_proxy_hold(const struct server_proxy *proxy, bool is_held)
{
    server_proxy_lock(proxy->state);
    proxy->state->is_held = is_held;
    order(proxy);
}

bool server_proxy_wait_faults(const struct server_proxy *proxy, unsigned count, int limit_ms)
{
    return wait_for(proxy, has_faults, count, limit_ms);
}

void server_proxy_await_faults(const struct server_proxy *proxy, unsigned count)
{
    assert_true(wait_for(proxy, has_faults, count, PATIENCE_MS));
}

void server_proxy_await_trickled(const struct server_proxy *proxy, size_t count)
{
    assert_true(wait_for(proxy, has_trickled, count, PATIENCE_MS));
}

void server_proxy_await_open(const struct server_proxy *proxy, unsigned count)
{
    assert_true(wait_for(proxy, has_open, count, PATIENCE_MS));
}
