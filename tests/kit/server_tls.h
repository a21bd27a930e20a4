/* SPDX-License-Identifier: MIT */
/*
 * server_tls: a TLS server in a thread of the test, at a free port of 127.0.0.1, that sends back every byte it gets.
 * The test can make it do to a connection what other servers do seldom: tickets, key updates, a goodbye without a
 * close, a close without a goodbye, a reset. Connections are numbered from 0 as they are accepted.
 */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server_folder.h"
#include "server_listener.h"

#define SERVER_TLS_CONNECTIONS 512 /* most that it accepts between two starts */

struct server_tls_options {
    const char *certificate;      /* name of certificates.h; NULL: "server" */
    const char *client_authority; /* name: a client shows a certificate that it signed; NULL: none is asked for */
    bool is_client_optional;      /* a client may show none */
    bool has_tickets;             /* of TLS 1.3, as many as: */
    unsigned tickets;             /* else 2, as OpenSSL does */
    int maximum_version;          /* TLS1_2_VERSION …; 0: the newest */
    int minimum_version;          /* 0: TLS 1.2; below, its security level is 0 */
    const char *protocol;         /* the only one that it speaks (ALPN); NULL: it knows nothing of ALPN */
    const char *ciphers;          /* of TLS 1.2; NULL: the default */
};

/* How a connection is, or ended, as the server saw it. */
enum server_tls_state {
    SERVER_TLS_HANDSHAKE,
    SERVER_TLS_OPEN,
    SERVER_TLS_REFUSED,   /* its handshake failed */
    SERVER_TLS_GOODBYE,   /* close_notify, then the end */
    SERVER_TLS_TRUNCATED, /* the end without a close_notify */
    SERVER_TLS_LOST,      /* reset, or an error of the protocol */
    SERVER_TLS_ENDED      /* by the test */
};

struct server_tls_connection {
    SSL *ssl;
    int fd;
    bool is_resumed;
    enum server_tls_state state;
};

struct server_tls {
    struct server_listener listener;
    struct server_tls_options options;
    SSL_CTX *context; /* survives a restart: so do its tickets */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the connections */
    pthread_cond_t changed;
    int control; /* eventfd: look at the members below again */
    atomic_bool is_ending;
    atomic_bool is_held; /* nothing is read until it is false again */
    uint16_t port;
    unsigned accepted; /* since the last start */
    unsigned resumed;  /* handshakes that were, since the first start */
    unsigned full;     /* the others that succeeded */
    struct server_tls_connection connections[SERVER_TLS_CONNECTIONS];
};

/* Start it; options NULL: all zero. */
void server_tls_start(struct server_tls *server, const struct server_folder *folder,
                      const struct server_tls_options *options);
/* End it: the port is closed, every connection reset. */
void server_tls_kill(struct server_tls *server);
/* Start it again at the same port; numbers begin at 0. It knows the tickets it gave before. */
void server_tls_restart(struct server_tls *server);
/* End it for good. */
void server_tls_stop(struct server_tls *server);
/* Read nothing from when it returns, or go on. */
void server_tls_hold(struct server_tls *server, bool is_held);

/* How many connections were accepted since the last start, and how many handshakes were resumed and full. */
unsigned server_tls_accepted(struct server_tls *server);
unsigned server_tls_resumed(struct server_tls *server);
unsigned server_tls_full(struct server_tls *server);

/* Wait, at most five seconds, until a connection's handshake has ended, or until the connection has. */
enum server_tls_state server_tls_await_open(struct server_tls *server, unsigned number);
enum server_tls_state server_tls_await_end(struct server_tls *server, unsigned number);

/* To an open connection: send text; one more ticket; renew the keys, and ask the client to; ask for a renegotiation
 * (TLS 1.2); say goodbye but close nothing; close without a goodbye; reset. */
void server_tls_send(struct server_tls *server, unsigned number, const char *text);
void server_tls_send_ticket(struct server_tls *server, unsigned number);
void server_tls_update_keys(struct server_tls *server, unsigned number);
void server_tls_renegotiate(struct server_tls *server, unsigned number);
void server_tls_say_goodbye(struct server_tls *server, unsigned number);
void server_tls_truncate(struct server_tls *server, unsigned number);
void server_tls_reset(struct server_tls *server, unsigned number);

#endif
