/* SPDX-License-Identifier: MIT */
/* The conformance suite for the test manager, whose other end is itself, with an operation that waits in each way. */
#include "test_manager.h"

#include "conform.h"

static const char *complaint(void)
{
    return test_manager_breaches() == 0 ? NULL : "the test manager found a rule of the ABI broken from its side";
}

int main(void)
{
    /* It has no peer. */
    static const char *const skipped[] = {"unchanged",
                                          "steps_are_short_silent",
                                          "steps_are_short_slow",
                                          "lost",
                                          "mute",
                                          "faults",
                                          "peer_silent",
                                          "peer_full",
                                          "peer_ends",
                                          "peer_resets",
                                          "peer_garbled",
                                          "peer_refuses",
                                          "cut",
                                          "byte_by_byte",
                                          "parked_lost",
                                          "pool_lost",
                                          "reactor_peers",
                                          NULL};
    uint32_t count;
    struct conform_subject subject = {
        .manager = "test",
        .endpoint = "{\"name\": \"x\"}",
        .native = TEST_CONNECTION_TYPE,
        .connections = 1000,
        .skipped = skipped,
        .complaint = complaint,
    };

    subject.table = test_manager_tables(&count)[0];
    test_manager_reset();
    test_manager_record(false);
    test_manager_set(TEST_OPEN, test_slow(5000000));
    test_manager_set(TEST_CHECK, test_slow(1000000));
    test_manager_set(TEST_RESET, test_slow(1000000));
    test_manager_set(TEST_CLOSE, test_slow(1000000));
    return conform_test("test manager", &subject);
}
