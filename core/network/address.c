/* SPDX-License-Identifier: MIT */
/* address: see address.h. */
#include "network/address.h"

#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"

static bool fill(struct cp_address *address, const struct sockaddr *from, socklen_t length)
{
    if (length > sizeof(address->socket) || (from->sa_family != AF_INET && from->sa_family != AF_INET6)) {
        return false;
    }
    memcpy(&address->socket, from, length);
    address->length = length;
    return getnameinfo(from, length, address->text, sizeof(address->text), NULL, 0, NI_NUMERICHOST) == 0;
}

bool cp_address_read(struct cp_address *address, const char *text)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    bool filled;

    if (getaddrinfo(text, NULL, &hints, &list) != 0) {
        return false;
    }
    filled = fill(address, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return filled;
}

void cp_address_set_port(struct cp_address *address, uint16_t port)
{
    if (address->socket.any.sa_family == AF_INET) {
        address->socket.ipv4.sin_port = htons(port);
    } else {
        address->socket.ipv6.sin6_port = htons(port);
    }
}

static struct cp_addresses *addresses_new(uint32_t count)
{
    struct cp_addresses *addresses = cp_alloc(sizeof(*addresses) + count * sizeof(addresses->items[0]));

    if (addresses != NULL) {
        atomic_init(&addresses->references, 1);
    }
    return addresses;
}

struct cp_addresses *cp_addresses_from_list(const struct addrinfo *list)
{
    struct cp_addresses *addresses;
    uint32_t count = 0;

    for (const struct addrinfo *item = list; item != NULL; item = item->ai_next) {
        count++;
    }
    addresses = addresses_new(count);
    for (const struct addrinfo *item = list; addresses != NULL && item != NULL; item = item->ai_next) {
        addresses->count += fill(&addresses->items[addresses->count], item->ai_addr, item->ai_addrlen);
    }
    return addresses;
}

struct cp_addresses *cp_addresses_from_one(const struct cp_address *address)
{
    struct cp_addresses *addresses = addresses_new(1);

    if (addresses != NULL) {
        addresses->items[0] = *address;
        addresses->count = 1;
    }
    return addresses;
}

struct cp_addresses *cp_addresses_ref(struct cp_addresses *addresses)
{
    (void)atomic_fetch_add_explicit(&addresses->references, 1, memory_order_relaxed);
    return addresses;
}

void cp_addresses_unref(struct cp_addresses *addresses)
{
    if (addresses != NULL && atomic_fetch_sub_explicit(&addresses->references, 1, memory_order_acq_rel) == 1) {
        cp_free(addresses);
    }
}
