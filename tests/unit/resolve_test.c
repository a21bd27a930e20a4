/* SPDX-License-Identifier: MIT */
/* resolve: numeric names in place, one lookup for all who ask, an endpoint's share of the threads, errors, and lookups
 * that outlive everyone (failures.md A23). */
#include "services_fixture.h"

#include <stdio.h>

#define ASKERS 10

static struct fixture fixture;

/* No test leaves a lookup behind: what is held is let go, and the services end. */
static int tear_down(void **state)
{
    (void)state;
    fixture_let_go();
    fixture_fini(&fixture);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    fixture_init(&fixture, 4, 1);
    return 0;
}

static int set_up_many(void **state)
{
    (void)state;
    fixture_init(&fixture, 8, 1);
    return 0;
}

static int32_t step(void *resolve, struct connpool_wait *wait, struct connpool_fault *fault)
{
    return cp_resolve_step(resolve, wait, fault);
}

static struct connpool_resolve *start_at(const struct cp_host *host, const char *name, uint32_t flags)
{
    struct connpool_fault fault;
    struct connpool_resolve *resolve;

    cp_fault_init(&fault);
    resolve = cp_resolve_start(&host->table, name, flags, &fault);
    assert_string_equal(fault.text, "");
    assert_non_null(resolve);
    return resolve;
}

static struct connpool_resolve *start(const char *name)
{
    return start_at(&fixture.host, name, 0);
}

static void expect_refusal(const char *name, int32_t error_class, const char *text)
{
    struct connpool_fault fault;

    cp_fault_init(&fault);
    assert_null(cp_resolve_start(&fixture.host.table, name, 0, &fault));
    assert_non_null(strstr(fault.text, text));
    assert_int_equal(fault.error_class, error_class);
}

static void numeric_names_never_leave_the_thread(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"::1", "::1"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"fe80::1%lo", "fe80::1%lo"},
    };

    (void)state;
    fixture_resolve_with(NULL, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct connpool_resolve *resolve = start(cases[i].name);
        struct connpool_wait wait;

        assert_int_equal(fixture_step(step, resolve, 1, &wait, NULL), CONNPOOL_STEP_DONE);
        assert_string_equal(cp_resolve_take(resolve, 0), cases[i].text);
        assert_null(cp_resolve_take(resolve, 1));
        if (i == 3) {
            assert_int_equal(cp_resolve_addresses(resolve)->items[0].socket.ipv6.sin6_scope_id, if_nametoindex("lo"));
        }
        cp_resolve_stop(resolve);
    }
    assert_int_equal(fixture_read(&fixture_resolver.calls), 0);
    assert_int_equal(cp_workers_threads(fixture.services->resolvers), 0);
}

/* D17 */
static void what_cannot_be_a_name_is_refused_d17(void **state)
{
    char name[300];

    (void)state;
    fixture_resolve_with(NULL, 0);
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    expect_refusal("", CONNPOOL_ERROR_CONFIGURATION, "host has 0 characters");
    expect_refusal(name, CONNPOOL_ERROR_CONFIGURATION, "host has 255 characters, expected a name of 1 to 254");
    expect_refusal("[::1]", CONNPOOL_ERROR_CONFIGURATION, "expected an IPv6 address without its brackets");
    expect_refusal("a b", CONNPOOL_ERROR_CONFIGURATION, "character 2 (code 32)");
    expect_refusal("a\nb", CONNPOOL_ERROR_CONFIGURATION, "character 2 (code 10)");
    expect_refusal("host:80", CONNPOOL_ERROR_CONFIGURATION, "not an IPv6 address, and no name");
    expect_refusal("fe80::1%none", CONNPOOL_ERROR_UNREACHABLE, "no interface of this machine");
    assert_int_equal(fixture_read(&fixture_resolver.calls), 0);
}

static void addresses_come_in_the_resolvers_order(void **state)
{
    static const struct fixture_name names[] = {{.name = "many", .addresses = {"127.0.0.3", "::1", "127.0.0.2"}}};
    struct connpool_resolve *resolve;
    struct fixture_drive drive;

    (void)state;
    fixture_resolve_with(names, 1);
    resolve = start("many");
    assert_null(cp_resolve_take(resolve, 0));
    assert_int_equal(fixture_run(&drive, step, resolve), CONNPOOL_STEP_DONE);
    assert_string_equal(cp_resolve_take(resolve, 0), "127.0.0.3");
    assert_string_equal(cp_resolve_take(resolve, 1), "::1");
    assert_string_equal(cp_resolve_take(resolve, 2), "127.0.0.2");
    assert_null(cp_resolve_take(resolve, 3));
    assert_int_equal(fixture_resolver.hints.ai_family, AF_UNSPEC);
    assert_int_equal(fixture_resolver.hints.ai_socktype, SOCK_STREAM);
    assert_int_equal(fixture_resolver.hints.ai_flags, AI_ADDRCONFIG);
    cp_resolve_stop(resolve);
}

