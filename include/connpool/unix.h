/* SPDX-License-Identifier: MIT */
/* connpool/unix.h: what a lease of the manager unix lends: a connected stream socket. Header only. */
#ifndef CONNPOOL_UNIX_H
#define CONNPOOL_UNIX_H

#include <connpool/connpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The name of the manager's native type: an int32_t, the descriptor. Other managers answer "fd" too, only unix this. */
#define CONNPOOL_UNIX_TYPE "connpool.unix/1"

/*
 * The descriptor of a lease's connection; -1: the lease holds nothing, or a connection of another manager. It is the
 * pool's: read, write and poll it until the release, do not close it, and leave it as blocking as it was given
 * (connpool_acquire gives a blocking one). connpool raises no SIGPIPE with it; for the application's own writes, use
 * send with MSG_NOSIGNAL.
 */
static inline int connpool_unix(const connpool_lease *lease)
{
    const int32_t *descriptor = (const int32_t *)connpool_lease_native(lease, CONNPOOL_UNIX_TYPE);

    return descriptor == NULL ? -1 : *descriptor;
}

#ifdef __cplusplus
}
#endif

#endif
