/* SPDX-License-Identifier: MIT */
/*
 * postgres: the manager of PostgreSQL sessions, over libpq. Here are the options, their checks and the table;
 * postgres_open.c makes a session, postgres_session.c and postgres_reset.c take care of it. postgres.md is its manual.
 */
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

#include "../common/fault.h"
#include "../common/host_port.h"
#include "postgres_conninfo.h"

const char *const postgres_session_attrs[] = {"any",     "read-write",     "read-only", "primary",
                                              "standby", "prefer-standby", NULL};
const char *const postgres_sslmodes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL};
const char *const postgres_channel_bindings[] = {"disable", "prefer", "require", NULL};
const char *const postgres_gssencmodes[] = {"disable", "prefer", "require", NULL};

/* ---- Options ---- */

#define ROW(member) .name = #member, .offset = offsetof(struct postgres_options, member), .level = CONNPOOL_LEVEL_BOTH

static const struct connpool_option option_rows[] = {
    {
        ROW(host),
        .help = "name or address of the server, or folder of its Unix socket; several with commas are tried in order, "
                "each may end with its own :port",
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .minimum = "1",
    },
    {
        ROW(port),
        .help = "port of the server, and the number in its Unix socket's name",
        .type = CONNPOOL_TYPE_INTEGER,
        .default_text = "5432",
        .minimum = "1",
        .maximum = "65535",
    },
    {
        ROW(dbname),
        .help = "database, default: the one with the user's name",
        .type = CONNPOOL_TYPE_STRING,
        .minimum = "1",
    },
    {
        ROW(user),
        .help = "role to log in as",
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .minimum = "1",
    },
    {
        ROW(password),
        .help = "its password",
        .type = CONNPOOL_TYPE_SECRET,
    },
    {
        ROW(application_name),
        .help = "name that the server shows in pg_stat_activity and its log",
        .type = CONNPOOL_TYPE_STRING,
    },
    {
        ROW(target_session_attrs),
        .help = "which servers are acceptable",
        .type = CONNPOOL_TYPE_CHOICE,
        .default_text = "any",
        .choices = postgres_session_attrs,
    },
    {
        ROW(statements),
        .help = "SQL run once on each new connection before it is used, one round trip each",
        .type = CONNPOOL_TYPE_LIST,
    },
    {
        ROW(discard_all),
        .help = "after each lease: DISCARD ALL, which also undoes what the statements set",
        .type = CONNPOOL_TYPE_BOOLEAN,
        .default_text = "false",
    },
    {
        ROW(unlisten),
        .help = "after each lease: UNLISTEN *",
        .type = CONNPOOL_TYPE_BOOLEAN,
        .default_text = "false",
    },
    {
        ROW(unlock),
        .help = "after each lease: give back all advisory locks of the session",
        .type = CONNPOOL_TYPE_BOOLEAN,
        .default_text = "false",
    },
    {
        ROW(reset_settings),
        .help = "after each lease: the role and all settings as at the login, which also undoes what the statements "
                "set",
        .type = CONNPOOL_TYPE_BOOLEAN,
        .default_text = "false",
    },
    {
        ROW(sslmode),
        .help = "how far TLS is wanted and the server's certificate verified, over TCP",
        .type = CONNPOOL_TYPE_CHOICE,
        .default_text = "verify-full",
        .choices = postgres_sslmodes,
    },
    {
        ROW(sslrootcert),
        .help = "file of the authorities that may sign the server's certificate",
        .type = CONNPOOL_TYPE_PATH,
        .minimum = "1",
    },
    {
        ROW(sslcert),
        .help = "file of the client's certificate",
        .type = CONNPOOL_TYPE_PATH,
        .minimum = "1",
    },
    {
        ROW(sslkey),
        .help = "file of the client's private key, which nobody else may read",
        .type = CONNPOOL_TYPE_PATH,
        .minimum = "1",
    },
    {
        ROW(sslpassword),
        .help = "password of the private key",
        .type = CONNPOOL_TYPE_SECRET,
    },
    {
        ROW(sslcrl),
        .help = "file of revoked certificates",
        .type = CONNPOOL_TYPE_PATH,
        .minimum = "1",
    },
    {
        ROW(sslcrldir),
        .help = "folder of files of revoked certificates, named by OpenSSL's rehash",
        .type = CONNPOOL_TYPE_PATH,
        .minimum = "1",
    },
    {
        ROW(channel_binding),
        .help = "whether the login must prove that the TLS session ends at the server",
        .type = CONNPOOL_TYPE_CHOICE,
        .default_text = "prefer",
        .choices = postgres_channel_bindings,
    },
    {
        ROW(gssencmode),
        .help = "encryption by GSSAPI, whose library may wait for the network where it must not",
        .type = CONNPOOL_TYPE_CHOICE,
        .default_text = "disable",
        .choices = postgres_gssencmodes,
    },
    {
        ROW(requirepeer),
        .help = "operating-system user that a server on a Unix socket must run as",
        .type = CONNPOOL_TYPE_STRING,
        .minimum = "1",
    },
    {
        ROW(cleartext_password),
        .help = "send the password in clear text where the server asks for that without TLS",
        .type = CONNPOOL_TYPE_BOOLEAN,
        .default_text = "false",
    },
    DIAL_SOCKET_ROW_OF_FAMILY(offsetof(struct postgres_options, socket)),
    DIAL_SOCKET_ROWS_OF_KEEPALIVE(offsetof(struct postgres_options, socket)),
    {
        ROW(libpq),
        .help = "further keywords of libpq's, passed through",
        .type = CONNPOOL_TYPE_MAP,
        .choices = postgres_conninfo_refused,
    },
};

