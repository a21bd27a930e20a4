/* SPDX-License-Identifier: MIT */
/* host_port: takes `host:port` and `[address]:port` apart, strictly. */
#include "host_port.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>

#include "fault.h"

#define NAME_LENGTH_MAXIMUM  253 /* RFC 1035, 3.1: 255 octets on the wire */
#define LABEL_LENGTH_MAXIMUM 63  /* RFC 1035, 2.3.4 */
#define PORT_DIGITS_MAXIMUM  5

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool consists_of(const char *start, size_t length, const char *characters)
{
    for (size_t i = 0; i < length; i++) {
        if (strchr(characters, start[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_address(int family, const char *start, size_t length)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (length >= sizeof(text)) {
        return false;
    }
    memcpy(text, start, length);
    text[length] = '\0';
    return inet_pton(family, text, &address) == 1;
}

static bool is_ipv6(const char *start, size_t length)
{
    const char *percent = memchr(start, '%', length);
    size_t scope;

    if (percent == NULL) {
        return is_address(AF_INET6, start, length);
    }
    scope = length - (size_t)(percent + 1 - start);
    return is_address(AF_INET6, start, (size_t)(percent - start)) && scope > 0 && scope < IF_NAMESIZE &&
           consists_of(percent + 1, scope, LETTERS DIGITS "-_.");
}

static bool is_name(const char *start, size_t length)
{
    const char *end = start + length;
    bool is_number = false;

    if (length > 0 && end[-1] == '.') {
        end--;
    }
    if (end == start || end - start > NAME_LENGTH_MAXIMUM) {
        return false;
    }
    for (const char *label = start; label <= end;) {
        const char *dot = memchr(label, '.', (size_t)(end - label));
        size_t size = (size_t)((dot == NULL ? end : dot) - label);

        if (size == 0 || size > LABEL_LENGTH_MAXIMUM || !consists_of(label, size, LETTERS DIGITS "-_")) {
            return false;
        }
        is_number = consists_of(label, size, DIGITS);
        label += size + 1;
    }
    return !is_number;
}

int32_t host_port_check_host(const char *host, size_t length, struct connpool_fault *fault)
{
    if (length == 0) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "the host is empty");
    }
    if (memchr(host, ':', length) != NULL ? is_ipv6(host, length)
                                          : is_address(AF_INET, host, length) || is_name(host, length)) {
        return 0;
    }
    return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                      "the host is neither a name of letters, digits, '-', '_' and '.' nor an IPv4 or IPv6 address");
}

/* The host's part of text, without brackets, and where the port begins; NULL: the text has another form. */
static const char *split(const char *text, const char **host, size_t *host_length)
{
    const char *colon;

    if (text[0] == '[') {
        const char *bracket = strchr(text, ']');

        if (bracket == NULL || bracket[1] != ':') {
            return NULL;
        }
        *host = text + 1;
        *host_length = (size_t)(bracket - *host);
        return memchr(*host, ':', *host_length) == NULL ? NULL : bracket + 2;
    }
    colon = strchr(text, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL) {
        return NULL;
    }
    *host = text;
    *host_length = (size_t)(colon - text);
    return colon + 1;
}

int32_t host_port_parse(const char *text, connpool_set_fn *set, void *context, struct connpool_fault *fault)
{
    const char *host = NULL;
    size_t host_length = 0;
    const char *port = split(text, &host, &host_length);
    int32_t result;

    if (port == NULL) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0,
                          "expected host:port, or [address]:port for an IPv6 address");
    }
    if (strlen(port) == 0 || strlen(port) > PORT_DIGITS_MAXIMUM || !consists_of(port, strlen(port), DIGITS)) {
        return fault_fill(fault, CONNPOOL_ERROR_CONFIGURATION, 0, "the port is not a number from 1 to 65535");
    }
    result = host_port_check_host(host, host_length, fault);
    if (result == 0) {
        result = set(context, "host", host, host_length, fault);
    }
    return result == 0 ? set(context, "port", port, strlen(port), fault) : result;
}
