/* SPDX-License-Identifier: MIT */
/* server_proxy_pair: two streams, each of which passes on at most one piece at a time. */
#include "server_proxy_pair.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GARBAGE 64

int64_t server_proxy_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void server_proxy_lock(struct server_proxy_state *state)
{
    (void)pthread_mutex_lock(&state->lock);
}

/* All changes are told: whoever waits looks for itself. */
void server_proxy_unlock(struct server_proxy_state *state)
{
    (void)pthread_cond_broadcast(&state->moved);
    (void)pthread_mutex_unlock(&state->lock);
}

void server_proxy_end_close(struct server_proxy_end *end, bool resets)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (end->fd >= 0) {
        if (resets) {
            (void)setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        }
        (void)close(end->fd); /* leaves the epoll by itself */
        end->fd = -1;
    }
}

/* The pair is over; its memory stays until no event at hand can point to it. */
void server_proxy_pair_condemn(struct server_proxy_pair *pair, bool resets)
{
    server_proxy_end_close(&pair->client, resets);
    server_proxy_end_close(&pair->server, resets);
    pair->is_condemned = true;
}

bool server_proxy_pair_is_silent(const struct server_proxy_pair *pair)
{
    return pair->has_fault && pair->rule.fault != SERVER_PROXY_TRICKLE;
}

/* Its bytes go nowhere: of a connection that is silent the client's are read only to see its end. */
static void drop_streams(struct server_proxy_pair *pair)
{
    pair->streams[0].length = pair->streams[0].sent = 0;
    pair->streams[1].length = pair->streams[1].sent = 0;
}

