/* SPDX-License-Identifier: MIT */
/* file: opening and reading small files that were named in a configuration, without hanging on what is no file. May
 * wait for the disk; any thread. */
#ifndef CP_FILE_H
#define CP_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Read-only, close-on-exec, never waits for a FIFO's other end, never takes a terminal over. -1: errno. */
int cp_file_open(const char *path);
/* Up to size bytes from where the descriptor stands, fewer only at the end. -1: errno. */
ssize_t cp_file_read(int fd, void *buffer, size_t size);
/* path itself where it is absolute, else folder/path, in new memory (cp_free). NULL: no memory. */
char *cp_file_absolute(const char *folder, const char *path);
/* What an errno means, in English whatever the locale; lives for ever. */
const char *cp_file_reason(int os_error);

#endif
