/* SPDX-License-Identifier: MIT */
/*
 * elf_check: whether a file can be given to dlopen without harm. dlopen maps what the headers say and touches it: a
 * truncated file kills the process with SIGBUS, and a wrong machine or class gets a misleading message (failures.md E2,
 * E3, E4, E26).
 */
#ifndef CP_ELF_CHECK_H
#define CP_ELF_CHECK_H

#include <connpool/connpool.h>
#include <stdbool.h>

/* The regular file behind the descriptor is a whole shared object for this machine, that asks neither for an executable
 * stack nor for text relocations. Read by pread: the descriptor's position stays. False: the error begins with path
 * and says expected and found. Any thread; may wait for the file. */
bool cp_elf_check(int descriptor, const char *path, connpool_error *error);

#endif
