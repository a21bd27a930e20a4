/* SPDX-License-Identifier: MIT */
/* What a session and the process around it do to each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "server_folder.h"
#include "server_sshd.h"
#include "ssh_harness.h"

#define LIMIT_MS 100

static struct server_folder folder;
static struct server_sshd sshd;

static int start_server(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "");
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return 0;
}

/* S5: what libssh2 leaves there would be the error of the application's next SSL_read. */
static void openssls_errors_are_not_left_to_the_application(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_lease lease = harness_acquire(harness_pool(context), "there");

    (void)state;
    assert_int_equal(ERR_peek_error(), 0);
    ssh_harness_expect(&lease, "echo here", "here\n");
    assert_int_equal(ERR_peek_error(), 0);
    harness_release(&lease);
    harness_close(context);
    assert_int_equal(ERR_peek_error(), 0);
}

/* Put the end of another socket in the place of a leased session's, as an application does by mistake: its peer. */
static int replace_descriptor(const connpool_lease *lease)
{
    int fd = connpool_ssh_descriptor(lease);
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(dup2(pair[0], fd), fd);
    (void)close(pair[0]);
    return pair[1];
}

static void expect_untouched(int peer)
{
    char byte;

    assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* B25: nor is it said goodbye to. */
static void no_goodbye_goes_to_a_strangers_descriptor(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_lease lease = harness_acquire(harness_pool(context), "there");
    int fd = connpool_ssh_descriptor(&lease);
    int peer = replace_descriptor(&lease);

    (void)state;
    harness_release(&lease);
    harness_close(context);
    expect_untouched(peer);
    assert_int_equal(close(fd), 0);
    (void)close(peer);
}

/* B25 */
static void a_descriptor_that_is_anothers_is_not_written_to(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_pool *pool = harness_pool(context);
    connpool_lease lease = harness_acquire(pool, "there");
    int fd = connpool_ssh_descriptor(&lease);
    int peer = replace_descriptor(&lease);

    (void)state;
    harness_release(&lease);
    ssh_harness_use(pool);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    expect_untouched(peer);
    harness_close(context);
    expect_untouched(peer);
    assert_int_equal(close(fd), 0);
    (void)close(peer);
}

/* D39: however much comes. */
static void a_command_that_floods_ends_by_its_limit(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_lease lease = harness_acquire(harness_pool(context), "there");
    struct connpool_ssh_command command = {
        .size = sizeof(command), .command = "exec timeout 20 yes", .timeout_ms = LIMIT_MS};
    int64_t begin = harness_now_ms();

    (void)state;
    assert_int_equal(connpool_ssh_run(&lease, &command, NULL), CONNPOOL_TIMED_OUT);
    assert_in_range(harness_now_ms() - begin, LIMIT_MS, HARNESS_LIMIT_MS);
    harness_release(&lease);
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssls_errors_are_not_left_to_the_application),
        cmocka_unit_test(no_goodbye_goes_to_a_strangers_descriptor),
        cmocka_unit_test(a_descriptor_that_is_anothers_is_not_written_to),
        cmocka_unit_test(a_command_that_floods_ends_by_its_limit),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
