/* SPDX-License-Identifier: MIT */
/* chunks: see chunks.h. */
#include "base/chunks.h"

#include <stdatomic.h>

#include "base/memory.h"

struct position {
    unsigned chunk;
    size_t offset; /* in rows */
};

/* The chunks before number k hold CP_CHUNKS_FIRST * (2^k - 1) rows. */
static struct position position_of(uint32_t index)
{
    struct position position;

    position.chunk = 31u - (unsigned)__builtin_clz(index / CP_CHUNKS_FIRST + 1u);
    position.offset = index - (size_t)CP_CHUNKS_FIRST * ((UINT32_C(1) << position.chunk) - 1u);
    return position;
}

void *cp_chunks_row(const struct cp_chunks *chunks, uint32_t index, size_t row_size)
{
    struct position position = position_of(index);
    unsigned char *chunk;

    if (position.chunk >= CP_CHUNKS_MOST) {
        return NULL;
    }
    chunk = atomic_load_explicit(&chunks->chunk[position.chunk], memory_order_acquire);
    return chunk == NULL ? NULL : chunk + position.offset * row_size;
}

bool cp_chunks_add(struct cp_chunks *chunks, uint32_t index, size_t row_size)
{
    unsigned number = position_of(index).chunk;
    unsigned char *chunk, *none = NULL;

    if (number >= CP_CHUNKS_MOST) {
        return false;
    }
    if (atomic_load_explicit(&chunks->chunk[number], memory_order_acquire) != NULL) {
        return true;
    }
    chunk = cp_alloc_array((size_t)CP_CHUNKS_FIRST << number, row_size);
    if (chunk == NULL) {
        return false;
    }
    if (!atomic_compare_exchange_strong_explicit(&chunks->chunk[number], &none, chunk, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        cp_free(chunk); /* another thread was faster */
    }
    return true;
}
