/* SPDX-License-Identifier: MIT */
/* plugin_table: every member of a manager's table wrong once, and what the private copy is like. */
#include "plugin/plugin_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/plugin_name.h"

#define ORIGIN     "/plugins/connpool_good.so"
#define LEAST_SIZE (offsetof(struct connpool_manager, destroy) + sizeof(void *))

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

static const struct connpool_option rows[] = {
    {.name = "host", .help = "Where", .level = 3, .type = CONNPOOL_TYPE_STRING, .offset = 0, .maximum = "255"},
    {.name = "port", .help = "Which", .level = 3, .type = CONNPOOL_TYPE_INTEGER, .offset = 8, .default_text = "80"},
};

static struct connpool_manager good_table(void)
{
    return (struct connpool_manager){
        .magic = CONNPOOL_MANAGER_MAGIC,
        .abi_major = CONNPOOL_ABI_MAJOR,
        .abi_minor = CONNPOOL_ABI_MINOR,
        .size = sizeof(struct connpool_manager),
        .name = "good",
        .version = "1.0",
        .summary = "A table for tests",
        .options = rows,
        .option_count = 2,
        .option_stride = sizeof(rows[0]),
        .options_size = 16,
        .connection_size = sizeof(struct connpool_head),
        .open = finish,
        .destroy = forget,
    };
}

static void assert_table_refused(const struct connpool_manager *table, const char *member, const char *found)
{
    connpool_error error = {0};
    struct connpool_manager *copy = cp_plugin_table_copy(table, ORIGIN, &error);
    assert_null(copy);
    assert_int_equal(error.status, CONNPOOL_PLUGIN_ERROR);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_CONFIGURATION);
    if (strncmp(error.text, ORIGIN ": ", strlen(ORIGIN ": ")) != 0 || strstr(error.text, member) == NULL ||
        strstr(error.text, "expected") == NULL || strstr(error.text, found) == NULL) {
        fail_msg("expected file, '%s', 'expected' and '%s' in: %s", member, found, error.text);
    }
    assert_null(cp_plugin_table_copy(table, ORIGIN, NULL));
}

static struct connpool_manager *accept(const void *table)
{
    connpool_error error = {0};
    struct connpool_manager *copy = cp_plugin_table_copy(table, ORIGIN, &error);
    if (copy == NULL) {
        fail_msg("%s", error.text);
    }
    return copy;
}

static void copy_has_what_the_plugin_has_and_defaults(void **state)
{
    struct connpool_manager table = good_table();
    struct connpool_manager *copy = accept(&table);
    struct connpool_fault fault = {.size = sizeof(fault)};
    void *handle = NULL;
    (void)state;

    assert_ptr_not_equal(copy, &table);
    assert_ptr_not_equal(copy->options, rows);
    assert_memory_equal(copy->options, rows, sizeof(rows));
    assert_ptr_equal(copy->open, finish);
    assert_ptr_equal(copy->destroy, forget);

    assert_int_equal(copy->load(NULL, &fault), 0);
    assert_int_equal(copy->pool_init(NULL, &fault), 0);
    copy->pool_fini(NULL);
    assert_int_equal(copy->endpoint_init(NULL, &fault), 0);
    copy->endpoint_fini(NULL);
    assert_int_equal(copy->native(NULL, "fd", &handle), -CONNPOOL_ERROR_UNSUPPORTED);
    assert_null(handle);
    assert_null(copy->get_extension("connpool.cancel/1"));
    assert_int_equal(fault.error_class, 0);
    assert_null(copy->descriptors);
    assert_null(copy->parse_endpoint);
    cp_plugin_table_free(copy);
}

/* E11: NULL says something in these, and the pool asks. */
static void e11_steps_that_are_null_stay_null(void **state)
{
    struct connpool_manager table = good_table();
    struct connpool_manager *copy = accept(&table);
    (void)state;
    assert_null(copy->check);
    assert_null(copy->prepare);
    assert_null(copy->reset);
    assert_null(copy->idle);
    assert_null(copy->close);
    cp_plugin_table_free(copy);

    table.check = table.prepare = table.reset = table.idle = table.close = finish;
    copy = accept(&table);
    assert_ptr_equal(copy->check, finish);
    assert_ptr_equal(copy->close, finish);
    cp_plugin_table_free(copy);
}

static void e9_magic_and_major_must_be_equal(void **state)
{
    struct connpool_manager table = good_table();
    (void)state;
    table.magic++;
    assert_table_refused(&table, "magic: expected 0x6c6f6f706e6e6f63", "0x6c6f6f706e6e6f64");

    table = good_table();
    table.abi_major = CONNPOOL_ABI_MAJOR + 2;
    table.abi_minor = 9;
    assert_table_refused(&table, "ABI: expected major 0 (this library has 0.1)", "2.9");
}

