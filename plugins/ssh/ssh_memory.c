/* SPDX-License-Identifier: MIT */
/* ssh_memory: see ssh_memory.h. */
#include "ssh_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ssh_block {
    LIST_ENTRY(ssh_block) entry;
    size_t size;
    _Alignas(max_align_t) unsigned char bytes[];
};

static struct ssh_block *block_of(void *bytes)
{
    return (struct ssh_block *)((unsigned char *)bytes - offsetof(struct ssh_block, bytes));
}

void *ssh_memory_take(struct ssh_memory *memory, size_t size)
{
    struct ssh_block *block = size > SIZE_MAX - sizeof(*block) ? NULL : malloc(sizeof(*block) + size);

    if (block == NULL) {
        return NULL;
    }
    block->size = size;
    LIST_INSERT_HEAD(&memory->blocks, block, entry);
    memory->count++;
    return block->bytes;
}

void *ssh_memory_resize(struct ssh_memory *memory, void *bytes, size_t size)
{
    void *resized = ssh_memory_take(memory, size);

    if (resized != NULL && bytes != NULL) {
        size_t old = block_of(bytes)->size;

        memcpy(resized, bytes, old < size ? old : size);
        ssh_memory_give(memory, bytes);
    }
    return resized;
}

void ssh_memory_give(struct ssh_memory *memory, void *bytes)
{
    struct ssh_block *block;

    if (bytes == NULL) {
        return;
    }
    block = block_of(bytes);
    LIST_REMOVE(block, entry);
    memory->count--;
    explicit_bzero(block->bytes, block->size);
    free(block);
}

size_t ssh_memory_copies(const struct ssh_memory *memory, const void *bytes, size_t size)
{
    const struct ssh_block *block;
    size_t count = 0;

    LIST_FOREACH (block, &memory->blocks, entry) {
        count += block->size == size && memcmp(block->bytes, bytes, size) == 0 ? 1 : 0;
    }
    return count;
}

void ssh_memory_fini(struct ssh_memory *memory)
{
    struct ssh_block *block;
    struct ssh_block *next;

    LIST_FOREACH_SAFE (block, &memory->blocks, entry, next) {
        ssh_memory_give(memory, block->bytes);
    }
}
