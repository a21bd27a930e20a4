/* SPDX-License-Identifier: MIT */
/* tls_context: the SSL_CTX of a set of shared options: which versions, ciphers and groups are spoken, who is trusted,
 * who we are. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "tls_options.h"

/* Make it; reads files. NULL: the fault says why; it names the option and the file. */
SSL_CTX *tls_context_new(const struct tls_options *options, struct connpool_fault *fault);

#endif
