/* SPDX-License-Identifier: MIT */
/*
 * stress: what tests of random operations share: the seed and the number of operations, which
 * CONNPOOL_STRESS_SEED and CONNPOOL_STRESS_OPERATIONS replace, random numbers, and the first rule that was broken.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdbool.h>
#include <stdint.h>

/* How many operations to make: as wanted by the environment, else one of these. */
int64_t stress_operations(int64_t usual, int64_t under_sanitizer);
/* The seed of this run, printed at once, since a test that hangs is killed: a state for stress_random. */
uint64_t stress_seed(void);

/* The next number of a state, which is not 0. */
uint64_t stress_random(uint64_t *state);
/* One that is less than limit. */
uint64_t stress_below(uint64_t *state, uint64_t limit);
/* The same from a state that the calling thread has for itself, made from the seed. */
uint64_t stress_dice(uint64_t limit);

/* A rule does not hold. Any thread. */
void stress_broken(const char *what, uint64_t value);
bool stress_is_broken(void);
/* The test fails if a rule was broken, with the first one. The main thread. */
void stress_assert_unbroken(void);

#endif