static void send_garbage(const struct server_proxy_pair *pair)
{
    unsigned char bytes[GARBAGE];

    for (unsigned i = 0; i < GARBAGE; i++) {
        bytes[i] = (unsigned char)(0x5a + 37 * i + 11 * pair->number);
    }
    (void)send(pair->client.fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void server_proxy_pair_fault(struct server_proxy_state *state, struct server_proxy_pair *pair)
{
    if (pair->has_fault) {
        return;
    }
    pair->has_fault = true;
    switch (pair->rule.fault) {
    case SERVER_PROXY_RESET:
        server_proxy_pair_condemn(pair, true);
        break;
    case SERVER_PROXY_END:
        (void)shutdown(pair->client.fd, SHUT_WR);
        server_proxy_end_close(&pair->server, true);
        break;
    case SERVER_PROXY_GARBAGE:
        send_garbage(pair);
        break;
    case SERVER_PROXY_FORWARD:
    case SERVER_PROXY_SILENCE:
    case SERVER_PROXY_TRICKLE:
        break;
    }
    if (server_proxy_pair_is_silent(pair)) {
        drop_streams(pair);
    }
    server_proxy_lock(state);
    state->counts.faults++;
    server_proxy_unlock(state);
}

static bool is_fault_due(const struct server_proxy_pair *pair)
{
    return pair->rule.fault != SERVER_PROXY_FORWARD && !pair->has_fault &&
           pair->streams[pair->rule.side].passed >= pair->rule.after;
}

static bool is_trickling(const struct server_proxy_pair *pair, enum server_proxy_side side)
{
    return side == SERVER_PROXY_SERVER && pair->has_fault && pair->rule.fault == SERVER_PROXY_TRICKLE;
}

/* How much of the piece may be sent in one go. */
static size_t allowance(const struct server_proxy_pair *pair, enum server_proxy_side side)
{
    const struct server_proxy_stream *stream = &pair->streams[side];
    size_t rest = stream->length - stream->sent;
    size_t until_fault;

    if (is_trickling(pair, side)) {
        return rest > 0;
    }
    if (pair->rule.fault == SERVER_PROXY_FORWARD || pair->has_fault || pair->rule.side != side) {
        return rest;
    }
    until_fault = pair->rule.after - stream->passed;
    return rest < until_fault ? rest : until_fault;
}

/* With the lock held since before the send: whoever sees the bytes sees them counted. */
static void count_passed(struct server_proxy_state *state, struct server_proxy_pair *pair, enum server_proxy_side side,
                         size_t count)
{
    struct server_proxy_counts *counts = &state->counts;

    pair->streams[side].passed += count;
    counts->trickled += is_trickling(pair, side) ? count : 0;
    if (pair->number == counts->accepted) {
        if (pair->speaker != side && side == SERVER_PROXY_CLIENT && counts->server_turns < SERVER_PROXY_TURNS) {
            counts->server_at[counts->server_turns++] = counts->from_server;
        }
        if (pair->speaker != side && side == SERVER_PROXY_SERVER && counts->client_turns < SERVER_PROXY_TURNS) {
            counts->client_at[counts->client_turns++] = counts->from_client;
        }
        *(side == SERVER_PROXY_SERVER ? &counts->from_server : &counts->from_client) += count;
    }
    pair->speaker = side;
}

static struct server_proxy_end *source_of(struct server_proxy_pair *pair, enum server_proxy_side side)
{
    return side == SERVER_PROXY_SERVER ? &pair->server : &pair->client;
}

static struct server_proxy_end *destination_of(struct server_proxy_pair *pair, enum server_proxy_side side)
{
    return side == SERVER_PROXY_SERVER ? &pair->client : &pair->server;
}

/* Read a piece, where there is room. */
static void take(struct server_proxy_pair *pair, enum server_proxy_side side)
{
    struct server_proxy_stream *stream = &pair->streams[side];
    ssize_t length;

    if (stream->length > 0 || stream->has_ended || source_of(pair, side)->fd < 0) {
        return;
    }
    length = recv(source_of(pair, side)->fd, stream->piece, SERVER_PROXY_PIECE, MSG_DONTWAIT);
    if (length > 0) {
        stream->length = (size_t)length;
        stream->sent = 0;
        stream->due =
            pair->rule.delay_ms > 0 ? server_proxy_now() + (int64_t)pair->rule.delay_ms * 1000000 : stream->due;
    } else if (length == 0) {
        stream->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        server_proxy_pair_condemn(pair, true);
    }
}

/* As send, and counted. */
static ssize_t send_counted(struct server_proxy_state *state, struct server_proxy_pair *pair,
                            enum server_proxy_side side, size_t most)
{
    struct server_proxy_stream *stream = &pair->streams[side];
    ssize_t sent;

    server_proxy_lock(state);
    sent = send(destination_of(pair, side)->fd, stream->piece + stream->sent, most, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
        count_passed(state, pair, side, (size_t)sent);
    }
    server_proxy_unlock(state);
    return sent;
}

/* Send what may be sent now; true: something was. */
static bool pass(struct server_proxy_state *state, struct server_proxy_pair *pair, enum server_proxy_side side)
{
    struct server_proxy_stream *stream = &pair->streams[side];
    size_t most = allowance(pair, side);
    ssize_t sent;

    if (most == 0 || stream->due > server_proxy_now()) {
        return false;
    }
    sent = send_counted(state, pair, side, most);
    if (sent < 0) {
        stream->is_blocked = errno == EAGAIN;
        if (!stream->is_blocked && errno != EINTR) {
            server_proxy_pair_condemn(pair, true);
        }
        return false;
    }
    stream->is_blocked = false;
    stream->sent += (size_t)sent;
    if (stream->sent == stream->length) {
        stream->length = stream->sent = 0;
    }
    if (is_trickling(pair, side)) {
        stream->due = server_proxy_now() + (int64_t)pair->rule.interval_ms * 1000000;
    }
    return true;
}

static void tell_end(struct server_proxy_pair *pair, enum server_proxy_side side)
{
    struct server_proxy_stream *stream = &pair->streams[side];

    if (stream->has_ended && stream->length == 0 && !stream->is_told) {
        stream->is_told = true;
        (void)shutdown(destination_of(pair, side)->fd, SHUT_WR);
    }
}

/* A silent pair only waits for its client to go. */
static void serve_silent(struct server_proxy_pair *pair)
{
    take(pair, SERVER_PROXY_CLIENT);
    drop_streams(pair);
    if (pair->streams[SERVER_PROXY_CLIENT].has_ended) {
        server_proxy_pair_condemn(pair, false);
    }
}

void server_proxy_pair_serve(struct server_proxy_state *state, struct server_proxy_pair *pair)
{
    bool has_moved;

    do {
        has_moved = false;
        if (is_fault_due(pair)) {
            server_proxy_pair_fault(state, pair);
        }
        if (pair->is_condemned) {
            return;
        }
        if (server_proxy_pair_is_silent(pair)) {
            serve_silent(pair);
            return;
        }
        for (unsigned side = 0; side < 2 && !pair->is_condemned && !is_fault_due(pair); side++) {
            take(pair, side);
            has_moved |= !pair->is_condemned && pass(state, pair, side);
        }
    } while (!pair->is_condemned && (has_moved || is_fault_due(pair)));
    if (!pair->is_condemned) {
        tell_end(pair, SERVER_PROXY_SERVER);
        tell_end(pair, SERVER_PROXY_CLIENT);
        if (pair->streams[0].is_told && pair->streams[1].is_told) {
            server_proxy_pair_condemn(pair, false);
        }
    }
}
