/* SPDX-License-Identifier: MIT */
/*
 * ssh: the manager of SSH sessions, over libssh2. ssh_options.c has the options, ssh_session.c the session's life,
 * ssh_trust.c and known_hosts.c who the server is, ssh_auth.c and ssh_agent.c who we are, ssh_probe.c whether it is
 * alive, ssh_run.c the command; here is the table. ssh.md is its manual.
 */
#include <pthread.h>
#include <string.h>

#include "../common/fault.h"
#include "../common/host_port.h"
#include "ssh_session.h"

static pthread_once_t initialised = PTHREAD_ONCE_INIT;
static int initialisation;

/* Not safe in two threads, and two hosts may be in one process. */
static void initialise(void)
{
    initialisation = libssh2_init(0);
}

static int32_t ssh_load(const struct connpool_host *host, struct connpool_fault *fault)
{
    (void)host;
    (void)pthread_once(&initialised, initialise);
    return initialisation == 0
               ? 0
               : fault_fill(fault, CONNPOOL_ERROR_INTERNAL, 0, "libssh2_init failed: %d", initialisation);
}

static int32_t ssh_native(void *connection, const char *type, void **out)
{
    struct ssh_session *session = connection;

    if (session->phase != SSH_PHASE_READY) {
        return -CONNPOOL_ERROR_UNSUPPORTED;
    }
    if (strcmp(type, CONNPOOL_SSH_TYPE) == 0) {
        *out = session->libssh2;
    } else if (strcmp(type, CONNPOOL_SSH_RUN_TYPE) == 0) {
        *out = &session->runner;
    } else if (strcmp(type, "fd") == 0) {
        *out = &session->stream.fd;
    } else {
        return -CONNPOOL_ERROR_UNSUPPORTED;
    }
    return 0;
}

extern const struct connpool_manager connpool_manager;
CONNPOOL_MANAGER_EXPORT const struct connpool_manager connpool_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "ssh",
    .version = "1.0.0",
    .summary = "SSH sessions, over libssh2",
    .options = ssh_option_rows,
    .option_count = SSH_OPTION_COUNT,
    .option_stride = sizeof(struct connpool_option),
    .options_size = sizeof(struct ssh_options),
    .pool_size = sizeof(struct ssh_pool),
    .endpoint_size = sizeof(struct ssh_endpoint),
    .connection_size = sizeof(struct ssh_session),
    .load = ssh_load,
    .pool_init = ssh_pool_init,
    .pool_fini = ssh_pool_fini,
    .endpoint_init = ssh_endpoint_init,
    .parse_endpoint = host_port_parse,
    .open = ssh_session_open,
    .check = ssh_probe_check,
    .prepare = ssh_session_prepare,
    .reset = ssh_session_reset,
    .idle = ssh_probe_idle,
    .close = ssh_session_close,
    .destroy = ssh_session_destroy,
    .native = ssh_native,
    .descriptors = ssh_session_descriptors,
};
