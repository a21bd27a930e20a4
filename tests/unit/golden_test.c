/* SPDX-License-Identifier: MIT */
/* golden: the base/extra rule, batch sizes, eviction and close order of the reference, read from tests/data/golden.txt
 * as data (semantics.md S5, S7, S9, S20, S24, S30, S33; design.md, Semantics 5 and 6). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool_fixture.h"

#define MOST 16

/* The lines of the file, without their ends; NULL after the last. */
static char *lines[128];

static int read_golden(void **state)
{
    FILE *file = fopen(CONNPOOL_TEST_SOURCE_FOLDER "/tests/data/golden.txt", "r");
    char line[1024];
    size_t count = 0;

    (void)state;
    assert_non_null(file);
    while (count < 127 && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        lines[count++] = strdup(line);
    }
    (void)fclose(file);
    return 0;
}

static int free_golden(void **state)
{
    (void)state;
    for (size_t i = 0; lines[i] != NULL; i++) {
        free(lines[i]);
    }
    return 0;
}

/* The line that begins so; what follows it. */
static const char *golden(const char *beginning)
{
    for (size_t i = 0; lines[i] != NULL; i++) {
        if (strncmp(lines[i], beginning, strlen(beginning)) == 0) {
            return lines[i] + strlen(beginning);
        }
    }
    fail_msg("golden.txt has no line '%s'", beginning);
    return NULL;
}

/* Acquire count, release them in that order, note how each was classified, and in which order they come again. */
static void run_release_rule(int min_idle, int count, char *classes, char *order)
{
    struct pool_fixture fixture = {0};
    connpool_lease leases[MOST];

    pool_fixture_open(&fixture, "'min_idle': %d", min_idle);
    for (int i = 0; i < count; i++) {
        leases[i] = pool_take(&fixture, "x");
        assert_int_equal(lease_number(&leases[i]), i + 1);
    }
    for (int i = 0; i < count; i++) {
        uint64_t extra = pool_numbers(&fixture).idle_extra;

        pool_give(&leases[i]);
        classes[i] = pool_numbers(&fixture).idle_extra > extra ? 'x' : 'B';
    }
    for (int i = 0; i < count; i++) {
        leases[i] = pool_take(&fixture, "x");
        order[i] = (char)('a' + lease_number(&leases[i]) - 1);
    }
    classes[count] = order[count] = '\0';
    for (int i = 0; i < count; i++) {
        pool_give(&leases[i]);
    }
    pool_fixture_close(&fixture);
}

static void test_release_rule_and_order_S7_S20(void **state)
{
    int cases = 0;

    (void)state;
    for (size_t i = 0; lines[i] != NULL; i++) {
        int min_idle, count;
        char classes[MOST], order[MOST], expected_classes[MOST], expected_order[MOST];

        if (sscanf(lines[i], " min_idle=%d acquired=%d: %15[xB] re-acquire order: %15[a-z]", &min_idle, &count,
                   expected_classes, expected_order) != 4) {
            continue;
        }
        run_release_rule(min_idle, count, classes, order);
        if (strcmp(classes, expected_classes) != 0 || strcmp(order, expected_order) != 0) {
            fail_msg("%s: found %s, order %s", lines[i], classes, order);
        }
        cases++;
    }
    assert_int_equal(cases, 24);
}

/* Of size connections all but one are due when the last is released: how many that release closes. */
static size_t run_batch(size_t size)
{
    static connpool_lease leases[1024];
    struct pool_fixture fixture = {0};
    size_t before;

    pool_fixture_open(&fixture,
                      "'min_idle': 0, 'max_size': %zu, 'total_max_size': %zu, 'idle_timeout': 1, 'check_after': 100",
                      size, size);
    for (size_t i = 0; i < size; i++) {
        leases[i] = pool_take(&fixture, "x");
    }
    for (size_t i = 0; i + 1 < size; i++) {
        pool_give(&leases[i]);
    }
    virtual_clock_advance(&fixture.clock, SECONDS(2));
    before = test_manager_live(NULL);
    pool_give(&leases[size - 1]);
    before -= test_manager_live(NULL);
    pool_fixture_close(&fixture);
    return before;
}

static void test_batch_of_one_release_S24(void **state)
{
    const char *text = golden("auto batch: size->N {");
    unsigned size, batch;
    int used = 0, cases = 0;

    (void)state;
    while (sscanf(text, "%u: %u%n", &size, &batch, &used) == 2) {
        size_t due = size == 0 ? 0 : size - 1;

        if (size > 0) {
            size_t closed = run_batch(size);

            if (closed != (due < batch ? due : batch)) {
                fail_msg("size %u: %zu closed, expected %u of %zu due", size, closed, batch, due);
            }
        }
        cases++;
        text += used;
        text += strspn(text, ", ");
    }
    assert_int_equal(cases, 17);
}