static void the_family_is_asked_for(void **state)
{
    static const struct fixture_name names[] = {{.name = "name", .addresses = {"::1"}},
                                                {.name = "LocalHost.", .addresses = {"::1"}}};
    struct connpool_resolve *resolve;
    struct fixture_drive drive;

    (void)state;
    fixture_resolve_with(names, 2);
    resolve = start_at(&fixture.host, "name", CONNPOOL_DIAL_IPV6);
    assert_int_equal(fixture_run(&drive, step, resolve), CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_resolver.hints.ai_family, AF_INET6);
    assert_int_equal(fixture_resolver.hints.ai_flags, 0);
    cp_resolve_stop(resolve);
    resolve = start("LocalHost.");
    assert_int_equal(fixture_run(&drive, step, resolve), CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_resolver.hints.ai_flags, 0);
    cp_resolve_stop(resolve);
}

static void errors_have_classes_and_name_the_host(void **state)
{
    static const struct fixture_name names[] = {
        {.name = "again", .code = EAI_AGAIN},       {.name = "fail", .code = EAI_FAIL},
        {.name = "nodata", .code = EAI_NODATA},     {.name = "system", .code = EAI_SYSTEM, .os_error = EMFILE},
        {.name = "memory", .code = EAI_MEMORY},     {.name = "empty"},
        {.name = "family", .code = EAI_ADDRFAMILY},
    };
    static const struct {
        const char *name;
        int32_t error_class;
        const char *text;
    } cases[] = {
        {"nowhere", CONNPOOL_ERROR_UNREACHABLE, "cannot resolve 'nowhere' to an address: Name or service not known"},
        {"nodata", CONNPOOL_ERROR_UNREACHABLE, "cannot resolve 'nodata' to an address: No address associated"},
        {"family", CONNPOOL_ERROR_UNREACHABLE, "cannot resolve 'family'"},
        {"empty", CONNPOOL_ERROR_UNREACHABLE, "cannot resolve 'empty'"},
        {"again", CONNPOOL_ERROR_TRANSIENT, "cannot resolve 'again' to an address: Temporary failure"},
        {"fail", CONNPOOL_ERROR_TRANSIENT, "cannot resolve 'fail'"},
        {"system", CONNPOOL_ERROR_RESOURCE_LOCAL, "cannot resolve 'system' to an address: Too many open files"},
        {"memory", CONNPOOL_ERROR_RESOURCE_LOCAL, "cannot resolve 'memory'"},
    };

    (void)state;
    fixture_resolve_with(names, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct connpool_resolve *resolve = start(cases[i].name);
        struct fixture_drive drive;

        assert_int_equal(fixture_run(&drive, step, resolve), -cases[i].error_class);
        assert_int_equal(drive.fault.error_class, cases[i].error_class);
        assert_int_equal(drive.fault.scope, CONNPOOL_SCOPE_ENDPOINT);
        assert_ptr_equal(strstr(drive.fault.text, cases[i].text), drive.fault.text);
        assert_null(cp_resolve_take(resolve, 0));
        cp_resolve_stop(resolve);
    }
}

static void *drive_in_thread(void *resolve)
{
    struct fixture_drive drive;

    return (void *)(intptr_t)fixture_run(&drive, step, resolve);
}

/* Ten threads ask for one name, in several spellings: one lookup, and each of them is woken. */
static void one_lookup_serves_all_who_ask(void **state)
{
    static const struct fixture_name names[] = {{.name = "shared", .held = true, .addresses = {"127.0.0.1"}}};
    struct connpool_resolve *resolves[ASKERS];
    struct connpool_wait wait;
    pthread_t threads[ASKERS];

    (void)state;
    fixture_resolve_with(names, 1);
    for (unsigned i = 0; i < ASKERS; i++) {
        resolves[i] = start(i % 2 == 0 ? "shared" : "SHARED");
        assert_int_equal(fixture_step(step, resolves[i], 1, &wait, NULL), CONNPOOL_STEP_AGAIN);
        assert_int_equal(pthread_create(&threads[i], NULL, drive_in_thread, resolves[i]), 0);
    }
    fixture_await(&fixture_resolver.held, 1);
    fixture_let_go();
    for (unsigned i = 0; i < ASKERS; i++) {
        void *result;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_int_equal((intptr_t)result, CONNPOOL_STEP_DONE);
        assert_string_equal(cp_resolve_take(resolves[i], 0), "127.0.0.1");
        cp_resolve_stop(resolves[i]);
    }
    assert_int_equal(fixture_read(&fixture_resolver.calls), 1);
}

