/* SPDX-License-Identifier: MIT */
/* policy: the keys of a pool. Failures D3, D6, D7, D12; semantics S1, S2, D27. The wording of the mistakes is in
 * tests/config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "options/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* S1, and the design's table. */
static void test_defaults(void **state)
{
    struct cp_policy policy;

    (void)state;
    cp_policy_init(&policy);
    assert_false(policy.background_collector);
    assert_int_equal(policy.dispose_batch_size, 0);
    assert_int_equal(policy.idle_timeout, 60 * CP_SECOND);
    assert_int_equal(policy.max_lifetime, 3600 * CP_SECOND);
    assert_true(policy.lifetime_jitter > 0.099 && policy.lifetime_jitter < 0.101);
    assert_int_equal(policy.min_idle, 1);
    assert_int_equal(policy.max_size, 10);
    assert_int_equal(policy.total_max_size, 100);
    assert_int_equal(policy.max_endpoints, 10000);
    assert_true(policy.acquire_timeout == CP_NEVER);
    assert_int_equal(policy.connect_timeout, 30 * CP_SECOND);
    assert_int_equal(policy.check_timeout, CP_SECOND);
    assert_int_equal(policy.reset_timeout, 5 * CP_SECOND);
    assert_int_equal(policy.dispose_timeout, 5 * CP_SECOND);
    assert_int_equal(policy.check_after, CP_SECOND / 2);
    assert_int_equal(policy.max_uses, 0);
    assert_int_equal(policy.max_waiters, 0);
    assert_int_equal(policy.holddown, 0);
    assert_true(policy.watch);
    assert_true(policy.leak_after == CP_NEVER);
    assert_false(policy.prewarm);
    assert_false(policy.retry);
}

/* How many mistakes one key with that value makes. */
static size_t mistakes_of(const char *key, json_t *value, struct cp_policy *policy)
{
    struct cp_mistakes mistakes = {.origin = "F"};
    struct cp_policy_reading reading;

    cp_policy_reading_init(&reading);
    cp_policy_read(&reading, key, value, false, "", &mistakes);
    json_decref(value);
    *policy = reading.policy;
    return mistakes.count;
}

static const struct {
    const char *key;
    double minimum, maximum;
    bool is_integer;
} bounds[] = {
    {"dispose_batch_size", 0, 1e6, true},   {"idle_timeout", 0, 1e9, false},      {"max_lifetime", 0.001, 1e9, false},
    {"lifetime_jitter", 0, 1, false},       {"min_idle", 0, 1e6, true},           {"max_size", 1, 1e6, true},
    {"total_max_size", 1, 1e6, true},       {"max_endpoints", 0, 1e6, true},      {"acquire_timeout", 0, 1e9, false},
    {"connect_timeout", 0.001, 1e9, false}, {"check_timeout", 0.001, 1e9, false}, {"reset_timeout", 0.001, 1e9, false},
    {"dispose_timeout", 0.001, 1e9, false}, {"check_after", 0, 1e9, false},       {"max_uses", 1, 1e9, true},
    {"max_waiters", 1, 1e9, true},          {"holddown", 0, 1e9, false},          {"leak_after", 0.001, 1e9, false},
};

static json_t *number(double value, bool is_integer)
{
    return is_integer ? json_integer((json_int_t)value) : json_real(value);
}

/* D6: minimum - 1, minimum, maximum, maximum + 1. D27. */
static void test_bounds(void **state)
{
    struct cp_policy policy;

    (void)state;
    for (size_t i = 0; i < COUNT(bounds); i++) {
        double step = bounds[i].is_integer ? 1 : 0.0005;

        assert_int_equal(mistakes_of(bounds[i].key, number(bounds[i].minimum, bounds[i].is_integer), &policy), 0);
        assert_int_equal(mistakes_of(bounds[i].key, number(bounds[i].maximum, bounds[i].is_integer), &policy), 0);
        assert_int_equal(mistakes_of(bounds[i].key, number(bounds[i].minimum - step, bounds[i].is_integer), &policy),
                         1);
        assert_int_equal(mistakes_of(bounds[i].key, number(bounds[i].maximum + step, bounds[i].is_integer), &policy),
                         1);
        assert_int_equal(mistakes_of(bounds[i].key, json_string("1"), &policy), 1); /* D3 */
        assert_int_equal(mistakes_of(bounds[i].key, json_true(), &policy), 1);
        assert_int_equal(mistakes_of(bounds[i].key, json_null(), &policy), 1);
    }
}

/* Every key of the table is in the bounds above, or is a boolean. */
static void test_no_key_is_untested(void **state)
{
    static const char *const others[] = {"background_collector", "watch", "retry", "prewarm"};

    (void)state;
    for (size_t i = 0; cp_policy_key_name(i) != NULL; i++) {
        size_t found = 0;

        for (size_t j = 0; j < COUNT(bounds); j++) {
            found += strcmp(bounds[j].key, cp_policy_key_name(i)) == 0;
        }
        for (size_t j = 0; j < COUNT(others); j++) {
            found += strcmp(others[j], cp_policy_key_name(i)) == 0;
        }
        assert_int_equal(found, 1);
        assert_true(cp_policy_is_key(cp_policy_key_name(i)));
    }
    assert_false(cp_policy_is_key("manager"));
}

