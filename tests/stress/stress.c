/* SPDX-License-Identifier: MIT */
/* stress: see stress.h. */
#include "stress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

static uint64_t seed;
static char breach[256];
static atomic_int breaches;

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoll(text, NULL, 10);
}

int64_t stress_operations(int64_t usual, int64_t under_sanitizer)
{
    return setting("CONNPOOL_STRESS_OPERATIONS", IS_SANITIZED ? under_sanitizer : usual);
}

uint64_t stress_seed(void)
{
    seed = (uint64_t)setting("CONNPOOL_STRESS_SEED", (int64_t)time(NULL));
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* xorshift64* (Vigna 2016) */
uint64_t stress_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

uint64_t stress_below(uint64_t *state, uint64_t limit)
{
    return (stress_random(state) >> 33) % limit;
}

uint64_t stress_dice(uint64_t limit)
{
    static _Thread_local uint64_t random;
    static _Atomic uint64_t thread_count;

    if (random == 0) {
        random = seed * 7919 + 104729 * (atomic_fetch_add(&thread_count, 1) + 1);
    }
    return stress_below(&random, limit);
}

void stress_broken(const char *what, uint64_t value)
{
    if (atomic_fetch_add(&breaches, 1) == 0) {
        (void)snprintf(breach, sizeof(breach), "%s (%llu)", what, (unsigned long long)value);
    }
}

bool stress_is_broken(void)
{
    return atomic_load(&breaches) != 0;
}

void stress_assert_unbroken(void)
{
    if (stress_is_broken()) {
        fail_msg("%s; seed %llu", breach, (unsigned long long)seed);
    }
}
