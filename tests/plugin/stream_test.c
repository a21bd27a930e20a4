/* SPDX-License-Identifier: MIT */
/* The life of a plain stream socket, step by step: plugins/common/stream.c, which the managers tcp and unix share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../plugins/common/stream.h"
#include "scripted_dial.h"

static struct scripted_dial script;
static struct stream stream;
static struct connpool_fault fault;
static const struct connpool_dial_options options = {.size = sizeof(options), .path = "/nowhere"};

static int begin(void **state)
{
    (void)state;
    scripted_dial_init(&script);
    stream = (struct stream){.head = {.host = &script.table}};
    fault = (struct connpool_fault){.size = sizeof(fault)};
    return 0;
}

/* Every test ends with one destroy; nothing of the connection is left after it. */
static int end(void **state)
{
    int fd = script.fd;

    (void)state;
    stream_destroy(&stream);
    assert_int_equal(script.live, 0);
    assert_true(fd < 0 || fcntl(fd, F_GETFD) < 0);
    if (script.peer >= 0) {
        (void)close(script.peer);
    }
    return 0;
}

static int32_t open_once(void)
{
    struct connpool_wait wait = scripted_dial_wait(0, 0);

    return stream_open(&stream, &options, &wait, &fault);
}

static int32_t idle_once(uint32_t ready, struct connpool_wait *wait)
{
    *wait = scripted_dial_wait(0, ready);
    return stream_idle(&stream, wait, &fault);
}

static void open_waits_as_the_dial_says_and_stops_it_when_done(void **state)
{
    struct connpool_wait wait = scripted_dial_wait(0, 0);
    int32_t descriptors[2] = {-1, -1};

    (void)state;
    script.agains = 2;
    assert_int_equal(stream_open(&stream, &options, &wait, &fault), CONNPOOL_STEP_AGAIN);
    assert_int_equal(wait.at, 2);
    assert_int_equal(stream_descriptors(&stream, descriptors, 2), 0);
    assert_int_equal(open_once(), CONNPOOL_STEP_AGAIN);
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    assert_int_equal(script.starts, 1);
    assert_int_equal(script.stops, 1);
    assert_int_equal(stream_descriptors(&stream, descriptors, 2), 1);
    assert_int_equal(descriptors[0], script.fd);
    assert_int_equal(stream_descriptors(&stream, NULL, 0), 1);
}

static void open_fails_as_the_dial_does(void **state)
{
    (void)state;
    script.failure = CONNPOOL_ERROR_REFUSED;
    assert_int_equal(open_once(), -CONNPOOL_ERROR_REFUSED);
}

static void open_fails_where_the_dial_does_not_start(void **state)
{
    (void)state;
    script.failure = CONNPOOL_ERROR_INTERNAL;
    assert_int_equal(open_once(), -CONNPOOL_ERROR_INTERNAL);
}

static void destroy_in_the_middle_of_a_dial_stops_it(void **state)
{
    (void)state;
    script.agains = 1;
    assert_int_equal(open_once(), CONNPOOL_STEP_AGAIN);
    assert_int_equal(script.live, 1);
}

