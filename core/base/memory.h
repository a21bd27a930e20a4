/* SPDX-License-Identifier: MIT */
/* memory: all memory that the library takes itself comes through here, so that tests can replace it and fail the k-th
 * call. Any thread, never waits. */
#ifndef CP_MEMORY_H
#define CP_MEMORY_H

#include <stddef.h>

/* From here on connpool_use_allocator is refused: memory is about to be taken that will be given back later. */
void cp_memory_keep_allocator(void);

/* size bytes, zeroed, aligned for any type; NULL: none left. Give back with cp_free. */
void *cp_alloc(size_t size);
/* count elements of size bytes each, zeroed; NULL: none left or the product overflows. */
void *cp_alloc_array(size_t count, size_t size);
/* A new block of new_size bytes that begins with the old_size bytes of old, the rest zeroed; old (may be NULL) is
 * freed. NULL: none left, old is untouched. */
void *cp_grow(void *old, size_t old_size, size_t new_size);
/* Accepts NULL. */
void cp_free(void *memory);

/* Bytes of a line of the processor's cache: x86-64 and most arm64. Elsewhere only speed suffers. */
#define CP_CACHE_LINE 64
/* As cp_alloc, but beginning on a cache line of its own, for records that several threads write. Give back with
 * cp_free_lines. */
void *cp_alloc_lines(size_t size);
/* Accepts NULL. */
void cp_free_lines(void *memory);

/* Overwrite size bytes, then free: for what may hold a secret. Accepts NULL. */
void cp_free_secret(void *memory, size_t size);

/* Copies of text; NULL: none left (or text is NULL). */
char *cp_text_copy(const char *text);
char *cp_text_copy_length(const char *text, size_t length);
/* printf into new memory; NULL: none left. */
char *cp_text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