static void test_durations(void **state)
{
    struct cp_policy policy;

    (void)state;
    assert_int_equal(mistakes_of("idle_timeout", json_real(0.5), &policy), 0);
    assert_int_equal(policy.idle_timeout, CP_SECOND / 2);
    assert_int_equal(mistakes_of("idle_timeout", json_real(1e-12), &policy), 0);
    assert_int_equal(policy.idle_timeout, 1); /* small is not none */
    assert_int_equal(mistakes_of("idle_timeout", json_real(-0.0), &policy), 0);
    assert_int_equal(policy.idle_timeout, 0);
    assert_int_equal(mistakes_of("idle_timeout", json_integer(1000000000), &policy), 0);
    assert_true(policy.idle_timeout == 1000000000 * CP_SECOND);
}

/* The relations of a policy with three keys given. */
static size_t relation_mistakes(const char *one, double one_value, const char *other, double other_value)
{
    struct cp_mistakes mistakes = {.origin = "F"};
    struct cp_policy_reading reading;
    json_t *values[] = {json_integer((json_int_t)one_value), json_integer((json_int_t)other_value)};

    cp_policy_reading_init(&reading);
    cp_policy_read(&reading, one, values[0], false, "", &mistakes);
    cp_policy_read(&reading, other, values[1], false, "", &mistakes);
    cp_policy_check(&reading, false, "", &mistakes);
    json_decref(values[0]);
    json_decref(values[1]);
    return mistakes.count;
}

/* D12, S2 */
static void test_relations(void **state)
{
    (void)state;
    assert_int_equal(relation_mistakes("min_idle", 5, "max_size", 5), 0);
    assert_int_equal(relation_mistakes("min_idle", 6, "max_size", 5), 1);
    assert_int_equal(relation_mistakes("max_size", 5, "total_max_size", 5), 0);
    assert_int_equal(relation_mistakes("max_size", 6, "total_max_size", 5), 1);
    assert_int_equal(relation_mistakes("idle_timeout", 10, "max_lifetime", 10), 0);
    assert_int_equal(relation_mistakes("idle_timeout", 11, "max_lifetime", 10), 1);
    assert_int_equal(relation_mistakes("connect_timeout", 11, "acquire_timeout", 10), 0);
}

/* What the collector is to do is said only where there is one. */
static size_t mistakes_of_watch(json_t *collector, json_t *watch, bool at_endpoint)
{
    struct cp_mistakes mistakes = {.origin = "F"};
    struct cp_policy_reading reading;

    cp_policy_reading_init(&reading);
    cp_policy_read(&reading, "background_collector", collector, false, "", &mistakes);
    if (at_endpoint) {
        cp_policy_descend(&reading);
    }
    cp_policy_read(&reading, "watch", watch, at_endpoint, "", &mistakes);
    cp_policy_check(&reading, at_endpoint, "", &mistakes);
    json_decref(collector);
    json_decref(watch);
    return mistakes.count;
}

static void test_keys_of_the_collector(void **state)
{
    (void)state;
    for (int at_endpoint = 0; at_endpoint <= 1; at_endpoint++) {
        assert_int_equal(mistakes_of_watch(json_true(), json_true(), at_endpoint), 0);
        assert_int_equal(mistakes_of_watch(json_true(), json_false(), at_endpoint), 0);
        assert_int_equal(mistakes_of_watch(json_false(), json_true(), at_endpoint), 1);
        assert_int_equal(mistakes_of_watch(json_false(), json_false(), at_endpoint), 1);
        assert_int_equal(mistakes_of_watch(json_null(), json_true(), at_endpoint), 1); /* only the one that is wrong */
    }
}

static void test_described(void **state)
{
    struct cp_policy policy;
    json_t *whole = json_object(), *endpoint = json_object();

    (void)state;
    cp_policy_init(&policy);
    assert_true(cp_policy_describe(&policy, false, whole));
    assert_true(cp_policy_describe(&policy, true, endpoint));
    assert_null(json_object_get(whole, "acquire_timeout"));
    assert_null(json_object_get(whole, "max_uses"));
    assert_null(json_object_get(whole, "prewarm"));
    assert_null(json_object_get(whole, "watch"));
    assert_int_equal(json_integer_value(json_object_get(whole, "total_max_size")), 100);
    assert_null(json_object_get(endpoint, "total_max_size"));
    assert_int_equal(json_integer_value(json_object_get(endpoint, "max_size")), 10);
    policy.background_collector = true;
    assert_true(cp_policy_describe(&policy, false, whole));
    assert_true(json_is_true(json_object_get(whole, "watch")));
    json_decref(whole);
    json_decref(endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),           cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_no_key_is_untested), cmocka_unit_test(test_durations),
        cmocka_unit_test(test_relations),          cmocka_unit_test(test_keys_of_the_collector),
        cmocka_unit_test(test_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