static void prepare_makes_it_blocking_or_not(void **state)
{
    struct connpool_wait blocking = scripted_dial_wait(0, 0);
    struct connpool_wait for_loop = scripted_dial_wait(CONNPOOL_WAIT_FOR_LOOP, 0);

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    assert_int_equal(stream_prepare(&stream, &for_loop, &fault), CONNPOOL_STEP_DONE);
    assert_true((fcntl(script.fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(stream_prepare(&stream, &blocking, &fault), CONNPOOL_STEP_DONE);
    assert_true((fcntl(script.fd, F_GETFL) & O_NONBLOCK) == 0);
    assert_int_equal(stream_prepare(&stream, &blocking, &fault), CONNPOOL_STEP_DONE);
    assert_int_equal(stream_prepare(&stream, &for_loop, &fault), CONNPOOL_STEP_DONE);
    assert_true((fcntl(script.fd, F_GETFL) & O_NONBLOCK) != 0);
}

static void idle_names_the_descriptor_and_keeps_a_silent_one(void **state)
{
    struct connpool_wait wait;

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    for (uint32_t ready = 0; ready <= CONNPOOL_EVENT_READ; ready++) {
        assert_int_equal(idle_once(ready, &wait), CONNPOOL_STEP_AGAIN);
        assert_int_equal(wait.fd, script.fd);
        assert_int_equal(wait.events, CONNPOOL_EVENT_READ);
        assert_int_equal(wait.flags, 0);
    }
}

/* Also where prepare left the socket blocking. */
static void idle_never_waits(void **state)
{
    struct connpool_wait wait = scripted_dial_wait(0, 0);

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    assert_int_equal(stream_prepare(&stream, &wait, &fault), CONNPOOL_STEP_DONE);
    assert_int_equal(idle_once(CONNPOOL_EVENT_READ, &wait), CONNPOOL_STEP_AGAIN);
}

/* A20 */
static void data_on_an_idle_connection_is_a_broken_protocol(void **state)
{
    struct connpool_wait wait;

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    assert_int_equal(send(script.peer, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(idle_once(CONNPOOL_EVENT_READ, &wait), -CONNPOOL_ERROR_PROTOCOL);
    assert_int_equal(fault.error_class, CONNPOOL_ERROR_PROTOCOL);
    assert_string_equal(fault.text, "the peer sent data on an idle connection");
}

/* A11 */
static void the_end_of_an_idle_connection_is_normal(void **state)
{
    struct connpool_wait wait;

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    assert_int_equal(shutdown(script.peer, SHUT_WR), 0);
    assert_int_equal(idle_once(CONNPOOL_EVENT_READ | CONNPOOL_EVENT_HANGUP, &wait), -CONNPOOL_ERROR_CLOSED);
    assert_int_equal(fault.os_error, 0);
}

/* A10: a Unix socket is reset when its peer closes with something unread. */
static void the_reset_of_an_idle_connection_names_its_error(void **state)
{
    struct connpool_wait wait;

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    assert_int_equal(send(script.fd, "x", 1, MSG_NOSIGNAL), 1);
    (void)close(script.peer);
    script.peer = -1;
    assert_int_equal(idle_once(CONNPOOL_EVENT_HANGUP, &wait), -CONNPOOL_ERROR_CLOSED);
    assert_int_equal(fault.os_error, ECONNRESET);
}

/* B25: the application closed the descriptor, and another file got its number. */
static void a_replaced_descriptor_is_dead_and_not_closed(void **state)
{
    struct connpool_wait wait;
    int32_t stranger;

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    stranger = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup3(stranger, script.fd, O_CLOEXEC), script.fd);
    assert_int_equal(idle_once(0, &wait), -CONNPOOL_ERROR_CLOSED);
    stream_destroy(&stream);
    assert_true(fcntl(script.fd, F_GETFD) >= 0);
    (void)close(stranger);
    (void)close(script.fd);
}

/* B25 */
static void a_closed_descriptor_is_dead(void **state)
{
    struct connpool_wait wait;

    (void)state;
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    (void)close(script.fd);
    assert_int_equal(idle_once(0, &wait), -CONNPOOL_ERROR_CLOSED);
    assert_int_equal(fault.os_error, EBADF);
}

static void native_tells_the_two_types_and_no_other(void **state)
{
    void *out = NULL;

    (void)state;
    assert_int_equal(stream_native(&stream, "mine", "fd", &out), -CONNPOOL_ERROR_UNSUPPORTED);
    assert_int_equal(open_once(), CONNPOOL_STEP_DONE);
    assert_int_equal(stream_native(&stream, "mine", "fd", &out), 0);
    assert_int_equal(*(int32_t *)out, script.fd);
    assert_int_equal(stream_native(&stream, "mine", "mine", &out), 0);
    assert_int_equal(*(int32_t *)out, script.fd);
    assert_int_equal(stream_native(&stream, "mine", "other", &out), -CONNPOOL_ERROR_UNSUPPORTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open_waits_as_the_dial_says_and_stops_it_when_done),
        TEST(open_fails_as_the_dial_does),
        TEST(open_fails_where_the_dial_does_not_start),
        TEST(destroy_in_the_middle_of_a_dial_stops_it),
        TEST(prepare_makes_it_blocking_or_not),
        TEST(idle_names_the_descriptor_and_keeps_a_silent_one),
        TEST(idle_never_waits),
        TEST(data_on_an_idle_connection_is_a_broken_protocol),
        TEST(the_end_of_an_idle_connection_is_normal),
        TEST(the_reset_of_an_idle_connection_names_its_error),
        TEST(a_replaced_descriptor_is_dead_and_not_closed),
        TEST(a_closed_descriptor_is_dead),
        TEST(native_tells_the_two_types_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
