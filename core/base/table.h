/* SPDX-License-Identifier: MIT */
/* table: hash tables, uthash with this library's memory; adding to one may fail, and then leaves it as it was. */
#ifndef CP_TABLE_H
#define CP_TABLE_H

#include "base/hash.h"
#include "base/memory.h"

#define HASH_NONFATAL_OOM 1
/* Names of endpoints may come from strangers (failures.md D21). */
#define HASH_FUNCTION(key, length, hash) ((hash) = (unsigned)cp_hash((key), (length)))
#define uthash_malloc(size)              cp_alloc(size)
#define uthash_free(memory, size)        cp_free(memory)
/* The caller asks whether the element is in the table. */
#define uthash_nonfatal_oom(element) ((void)(element))

#include <uthash.h>

#endif
