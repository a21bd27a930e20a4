/* SPDX-License-Identifier: MIT */
/* ssh_methods: which algorithms are negotiated. */
#ifndef SSH_METHODS_H
#define SSH_METHODS_H

#include <libssh2.h>

/* Allow, of the names (joined by commas, the best first), those that libssh2 has: 0, or its error. kind: of
 * LIBSSH2_METHOD_…. */
int ssh_methods_allow(LIBSSH2_SESSION *session, int kind, const char *names);
/* Allow what is safe of all kinds but the host keys: 0, or an error of libssh2. */
int ssh_methods_allow_safe(LIBSSH2_SESSION *session);

#endif
