/* SPDX-License-Identifier: MIT */
/* ssh_private_key: whether libssh2 can log in with a private key, found out before it is tried. */
#ifndef SSH_PRIVATE_KEY_H
#define SSH_PRIVATE_KEY_H

#include <connpool/manager.h>

/* text: a private key in OpenSSH's format or in PEM, without a passphrase. 0, or the negative of
 * CONNPOOL_ERROR_CONFIGURATION or _UNSUPPORTED (RSA before libssh2 1.11) with the fault filled; path is for its text.
 */
int32_t ssh_private_key_check(const char *text, const char *path, struct connpool_fault *fault);

#endif
