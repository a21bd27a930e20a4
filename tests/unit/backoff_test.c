/* SPDX-License-Identifier: MIT */
/* backoff: the pauses after connects that failed: their bounds, their growth and their spread (failures.md A1). */
#include "backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MOST_RANDOM 0x1.fffffffffffffp-1

static void test_pauses_lie_between_the_first_and_three_times_the_last(void **state)
{
    (void)state;
    assert_int_equal(cp_backoff_next(0, 0.0), CP_BACKOFF_FIRST);
    assert_in_range(cp_backoff_next(0, MOST_RANDOM), 3 * CP_BACKOFF_FIRST - 1, 3 * CP_BACKOFF_FIRST);
    assert_int_equal(cp_backoff_next(CP_SECOND, 0.0), CP_BACKOFF_FIRST);
    assert_in_range(cp_backoff_next(CP_SECOND, MOST_RANDOM), 3 * CP_SECOND - 1, 3 * CP_SECOND);
}

static void test_pauses_grow_to_the_most_and_no_further(void **state)
{
    int64_t pause = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        int64_t next = cp_backoff_next(pause, 0.9);

        assert_true(next > pause || next > CP_BACKOFF_MOST / 10 * 9);
        assert_true(next <= CP_BACKOFF_MOST);
        pause = next;
    }
}

/* Clients of a server that is down for long do not come together. */
static void test_pauses_at_the_most_are_spread(void **state)
{
    int64_t span = CP_BACKOFF_MOST - CP_BACKOFF_FIRST;

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cp_backoff_next(CP_BACKOFF_MOST, i / 10.0), CP_BACKOFF_FIRST + span / 10 * i);
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
        cmocka_unit_test(test_pauses_lie_between_the_first_and_three_times_the_last),
        cmocka_unit_test(test_pauses_grow_to_the_most_and_no_further),
        cmocka_unit_test(test_pauses_at_the_most_are_spread),
        cmocka_unit_test(test_the_longest_is_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
