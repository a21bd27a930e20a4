/* SPDX-License-Identifier: MIT */
/*
 * chunks: a table of the whole process that grows and never moves: its rows are found without locks, also in a forked
 * child. Chunk k holds 64 * 2^k rows; a chunk, once there, stays. Any thread, never waits.
 */
#ifndef CP_CHUNKS_H
#define CP_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CP_CHUNKS_FIRST 64u /* rows of chunk 0 */
#define CP_CHUNKS_MOST  25  /* so that an index always fits an int32_t */

/* Zeroed statically. */
struct cp_chunks {
    _Atomic(unsigned char *) chunk[CP_CHUNKS_MOST];
};

/* The row of that number, rows being row_size bytes; NULL: its chunk was never added. */
void *cp_chunks_row(const struct cp_chunks *chunks, uint32_t index, size_t row_size);
/* Make sure that row index is there, its chunk zeroed when it is new. False: no memory, or the table is full. */
bool cp_chunks_add(struct cp_chunks *chunks, uint32_t index, size_t row_size);

#endif
