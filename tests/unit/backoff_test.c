/* SPDX-License-Identifier: MIT */
/* backoff: the pauses after connects that failed: their bounds, their growth and their spread (failures.md A1). */
#include "pool/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MOST_RANDOM 0x1.fffffffffffffp-1

static void test_pauses_lie_between_the_first_and_a_bound_that_doubles(void **state)
{
    (void)state;
    for (uint32_t failures = 1; failures <= 5; failures++) {
        int64_t bound = CP_BACKOFF_FIRST << failures;

        assert_int_equal(cp_backoff_pause(failures, 0.0), CP_BACKOFF_FIRST);
        assert_in_range(cp_backoff_pause(failures, MOST_RANDOM), bound - 1, bound);
    }
}

static void test_pauses_grow_to_the_most_and_no_further(void **state)
{
    static const uint32_t failures[] = {6, 7, 100, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        assert_in_range(cp_backoff_pause(failures[i], MOST_RANDOM), CP_BACKOFF_MOST - 1, CP_BACKOFF_MOST);
    }
}

/* Clients of a server that is down for long do not come together. */
static void test_pauses_at_the_most_are_spread(void **state)
{
    int64_t span = CP_BACKOFF_MOST - CP_BACKOFF_FIRST;

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cp_backoff_pause(100, i / 10.0), CP_BACKOFF_FIRST + span / 10 * i);
    }
}

static void test_the_longest_is_longer(void **state)
{
    (void)state;
    assert_true(CP_BACKOFF_FIRST < CP_BACKOFF_MOST && CP_BACKOFF_MOST < CP_BACKOFF_LONGEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_lie_between_the_first_and_a_bound_that_doubles),
        cmocka_unit_test(test_pauses_grow_to_the_most_and_no_further),
        cmocka_unit_test(test_pauses_at_the_most_are_spread),
        cmocka_unit_test(test_the_longest_is_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