/* With four threads an endpoint gets one: its second name waits, another endpoint's does not. */
static void a_dead_name_delays_no_other_endpoint(void **state)
{
    static const struct fixture_name names[] = {{.name = "dead", .held = true, .code = EAI_AGAIN},
                                                {.name = "own", .addresses = {"127.0.0.1"}},
                                                {.name = "other", .addresses = {"127.0.0.2"}}};
    struct connpool_resolve *dead, *own, *other;
    struct connpool_wait wait;
    struct fixture_drive drive;
    struct cp_host host;

    (void)state;
    fixture_resolve_with(names, 3);
    cp_host_init(&host, fixture.services);
    dead = start("dead");
    fixture_await(&fixture_resolver.held, 1);
    own = start("own");
    other = start_at(&host, "other", 0);
    assert_int_equal(fixture_run(&drive, step, other), CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_step(step, own, 1, &wait, NULL), CONNPOOL_STEP_AGAIN);
    assert_int_equal(fixture_read(&fixture_resolver.calls), 2);
    assert_int_equal(fixture.host.lookups, 1);
    fixture_let_go();
    assert_int_equal(fixture_run(&drive, step, own), CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_run(&drive, step, dead), -CONNPOOL_ERROR_TRANSIENT);
    cp_resolve_stop(dead);
    cp_resolve_stop(own);
    cp_resolve_stop(other);
    cp_host_fini(&host);
}

/* A lookup that is held for its endpoint's sake goes on at once when an endpoint with room asks for the same name. */
static void who_has_room_takes_a_held_lookup_along(void **state)
{
    static const struct fixture_name names[] = {{.name = "dead", .held = true, .code = EAI_AGAIN},
                                                {.name = "both", .addresses = {"127.0.0.1"}}};
    struct connpool_resolve *dead, *first, *second;
    struct fixture_drive drive;
    struct cp_host host;

    (void)state;
    fixture_resolve_with(names, 2);
    cp_host_init(&host, fixture.services);
    dead = start("dead");
    first = start("both");
    second = start_at(&host, "both", 0);
    assert_int_equal(fixture_run(&drive, step, second), CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_run(&drive, step, first), CONNPOOL_STEP_DONE);
    cp_resolve_stop(dead);
    cp_resolve_stop(first);
    cp_resolve_stop(second);
    cp_host_fini(&host);
}

static void an_endpoint_gets_a_quarter_of_the_threads(void **state)
{
    static const struct fixture_name names[] = {
        {.name = "a", .held = true, .addresses = {"127.0.0.1"}},
        {.name = "b", .held = true, .addresses = {"127.0.0.1"}},
        {.name = "c", .held = true, .addresses = {"127.0.0.1"}},
        {.name = "d", .held = true, .addresses = {"127.0.0.1"}},
    };
    struct connpool_resolve *resolves[4];
    struct fixture_drive drive;

    (void)state;
    fixture_resolve_with(names, 4);
    for (size_t i = 0; i < 4; i++) {
        resolves[i] = start(names[i].name);
    }
    fixture_await(&fixture_resolver.held, 2);
    assert_int_equal(fixture.host.lookups, 2);
    assert_int_equal(cp_workers_threads(fixture.services->resolvers), 2);
    fixture_let_go();
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fixture_run(&drive, step, resolves[i]), CONNPOOL_STEP_DONE);
        cp_resolve_stop(resolves[i]);
    }
    assert_int_equal(fixture.host.lookups, 0);
    assert_int_equal(fixture_read(&fixture_resolver.calls), 4);
}

