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
#include <libssh2_sftp.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "server_folder.h"
#include "server_sshd.h"
#include "ssh_harness.h"

#define INPUT_SIZE 100000

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

/* ---- The handle */

static void the_typed_header_refuses_another_managers_lease(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_lease lease = harness_acquire(harness_pool(context), "there");
    const connpool_lease none = CONNPOOL_LEASE_NONE;

    (void)state;
    assert_non_null(connpool_ssh(&lease));
    assert_int_equal(libssh2_userauth_authenticated(connpool_ssh(&lease)), 1);
    assert_true(connpool_ssh_descriptor(&lease) >= 0);
    assert_int_equal(connpool_tcp(&lease), -1);
    assert_null(connpool_ssh(&none));
    assert_int_equal(connpool_ssh_descriptor(&none), -1);
    harness_release(&lease);
    assert_null(connpool_ssh(&lease));
    harness_close(context);
}

/* What the application makes of the session ends with its lease. */
static void a_thread_gets_a_session_that_waits(void **state)
{
    connpool *context = ssh_harness_open(&sshd, ", \"call_timeout\": 7");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    for (int i = 0; i < 2; i++) {
        connpool_lease lease = harness_acquire(pool, "there");

        assert_int_equal(libssh2_session_get_blocking(connpool_ssh(&lease)), 1);
        assert_int_equal(libssh2_session_get_timeout(connpool_ssh(&lease)), 7000);
        libssh2_session_set_blocking(connpool_ssh(&lease), 0);
        libssh2_session_set_timeout(connpool_ssh(&lease), 0);
        harness_release(&lease);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    harness_close(context);
}

/* A6: libssh2 has no limit of its own. */
static void a_call_that_gets_no_answer_ends(void **state)
{
    connpool *context = ssh_harness_open(&sshd, ", \"call_timeout\": 0.1");
    connpool_lease lease = harness_acquire(harness_pool(context), "there");
    int64_t begin = harness_now_ms();

    (void)state;
    server_sshd_stop(&sshd);
    assert_null(libssh2_channel_open_session(connpool_ssh(&lease)));
    assert_int_equal(libssh2_session_last_errno(connpool_ssh(&lease)), LIBSSH2_ERROR_TIMEOUT);
    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS / 2);
    server_sshd_continue(&sshd);
    harness_release(&lease);
    ssh_harness_use(harness_pool(context));
    harness_close(context);
}

/* What is negotiated, as the session tells. S10 */
static void only_safe_methods_are_negotiated(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_lease lease = harness_acquire(harness_pool(context), "there");
    LIBSSH2_SESSION *session = connpool_ssh(&lease);

    (void)state;
    assert_string_equal(libssh2_session_methods(session, LIBSSH2_METHOD_HOSTKEY), "ssh-ed25519");
    assert_non_null(strstr(libssh2_session_methods(session, LIBSSH2_METHOD_KEX), "curve25519-sha256"));
    assert_non_null(strstr(libssh2_session_methods(session, LIBSSH2_METHOD_CRYPT_CS), "aes256-"));
    assert_non_null(strstr(libssh2_session_methods(session, LIBSSH2_METHOD_MAC_SC), "hmac-sha2-"));
    harness_release(&lease);
    harness_close(context);
}

