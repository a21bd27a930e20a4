/* SPDX-License-Identifier: MIT */
/*
 * dial_options: the options of whoever connects over TCP: the rows, their checks, and what they ask of the host's dial.
 * A manager has a struct dial_options in its options struct, and the rows in its table; one whose library connects for
 * itself has a struct dial_socket_options and the rows of that.
 */
#ifndef DIAL_OPTIONS_H
#define DIAL_OPTIONS_H

#include <connpool/manager.h>

struct dial_socket_options {
    int64_t keepalive_idle;
    int64_t keepalive_interval;
    int64_t keepalive_count;
    int64_t user_timeout;
    int32_t family; /* an index into dial_option_families */
};

struct dial_options {
    const char *host;
    const char *bind_address;
    int64_t port;
    struct dial_socket_options socket;
    int32_t no_delay;
};

extern const char *const dial_option_families[];

/* 0, or the negative of CONNPOOL_ERROR_CONFIGURATION with the fault filled: host or bind_address have no right form.
 * Resolves no name. */
int32_t dial_options_check(const struct dial_options *options, struct connpool_fault *fault);
/* What to ask of the host's dial; its text is that of the options. */
struct connpool_dial_options dial_options_of(const struct dial_options *options);

/* The addresses that the family allows: 0 (all), CONNPOOL_DIAL_IPV4 or CONNPOOL_DIAL_IPV6. */
uint32_t dial_options_family(const struct dial_socket_options *options);
/*
 * Nanoseconds that sent data may stay unacknowledged; 0: as long as the kernel likes. Linux lets TCP_USER_TIMEOUT
 * override the number of keep-alive probes (tcp_keepalive_timer), and without it sent data stays unacknowledged for
 * about 15 minutes. The time that all probes take does neither harm: where none is given, it is that.
 */
int64_t dial_options_user_timeout(const struct dial_socket_options *options);

/* The rows below belong to a struct dial_options that begins at `base` of the options struct. */
#define DIAL_OPTION_FIELD(base, field)                                                                                 \
    .name = #field, .offset = (uint32_t)((base) + offsetof(struct dial_options, field))
/* And these to a struct dial_socket_options that does. */
#define DIAL_SOCKET_FIELD(base, field)                                                                                 \
    .name = #field, .offset = (uint32_t)((base) + offsetof(struct dial_socket_options, field))

/* Where to: both required. */
#define DIAL_OPTION_ROWS_OF_HOST_AND_PORT(base) DIAL_OPTION_ROW_OF_HOST(base), DIAL_OPTION_ROW_OF_PORT(base)
#define DIAL_OPTION_ROW_OF_HOST(base)                                                                                  \
    {                                                                                                                  \
        .help = "name or numeric address to connect to, IPv6 without brackets", DIAL_OPTION_FIELD(base, host),         \
        .level = CONNPOOL_LEVEL_ENDPOINT, .type = CONNPOOL_TYPE_STRING, .flags = CONNPOOL_OPTION_REQUIRED,             \
        .minimum = "1",                                                                                                \
    }
#define DIAL_OPTION_ROW_OF_PORT(base)                                                                                  \
    {                                                                                                                  \
        .help = "port to connect to", DIAL_OPTION_FIELD(base, port), .level = CONNPOOL_LEVEL_ENDPOINT,                 \
        .type = CONNPOOL_TYPE_INTEGER, .flags = CONNPOOL_OPTION_REQUIRED, .minimum = "1", .maximum = "65535",          \
    }

/* How. */
#define DIAL_OPTION_ROWS_OF_SOCKET(base)                                                                               \
    DIAL_OPTION_ROW_OF_ADDRESS(base), DIAL_SOCKET_ROW_OF_FAMILY((base) + offsetof(struct dial_options, socket)),       \
        DIAL_OPTION_ROW_OF_DELAY(base), DIAL_SOCKET_ROWS_OF_KEEPALIVE((base) + offsetof(struct dial_options, socket))
/* The maxima of the keep-alive rows are the kernel's (MAX_TCP_KEEPIDLE, _KEEPINTVL, _KEEPCNT in include/net/tcp.h). */
#define DIAL_SOCKET_ROWS_OF_KEEPALIVE(base)                                                                            \
    DIAL_SOCKET_ROW_OF_TIME(base, keepalive_idle, "60", "0", "32767",                                                  \
                            "seconds without traffic before the first keep-alive probe, 0: no probes"),                \
        DIAL_SOCKET_ROW_OF_TIME(base, keepalive_interval, "10", "1", "32767", "seconds between keep-alive probes"),    \
        DIAL_SOCKET_ROW_OF_COUNT(base),                                                                                \
        DIAL_SOCKET_ROW_OF_TIME(                                                                                       \
            base, user_timeout, "0", "0", "86400",                                                                     \
            "seconds that sent data may stay unacknowledged, 0: as long as the keep-alive probes take in all")
#define DIAL_OPTION_ROW_OF_ADDRESS(base)                                                                               \
    {                                                                                                                  \
        .help = "numeric local address to connect from", DIAL_OPTION_FIELD(base, bind_address),                        \
        .level = CONNPOOL_LEVEL_BOTH, .type = CONNPOOL_TYPE_STRING, .minimum = "1",                                    \
    }
#define DIAL_SOCKET_ROW_OF_FAMILY(base)                                                                                \
    {                                                                                                                  \
        .help = "addresses of a name that are tried", DIAL_SOCKET_FIELD(base, family), .level = CONNPOOL_LEVEL_BOTH,   \
        .type = CONNPOOL_TYPE_CHOICE, .default_text = "any", .choices = dial_option_families,                          \
    }
#define DIAL_OPTION_ROW_OF_DELAY(base)                                                                                 \
    {                                                                                                                  \
        .help = "send small pieces at once (TCP_NODELAY)", DIAL_OPTION_FIELD(base, no_delay),                          \
        .level = CONNPOOL_LEVEL_BOTH, .type = CONNPOOL_TYPE_BOOLEAN, .default_text = "true",                           \
    }
#define DIAL_SOCKET_ROW_OF_TIME(base, field, usual, least, most, meaning)                                              \
    {                                                                                                                  \
        .help = (meaning), DIAL_SOCKET_FIELD(base, field), .level = CONNPOOL_LEVEL_BOTH,                               \
        .type = CONNPOOL_TYPE_DURATION, .default_text = (usual), .minimum = (least), .maximum = (most),                \
    }
#define DIAL_SOCKET_ROW_OF_COUNT(base)                                                                                 \
    {                                                                                                                  \
        .help = "unanswered keep-alive probes after which the connection is dead",                                     \
        DIAL_SOCKET_FIELD(base, keepalive_count), .level = CONNPOOL_LEVEL_BOTH, .type = CONNPOOL_TYPE_INTEGER,         \
        .default_text = "3", .minimum = "1", .maximum = "127",                                                         \
    }

#endif
