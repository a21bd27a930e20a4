/* SPDX-License-Identifier: MIT */
/* host: what a plugin's table does besides the sub-operations, and that nothing of the application is touched once its
 * context has closed. */
#include "services_fixture.h"

#include <connpool/version.h>

#define APPLICATION_TIME 12345

static char logged[64];
static int32_t logged_level;
static unsigned logged_count, clock_count;

static void write_log(void *argument, int32_t level, const char *text)
{
    (void)argument;
    logged_level = level;
    logged_count++;
    (void)snprintf(logged, sizeof(logged), "%s", text);
}

static int64_t now(void *argument, uint32_t which)
{
    (void)argument;
    clock_count++;
    assert_int_equal(which, CONNPOOL_CLOCK_PRECISE);
    return APPLICATION_TIME;
}

static struct cp_services *new_services(void)
{
    const struct cp_clock clock = {.replaced = {.size = sizeof(clock.replaced), .now = now}};
    const struct cp_log log = {.write = write_log};
    struct cp_services *services = cp_services_new(&clock, &log, 4, 4);

    assert_non_null(services);
    return services;
}

static void a_table_speaks_for_its_context(void **state)
{
    struct cp_services *services = new_services();
    struct cp_host host;
    const struct connpool_host *table = &host.table;

    (void)state;
    logged_count = 0;
    cp_host_init(&host, services);
    assert_int_equal(table->size, sizeof(*table));
    assert_string_equal(table->name, "libconnpool");
    assert_string_equal(table->version, CONNPOOL_VERSION);
    table->log(table, CONNPOOL_LOG_WARNING, "100 %s"); /* no format */
    assert_string_equal(logged, "100 %s");
    assert_int_equal(logged_level, CONNPOOL_LOG_WARNING);
    assert_int_equal(table->clock(table), APPLICATION_TIME);
    assert_null(table->get_extension(table, "connpool.none/1"));
    cp_host_fini(&host);
    cp_services_close(services);
    cp_services_unref(services);
}

static void after_close_the_application_is_not_touched(void **state)
{
    struct cp_services *services = new_services();
    struct cp_host host;

    (void)state;
    cp_host_init(&host, services);
    cp_services_close(services);
    cp_services_unref(services);
    logged_count = clock_count = 0;
    host.table.log(&host.table, CONNPOOL_LOG_ERROR, "late");
    assert_true(host.table.clock(&host.table) > APPLICATION_TIME);
    assert_int_equal(logged_count, 0);
    assert_int_equal(clock_count, 0);
    cp_host_fini(&host);
}

static unsigned fired;

static void fire(struct cp_waker *waker)
{
    (void)waker;
    fired++;
}

static void dispose(struct cp_waker *waker)
{
    (void)waker;
}

static void wake_fires_the_token(void **state)
{
    struct cp_waker waker;
    struct cp_host host;
    uint64_t token = cp_token_new();

    (void)state;
    cp_host_init(&host, NULL);
    cp_waker_init(&waker, fire, dispose);
    cp_token_arm(token, &waker);
    host.table.wake(&host.table, token);
    assert_int_equal(fired, 1);
    cp_token_free(token);
    host.table.wake(&host.table, token);
    host.table.wake(&host.table, 0);
    assert_int_equal(fired, 1);
    cp_waker_unref(&waker);
    cp_host_fini(&host);
}

/* The table that load gets. */
static void a_table_without_services_starts_nothing(void **state)
{
    const struct connpool_dial_options options = {.size = sizeof(options), .host = "127.0.0.1", .port = 1};
    struct connpool_fault fault;
    struct cp_host host;

    (void)state;
    cp_host_init(&host, NULL);
    cp_fault_init(&fault);
    assert_null(host.table.dial_start(&host.table, &options, &fault));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_UNSUPPORTED);
    cp_fault_init(&fault);
    assert_null(host.table.resolve_start(&host.table, "127.0.0.1", 0, &fault));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_UNSUPPORTED);
    cp_fault_init(&fault);
    assert_null(host.table.offload_start(&host.table, NULL, NULL, NULL, &fault));
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_UNSUPPORTED);
    host.table.log(&host.table, CONNPOOL_LOG_ERROR, "dropped");
    assert_true(host.table.clock(&host.table) > 0);
    cp_host_fini(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_speaks_for_its_context),
        cmocka_unit_test(after_close_the_application_is_not_touched),
        cmocka_unit_test(wake_fires_the_token),
        cmocka_unit_test(a_table_without_services_starts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
