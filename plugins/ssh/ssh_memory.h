/* SPDX-License-Identifier: MIT */
/*
 * ssh_memory: the memory of one session. libssh2 takes all of its memory from here, so that what held a password or a
 * key is wiped when it is given back, what libssh2 forgets is given back with the session, and what an application
 * left open in a session is seen by the number of blocks. One thread at a time, as the session.
 */
#ifndef SSH_MEMORY_H
#define SSH_MEMORY_H

#include <bsd/sys/queue.h>
#include <stddef.h>

struct ssh_block;

struct ssh_memory {
    LIST_HEAD(, ssh_block) blocks; /* all zero: none */
    size_t count;                  /* of blocks */
};

/* A block, not zeroed, aligned for any type; NULL: none left. */
void *ssh_memory_take(struct ssh_memory *memory, size_t size);
/* As realloc, the old block is wiped; NULL: none left, the old one is as it was. */
void *ssh_memory_resize(struct ssh_memory *memory, void *bytes, size_t size);
/* Wipes it; accepts NULL. */
void ssh_memory_give(struct ssh_memory *memory, void *bytes);
/* How many blocks have exactly these bytes. */
size_t ssh_memory_copies(const struct ssh_memory *memory, const void *bytes, size_t size);
/* Gives all back. */
void ssh_memory_fini(struct ssh_memory *memory);

#endif