/* Servers that have only what is weak are refused. S10 */
static void weak_methods_are_not_negotiated(void **state)
{
    static const char *const lines[] = {
        "KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1\n",
        "Ciphers 3des-cbc,aes128-cbc\n",
        "MACs hmac-sha1,hmac-md5\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        connpool *context = ssh_harness_open(&sshd, "");
        connpool_error error;

        server_sshd_restart(&sshd, lines[i]);
        error = harness_acquire_fails(harness_pool(context), "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
        assert_int_equal(error.error_class, CONNPOOL_ERROR_TRUST);
        assert_int_equal(error.library_code, LIBSSH2_ERROR_KEX_FAILURE);
        harness_close(context);
    }
    server_sshd_restart(&sshd, "");
}

/* ---- Reuse */

static void nothing_is_left_of_a_closed_pool(void **state)
{
    unsigned sockets = harness_sockets();
    connpool *context = ssh_harness_open(&sshd, "");

    (void)state;
    ssh_harness_use(harness_pool(context));
    assert_int_equal(harness_sockets(), sockets + 1);
    harness_close(context);
    assert_int_equal(harness_sockets(), sockets);
}

/* A10, A21 */
static void a_restarted_server(void **state)
{
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_pool *pool = harness_pool(context);

    (void)state;
    ssh_harness_use(pool);
    server_sshd_kill(&sshd);
    (void)harness_acquire_fails(pool, "there", HARNESS_LIMIT_MS, CONNPOOL_FAILED);
    server_sshd_restart(&sshd, "");
    ssh_harness_use(pool);
    assert_int_equal(harness_statistics(pool).opened, 2);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_DEAD], 1);
    harness_close(context);
}

/* How often the server has logged these words. */
static unsigned count_logged(const char *words)
{
    char path[SERVER_PATH_SIZE];
    char line[512];
    unsigned count = 0;
    FILE *file;

    server_folder_path(&folder, "sshd/log", path);
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, words) != NULL ? 1 : 0;
    }
    (void)fclose(file);
    return count;
}

/* A37: new keys are exchanged, which the server asks for after each 16 KiB, in the middle of a command; the session is
 * as clean after it as before. */
static void new_keys_are_exchanged(void **state)
{
    static char bytes[INPUT_SIZE];
    connpool *context = ssh_harness_open(&sshd, "");
    connpool_pool *pool = harness_pool(context);
    unsigned before;

    (void)state;
    server_sshd_restart(&sshd, "RekeyLimit 16K\nLogLevel DEBUG1\n");
    before = count_logged("SSH2_MSG_NEWKEYS received");
    for (int i = 0; i < 3; i++) {
        connpool_lease lease = harness_acquire(pool, "there");
        struct connpool_ssh_command command = {
            .size = sizeof(command),
            .timeout_ms = HARNESS_LIMIT_MS,
            .command = "cat; head -c 100000 /dev/zero",
            .input = bytes,
            .input_size = sizeof(bytes),
        };
        connpool_error error = {.text = ""};

        if (connpool_ssh_run(&lease, &command, &error) != CONNPOOL_OK) {
            fail_msg("%s", error.text);
        }
        assert_int_equal(command.exit_status, 0);
        assert_int_equal(command.output_size, 100000 + sizeof(bytes));
        harness_release(&lease);
    }
    assert_int_equal(harness_statistics(pool).opened, 1);
    assert_true(count_logged("SSH2_MSG_NEWKEYS received") - before > 10);
    server_sshd_restart(&sshd, "");
    harness_close(context);
}

/* ---- What a lease leaves. S15 */

typedef void leave_fn(LIBSSH2_SESSION *session);

static void leave_a_channel(LIBSSH2_SESSION *session)
{
    assert_non_null(libssh2_channel_open_session(session));
}

static void leave_an_sftp_session(LIBSSH2_SESSION *session)
{
    assert_non_null(libssh2_sftp_init(session));
}

static void leave_a_listener(LIBSSH2_SESSION *session)
{
    assert_non_null(libssh2_channel_forward_listen_ex(session, "127.0.0.1", 0, NULL, 1));
}

/* The reply is never fetched from the session, and would be the answer to the next borrower's request. */
static void leave_an_answer(LIBSSH2_SESSION *session)
{
    LIBSSH2_CHANNEL *channel;
    int next = 0;

    libssh2_keepalive_config(session, 1, 2);
    assert_int_equal(libssh2_keepalive_send(session, &next), 0);
    channel = libssh2_channel_open_session(session);
    assert_non_null(channel);
    assert_int_equal(libssh2_channel_free(channel), 0);
}

