/* SPDX-License-Identifier: MIT */
/* address: internet addresses as the resolver gives them, and as text. Any thread, nothing waits. */
#ifndef CP_ADDRESS_H
#define CP_ADDRESS_H

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* One address, its port 0 until it is set. */
struct cp_address {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } socket;
    socklen_t length;
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1]; /* numeric, with the scope */
};

/* The addresses of a name, in the resolver's order (RFC 6724). Counted; immutable once they are shared. */
struct cp_addresses {
    _Atomic unsigned references;
    uint32_t count;
    struct cp_address items[];
};

/* Read a numeric address (an IPv6 one may have a scope). False: it is none. */
bool cp_address_read(struct cp_address *address, const char *text);
void cp_address_set_port(struct cp_address *address, uint16_t port);

/* Copies of those in the list that are IPv4 or IPv6. NULL: no memory. */
struct cp_addresses *cp_addresses_from_list(const struct addrinfo *list);
/* A list of one. NULL: no memory. */
struct cp_addresses *cp_addresses_from_one(const struct cp_address *address);
/* Returns addresses, for assignment. */
struct cp_addresses *cp_addresses_ref(struct cp_addresses *addresses);
/* Accepts NULL. */
void cp_addresses_unref(struct cp_addresses *addresses);

#endif
