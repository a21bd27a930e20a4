/* SPDX-License-Identifier: MIT */
/*
 * pool_combination: open, check, reset, close and idle each succeed, fail, are slow, never end or return garbage: 5^5 =
 * 3125 managers, each through a small life in virtual time (failures.md 4.5, A6, A7, A9, C17, E16, E17; design.md,
 * Semantics 1, 8, 9, 10, 16).
 */
#include "pool_fixture.h"

#define KINDS 5

enum choice { CHOICE_OK, CHOICE_ERROR, CHOICE_SLOW, CHOICE_NEVER, CHOICE_GARBAGE };

static const enum test_operation operations[] = {TEST_OPEN, TEST_CHECK, TEST_RESET, TEST_CLOSE, TEST_IDLE};

/* Which combination runs, for messages. */
static unsigned combination;

static struct test_behaviour behaviour_of(enum choice choice)
{
    static const int32_t garbage[] = {77, -99, 2, INT32_MAX, INT32_MIN, -15};

    switch (choice) {
    case CHOICE_ERROR:
        return test_fails(1 + (int32_t)(combination % 10));
    case CHOICE_SLOW:
        return test_slow(MILLISECONDS(50));
    case CHOICE_NEVER:
        return combination % 2 == 0 ? test_kind(TEST_NEVER)
                                    : (struct test_behaviour){.kind = TEST_TRICKLE, .delay = MILLISECONDS(17)};
    case CHOICE_GARBAGE:
        return combination % 7 == 0 ? test_kind(TEST_GARBAGE_NO_WAIT) : test_garbage(garbage[combination % 6]);
    case CHOICE_OK:
    default:
        return test_ok();
    }
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fail_msg("combination %u (open %u, check %u, reset %u, close %u, idle %u): %s", combination,               \
                     combination % 5, combination / 5 % 5, combination / 25 % 5, combination / 125 % 5,                \
                     combination / 625, #condition);                                                                   \
        }                                                                                                              \
    } while (0)

/* An acquire with a limit of a second; returns the connection's number, 0: none. */
static uint32_t acquire(struct pool_fixture *fixture, const char *endpoint, connpool_lease *lease)
{
    int64_t begun = virtual_clock_now(&fixture->clock);
    connpool_status status = pool_try(fixture, endpoint, 1000, lease);

    CHECK(virtual_clock_now(&fixture->clock) - begun <= SECONDS(1));
    CHECK(status == CONNPOOL_OK || status == CONNPOOL_FAILED || status == CONNPOOL_TIMED_OUT);
    CHECK(test_manager_live(NULL) <= 2);
    return status == CONNPOOL_OK ? lease_number(lease) : 0;
}

/* A release: within reset_timeout + dispose_timeout. */
static void release(struct pool_fixture *fixture, connpool_lease *lease)
{
    int64_t begun = virtual_clock_now(&fixture->clock);

    CHECK(connpool_release(lease) == CONNPOOL_OK);
    CHECK(virtual_clock_now(&fixture->clock) - begun <= MILLISECONDS(400));
}

static void run(void)
{
    enum choice open = combination % 5, reset = combination / 25 % 5;
    bool opens = open == CHOICE_OK || open == CHOICE_SLOW;
    bool resets = reset == CHOICE_OK || reset == CHOICE_SLOW;
    struct pool_fixture fixture = {0};
    connpool_lease x, y, lease;
    uint32_t first, again;
    unsigned rest = combination;

    pool_fixture_open(&fixture, "'max_size': 2, 'total_max_size': 2, 'idle_timeout': 10, 'connect_timeout': 0.3, "
                                "'check_timeout': 0.2, 'reset_timeout': 0.2, 'dispose_timeout': 0.2");
    for (size_t i = 0; i < KINDS; i++) {
        test_manager_set(operations[i], behaviour_of(rest % KINDS));
        rest /= KINDS;
    }
    first = acquire(&fixture, "x", &x);
    CHECK((first != 0) == opens);
    again = acquire(&fixture, "y", &y);
    CHECK((again != 0) == opens);
    if (first != 0) {
        release(&fixture, &x);
    }
    if (again != 0) {
        release(&fixture, &y);
    }
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    for (int i = 0; i < 2; i++) {
        again = acquire(&fixture, "x", &x);
        CHECK((again != 0) == opens);
        CHECK(resets || again == 0 || again != first);
        if (again != 0) {
            release(&fixture, &x);
            first = again;
        }
    }
    again = acquire(&fixture, "z", &lease);
    CHECK((again != 0) == opens);
    if (again != 0) {
        CHECK(connpool_discard(&lease) == CONNPOOL_OK);
    }
    virtual_clock_advance(&fixture.clock, SECONDS(10));
    (void)connpool_maintain(fixture.context);
    if (pool_try(&fixture, "x", 0, &lease) == CONNPOOL_OK) {
        release(&fixture, &lease);
    }
    CHECK(test_manager_most(NULL) <= 2);
    CHECK(connpool_close(fixture.context, 500, NULL) == CONNPOOL_OK);
    fixture.clock.context = NULL;
    CHECK(test_manager_live(NULL) == 0);
    CHECK(test_manager_destroyed() == test_manager_opened());
    pool_fixture_assert_nothing_left(&fixture);
}

static void test_3125_managers_E16_E17(void **state)
{
    (void)state;
    for (combination = 0; combination < 3125; combination++) {
        run();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_3125_managers_E16_E17),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
