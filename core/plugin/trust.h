/* SPDX-License-Identifier: MIT */
/*
 * trust: whether somebody else could put another file where we look. Loading a file runs it, so it, its folder and
 * every folder and symbolic link on the way belong to root or to the effective user, and nobody else may write them; a
 * sticky folder (as /tmp) may be written by others, for they cannot replace what is not theirs (failures.md E24).
 */
#ifndef CP_TRUST_H
#define CP_TRUST_H

#include <connpool/connpool.h>
#include <stdbool.h>

struct stat;

/* Open a folder by its absolute path, symbolic links resolved one by one, each step checked unless any_owner. Returns a
 * close-on-exec O_PATH descriptor, the caller's; -1: *missing tells whether the folder does not exist, and the error
 * begins with file (the one that is wanted from there) and says which folder, expected and found. Any thread; may wait
 * for the file system. */
int cp_trust_open_folder(const char *path, const char *file, bool any_owner, bool *missing, connpool_error *error);

/* The file at path, of that status, belongs to root or the effective user and only the owner may write it. False: the
 * error says expected and found. Any thread, never waits. */
bool cp_trust_check_file(const char *path, const struct stat *status, connpool_error *error);

#endif
