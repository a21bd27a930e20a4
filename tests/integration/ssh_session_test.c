/* SPDX-License-Identifier: MIT */
/* SSH sessions with a real sshd: opened with a key file, reused, prepared, reset, closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <connpool/tcp.h>
#include <libssh2.h>
#include <poll.h>
#include <string.h>

#include "harness.h"
#include "server_folder.h"
#include "server_sshd.h"
#include "ssh_harness.h"

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

static void one_session_serves_many_commands(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (int i = 0; i < 5; i++) {
        connpool_lease lease = harness_acquire(pool, "there");

        ssh_harness_expect(&lease, "echo $((40 + 2))", "42\n");
        harness_release(&lease);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    assert_int_equal(harness_statistics(pool).reused, 4);
    harness_close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_session_serves_many_commands),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