/* ---- An endpoint ---- */

static int32_t refuse(struct connpool_fault *fault, const char *text)
{
    return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "%s", text);
}

/* *has_tcp: one of the servers is not behind a Unix socket. */
static int32_t check_hosts(const struct postgres_options *options, bool *has_tcp, struct connpool_fault *fault)
{
    struct postgres_host entry;

    for (const char *next = options->host; next != NULL;) {
        int32_t result = postgres_hosts_entry(options, &next, &entry, fault);

        if (result != 0) {
            return result;
        }
        *has_tcp = *has_tcp || !entry.is_path;
    }
    return 0;
}

static int32_t check_tls(const struct postgres_options *options, bool has_tcp, struct connpool_fault *fault)
{
    if ((options->sslcert == NULL) != (options->sslkey == NULL)) {
        return refuse(fault, "found one of sslcert and sslkey, expected both or none");
    }
    if (options->sslkey != NULL && strchr(options->sslkey, ':') != NULL) {
        return refuse(fault, "sslkey: found a path with ':', expected none: libpq would load an engine of OpenSSL's by "
                             "that name");
    }
    if (has_tcp && options->sslmode >= POSTGRES_SSLMODE_VERIFY_CA && options->sslrootcert == NULL) {
        return refuse(fault, "sslrootcert is missing: sslmode verify-full and verify-ca need the file of the "
                             "authorities that may sign the server's certificate");
    }
    return 0;
}

/* libpq puts these into every login, and no option of a connection comes before them. */
static void warn_of_environment(const struct connpool_host *host)
{
    static const char *const names[] = {"PGDATESTYLE", "PGTZ", "PGGEQO"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (getenv(names[i]) != NULL) {
            host->log(host, CONNPOOL_LOG_WARNING,
                      "postgres: PGDATESTYLE, PGTZ or PGGEQO is set in the environment: libpq hands it to every "
                      "session, whatever is configured");
            return;
        }
    }
}

static int32_t postgres_endpoint_init(void *endpoint, struct connpool_fault *fault)
{
    const struct postgres_endpoint *postgres = endpoint;
    const struct postgres_options *options = postgres->head.options;
    bool has_tcp = false;
    int32_t result = check_hosts(options, &has_tcp, fault);

    if (result == 0) {
        result = check_tls(options, has_tcp, fault);
    }
    if (result == 0) {
        result = postgres_conninfo_check(options, fault);
    }
    warn_of_environment(postgres->head.host);
    return result;
}

/* ---- The table ---- */

static int32_t postgres_native(void *connection, const char *type, void **out)
{
    struct postgres *postgres = connection;

    if (!postgres->is_open || postgres->pg == NULL || strcmp(type, "libpq.PGconn/5") != 0) {
        return -CONNPOOL_ERROR_UNSUPPORTED;
    }
    *out = postgres->pg;
    return 0;
}

static int32_t postgres_descriptors(void *connection, int32_t *descriptors, int32_t capacity)
{
    const struct postgres *postgres = connection;
    int fd = postgres->pg == NULL ? -1 : PQsocket(postgres->pg);

    if (fd < 0) {
        return 0;
    }
    if (capacity > 0) {
        descriptors[0] = fd;
    }
    return 1;
}

extern const struct connpool_manager connpool_manager;
CONNPOOL_MANAGER_EXPORT const struct connpool_manager connpool_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "postgres",
    .version = "1.0.0",
    .summary = "PostgreSQL sessions, through libpq",
    .options = option_rows,
    .option_count = sizeof(option_rows) / sizeof(option_rows[0]),
    .option_stride = sizeof(struct connpool_option),
    .options_size = sizeof(struct postgres_options),
    .endpoint_size = sizeof(struct postgres_endpoint),
    .connection_size = sizeof(struct postgres),
    .endpoint_init = postgres_endpoint_init,
    .parse_endpoint = host_port_parse,
    .open = postgres_open,
    .check = postgres_check,
    .prepare = postgres_prepare,
    .reset = postgres_reset,
    .idle = postgres_idle,
    .close = postgres_close,
    .destroy = postgres_destroy,
    .native = postgres_native,
    .descriptors = postgres_descriptors,
};