static void e9_any_minor_is_accepted(void **state)
{
    struct connpool_manager table = good_table();
    (void)state;
    table.abi_minor = UINT16_MAX;
    cp_plugin_table_free(accept(&table));
    table.abi_minor = 0;
    cp_plugin_table_free(accept(&table));
}

static void e10_impossible_sizes_are_refused(void **state)
{
    static const uint32_t sizes[] = {0, 8, 16, LEAST_SIZE - 8, LEAST_SIZE + 1, 65544, UINT32_MAX, UINT32_MAX - 7};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct connpool_manager table = good_table();
        char found[32];
        table.size = sizes[i];
        (void)snprintf(found, sizeof(found), "found %u", sizes[i]);
        assert_table_refused(&table, "size", found);
    }
}

/* E10: what lies behind a short table is not read: the memory ends there, and address sanitizer looks on. */
static void e10_shorter_table_gets_defaults(void **state)
{
    struct connpool_manager table = good_table();
    char *shorter = malloc(LEAST_SIZE);
    (void)state;
    assert_non_null(shorter);
    table.size = LEAST_SIZE;
    memcpy(shorter, &table, LEAST_SIZE);
    struct connpool_manager *copy = accept(shorter);
    free(shorter);
    assert_int_equal(copy->size, sizeof(*copy));
    assert_int_equal(copy->native(NULL, "fd", NULL), -CONNPOOL_ERROR_UNSUPPORTED);
    assert_null(copy->descriptors);
    cp_plugin_table_free(copy);
}

static void e10_longer_table_is_cut(void **state)
{
    struct {
        struct connpool_manager manager;
        uint64_t more[100];
    } longer = {.manager = good_table()};
    (void)state;
    longer.manager.size = sizeof(longer);
    memset(longer.more, 0xff, sizeof(longer.more));
    struct connpool_manager *copy = accept(&longer);
    assert_int_equal(copy->size, sizeof(*copy));
    cp_plugin_table_free(copy);
}

static void e11_each_required_pointer_must_be_there(void **state)
{
    int required = 0;
    (void)state;
    for (const struct cp_plugin_pointer *pointer = cp_plugin_table_pointers; pointer->member != NULL; pointer++) {
        struct connpool_manager table = good_table();
        memset((char *)&table + pointer->offset, 0, sizeof(void *));
        if (pointer->is_required) {
            assert_table_refused(&table, pointer->member, "found NULL");
            required++;
        } else if (strcmp(pointer->member, "options") != 0) {
            cp_plugin_table_free(accept(&table));
        }
    }
    assert_int_equal(required, 5);
}

/* The list of pointers is complete: between it and the numbers, no byte of the table is left over. */
static void every_pointer_is_listed(void **state)
{
    size_t count = 0;
    (void)state;
    while (cp_plugin_table_pointers[count].member != NULL) {
        count++;
    }
    size_t numbers = offsetof(struct connpool_manager, name) + offsetof(struct connpool_manager, load) -
                     offsetof(struct connpool_manager, option_count);
    assert_int_equal(numbers + count * sizeof(void *), sizeof(struct connpool_manager));
}

static void e11_state_sizes_hold_a_head(void **state)
{
    static const uint32_t wrong[] = {1, sizeof(struct connpool_head) - 1, (16u << 20) + 1, UINT32_MAX};
    struct connpool_manager table;
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        table = good_table();
        table.connection_size = wrong[i];
        assert_table_refused(&table, "connection_size", "found");
        table = good_table();
        table.endpoint_size = wrong[i];
        assert_table_refused(&table, "endpoint_size", "found");
        table = good_table();
        table.pool_size = wrong[i];
        assert_table_refused(&table, "pool_size", "found");
    }
    table = good_table();
    table.connection_size = 0;
    assert_table_refused(&table, "connection_size: expected 24", "found 0");
}

static void e12_name_keeps_its_grammar(void **state)
{
    static const char *const wrong[] = {
        "",
        "../x",
        "A",
        "Good",
        "1st",
        "-x",
        "a_b",
        "a.b",
        "a b",
        "a/b",
        "caf\xc3\xa9",
        "a\n",
        "abcdefghijklmnopqrstuvwxyz0123456",
        "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789",
    };
    struct connpool_manager table = good_table();
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        table.name = wrong[i];
        assert_table_refused(&table, "name: expected [a-z][a-z0-9-]{0,31}", "found");
    }
    static const char *const right[] = {"a", "a-1", "z9", "abcdefghijklmnopqrstuvwxyz012345"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        table.name = right[i];
        cp_plugin_table_free(accept(&table));
    }
}

