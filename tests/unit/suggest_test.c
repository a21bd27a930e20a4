/* SPDX-License-Identifier: MIT */
/* suggest: the nearest name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/suggest.h"

static const struct {
    const char *a, *b;
    size_t distance;
} distances[] = {
    {"", "", 0},
    {"a", "", 1},
    {"", "abc", 3},
    {"abc", "abc", 0},
    {"abc", "abd", 1},
    {"abc", "acb", 1},
    {"kitten", "sitting", 3},
    {"ca", "abc", 3},
    {"max_sise", "max_size", 1},
    {"a cat", "an act", 2},
};

static void test_distance(void **state)
{
    static const char long_name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    (void)state;
    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        assert_int_equal(cp_suggest_distance(distances[i].a, distances[i].b), distances[i].distance);
        assert_int_equal(cp_suggest_distance(distances[i].b, distances[i].a), distances[i].distance);
    }
    assert_true(cp_suggest_distance(long_name, "a") == SIZE_MAX);
    assert_int_equal(cp_suggest_distance(long_name + 1, "a"), 63);
}

static const char *best_of(const char *wanted)
{
    static const char *const names[] = {"manager", "options", "max_size", "min_idle", "max_uses"};
    struct cp_suggestion suggestion;

    cp_suggest_begin(&suggestion, wanted);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cp_suggest_offer(&suggestion, names[i]);
    }
    return suggestion.best;
}

static void test_best(void **state)
{
    (void)state;
    assert_string_equal(best_of("max_sizes"), "max_size");
    assert_string_equal(best_of("maxsize"), "max_size");
    assert_string_equal(best_of("option"), "options");
    assert_null(best_of("zebra"));
    assert_null(best_of(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_best),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
