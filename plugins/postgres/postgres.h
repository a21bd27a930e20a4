/* SPDX-License-Identifier: MIT */
/* postgres: what the parts of the manager share: its options, and the state of a connection. */
#ifndef POSTGRES_H
#define POSTGRES_H

#include <connpool/manager.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/types.h>

#include "../common/dial_options.h"
#include "postgres_fault.h"
#include "postgres_hosts.h"

struct postgres_options {
    const char *host; /* one, or several with commas (postgres_hosts.h) */
    const char *dbname;
    const char *user;
    const char *password;
    const char *application_name;
    const char *sslrootcert;
    const char *sslcert;
    const char *sslkey;
    const char *sslpassword;
    const char *sslcrl;
    const char *sslcrldir;
    const char *requirepeer;
    struct connpool_list statements;
    struct connpool_map libpq;
    int64_t port;
    struct dial_socket_options socket;
    int32_t target_session_attrs; /* of these five, an index into the row's choices */
    int32_t sslmode;
    int32_t channel_binding;
    int32_t gssencmode;
    int32_t cleartext_password;
    int32_t discard_all;
    int32_t unlisten;
    int32_t unlock;
    int32_t reset_settings;
};

/* The choices of rows, in the order of their indices. */
extern const char *const postgres_session_attrs[];
extern const char *const postgres_sslmodes[];
extern const char *const postgres_channel_bindings[];
extern const char *const postgres_gssencmodes[];

/* From this sslmode on a server that cannot do TLS is refused, and from this one on its certificate is verified. */
#define POSTGRES_SSLMODE_REQUIRE   3
#define POSTGRES_SSLMODE_VERIFY_CA 4

struct postgres_endpoint {
    struct connpool_head head;
};

/* Where an open has got to. */
enum postgres_phase {
    POSTGRES_RESOLVING,
    POSTGRES_STARTING,
    POSTGRES_CONNECTING,
    POSTGRES_PREPARING, /* the statements */
};

struct postgres {
    struct connpool_head head; /* first, as the ABI wants it */
    PGconn *pg;                /* NULL: not started yet, or said goodbye */
    struct postgres_hosts hosts;
    enum postgres_phase phase;
    uint32_t events;                  /* what the connecting library waits for */
    uint32_t statement;               /* the next of the statements, or of a reset's commands */
    bool is_sent;                     /* a command is under way */
    bool is_open;                     /* the open is done: the three members below hold */
    struct postgres_sight sight;      /* while connecting: what was seen at the last look */
    bool is_confused;                 /* libpq read what has no place on an idle connection */
    int64_t retry_at;                 /* the next attempt at a full Unix socket */
    dev_t device;                     /* the socket's identity: the descriptor is ours only while it still has it */
    ino_t inode;                      /* 0: not known */
    struct connpool_fault last_words; /* what the server said before it ended the session */
};

/* Steps of struct connpool_manager. */
connpool_step_fn postgres_open;
connpool_step_fn postgres_check;
connpool_step_fn postgres_prepare;
connpool_step_fn postgres_reset;
connpool_step_fn postgres_idle;
connpool_step_fn postgres_close;
void postgres_destroy(void *connection);

/* Whether the descriptor is still the connection's own: an application may have closed or replaced it. */
bool postgres_is_ours(const struct postgres *postgres);

#endif
