/* SPDX-License-Identifier: MIT */
/* postgres_files: whether the files that TLS needs can be used. libpq says of a missing one what it says of a server
 * that is not to be trusted, and ignores a list of revoked certificates that it cannot read: then nothing is revoked.
 */
#ifndef POSTGRES_FILES_H
#define POSTGRES_FILES_H

#include <connpool/manager.h>

struct postgres_options;

/* 0, or the negative of an error class with the fault filled: it names the option. Reads local files. */
int32_t postgres_files_check(const struct postgres_options *options, struct connpool_fault *fault);

#endif
