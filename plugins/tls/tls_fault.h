/* SPDX-License-Identifier: MIT */
/* tls_fault: what OpenSSL's error queue of this thread says, as a fault. */
#ifndef TLS_FAULT_H
#define TLS_FAULT_H

#include <connpool/manager.h>
#include <stdbool.h>

/* A fault of that class whose text is what went wrong, then the first error of the queue, which is emptied. */
int32_t tls_fault_queued(struct connpool_fault *fault, int32_t error_class, const char *what);

/* The queue begins with a lack of memory; it stays as it is. */
bool tls_fault_lacks_memory(void);

/* What the peer did to the connection: error is that of SSL_get_error, os_error that of the socket. Its class is read
 * off the queue, which is emptied. certificate_was_asked: for a client certificate; then a refusal is one of us. */
int32_t tls_fault_of_peer(struct connpool_fault *fault, const char *what, int error, int os_error,
                          bool certificate_was_asked);

#endif