/* Stopped in line for a thread, it is never looked up, and the endpoint's next name takes its place. */
static void stop_in_line_gives_the_place_to_the_next(void **state)
{
    static const struct fixture_name names[] = {{.name = "dead", .held = true, .code = EAI_AGAIN},
                                                {.name = "dead2", .held = true, .code = EAI_AGAIN},
                                                {.name = "queued", .addresses = {"127.0.0.1"}},
                                                {.name = "next", .addresses = {"127.0.0.1"}}};
    struct connpool_resolve *dead[4], *queued, *next;
    struct cp_host hosts[4];
    struct fixture_drive drive;
    unsigned references;

    (void)state;
    fixture_resolve_with(names, 4);
    for (size_t i = 0; i < 4; i++) {
        cp_host_init(&hosts[i], fixture.services);
    }
    dead[0] = start_at(&hosts[0], "dead", 0);
    dead[1] = start_at(&hosts[1], "dead", CONNPOOL_DIAL_IPV4);
    dead[2] = start_at(&hosts[2], "dead", CONNPOOL_DIAL_IPV6);
    dead[3] = start_at(&hosts[3], "dead2", 0);
    fixture_await(&fixture_resolver.held, 4);
    references = atomic_load(&fixture.services->references);
    queued = start("queued");
    next = start("next");
    cp_resolve_stop(queued);
    assert_int_equal(fixture.host.lookups, 1);
    assert_int_equal(atomic_load(&fixture.services->references), references + 1);
    fixture_let_go();
    assert_int_equal(fixture_run(&drive, step, next), CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_read(&fixture_resolver.calls), 5);
    cp_resolve_stop(next);
    for (size_t i = 0; i < 4; i++) {
        cp_resolve_stop(dead[i]);
        cp_host_fini(&hosts[i]);
    }
}

/* Stopped before it had a place, it leaves nothing. */
static void stop_while_held_leaves_nothing(void **state)
{
    static const struct fixture_name names[] = {{.name = "dead", .held = true, .code = EAI_AGAIN}};
    struct connpool_resolve *dead;

    (void)state;
    fixture_resolve_with(names, 1);
    dead = start("dead");
    cp_resolve_stop(start("held"));
    fixture_let_go();
    cp_resolve_stop(dead);
    fixture_fini(&fixture);
    assert_true(fixture_read(&fixture_resolver.calls) <= 1);
    fixture_init(&fixture, 4, 1);
}

/* Who asks again for a name that is still being looked up, though the first to ask has left, joins that lookup. */
static void a_lookup_that_all_left_can_be_joined(void **state)
{
    static const struct fixture_name names[] = {{.name = "slow", .held = true, .addresses = {"127.0.0.1"}}};
    struct connpool_resolve *resolve;
    struct fixture_drive drive;

    (void)state;
    fixture_resolve_with(names, 1);
    resolve = start("slow");
    fixture_await(&fixture_resolver.held, 1);
    cp_resolve_stop(resolve);
    resolve = start("slow");
    fixture_let_go();
    assert_int_equal(fixture_run(&drive, step, resolve), CONNPOOL_STEP_DONE);
    assert_int_equal(fixture_read(&fixture_resolver.calls), 1);
    cp_resolve_stop(resolve);
}

/* The endpoint and the whole context go while getaddrinfo hangs; the late result is dropped. */
static void a_lookup_outlives_the_context(void **state)
{
    static const struct fixture_name names[] = {{.name = "slow", .held = true, .addresses = {"127.0.0.1"}}};

    (void)state;
    fixture_resolve_with(names, 1);
    cp_resolve_stop(NULL);
    {
        struct connpool_resolve *resolve = start("slow");

        fixture_await(&fixture_resolver.held, 1);
        cp_resolve_stop(resolve);
    }
    fixture_abandon(&fixture);
    fixture_let_go();
    fixture_await(&fixture_resolver.returns, 1);
    fixture_init(&fixture, 4, 1);
}

static void a_closed_context_starts_no_lookup(void **state)
{
    (void)state;
    fixture_resolve_with(NULL, 0);
    cp_services_close(fixture.services);
    expect_refusal("name", CONNPOOL_ERROR_RESOURCE_LOCAL, "cannot resolve 'name': no resolver thread");
    assert_int_equal(fixture.host.lookups, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numeric_names_never_leave_the_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_a_name_is_refused_d17, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_come_in_the_resolvers_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_family_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_have_classes_and_name_the_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_lookup_serves_all_who_ask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dead_name_delays_no_other_endpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_room_takes_a_held_lookup_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_endpoint_gets_a_quarter_of_the_threads, set_up_many, tear_down),
        cmocka_unit_test_setup_teardown(stop_in_line_gives_the_place_to_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_while_held_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lookup_that_all_left_can_be_joined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lookup_outlives_the_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_context_starts_no_lookup, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
