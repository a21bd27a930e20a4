/* SPDX-License-Identifier: MIT */
/* token: waking by number; late, early, repeated and invented tokens; and the chunks below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/chunks.h"
#include "engine/token.h"

struct counted {
    struct cp_waker waker;
    int wakes;
    int ends;
};

static void count_wake(struct cp_waker *waker)
{
    ((struct counted *)waker)->wakes++;
}

static void count_end(struct cp_waker *waker)
{
    ((struct counted *)waker)->ends++;
}

static void counted_init(struct counted *counted)
{
    *counted = (struct counted){0};
    cp_waker_init(&counted->waker, count_wake, count_end);
}

static void a_waker_ends_with_its_last_reference(void **state)
{
    struct counted counted;

    (void)state;
    counted_init(&counted);
    assert_ptr_equal(cp_waker_ref(&counted.waker), &counted.waker);
    cp_waker_fire(&counted.waker);
    assert_int_equal(counted.wakes, 1);
    assert_int_equal(counted.ends, 0);
    cp_waker_unref(&counted.waker);
    assert_int_equal(counted.ends, 1);
    cp_waker_unref(NULL);
    cp_waker_fire(NULL);
}

static void a_wake_fires_what_the_token_points_at(void **state)
{
    struct counted first, second;
    uint64_t token = cp_token_new();

    (void)state;
    counted_init(&first);
    counted_init(&second);
    assert_true(token != 0);
    cp_token_arm(token, &first.waker);
    cp_token_wake(token);
    cp_token_wake(token);
    assert_int_equal(first.wakes, 2);
    cp_token_arm(token, &second.waker);
    cp_token_wake(token);
    assert_int_equal(first.wakes, 2);
    assert_int_equal(second.wakes, 1);
    cp_token_free(token);
    cp_waker_unref(&first.waker);
    cp_waker_unref(&second.waker);
    assert_int_equal(first.ends, 1);
    assert_int_equal(second.ends, 1);
}

static void a_token_keeps_its_waker(void **state)
{
    struct counted counted;
    uint64_t token = cp_token_new();

    (void)state;
    counted_init(&counted);
    cp_token_arm(token, &counted.waker);
    cp_waker_unref(&counted.waker);
    assert_int_equal(counted.ends, 0);
    cp_token_wake(token);
    assert_int_equal(counted.wakes, 1);
    cp_token_arm(token, NULL);
    assert_int_equal(counted.ends, 1);
    cp_token_free(token);
}

static void a_wake_without_a_waker_is_latched_once(void **state)
{
    struct counted counted;
    uint64_t token = cp_token_new();

    (void)state;
    counted_init(&counted);
    cp_token_wake(token);
    cp_token_wake(token);
    cp_token_arm(token, NULL);
    cp_token_arm(token, &counted.waker);
    assert_int_equal(counted.wakes, 1);
    cp_token_arm(token, &counted.waker);
    assert_int_equal(counted.wakes, 1);
    cp_token_free(token);
    cp_waker_unref(&counted.waker);
}

/* failures.md C16: the number of a slot is used again, the token is not. */
static void c16_a_late_wake_does_nothing(void **state)
{
    struct counted counted;
    uint64_t old = cp_token_new(), token;

    (void)state;
    counted_init(&counted);
    cp_token_free(old);
    token = cp_token_new();
    assert_int_equal((uint32_t)token, (uint32_t)old);
    assert_true(token != old);
    cp_token_wake(old);
    cp_token_arm(token, &counted.waker);
    cp_token_wake(old);
    cp_token_arm(old, NULL);
    cp_token_free(old);
    assert_int_equal(counted.wakes, 0);
    cp_token_wake(token);
    assert_int_equal(counted.wakes, 1);
    cp_token_free(token);
    cp_waker_unref(&counted.waker);
}

static void invented_tokens_do_nothing(void **state)
{
    static const uint64_t invented[] = {0, 1, 63, UINT32_MAX, (uint64_t)1 << 32, UINT64_MAX, UINT64_MAX - 63};

    (void)state;
    for (size_t i = 0; i < sizeof(invented) / sizeof(invented[0]); i++) {
        cp_token_wake(invented[i]);
        cp_token_arm(invented[i], NULL);
    }
    cp_token_free(0);
}

#define MANY 10000

static void many_tokens_are_all_different(void **state)
{
    static uint64_t tokens[MANY];
    struct counted counted;

    (void)state;
    counted_init(&counted);
    for (int i = 0; i < MANY; i++) {
        tokens[i] = cp_token_new();
        assert_true(tokens[i] != 0);
        cp_token_arm(tokens[i], &counted.waker);
    }
    for (int i = 0; i < MANY; i += 2) {
        cp_token_free(tokens[i]);
    }
    for (int i = 0; i < MANY; i++) {
        cp_token_wake(tokens[i]);
    }
    assert_int_equal(counted.wakes, MANY / 2);
    for (int i = 1; i < MANY; i += 2) {
        cp_token_free(tokens[i]);
    }
    cp_waker_unref(&counted.waker);
    assert_int_equal(counted.ends, 1);
}

static void rows_of_chunks_lie_apart_and_stay(void **state)
{
    static struct cp_chunks chunks;
    static const uint32_t borders[] = {0, 63, 64, 191, 192, 447, 448, 9999};
    void *rows[8];

    (void)state;
    assert_null(cp_chunks_row(&chunks, 0, sizeof(uint32_t)));
    for (size_t i = 0; i < 8; i++) {
        assert_true(cp_chunks_add(&chunks, borders[i], sizeof(uint32_t)));
        rows[i] = cp_chunks_row(&chunks, borders[i], sizeof(uint32_t));
        *(uint32_t *)rows[i] = borders[i];
    }
    for (size_t i = 0; i < 8; i++) {
        assert_ptr_equal(cp_chunks_row(&chunks, borders[i], sizeof(uint32_t)), rows[i]);
        assert_int_equal(*(uint32_t *)rows[i], borders[i]);
    }
    assert_ptr_equal((char *)rows[3] - (char *)rows[2], (191 - 64) * sizeof(uint32_t));
    assert_null(cp_chunks_row(&chunks, UINT32_MAX, sizeof(uint32_t)));
    assert_false(cp_chunks_add(&chunks, UINT32_MAX, sizeof(uint32_t)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waker_ends_with_its_last_reference),
        cmocka_unit_test(a_wake_fires_what_the_token_points_at),
        cmocka_unit_test(a_token_keeps_its_waker),
        cmocka_unit_test(a_wake_without_a_waker_is_latched_once),
        cmocka_unit_test(c16_a_late_wake_does_nothing),
        cmocka_unit_test(invented_tokens_do_nothing),
        cmocka_unit_test(many_tokens_are_all_different),
        cmocka_unit_test(rows_of_chunks_lie_apart_and_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
