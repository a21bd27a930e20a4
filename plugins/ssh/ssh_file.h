/* SPDX-License-Identifier: MIT */
/* ssh_file: reads a file that trust or a secret depends on: what was opened is what was checked. */
#ifndef SSH_FILE_H
#define SSH_FILE_H

#include <connpool/manager.h>
#include <sys/types.h>

#include "ssh_memory.h"

/*
 * Read all of the file into memory, ended by NUL: *text, *length without it. It must be a regular file of at most
 * maximum bytes without a NUL, owned by root or by whom we run as, with no mode bit of `forbidden`. 0, or the negative
 * of CONNPOOL_ERROR_CONFIGURATION or _RESOURCE_LOCAL; the fault names the option and the path.
 */
int32_t ssh_file_read(const char *option, const char *path, mode_t forbidden, size_t maximum, struct ssh_memory *memory,
                      char **text, size_t *length, struct connpool_fault *fault);

#endif
