/* SPDX-License-Identifier: MIT */
/* test_manager: that the test manager does as it is told, and sees a host that breaks the rules. */
#include <string.h>

#include "pool_fixture.h"
#include "test_manager_state.h"

/* A host by hand: the objects that the core would make. */
struct hand {
    const struct connpool_manager *manager;
    struct connpool_host host;
    char options[64];
    char pool[64], endpoint[64];
    struct test_state connection;
    struct connpool_wait wait;
    struct connpool_fault fault;
};

static void log_nothing(const struct connpool_host *host, int32_t level, const char *text)
{
    (void)host;
    (void)level;
    (void)text;
}

static int64_t clock_of_nothing(const struct connpool_host *host)
{
    (void)host;
    return 1;
}

static void wake_nobody(const struct connpool_host *host, uint64_t token)
{
    (void)host;
    (void)token;
}

static void begin(struct hand *hand)
{
    uint32_t count;
    struct connpool_head *heads[] = {(struct connpool_head *)hand->pool, (struct connpool_head *)hand->endpoint,
                                     &hand->connection.head};
    void *parents[] = {NULL, hand->pool, hand->endpoint};

    memset(hand, 0, sizeof(*hand));
    hand->manager = test_manager_tables(&count)[0];
    hand->host = (struct connpool_host){
        .size = sizeof(hand->host), .log = log_nothing, .clock = clock_of_nothing, .wake = wake_nobody};
    assert_true(hand->manager->options_size <= sizeof(hand->options));
    for (size_t i = 0; i < 3; i++) {
        *heads[i] = (struct connpool_head){.host = &hand->host, .options = hand->options, .parent = parents[i]};
    }
    test_manager_reset();
    assert_int_equal(hand->manager->pool_init(hand->pool, &hand->fault), 0);
    assert_int_equal(hand->manager->endpoint_init(hand->endpoint, &hand->fault), 0);
}

static void end(struct hand *hand)
{
    hand->manager->endpoint_fini(hand->endpoint);
    hand->manager->pool_fini(hand->pool);
    assert_int_equal(test_manager_live(NULL), 0);
}

static int32_t call(struct hand *hand, connpool_step_fn *step)
{
    hand->wait = (struct connpool_wait){.size = sizeof(hand->wait), .fd = -1, .now = 1000, .token = 7};
    hand->fault = (struct connpool_fault){.size = sizeof(hand->fault)};
    return step(&hand->connection, &hand->wait, &hand->fault);
}

static void test_a_host_that_keeps_the_rules(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand);
    assert_int_equal(call(&hand, hand.manager->open), CONNPOOL_STEP_DONE);
    assert_int_equal(test_manager_live(NULL), 1);
    assert_int_equal(call(&hand, hand.manager->prepare), CONNPOOL_STEP_DONE);
    assert_int_equal(call(&hand, hand.manager->reset), CONNPOOL_STEP_DONE);
    assert_int_equal(call(&hand, hand.manager->idle), CONNPOOL_STEP_DONE);
    assert_int_equal(call(&hand, hand.manager->check), CONNPOOL_STEP_DONE);
    assert_int_equal(call(&hand, hand.manager->close), CONNPOOL_STEP_DONE);
    hand.manager->destroy(&hand.connection);
    assert_string_equal(test_manager_log("okpricCd"), "o1 p1 r1 i1 k1 c1 d1");
    assert_int_equal(test_manager_breaches(), 0);
    end(&hand);
}

static void test_it_does_as_it_is_told(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand);
    test_manager_set(TEST_OPEN, test_slow(500));
    assert_int_equal(call(&hand, hand.manager->open), CONNPOOL_STEP_AGAIN);
    assert_int_equal(hand.wait.at, 1500);
    hand.connection.until = 900;
    assert_int_equal(call(&hand, hand.manager->open), CONNPOOL_STEP_DONE);
    test_manager_set_nth(2, TEST_CHECK, test_fails(CONNPOOL_ERROR_TRUST));
    assert_int_equal(call(&hand, hand.manager->check), CONNPOOL_STEP_DONE);
    test_manager_set(TEST_RESET, test_kind(TEST_NEVER));
    assert_int_equal(call(&hand, hand.manager->reset), CONNPOOL_STEP_AGAIN);
    assert_true((hand.wait.flags & CONNPOOL_WAIT_WAKE) != 0);
    test_manager_set(TEST_RESET, test_garbage(77));
    assert_int_equal(call(&hand, hand.manager->reset), CONNPOOL_STEP_AGAIN);
    hand.connection.running = -1;
    assert_int_equal(call(&hand, hand.manager->check), -CONNPOOL_ERROR_TRUST);
    assert_int_equal(hand.fault.error_class, CONNPOOL_ERROR_TRUST);
    hand.manager->destroy(&hand.connection);
    assert_int_equal(test_manager_breaches(), 0);
    end(&hand);
}

static void test_it_sees_breaches(void **state)
{
    struct hand hand;

    (void)state;
    begin(&hand);
    (void)call(&hand, hand.manager->check);
    assert_int_equal(test_manager_breaches(), 1);
    end(&hand);

    begin(&hand);
    (void)call(&hand, hand.manager->open);
    hand.manager->destroy(&hand.connection);
    assert_int_equal(test_manager_breaches(), 0);
    hand.manager->destroy(&hand.connection);
    assert_int_equal(test_manager_breaches(), 1);
    end(&hand);

    begin(&hand);
    test_manager_set(TEST_OPEN, test_fails(CONNPOOL_ERROR_REFUSED));
    (void)call(&hand, hand.manager->open);
    (void)call(&hand, hand.manager->close);
    assert_int_equal(test_manager_breaches(), 1);
    hand.manager->destroy(&hand.connection);
    end(&hand);

    begin(&hand);
    (void)call(&hand, hand.manager->open);
    test_manager_set(TEST_CHECK, test_kind(TEST_NEVER));
    (void)call(&hand, hand.manager->check);
    (void)call(&hand, hand.manager->close);
    assert_int_equal(test_manager_breaches(), 1);
    hand.manager->destroy(&hand.connection);
    end(&hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_host_that_keeps_the_rules),
        cmocka_unit_test(test_it_does_as_it_is_told),
        cmocka_unit_test(test_it_sees_breaches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
