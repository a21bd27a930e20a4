/* SPDX-License-Identifier: MIT */
/* ssh_private_key: a private key to log in with: whether libssh2 can is found out before it is tried. */
#ifndef SSH_PRIVATE_KEY_H
#define SSH_PRIVATE_KEY_H

#include <connpool/manager.h>

#include "ssh_memory.h"

/*
 * text: a private key in OpenSSH's format or in PEM, without a passphrase. *text and *length become what libssh2 is to
 * get of it, in memory: an ECDSA key in OpenSSH's format becomes PEM, since libssh2 1.10 forgets its secret number in
 * memory each time that it reads one. 0, or the negative of CONNPOOL_ERROR_CONFIGURATION, _UNSUPPORTED (RSA before
 * libssh2 1.11) or _RESOURCE_LOCAL with the fault filled; path is for its text.
 */
int32_t ssh_private_key_prepare(char **text, size_t *length, const char *path, struct ssh_memory *memory,
                                struct connpool_fault *fault);

#endif