static unsigned sessions_after(const char *options, leave_fn *leave)
{
    connpool *context = ssh_harness_open(&sshd, options);
    connpool_pool *pool = harness_pool(context);
    unsigned opened;

    for (int i = 0; i < 2; i++) {
        connpool_lease lease = harness_acquire(pool, "there");

        leave(connpool_ssh(&lease));
        harness_release(&lease);
    }
    opened = (unsigned)harness_statistics(pool).opened;
    harness_close(context);
    return opened;
}

static void a_session_with_something_left_open_is_closed(void **state)
{
    static leave_fn *const all[] = {leave_a_channel, leave_an_sftp_session, leave_a_listener, leave_an_answer};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(sessions_after("", all[i]), 2);
    }
    assert_int_equal(sessions_after(", \"keep_open_channels\": true", leave_a_channel), 1);
}

static void use_and_free_all(LIBSSH2_SESSION *session)
{
    LIBSSH2_SFTP *sftp = libssh2_sftp_init(session);
    LIBSSH2_LISTENER *listener = libssh2_channel_forward_listen_ex(session, "127.0.0.1", 0, NULL, 1);
    LIBSSH2_CHANNEL *tunnel;
    LIBSSH2_SFTP_ATTRIBUTES attributes;
    char name[64];

    assert_non_null(sftp);
    assert_non_null(listener);
    assert_int_equal(libssh2_sftp_stat(sftp, "/", &attributes), 0);
    assert_true(libssh2_sftp_realpath(sftp, ".", name, sizeof(name)) > 0);
    assert_int_not_equal(libssh2_sftp_stat(sftp, "/no/such/file", &attributes), 0);
    tunnel = libssh2_channel_direct_tcpip(session, "127.0.0.1", sshd.port);
    assert_non_null(tunnel);
    assert_true(libssh2_channel_read(tunnel, name, 3) == 3);
    assert_memory_equal(name, "SSH", 3);
    assert_int_equal(libssh2_channel_free(tunnel), 0);
    assert_null(libssh2_channel_direct_tcpip(session, "127.0.0.1", 1));
    assert_int_equal(libssh2_channel_forward_cancel(listener), 0);
    assert_int_equal(libssh2_sftp_shutdown(sftp), 0);
}

/* The request is on its way when the lease ends. */
static void begin_a_channel(LIBSSH2_SESSION *session)
{
    server_sshd_stop(&sshd);
    libssh2_session_set_blocking(session, 0);
    assert_null(libssh2_channel_open_session(session));
    assert_int_equal(libssh2_session_last_errno(session), LIBSSH2_ERROR_EAGAIN);
    server_sshd_continue(&sshd);
}

/* A38: what was begun is brought to its end before the next lease. */
static void an_operation_in_the_middle_is_ended(void **state)
{
    (void)state;
    assert_int_equal(sessions_after("", begin_a_channel), 1);
}

static void a_session_that_was_used_and_tidied_is_kept(void **state)
{
    (void)state;
    assert_int_equal(sessions_after("", use_and_free_all), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_session_serves_many_commands),
        cmocka_unit_test(the_typed_header_refuses_another_managers_lease),
        cmocka_unit_test(a_thread_gets_a_session_that_waits),
        cmocka_unit_test(a_call_that_gets_no_answer_ends),
        cmocka_unit_test(only_safe_methods_are_negotiated),
        cmocka_unit_test(weak_methods_are_not_negotiated),
        cmocka_unit_test(nothing_is_left_of_a_closed_pool),
        cmocka_unit_test(a_restarted_server),
        cmocka_unit_test(new_keys_are_exchanged),
        cmocka_unit_test(a_session_with_something_left_open_is_closed),
        cmocka_unit_test(an_operation_in_the_middle_is_ended),
        cmocka_unit_test(a_session_that_was_used_and_tidied_is_kept),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
