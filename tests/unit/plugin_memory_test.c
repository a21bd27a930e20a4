/* SPDX-License-Identifier: MIT */
/* plugin when memory runs out (B19): each allocation of a load fails once; the load fails with that, takes nothing with
 * it, and succeeds when there is memory again. */
#include "plugin/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../plugins/sandbox.h"

static int left = -1; /* allocations until the one that fails; -1: none fails */

static void *allocate(void *argument, size_t size)
{
    (void)argument;
    if (left == 0) {
        left = -1;
        return NULL;
    }
    left -= left > 0;
    return malloc(size);
}

static void release(void *argument, void *memory)
{
    (void)argument;
    free(memory);
}

static const struct connpool_manager *load_good(const char *folder, connpool_error *error)
{
    char *folders[] = {(char *)(uintptr_t)folder, NULL};
    struct cp_plugin_search search = {.folders = folders};
    return cp_plugin_load("good", &search, error);
}

static int32_t finish(void *connection, struct connpool_wait *wait, struct connpool_fault *fault)
{
    (void)connection;
    (void)wait;
    (void)fault;
    return CONNPOOL_STEP_DONE;
}

static void forget(void *connection)
{
    (void)connection;
}

static const struct connpool_manager code = {
    .magic = CONNPOOL_MANAGER_MAGIC,
    .abi_major = CONNPOOL_ABI_MAJOR,
    .abi_minor = CONNPOOL_ABI_MINOR,
    .size = sizeof(struct connpool_manager),
    .name = "code",
    .version = "1.0",
    .summary = "A manager from code",
    .connection_size = sizeof(struct connpool_head),
    .open = finish,
    .destroy = forget,
};

static const struct connpool_manager *adopt_code(const char *folder, connpool_error *error)
{
    (void)folder;
    return cp_plugin_adopt(&code, "code", error);
}

/* Fails the first allocation, then the second … until one attempt meets no failure. Returns how many failed. */
static int fail_each(const struct connpool_manager *(*attempt)(const char *folder, connpool_error *error),
                     const char *folder)
{
    for (int k = 0;; k++) {
        connpool_error error = {0};
        left = k;
        const struct connpool_manager *manager = attempt(folder, &error);
        bool was_met = left == -1;
        left = -1;
        if (!was_met) {
            assert_non_null(manager);
            return k;
        }
        assert_null(manager);
        assert_int_equal(error.status, CONNPOOL_NO_MEMORY);
        assert_non_null(strstr(error.text, "out of memory"));
    }
}

static void b19_loading_a_file(void **state)
{
    (void)sandbox_plugin(*state, "good");
    assert_in_range(fail_each(load_good, *state), 3, 100);
    const int32_t *loads = load_good(*state, NULL)->get_extension("test.loads/1");
    assert_int_equal(*loads, 1);
}

static void b19_adopting_a_table(void **state)
{
    assert_in_range(fail_each(adopt_code, *state), 2, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(b19_loading_a_file, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(b19_adopting_a_table, sandbox_setup, sandbox_teardown),
    };
    const struct connpool_allocator allocator = {.size = sizeof(allocator), .allocate = allocate, .release = release};
    if (connpool_use_allocator(&allocator) != CONNPOOL_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
