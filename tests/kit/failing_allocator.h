/* SPDX-License-Identifier: MIT */
/*
 * failing_allocator: the library's memory in a test. Counts what is held, so that a leak is seen at once, and fails the
 * k-th allocation on request. Replaces the allocator of the whole process.
 */
#ifndef KIT_FAILING_ALLOCATOR_H
#define KIT_FAILING_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Put it in the library's place; a second call does nothing. Before the first context of the process. */
void failing_allocator_install(void);
/* Let the k-th allocation from now (from 1) fail, with from_then_on each after it too. 0: none fails any more. */
void failing_allocator_fail(uint64_t k, bool from_then_on);
/* Whether an allocation was refused since the last failing_allocator_fail. */
bool failing_allocator_has_failed(void);
/* Blocks that the library holds now. */
size_t failing_allocator_blocks(void);
/* Allocations asked for since the process began, refused ones included. */
uint64_t failing_allocator_calls(void);

#endif
