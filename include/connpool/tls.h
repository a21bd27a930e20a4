/* SPDX-License-Identifier: MIT */
/*
 * connpool/tls.h: what a lease of the manager tls lends: OpenSSL's `SSL *`, its handshake done, the peer verified.
 * Header only; it needs no header of OpenSSL, which calls its SSL a struct ssl_st.
 */
#ifndef CONNPOOL_TLS_H
#define CONNPOOL_TLS_H

#include <connpool/connpool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ssl_st; /* SSL */

/* The native types: the SSL of libssl.so.3, and struct connpool_tls_information. */
#define CONNPOOL_TLS_TYPE             "openssl.SSL/3"
#define CONNPOOL_TLS_INFORMATION_TYPE "connpool.tls.information/1"

/*
 * The `SSL *` of a lease's connection; NULL: the lease holds nothing, or a connection of another manager. It is the
 * pool's: SSL_read, SSL_write and ask it until the release; do not free or clear it, change its BIOs or its descriptor.
 * After connpool_acquire its calls wait; SSL_get_fd tells the socket, for poll(2) or for time limits by SO_RCVTIMEO and
 * SO_SNDTIMEO. None of its calls raises SIGPIPE. A call that failed other than by SSL_ERROR_WANT_READ or _WRITE, an
 * answer that was not read to its end, and a write that was not completed: discard the lease.
 */
static inline struct ssl_st *connpool_tls(const connpool_lease *lease)
{
    return (struct ssl_st *)connpool_lease_native(lease, CONNPOOL_TLS_TYPE);
}

struct connpool_tls_information {
    uint32_t size;       /* of what the manager filled: a member beyond it is not known */
    uint32_t is_resumed; /* 1: this connection's handshake resumed an earlier session */
    /* Of its endpoint: */
    uint64_t full_handshakes;    /* that succeeded, since the endpoint became known */
    uint64_t resumed_handshakes; /* likewise; a connection that was reused counts in neither */
    uint32_t sessions;           /* kept now, to resume with */
    uint32_t reserved;
};

/* How the connection of a lease and its endpoint's sessions stand at this call; lives as long as the lease, NULL as
 * above. */
static inline const struct connpool_tls_information *connpool_tls_information(const connpool_lease *lease)
{
    return (const struct connpool_tls_information *)connpool_lease_native(lease, CONNPOOL_TLS_INFORMATION_TYPE);
}

#ifdef __cplusplus
}
#endif

#endif
