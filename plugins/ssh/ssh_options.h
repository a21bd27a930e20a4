/* SPDX-License-Identifier: MIT */
/* ssh_options: the options, and the state of pools and endpoints, which is made of them. */
#ifndef SSH_OPTIONS_H
#define SSH_OPTIONS_H

#include <connpool/manager.h>
#include <stdbool.h>

#include "../common/dial_options.h"
#include "known_hosts.h"
#include "ssh_memory.h"

struct ssh_options {
    struct dial_options dial;
    const char *user;
    /* Who the server is */
    const char *known_hosts;
    const char *host_key_alias;
    struct connpool_list host_key_pins;
    /* Who we are */
    const char *private_key;
    const char *agent;
    const char *agent_key;
    const char *password;
    int32_t keyboard_interactive;
    /* How a session is kept */
    int64_t probe_interval;
    int64_t probe_timeout;
    int64_t call_timeout;
    int32_t keep_open_channels;
};

/* What endpoints with equal shared options share: the files, as they were when the context opened. */
struct ssh_pool {
    struct connpool_head head;
    struct ssh_memory memory; /* of what follows */
    struct known_hosts known_hosts;
    char *private_key; /* NULL: none */
    size_t private_key_length;
};

struct ssh_endpoint {
    struct connpool_head head;
    char name[KNOWN_HOSTS_NAME_SIZE]; /* by which known_hosts knows it */
    unsigned kinds;                   /* of its keys there, 1 << kind */
};

#define SSH_OPTION_COUNT 22
extern const struct connpool_option ssh_option_rows[SSH_OPTION_COUNT];

/* Members of struct connpool_manager. */
int32_t ssh_pool_init(void *state, struct connpool_fault *fault);
void ssh_pool_fini(void *state);
int32_t ssh_endpoint_init(void *state, struct connpool_fault *fault);

#endif
