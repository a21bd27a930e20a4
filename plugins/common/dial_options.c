/* SPDX-License-Identifier: MIT */
/* dial_options: the options of whoever connects over TCP. */
#include "dial_options.h"

#include <netdb.h>
#include <string.h>

#include "fault.h"
#include "host_port.h"

#define SECOND               INT64_C(1000000000)
#define USER_TIMEOUT_MAXIMUM (86400 * SECOND) /* as in the option's row */

const char *const dial_option_families[] = {"any", "ipv4", "ipv6", NULL};
static const int address_families[] = {AF_UNSPEC, AF_INET, AF_INET6};

int32_t dial_options_check(const struct dial_options *options, struct connpool_fault *fault)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;

    if (options->bind_address != NULL) {
        hints.ai_family = address_families[options->socket.family];
        if (getaddrinfo(options->bind_address, NULL, &hints, &addresses) != 0) {
            return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                              "bind_address is not a numeric address of family %s",
                              dial_option_families[options->socket.family]);
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

uint32_t dial_options_family(const struct dial_socket_options *options)
{
    static const uint32_t flags[] = {0, CONNPOOL_DIAL_IPV4, CONNPOOL_DIAL_IPV6};

    return flags[options->family];
}

int64_t dial_options_user_timeout(const struct dial_socket_options *options)
{
    int64_t probes =
        whole_seconds(options->keepalive_idle) + whole_seconds(options->keepalive_interval) * options->keepalive_count;

    if (options->user_timeout != 0 || options->keepalive_idle == 0 || probes > USER_TIMEOUT_MAXIMUM) {
        return options->user_timeout;
    }
    return probes;
}

struct connpool_dial_options dial_options_of(const struct dial_options *options)
{
    return (struct connpool_dial_options){
        .size = sizeof(struct connpool_dial_options),
        .host = options->host,
        .port = (uint32_t)options->port,
        .bind_host = options->bind_address,
        .flags = dial_options_family(&options->socket) | (options->no_delay ? 0 : CONNPOOL_DIAL_DELAY),
        .keepalive_idle = options->socket.keepalive_idle,
        .keepalive_interval = options->socket.keepalive_interval,
        .keepalive_count = (uint32_t)options->socket.keepalive_count,
        .user_timeout = dial_options_user_timeout(&options->socket),
    };
}
