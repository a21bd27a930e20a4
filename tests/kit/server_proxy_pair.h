/* SPDX-License-Identifier: MIT */
/*
 * server_proxy_pair: one client of a server_proxy and the connection made for it to the server: what is passed on
 * between them, and what goes wrong. Only for server_proxy's thread.
 */
#ifndef SERVER_PROXY_PAIR_H
#define SERVER_PROXY_PAIR_H

#include <bsd/sys/queue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "server_proxy.h"

#define SERVER_PROXY_PIECE 16384

union server_proxy_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
};

/* One direction of a pair. A piece is read, waits until it is due, and is sent as far as the rule allows. */
struct server_proxy_stream {
    char piece[SERVER_PROXY_PIECE];
    size_t length, sent; /* of the piece */
    size_t passed;       /* of the whole stream */
    int64_t due;         /* ns; when the piece, or with TRICKLE the next byte, may be sent */
    bool has_ended;      /* its source says no more */
    bool is_told;        /* and its destination knows */
    bool is_blocked;     /* its destination takes no more now */
};

/* What epoll's data points to. */
struct server_proxy_end {
    struct server_proxy_pair *pair;
    int fd;          /* -1: closed */
    uint32_t events; /* asked for */
};

struct server_proxy_pair {
    TAILQ_ENTRY(server_proxy_pair) entry;
    struct server_proxy_rule rule;
    struct server_proxy_end client, server;
    struct server_proxy_stream streams[2]; /* by server_proxy_side: of the server, of the client */
    enum server_proxy_side speaker;
    unsigned number;   /* the how-manieth that was accepted */
    bool has_fault;    /* it has come */
    bool is_condemned; /* to be freed when the events at hand are through */
};

TAILQ_HEAD(server_proxy_pairs, server_proxy_pair);

struct server_proxy_state {
    pthread_t thread;
    int listener, control, epoll;
    union server_proxy_address target;
    socklen_t target_length;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct server_proxy_rule rule; /* guarded by the lock, as are those below */
    struct server_proxy_counts counts;
    enum server_proxy_fault break_with; /* FORWARD: no command */
    bool is_held, is_ending;
    unsigned ordered, obeyed;        /* commands */
    struct server_proxy_pairs pairs; /* the thread's own, as is the one below */
    bool is_listening;               /* the listener is in the epoll */
};

/* The lock of the state. All changes are told: whoever waits looks for itself. */
void server_proxy_lock(struct server_proxy_state *state);
void server_proxy_unlock(struct server_proxy_state *state);
/* Nanoseconds of the monotonic clock. */
int64_t server_proxy_now(void);

/* Read and send what can be read and sent now; the pair's fault, where it is due. */
void server_proxy_pair_serve(struct server_proxy_state *state, struct server_proxy_pair *pair);
/* The fault of its rule comes now, unless it has come. */
void server_proxy_pair_fault(struct server_proxy_state *state, struct server_proxy_pair *pair);
/* Whether nothing is passed on any more. */
bool server_proxy_pair_is_silent(const struct server_proxy_pair *pair);
/* The pair is over: close both ends, with resets or not; its memory stays until no event at hand can point to it. */
void server_proxy_pair_condemn(struct server_proxy_pair *pair, bool resets);
/* Close one of its ends, with a reset or not. */
void server_proxy_end_close(struct server_proxy_end *end, bool resets);

#endif
