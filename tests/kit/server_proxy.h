/* SPDX-License-Identifier: MIT */
/*
 * server_proxy: stands in front of a real server, in a thread of the test, and passes on what either says, until, for
 * each connection after exactly so many bytes, something goes wrong. So a test meets every fault at every byte of a
 * conversation without a server that knows how to misbehave.
 */
#ifndef SERVER_PROXY_H
#define SERVER_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "server_listener.h"

/* What befalls a connection. The client is whoever connected to the proxy. */
enum server_proxy_fault {
    SERVER_PROXY_FORWARD, /* nothing */
    SERVER_PROXY_SILENCE, /* it stays open, and nothing is passed on any more, in either direction */
    SERVER_PROXY_RESET,   /* the client and the server see a reset */
    SERVER_PROXY_END,     /* the client sees an end (FIN), and the proxy reads on; the server sees a reset */
    SERVER_PROXY_TRICKLE, /* the server's bytes are passed on one by one, each some time after the other */
    SERVER_PROXY_GARBAGE  /* the client gets 64 bytes that nobody sent, then silence */
};

/* Whose bytes are counted. */
enum server_proxy_side { SERVER_PROXY_SERVER, SERVER_PROXY_CLIENT };

#define SERVER_PROXY_TURNS 64

struct server_proxy_rule {
    enum server_proxy_fault fault;
    enum server_proxy_side side;
    size_t after;    /* the fault comes once so many bytes were passed on; 0: as soon as the server is connected */
    int interval_ms; /* TRICKLE: between one byte and the next; 0: none, but each byte is a send of its own */
    int delay_ms;    /* each piece, of either side, is passed on so much after it came; 0: at once */
};

/* Counts of the connections so far. */
struct server_proxy_counts {
    unsigned accepted;
    unsigned open;    /* connections now */
    unsigned faults;  /* connections whose fault has come */
    unsigned refused; /* reset because the server could not be reached */
    size_t trickled;  /* bytes that were passed on one by one, in all */
    /* Of the connection that was accepted last: */
    size_t from_server, from_client; /* bytes passed on */
    /* Where the talk changed direction: server_at[i] is from_server as the client began to speak for the i-th time
     * (client_at likewise of from_client as the server did); at most SERVER_PROXY_TURNS. */
    unsigned server_turns, client_turns;
    size_t server_at[SERVER_PROXY_TURNS], client_at[SERVER_PROXY_TURNS];
};

struct server_proxy_state;

struct server_proxy {
    struct server_listener listener; /* its port and endpoint are what the client connects to */
    struct server_proxy_state *state;
};

/* Start it at a free port of 127.0.0.1, in front of a target: 127.0.0.1:4711, [::1]:4711, a path, @name. Nothing goes
 * wrong until a rule says so. All of these fail the test where the system refuses. */
void server_proxy_start(struct server_proxy *proxy, const char *target);
/* The same at a path, or '@' and an abstract name. */
void server_proxy_start_unix(struct server_proxy *proxy, const char *path, const char *target);
/* End it; its connections are reset. May be called twice. */
void server_proxy_stop(struct server_proxy *proxy);

/* The rule for connections that are accepted from now on. */
void server_proxy_set_rule(const struct server_proxy *proxy, const struct server_proxy_rule *rule);
/* Do this now to each connection that is open (TRICKLE: with the interval of the connection's rule). It has happened
 * when this returns. */
void server_proxy_break(const struct server_proxy *proxy, enum server_proxy_fault fault);
/* Accept no more (the kernel still completes connections as far as the queue goes), or accept again. It holds when this
 * returns. */
void server_proxy_hold(const struct server_proxy *proxy, bool is_held);

struct server_proxy_counts server_proxy_counts(const struct server_proxy *proxy);
/* Wait until so many faults have come, of all connections so far; fails the test after five seconds. */
void server_proxy_await_faults(const struct server_proxy *proxy, unsigned count);
/* The same, without failing: false after so many milliseconds. */
bool server_proxy_wait_faults(const struct server_proxy *proxy, unsigned count, int limit_ms);
/* Wait until so many bytes were trickled. */
void server_proxy_await_trickled(const struct server_proxy *proxy, size_t count);
/* Wait until no more than so many connections are open. */
void server_proxy_await_open(const struct server_proxy *proxy, unsigned count);

#endif