static void test_endpoint_at_max_size_evicts_nothing_S8(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease held, lease;

    (void)state;
    assert_string_equal(golden("endpoint 'y' at max_size with total not exhausted by others: "),
                        "TimeoutError, nothing evicted: []");
    pool_fixture_open(&fixture, "'min_idle': 0, 'max_size': 1, 'total_max_size': 2");
    pool_park(&fixture, "x", 1);
    held = pool_take(&fixture, "y");
    assert_int_equal(pool_try(&fixture, "y", 50, &lease), CONNPOOL_TIMED_OUT);
    assert_string_equal(test_manager_log("cCd"), "");
    assert_int_equal(test_manager_live("x"), 1);
    pool_give(&held);
    pool_fixture_close(&fixture);
}

/* The connections that were closed, as the file writes them: endpoint and letter. */
static void closed_names(char *text, size_t size, const char *letters_by_number)
{
    char log[512];
    char *rest = log;
    const char *word;
    size_t length = 1;

    (void)snprintf(log, sizeof(log), "%s", test_manager_log("cC"));
    (void)snprintf(text, size, "[");
    while ((word = strsep(&rest, " ")) != NULL && word[0] != '\0') {
        uint32_t number = (uint32_t)strtoul(word + 1, NULL, 10);

        length += (size_t)snprintf(text + length, size - length, "%s'%s%c'", length == 1 ? "" : ", ",
                                   test_manager_endpoint_of(number), letters_by_number[number - 1]);
    }
    (void)snprintf(text + length, size - length, "]");
}

static void test_eviction_order_S9(void **state)
{
    struct pool_fixture fixture = {0};
    connpool_lease b, c, taken[3];
    char name[32], found[128];

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1, 'max_size': 3, 'total_max_size': 3");
    pool_park(&fixture, "old", 1);
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    b = pool_take(&fixture, "x");
    c = pool_take(&fixture, "x");
    pool_give(&b);
    pool_give(&c);
    for (int i = 0; i < 3; i++) {
        taken[i] = pool_take(&fixture, "y");
        closed_names(found, sizeof(found), "abcdef");
        (void)snprintf(name, sizeof(name), "evict order %d: ", i + 1);
        assert_string_equal(found, golden(name));
    }
    for (int i = 0; i < 3; i++) {
        pool_give(&taken[i]);
    }
    assert_int_equal(test_manager_most(NULL), 3);
    pool_fixture_close(&fixture);
}

static void test_close_order_S33(void **state)
{
    struct pool_fixture fixture = {0};
    char found[128];

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 2");
    pool_park(&fixture, "x", 4);
    pool_park(&fixture, "y", 2);
    assert_int_equal(endpoint_numbers(&fixture, "x").idle_extra, 2);
    assert_int_equal(endpoint_numbers(&fixture, "y").idle_base, 2);
    pool_fixture_close(&fixture);
    closed_names(found, sizeof(found), "abcdef");
    assert_string_equal(found, golden("close order (x: a,b extra; c,d base | y: e,f base): "));
}

static struct pool_fixture *opening_fixture;
static struct connpool_statistics while_opening, endpoint_while_opening;

static struct test_behaviour look_while_opening(enum test_operation operation, const struct test_connection *connection)
{
    (void)connection;
    if (operation == TEST_OPEN) {
        while_opening = pool_numbers(opening_fixture);
        endpoint_while_opening = endpoint_numbers(opening_fixture, "x");
    }
    return test_ok();
}

static void test_sizes_while_opening_S30(void **state)
{
    struct pool_fixture fixture = {0};
    char found[64];

    (void)state;
    pool_fixture_open(&fixture, "'min_idle': 1");
    opening_fixture = &fixture;
    test_manager_choose_by(look_while_opening);
    pool_park(&fixture, "x", 1);
    (void)snprintf(found, sizeof(found), "get_size %d endpoint None/True/False %d %d %d",
                   (int)numbers_size(&while_opening), (int)numbers_size(&endpoint_while_opening),
                   (int)endpoint_while_opening.leased, (int)numbers_idle(&endpoint_while_opening));
    assert_string_equal(found, golden("while create() runs: "));
    pool_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_release_rule_and_order_S7_S20),
        cmocka_unit_test(test_batch_of_one_release_S24),
        cmocka_unit_test(test_endpoint_at_max_size_evicts_nothing_S8),
        cmocka_unit_test(test_eviction_order_S9),
        cmocka_unit_test(test_close_order_S33),
        cmocka_unit_test(test_sizes_while_opening_S30),
    };

    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
