/* SPDX-License-Identifier: MIT */
/*
 * host_port: the grammar of a TCP endpoint's text.
 *
 *   text    = name ":" port | IPv4 ":" port | "[" IPv6 [ "%" scope ] "]" ":" port
 *   name    = labels of 1 to 63 letters, digits, "-" and "_", joined by ".", with at most one "." at the end (an
 *             absolute name), 253 characters; its last label is not all digits. Names of other scripts are written in
 *             their ASCII form (xn--…)
 *   scope   = an interface's name or number: 1 to 15 letters, digits, "-", "_" and "."
 *   port    = 1 to 5 digits; the option's row bounds its value
 *
 * Nothing else is accepted: no spaces, no control characters, no IPv6 without its brackets, no IPv4 in fewer than four
 * parts, no service names.
 */
#ifndef HOST_PORT_H
#define HOST_PORT_H

#include <connpool/manager.h>

/* 0 if the length bytes at host are a name, an IPv4 or, without brackets, an IPv6 address; else the negative of
 * CONNPOOL_ERROR_CONFIGURATION with the fault filled. */
int32_t host_port_check_host(const char *host, size_t length, struct connpool_fault *fault);

/* Take text apart and set the options "host" (without brackets) and "port". As parse_endpoint of struct
 * connpool_manager. */
int32_t host_port_parse(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault);

#endif
