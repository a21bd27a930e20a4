/* SPDX-License-Identifier: MIT */
/* lock: a thread that takes locks out of order, or calls out with one held, ends the test at once (failures.md C15,
 * C23). That the whole suite runs with these asserts is what shows that the core keeps to the order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lock.h"

static struct cp_lock context, pool, endpoint, other_endpoint;

static int init_locks(void **state)
{
    (void)state;
    return cp_lock_init(&context, CP_RANK_CONTEXT) + cp_lock_init(&pool, CP_RANK_POOL) +
           cp_lock_init(&endpoint, CP_RANK_ENDPOINT) + cp_lock_init(&other_endpoint, CP_RANK_ENDPOINT);
}

static int fini_locks(void **state)
{
    (void)state;
    cp_lock_fini(&other_endpoint);
    cp_lock_fini(&endpoint);
    cp_lock_fini(&pool);
    cp_lock_fini(&context);
    return 0;
}

static void skip_without_asserts(void)
{
#ifdef NDEBUG
    skip();
#endif
}

/* Whether a child that runs this is ended by an assert; the assert's line is not shown. */
static bool is_refused(void (*run)(void))
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {.rlim_cur = 0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL); /* cmocka's handler */
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void in_order(void)
{
    cp_lock_take(&context);
    cp_lock_take(&pool);
    cp_lock_take(&endpoint);
    cp_lock_give(&endpoint);
    cp_lock_give(&pool);
    cp_lock_give(&context);
    cp_lock_take(&endpoint);
    cp_lock_give(&endpoint);
    cp_lock_assert_none();
}

static void pool_after_endpoint(void)
{
    cp_lock_take(&endpoint);
    cp_lock_take(&pool);
}

static void context_after_pool(void)
{
    cp_lock_take(&pool);
    cp_lock_take(&context);
}

static void two_endpoints(void)
{
    cp_lock_take(&endpoint);
    cp_lock_take(&other_endpoint);
}

static void the_same_twice(void)
{
    cp_lock_take(&pool);
    cp_lock_take(&pool);
}

static void call_out_with_one_held(void)
{
    cp_lock_take(&endpoint);
    cp_lock_assert_none();
}

static void test_rising_ranks_are_taken(void **state)
{
    (void)state;
    assert_false(is_refused(in_order));
}

static void test_any_other_order_is_refused_C23(void **state)
{
    (void)state;
    skip_without_asserts();
    assert_true(is_refused(pool_after_endpoint));
    assert_true(is_refused(context_after_pool));
    assert_true(is_refused(two_endpoints));
    assert_true(is_refused(the_same_twice));
}

static void test_a_call_out_with_a_lock_held_is_refused_C15(void **state)
{
    (void)state;
    skip_without_asserts();
    assert_true(is_refused(call_out_with_one_held));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rising_ranks_are_taken),
        cmocka_unit_test(test_any_other_order_is_refused_C23),
        cmocka_unit_test(test_a_call_out_with_a_lock_held_is_refused_C15),
    };

    return cmocka_run_group_tests(tests, init_locks, fini_locks);
}
