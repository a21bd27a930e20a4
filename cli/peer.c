/* SPDX-License-Identifier: MIT */
/* peer: see peer.h. */
#include "peer.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void describe_unix(const struct sockaddr_un *address, socklen_t size, char text[PEER_SIZE])
{
    const size_t length = size - offsetof(struct sockaddr_un, sun_path);

    if (length > 1 && address->sun_path[0] == '\0') {
        (void)snprintf(text, PEER_SIZE, "@%.*s", (int)length - 1, address->sun_path + 1);
    } else {
        (void)snprintf(text, PEER_SIZE, "%.*s", (int)length, address->sun_path);
    }
}

static void describe_internet(const struct sockaddr *address, socklen_t size, char text[PEER_SIZE])
{
    char host[128], port[16];

    if (getnameinfo(address, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        (void)snprintf(text, PEER_SIZE, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    }
}

void peer_describe(const connpool_lease *lease, char text[PEER_SIZE])
{
    const int32_t *descriptor = connpool_lease_native(lease, "fd");
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);

    text[0] = '\0';
    if (descriptor == NULL || getpeername(*descriptor, (struct sockaddr *)&address, &size) != 0) {
        return;
    }
    if (address.ss_family == AF_UNIX) {
        describe_unix((const struct sockaddr_un *)&address, size, text);
    } else {
        describe_internet((const struct sockaddr *)&address, size, text);
    }
}
