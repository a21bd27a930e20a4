/* SPDX-License-Identifier: MIT */
/*
 * tcp: the manager of plain TCP connections. The host's dial does the connecting, common/stream.c the rest of a plain
 * socket's life, common/dial_options.c has the options, common/host_port.c reads run-time text; here is the table.
 * tcp.md is its manual.
 */
#include "../common/dial_options.h"
#include "../common/host_port.h"
#include "../common/stream.h"

struct tcp_options {
    struct dial_options dial;
};

struct tcp_endpoint {
    struct connpool_head head;
};

static const struct connpool_option option_rows[] = {
    DIAL_OPTION_ROWS_OF_HOST_AND_PORT(offsetof(struct tcp_options, dial)),
    DIAL_OPTION_ROWS_OF_SOCKET(offsetof(struct tcp_options, dial)),
};

static int32_t tcp_endpoint_init(void *endpoint, struct connpool_fault *fault)
{
    const struct tcp_endpoint *tcp = endpoint;
    const struct tcp_options *options = tcp->head.options;

    return dial_options_check(&options->dial, fault);
}

static int32_t tcp_open(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct stream *stream = connection;
    const struct tcp_options *options = stream->head.options;
    const struct connpool_dial_options dial = dial_options_of(&options->dial);

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