static void e12_name_of_a_file(void **state)
{
    static const char *const wrong[] = {"connpool_.so",
                                        "connpool_tcp",
                                        "tcp.so",
                                        "libconnpool_tcp.so",
                                        ".so",
                                        "connpool_Tcp.so",
                                        "connpool_tcp.so.1",
                                        "connpool_abcdefghijklmnopqrstuvwxyz0123456.so"};
    char name[CP_PLUGIN_NAME_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(cp_plugin_name_of_file(wrong[i], name));
    }
    assert_true(cp_plugin_name_of_file("connpool_tcp-2.so", name));
    assert_string_equal(name, "tcp-2");
}

/* Version and summary are shown on terminals. */
static void e12_texts_are_one_line(void **state)
{
    struct connpool_manager table = good_table();
    char endless[400];
    (void)state;
    memset(endless, 'x', sizeof(endless));
    endless[sizeof(endless) - 1] = '\0';
    table.version = "";
    assert_table_refused(&table, "version", "found none");
    table.version = "1.0\x1b[2J";
    assert_table_refused(&table, "version", "byte 0x1b at 3");
    table = good_table();
    table.summary = "two\nlines";
    assert_table_refused(&table, "summary", "byte 0x0a at 3");
    table.summary = endless;
    assert_table_refused(&table, "summary", "found more");
}

static void e10_rows_of_another_stride(void **state)
{
    struct longer_row {
        struct connpool_option row;
        uint64_t more;
    } longer[2] = {{.row = rows[0], .more = 1}, {.row = rows[1], .more = 2}};
    size_t then = offsetof(struct connpool_option, maximum);
    char *shorter = malloc(2 * then);
    struct connpool_manager table = good_table();
    (void)state;

    table.options = &longer[0].row;
    table.option_stride = sizeof(longer[0]);
    struct connpool_manager *copy = accept(&table);
    assert_memory_equal(copy->options, rows, sizeof(rows));
    assert_int_equal(copy->option_stride, sizeof(rows[0]));
    cp_plugin_table_free(copy);

    assert_non_null(shorter);
    memcpy(shorter, &rows[0], then);
    memcpy(shorter + then, &rows[1], then);
    table.options = (const struct connpool_option *)shorter;
    table.option_stride = (uint32_t)then;
    copy = accept(&table);
    free(shorter);
    assert_string_equal(copy->options[1].name, "port");
    assert_string_equal(copy->options[1].default_text, "80");
    assert_null(copy->options[0].maximum);
    assert_null(copy->options[1].choices);
    cp_plugin_table_free(copy);
}

static void e10_impossible_rows_are_refused(void **state)
{
    static const uint32_t strides[] = {
        0, 8, offsetof(struct connpool_option, default_text) - 8, sizeof(rows[0]) + 1, 4104, UINT32_MAX};
    struct connpool_manager table;
    (void)state;
    for (size_t i = 0; i < sizeof(strides) / sizeof(strides[0]); i++) {
        table = good_table();
        table.option_stride = strides[i];
        assert_table_refused(&table, "option_stride", "found");
    }
    table = good_table();
    table.options = NULL;
    assert_table_refused(&table, "options: expected 2 rows", "found NULL");
    table = good_table();
    table.option_count = UINT32_MAX;
    assert_table_refused(&table, "option_count", "found 4294967295");
    table = good_table();
    table.options_size = UINT32_MAX;
    assert_table_refused(&table, "options_size", "found 4294967295");

    table = good_table();
    table.option_count = 0;
    table.option_stride = 0;
    struct connpool_manager *copy = accept(&table);
    assert_null(copy->options);
    cp_plugin_table_free(copy);
}

static void unknown_blocking_bits_are_dropped(void **state)
{
    struct connpool_manager table = good_table();
    (void)state;
    table.blocking_operations = UINT32_MAX;
    struct connpool_manager *copy = accept(&table);
    assert_int_equal(copy->blocking_operations, 63);
    cp_plugin_table_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_has_what_the_plugin_has_and_defaults),
        cmocka_unit_test(e11_steps_that_are_null_stay_null),
        cmocka_unit_test(e9_magic_and_major_must_be_equal),
        cmocka_unit_test(e9_any_minor_is_accepted),
        cmocka_unit_test(e10_impossible_sizes_are_refused),
        cmocka_unit_test(e10_shorter_table_gets_defaults),
        cmocka_unit_test(e10_longer_table_is_cut),
        cmocka_unit_test(e11_each_required_pointer_must_be_there),
        cmocka_unit_test(every_pointer_is_listed),
        cmocka_unit_test(e11_state_sizes_hold_a_head),
        cmocka_unit_test(e12_name_keeps_its_grammar),
        cmocka_unit_test(e12_name_of_a_file),
        cmocka_unit_test(e12_texts_are_one_line),
        cmocka_unit_test(e10_rows_of_another_stride),
        cmocka_unit_test(e10_impossible_rows_are_refused),
        cmocka_unit_test(unknown_blocking_bits_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
