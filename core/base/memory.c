/* SPDX-License-Identifier: MIT */
/* memory: see memory.h. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <connpool/connpool.h>

#include "base/error.h"

static struct connpool_allocator allocator; /* allocate is NULL: malloc */
static atomic_bool allocator_is_used;

static void *allocate(size_t size)
{
    if (allocator.allocate != NULL) {
        return allocator.allocate(allocator.argument, size);
    }
    return malloc(size);
}

connpool_status connpool_use_allocator(const struct connpool_allocator *replacement)
{
    if (atomic_load(&allocator_is_used)) {
        return CONNPOOL_INVALID;
    }
    if (replacement == NULL) {
        memset(&allocator, 0, sizeof(allocator));
        return CONNPOOL_OK;
    }
    if (replacement->size < sizeof(allocator) || replacement->allocate == NULL || replacement->release == NULL) {
        return CONNPOOL_INVALID;
    }
    allocator = *replacement;
    return CONNPOOL_OK;
}

void cp_memory_keep_allocator(void)
{
    atomic_store(&allocator_is_used, true);
}

void *cp_alloc(size_t size)
{
    void *memory = allocate(size == 0 ? 1 : size);

    if (memory != NULL) {
        memset(memory, 0, size);
    }
    return memory;
}

void *cp_alloc_array(size_t count, size_t size)
{
    size_t bytes;

    return __builtin_mul_overflow(count, size, &bytes) ? NULL : cp_alloc(bytes);
}

void *cp_grow(void *old, size_t old_size, size_t new_size)
{
    void *grown = cp_alloc(new_size);

    if (grown != NULL && old != NULL) {
        memcpy(grown, old, old_size < new_size ? old_size : new_size);
        cp_free(old);
    }
    return grown;
}

void cp_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    if (allocator.release != NULL) {
        allocator.release(allocator.argument, memory);
    } else {
        free(memory);
    }
}

/* The replaceable allocator knows no alignment: a larger block, whose own address stands before the memory. */
void *cp_alloc_lines(size_t size)
{
    size_t spare = CP_CACHE_LINE - 1 + sizeof(void *);
    char *block = size > SIZE_MAX - spare ? NULL : cp_alloc(size + spare);
    void **lines;

    if (block == NULL) {
        return NULL;
    }
    lines = (void **)(((uintptr_t)block + spare) / CP_CACHE_LINE * CP_CACHE_LINE);
    lines[-1] = block;
    return lines;
}

void cp_free_lines(void *memory)
{
    if (memory != NULL) {
        cp_free(((void **)memory)[-1]);
    }
}

void cp_free_secret(void *memory, size_t size)
{
    if (memory != NULL) {
        explicit_bzero(memory, size);
        cp_free(memory);
    }
}

char *cp_text_copy(const char *text)
{
    return text == NULL ? NULL : cp_text_copy_length(text, strlen(text));
}

char *cp_text_copy_length(const char *text, size_t length)
{
    char *copy = length == SIZE_MAX ? NULL : cp_alloc(length + 1);

    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

char *cp_text_format(const char *format, ...)
{
    va_list arguments;
    char *text;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = length < 0 ? NULL : cp_alloc((size_t)length + 1);
    if (text != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(text, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    return text;
}
