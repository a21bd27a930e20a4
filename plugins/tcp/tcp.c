/* SPDX-License-Identifier: MIT */
/*
 * tcp: the manager of plain TCP connections. The host's dial does the connecting, common/stream.c the rest of a plain
 * socket's life, common/host_port.c reads run-time text; here are the options and the table. tcp.md is its manual.
 */
#include <netdb.h>
#include <string.h>

#include "../common/fault.h"
#include "../common/host_port.h"
#include "../common/stream.h"

#define SECOND               INT64_C(1000000000)
#define USER_TIMEOUT_MAXIMUM (86400 * SECOND) /* as in the option's row */

struct tcp_options {
    const char *host;
    const char *bind_address;
    int64_t port;
    int64_t keepalive_idle;
    int64_t keepalive_interval;
    int64_t keepalive_count;
    int64_t user_timeout;
    int32_t no_delay;
    int32_t family;
};

struct tcp_endpoint {
    struct connpool_head head;
};

static const char *const family_names[] = {"any", "ipv4", "ipv6", NULL};
static const uint32_t family_flags[] = {0, CONNPOOL_DIAL_IPV4, CONNPOOL_DIAL_IPV6};
static const int address_families[] = {AF_UNSPEC, AF_INET, AF_INET6};

#define ROW(member) .name = #member, .offset = offsetof(struct tcp_options, member)

/* The maxima of the keep-alive rows are the kernel's (MAX_TCP_KEEPIDLE, _KEEPINTVL, _KEEPCNT in include/net/tcp.h). */
static const struct connpool_option option_rows[] = {
    {
        ROW(host),
        .help = "name or numeric address to connect to, IPv6 without brackets",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_STRING,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .minimum = "1",
    },
    {
        ROW(port),
        .help = "port to connect to",
        .level = CONNPOOL_LEVEL_ENDPOINT,
        .type = CONNPOOL_TYPE_INTEGER,
        .flags = CONNPOOL_OPTION_REQUIRED,
        .minimum = "1",
        .maximum = "65535",
    },
    {
        ROW(bind_address),
        .help = "numeric local address to connect from",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_STRING,
        .minimum = "1",
    },
    {
        ROW(family),
        .help = "addresses of a name that are tried",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_CHOICE,
        .default_text = "any",
        .choices = family_names,
    },
    {
        ROW(no_delay),
        .help = "send small pieces at once (TCP_NODELAY)",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_BOOLEAN,
        .default_text = "true",
    },
    {
        ROW(keepalive_idle),
        .help = "seconds without traffic before the first keep-alive probe, 0: no probes",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_DURATION,
        .default_text = "60",
        .minimum = "0",
        .maximum = "32767",
    },
    {
        ROW(keepalive_interval),
        .help = "seconds between keep-alive probes",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_DURATION,
        .default_text = "10",
        .minimum = "1",
        .maximum = "32767",
    },
    {
        ROW(keepalive_count),
        .help = "unanswered keep-alive probes after which the connection is dead",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_INTEGER,
        .default_text = "3",
        .minimum = "1",
        .maximum = "127",
    },
    {
        ROW(user_timeout),
        .help = "seconds that sent data may stay unacknowledged, 0: as long as the keep-alive probes take in all",
        .level = CONNPOOL_LEVEL_BOTH,
        .type = CONNPOOL_TYPE_DURATION,
        .default_text = "0",
        .minimum = "0",
        .maximum = "86400",
    },
};

static int32_t tcp_endpoint_init(void *endpoint, struct connpool_fault *fault)
{
    const struct tcp_endpoint *tcp = endpoint;
    const struct tcp_options *options = tcp->head.options;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;

    if (options->bind_address != NULL) {
        hints.ai_family = address_families[options->family];
        if (getaddrinfo(options->bind_address, NULL, &hints, &addresses) != 0) {
            return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                              "bind_address is not a numeric address of family %s", family_names[options->family]);
        }
        freeaddrinfo(addresses);
    }
    return host_port_check_host(options->host, strlen(options->host), fault);
}

/* The dial rounds keep-alive times up, the kernel counts them in seconds. */
static int64_t whole_seconds(int64_t time)
{
    return (time + SECOND - 1) / SECOND * SECOND;
}

/*
 * Linux lets TCP_USER_TIMEOUT override the number of keep-alive probes (tcp_keepalive_timer), and without it sent data
 * stays unacknowledged for about 15 minutes. The time that all probes take does neither harm.
 */
static int64_t user_timeout_of(const struct tcp_options *options)
{
    int64_t probes =
        whole_seconds(options->keepalive_idle) + whole_seconds(options->keepalive_interval) * options->keepalive_count;

    if (options->user_timeout != 0 || options->keepalive_idle == 0 || probes > USER_TIMEOUT_MAXIMUM) {
        return options->user_timeout;
    }
    return probes;
}

static int32_t tcp_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct stream *stream = connection;
    const struct tcp_options *options = stream->head.options;
    const struct connpool_dial_options dial = {
        .size = sizeof(dial),
        .host = options->host,
        .port = (uint32_t)options->port,
        .bind_host = options->bind_address,
        .flags = family_flags[options->family] | (options->no_delay ? 0 : CONNPOOL_DIAL_DELAY),
        .keepalive_idle = options->keepalive_idle,
        .keepalive_interval = options->keepalive_interval,
        .keepalive_count = (uint32_t)options->keepalive_count,
        .user_timeout = user_timeout_of(options),
    };

    return stream_open(stream, &dial, wait, fault);
}

static int32_t tcp_native(void *connection, const char *type, void **out)
{
    return stream_native(connection, "connpool.tcp/1", type, out);
}

extern const struct connpool_manager connpool_manager;
CONNPOOL_MANAGER_EXPORT const struct connpool_manager connpool_manager = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "tcp",
    .version = "1.0.0",
    .summary = "plain TCP connections",
    .options = option_rows,
    .option_count = sizeof(option_rows) / sizeof(option_rows[0]),
    .option_stride = sizeof(struct connpool_option),
    .options_size = sizeof(struct tcp_options),
    .endpoint_size = sizeof(struct tcp_endpoint),
    .connection_size = sizeof(struct stream),
    .endpoint_init = tcp_endpoint_init,
    .parse_endpoint = host_port_parse,
    .open = tcp_open,
    .prepare = stream_prepare,
    .idle = stream_idle,
    .destroy = stream_destroy,
    .native = tcp_native,
    .descriptors = stream_descriptors,
};
