/* SPDX-License-Identifier: MIT */
/* failing_allocator: see failing_allocator.h. */
#include "failing_allocator.h"

#include <connpool/connpool.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

static _Atomic uint64_t calls;
static _Atomic size_t blocks;
static _Atomic uint64_t fail_at; /* the value of calls that fails, 0: none */
static atomic_bool fails_on;
static atomic_bool has_failed;

static void *allocate(void *argument, size_t size)
{
    uint64_t call = atomic_fetch_add(&calls, 1) + 1;
    uint64_t limit = atomic_load(&fail_at);
    void *memory;

    (void)argument;
    if (limit != 0 && (call == limit || (call > limit && atomic_load(&fails_on)))) {
        atomic_store(&has_failed, true);
        errno = ENOMEM;
        return NULL;
    }
    memory = malloc(size);
    if (memory != NULL) {
        atomic_fetch_add(&blocks, 1);
    }
    return memory;
}

static void release(void *argument, void *memory)
{
    (void)argument;
    atomic_fetch_sub(&blocks, 1);
    free(memory);
}

void failing_allocator_install(void)
{
    static bool is_installed;
    const struct connpool_allocator allocator = {.size = sizeof(allocator), .allocate = allocate, .release = release};

    if (!is_installed) {
        assert_int_equal(connpool_use_allocator(&allocator), CONNPOOL_OK);
        is_installed = true;
    }
}

void failing_allocator_fail(uint64_t k, bool from_then_on)
{
    atomic_store(&has_failed, false);
    atomic_store(&fails_on, from_then_on);
    atomic_store(&fail_at, k == 0 ? 0 : atomic_load(&calls) + k);
}

bool failing_allocator_has_failed(void)
{
    return atomic_load(&has_failed);
}

size_t failing_allocator_blocks(void)
{
    return atomic_load(&blocks);
}

uint64_t failing_allocator_calls(void)
{
    return atomic_load(&calls);
}
