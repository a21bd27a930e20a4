/* SPDX-License-Identifier: MIT */
/*
 * dial_options: the options of whoever connects over TCP: the rows, their checks, and what they ask of the host's dial.
 * A manager has a struct dial_options in its options struct, and the rows in its table.
 */
#ifndef DIAL_OPTIONS_H
#define DIAL_OPTIONS_H

#include <connpool/manager.h>

struct dial_options {
    const char *host;
    const char *bind_address;
    int64_t port;
    int64_t keepalive_idle;
    int64_t keepalive_interval;
    int64_t keepalive_count;
    int64_t user_timeout;
    int32_t no_delay;
    int32_t family; /* an index into dial_option_families */
};

extern const char *const dial_option_families[];

/* 0, or the negative of CONNPOOL_ERROR_CONFIGURATION with the fault filled: host or bind_address have no right form.
 * Resolves no name. */
int32_t dial_options_check(const struct dial_options *options, struct connpool_fault *fault);
/* What to ask of the host's dial; its text is that of the options. */
struct connpool_dial_options dial_options_of(const struct dial_options *options);

/* A row of the member `field` of the struct dial_options that is the member `member` of the options struct `structure`.
 */
#define DIAL_OPTION(structure, member, field) .name = #field, .offset = offsetof(structure, member.field)

/* Where to: both required. */
#define DIAL_OPTION_ROWS_OF_HOST_AND_PORT(structure, member)                                                           \
    {                                                                                                                  \
        DIAL_OPTION(structure, member, host), .help = "name or numeric address to connect to, IPv6 without brackets",  \
        .level = CONNPOOL_LEVEL_ENDPOINT,     .type = CONNPOOL_TYPE_STRING,                                            \
        .flags = CONNPOOL_OPTION_REQUIRED,    .minimum = "1",                                                          \
    },                                                                                                                 \
    {                                                                                                                  \
        DIAL_OPTION(structure, member, port), .help = "port to connect to", .level = CONNPOOL_LEVEL_ENDPOINT,          \
                                              .type = CONNPOOL_TYPE_INTEGER, .flags = CONNPOOL_OPTION_REQUIRED,        \
                                              .minimum = "1", .maximum = "65535",                                      \
    }

/* How: the maxima of the keep-alive rows are the kernel's (MAX_TCP_KEEPIDLE, _KEEPINTVL, _KEEPCNT in
 * include/net/tcp.h). */
#define DIAL_OPTION_ROWS_OF_SOCKET(structure, member)                                                                  \
    {                                                                                                                  \
        DIAL_OPTION(structure, member, bind_address),                                                                  \
        .help = "numeric local address to connect from",                                                               \
        .level = CONNPOOL_LEVEL_BOTH,                                                                                  \
        .type = CONNPOOL_TYPE_STRING,                                                                                  \
        .minimum = "1",                                                                                                \
    },                                                                                                                 \
        {                                                                                                              \
            DIAL_OPTION(structure, member, family),                                                                    \
            .help = "addresses of a name that are tried",                                                              \
            .level = CONNPOOL_LEVEL_BOTH,                                                                              \
            .type = CONNPOOL_TYPE_CHOICE,                                                                              \
            .default_text = "any",                                                                                     \
            .choices = dial_option_families,                                                                           \
        },                                                                                                             \
        {                                                                                                              \
            DIAL_OPTION(structure, member, no_delay),                                                                  \
            .help = "send small pieces at once (TCP_NODELAY)",                                                         \
            .level = CONNPOOL_LEVEL_BOTH,                                                                              \
            .type = CONNPOOL_TYPE_BOOLEAN,                                                                             \
            .default_text = "true",                                                                                    \
        },                                                                                                             \
        {                                                                                                              \
            DIAL_OPTION(structure, member, keepalive_idle),                                                            \
            .help = "seconds without traffic before the first keep-alive probe, 0: no probes",                         \
            .level = CONNPOOL_LEVEL_BOTH,                                                                              \
            .type = CONNPOOL_TYPE_DURATION,                                                                            \
            .default_text = "60",                                                                                      \
            .minimum = "0",                                                                                            \
            .maximum = "32767",                                                                                        \
        },                                                                                                             \
        {                                                                                                              \
            DIAL_OPTION(structure, member, keepalive_interval),                                                        \
            .help = "seconds between keep-alive probes",                                                               \
            .level = CONNPOOL_LEVEL_BOTH,                                                                              \
            .type = CONNPOOL_TYPE_DURATION,                                                                            \
            .default_text = "10",                                                                                      \
            .minimum = "1",                                                                                            \
            .maximum = "32767",                                                                                        \
        },                                                                                                             \
        {                                                                                                              \
            DIAL_OPTION(structure, member, keepalive_count),                                                           \
            .help = "unanswered keep-alive probes after which the connection is dead",                                 \
            .level = CONNPOOL_LEVEL_BOTH,                                                                              \
            .type = CONNPOOL_TYPE_INTEGER,                                                                             \
            .default_text = "3",                                                                                       \
            .minimum = "1",                                                                                            \
            .maximum = "127",                                                                                          \
        },                                                                                                             \
    {                                                                                                                  \
        DIAL_OPTION(structure, member, user_timeout),                                                                  \
            .help = "seconds that sent data may stay unacknowledged, 0: as long as the keep-alive probes take in all", \
            .level = CONNPOOL_LEVEL_BOTH, .type = CONNPOOL_TYPE_DURATION, .default_text = "0", .minimum = "0",         \
            .maximum = "86400",                                                                                        \
    }

#endif
