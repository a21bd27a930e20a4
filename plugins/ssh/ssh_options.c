/* SPDX-License-Identifier: MIT */
/* ssh_options: see ssh_options.h. */
#include "ssh_options.h"

#include <string.h>
#include <sys/stat.h>

#include "../common/fault.h"
#include "ssh_file.h"
#include "ssh_key.h"
#include "ssh_private_key.h"

#define PRIVATE_KEY_MAXIMUM 65536              /* failures.md S18 */
#define KNOWN_HOSTS_MAXIMUM (16 * 1024 * 1024) /* a hundred thousand hosts */

#define DIAL        offsetof(struct ssh_options, dial)
#define ROW(member) .name = #member, .offset = offsetof(struct ssh_options, member)
#define BOTH(kind)  .level = CONNPOOL_LEVEL_BOTH, .type = CONNPOOL_TYPE_##kind

const struct connpool_option ssh_option_rows[] = {
    DIAL_OPTION_ROW_OF_HOST(DIAL),
    {
        DIAL_OPTION_FIELD(DIAL, port),
        .help = "port to connect to",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_INTEGER,
        .default_text = "22",
        .minimum = "1",
        .maximum = "65535",
    },
    {
        ROW(user),
        .help = "name to log in with",
        BOTH(STRING),
        .flags = CONNPOOL_OPTION_REQUIRED,
        .minimum = "1",
        .maximum = "255",
    },
    {
        ROW(known_hosts),
        .help = "file of the keys that servers are known by (sshd(8), known_hosts), read when the context opens",
        BOTH(PATH),
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(host_key_alias),
        .help = "name to look the server up by in known_hosts, instead of host and port",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_STRING,
        .minimum = "1",
        .maximum = "255",
    },
    {
        ROW(host_key_pins),
        .help = "SHA-256 digests of the keys that the server may have, as `ssh-keygen -l` prints them (SHA256:…)",
        BOTH(LIST),
    },
    {
        ROW(private_key),
        .help = "file of the private key to log in with, ed25519 or ECDSA, no passphrase, read when the context opens",
        BOTH(PATH),
        .flags = CONNPOOL_OPTION_SHARED,
        .minimum = "1",
    },
    {
        ROW(agent),
        .help = "socket of an ssh-agent whose keys are tried",
        BOTH(PATH),
        .minimum = "1",
    },
    {
        ROW(agent_key),
        .help = "the one key of the agent to use, by its SHA-256 digest as `ssh-add -l` prints it (SHA256:…)",
        BOTH(STRING),
        .minimum = "1",
    },
    {
        ROW(password),
        .help = "password to log in with",
        BOTH(SECRET),
        .minimum = "1",
    },
    {
        ROW(keyboard_interactive),
        .help = "where the server takes no password as such, answer one hidden question with the password",
        BOTH(BOOLEAN),
        .default_text = "true",
    },
    {
        ROW(probe_interval),
        .help = "seconds after which an idle session is probed with a round trip, 0: never",
        BOTH(DURATION),
        .default_text = "30",
        .minimum = "0",
        .maximum = "86400",
    },
    {
        ROW(probe_timeout),
        .help = "seconds within which the server answers a probe of an idle session, else it is dead",
        BOTH(DURATION),
        .default_text = "5",
        .minimum = "0.01",
        .maximum = "3600",
    },
    {
        ROW(call_timeout),
        .help = "seconds after which a blocking call of the application on the session gives up, 0: never",
        BOTH(DURATION),
        .default_text = "30",
        .minimum = "0",
        .maximum = "86400",
    },
    {
        ROW(keep_open_channels),
        .help = "keep a session in which a lease left something open, instead of closing it",
        BOTH(BOOLEAN),
        .default_text = "false",
    },
    DIAL_OPTION_ROWS_OF_SOCKET(DIAL),
};

static int32_t read_known_hosts(struct ssh_pool *pool, const char *path, struct connpool_fault *fault)
{
    char *text = NULL;
    size_t length = 0;
    int32_t result = ssh_file_read("known_hosts", path, S_IWGRP | S_IWOTH, KNOWN_HOSTS_MAXIMUM, &pool->memory, &text,
                                   &length, fault);

    return result != 0 ? result : known_hosts_read(&pool->known_hosts, text, path, &pool->memory, fault);
}

static int32_t read_private_key(struct ssh_pool *pool, const char *path, struct connpool_fault *fault)
{
    int32_t result = ssh_file_read("private_key", path, S_IRWXG | S_IRWXO, PRIVATE_KEY_MAXIMUM, &pool->memory,
                                   &pool->private_key, &pool->private_key_length, fault);

    return result != 0
               ? result
               : ssh_private_key_prepare(&pool->private_key, &pool->private_key_length, path, &pool->memory, fault);
}

int32_t ssh_pool_init(void *state, struct connpool_fault *fault)
{
    struct ssh_pool *pool = state;
    const struct ssh_options *options = pool->head.options;
    int32_t result = options->known_hosts == NULL ? 0 : read_known_hosts(pool, options->known_hosts, fault);

    if (result == 0 && options->private_key != NULL) {
        result = read_private_key(pool, options->private_key, fault);
    }
    return result;
}

void ssh_pool_fini(void *state)
{
    struct ssh_pool *pool = state;

    ssh_memory_fini(&pool->memory);
}

static int32_t refuse(struct connpool_fault *fault, const char *reason)
{
    return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s", reason);
}

static int32_t check_pins(const struct connpool_list *pins, struct connpool_fault *fault)
{
    for (uint32_t i = 0; i < pins->count; i++) {
        if (!ssh_key_is_digest(pins->items[i])) {
            return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                              "host_key_pins[%u] is not a SHA-256 digest as `ssh-keygen -l` prints it (SHA256:…)", i);
        }
    }
    return 0;
}

int32_t ssh_endpoint_init(void *state, struct connpool_fault *fault)
{
    struct ssh_endpoint *endpoint = state;
    const struct ssh_pool *pool = endpoint->head.parent;
    const struct ssh_options *options = endpoint->head.options;
    int32_t result = dial_options_check(&options->dial, fault);

    if (result != 0) {
        return result;
    }
    if (options->known_hosts == NULL && options->host_key_pins.count == 0) {
        return refuse(fault, "neither known_hosts nor host_key_pins says which key the server has; without, no server "
                             "is trusted");
    }
    if (options->private_key == NULL && options->agent == NULL && options->password == NULL) {
        return refuse(fault, "no way to log in: none of private_key, agent and password is set");
    }
    if (options->agent_key != NULL && !ssh_key_is_digest(options->agent_key)) {
        return refuse(fault, "agent_key is not a SHA-256 digest as `ssh-add -l` prints it (SHA256:…)");
    }
    if (options->host_key_alias != NULL) {
        known_hosts_name(options->host_key_alias, KNOWN_HOSTS_PORT, endpoint->name);
    } else {
        known_hosts_name(options->dial.host, options->dial.port, endpoint->name);
    }
    endpoint->kinds = known_hosts_kinds(&pool->known_hosts, endpoint->name);
    return check_pins(&options->host_key_pins, fault);
}
