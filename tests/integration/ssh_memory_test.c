/* SPDX-License-Identifier: MIT */
/*
 * libssh2 without memory: each of the blocks that it asks of the manager in turn is refused while a session is opened
 * and used. The manager is linked into the test. (What libssh2 does where OpenSSL has no memory is not in our hands.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/manager.h>
#include <connpool/ssh.h>
#include <libssh/libssh.h>
#include <stdbool.h>
#include <string.h>

#include "../../plugins/ssh/ssh_memory.h"
#include "harness.h"
#include "server_folder.h"
#include "server_sshd.h"
#include "ssh_questioner.h"

#define BLOCKS_MAXIMUM 2000

extern const struct connpool_manager connpool_manager;

/* Where a block is refused to it, libssh2 1.10 loses a few of OpenSSL's. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcrypto";
}

/* ---- The manager's memory */

static __thread long countdown = -1; /* of this thread: blocks until the one that is refused; negative: none */

void *__real_ssh_memory_take(struct ssh_memory *memory, size_t size);
void *__wrap_ssh_memory_take(struct ssh_memory *memory, size_t size);
void *__real_ssh_memory_resize(struct ssh_memory *memory, void *bytes, size_t size);
void *__wrap_ssh_memory_resize(struct ssh_memory *memory, void *bytes, size_t size);

static bool is_refused(void)
{
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_ssh_memory_take(struct ssh_memory *memory, size_t size)
{
    return is_refused() ? NULL : __real_ssh_memory_take(memory, size);
}

void *__wrap_ssh_memory_resize(struct ssh_memory *memory, void *bytes, size_t size)
{
    return is_refused() ? NULL : __real_ssh_memory_resize(memory, bytes, size);
}

/* ---- */

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

/* options: of the endpoint, each beginning with a comma. */
static connpool *open_context(uint16_t port, const char *options)
{
    static const struct connpool_manager *const managers[] = {&connpool_manager};
    char json[1024];
    struct connpool_options open_options = {
        .size = sizeof(open_options), .json = json, .managers = managers, .manager_count = 1};
    connpool_error error = {.text = ""};
    connpool *context;

    assert_true(snprintf(json, sizeof(json),
                         "{\"allow_inline_secrets\": true, \"pools\": {\"p\": {\"manager\": \"ssh\", \"endpoints\":"
                         " {\"there\": {\"host\": \"127.0.0.1\", \"port\": %u, \"user\": \"" SERVER_SSHD_USER
                         "\"%s}}}}}",
                         port, options) < (int)sizeof(json));
    context = connpool_open_with(&open_options, &error);
    if (context == NULL) {
        fail_msg("open: %s", error.text);
    }
    return context;
}

static connpool *open_sshd(void)
{
    char options[512];

    (void)snprintf(options, sizeof(options), ", \"known_hosts\": \"%s\", \"private_key\": \"%s\"", sshd.known_hosts,
                   sshd.private_key);
    return open_context(sshd.port, options);
}

static connpool *open_questioner(const struct ssh_questioner *questioner)
{
    char options[512];

    (void)snprintf(options, sizeof(options), ", \"host_key_pins\": [\"%s\"], \"password\": \"%s\"",
                   ssh_questioner_pin(questioner), SSH_QUESTIONER_PASSWORD);
    return open_context(ssh_questioner_port(questioner), options);
}

/* Open a session, run a command and close it, while the block of that number is refused. */
static connpool_status use_one(connpool_pool *pool, long number, connpool_error *error)
{
    struct connpool_ssh_command command = {
        .size = sizeof(command), .command = "echo here", .timeout_ms = HARNESS_LIMIT_MS};
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status;

    countdown = number;
    status = connpool_acquire(pool, "there", HARNESS_LIMIT_MS, &lease, error);
    if (status == CONNPOOL_OK) {
        status = connpool_ssh_run(&lease, &command, error);
        harness_release(&lease);
        connpool_pool_drain(pool);
    }
    return status;
}

/* Open a session and close it, while the block of that number is refused. */
static connpool_status open_one(connpool_pool *pool, long number, connpool_error *error)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;
    connpool_status status;

    countdown = number;
    status = connpool_acquire(pool, "there", HARNESS_LIMIT_MS, &lease, error);
    if (status == CONNPOOL_OK) {
        harness_discard(&lease);
    }
    return status;
}

static void refuse_each_block(connpool *context, connpool_status (*use)(connpool_pool *, long, connpool_error *))
{
    unsigned failed = 0;

    for (long number = 0; countdown < 0; number++) {
        connpool_error error = {.text = ""};

        assert_in_range(number, 0, BLOCKS_MAXIMUM);
        if (use(harness_pool(context), number, &error) != CONNPOOL_OK) {
            if (error.error_class != CONNPOOL_ERROR_RESOURCE_LOCAL) {
                fail_msg("block %ld: class %s: %s", number, connpool_error_class_text(error.error_class), error.text);
            }
            failed++;
        }
    }
    countdown = -1;
    assert_true(failed > 0);
    harness_close(context);
}

/* B19 */
static void each_block_is_refused(void **state)
{
    (void)state;
    refuse_each_block(open_sshd(), use_one);
}

/* B19: an empty answer in the password's place would be a wrong one. */
static void each_block_of_a_login_by_question(void **state)
{
    static const struct ssh_questioner_round round = {.questions = "h", .answers = {SSH_QUESTIONER_PASSWORD, ""}};
    static const struct ssh_questioner_script script = {
        .methods = SSH_AUTH_METHOD_INTERACTIVE, .rounds = &round, .round_count = 1};
    struct ssh_questioner *questioner = ssh_questioner_start(&script);
    struct ssh_questioner_record record;

    (void)state;
    refuse_each_block(open_questioner(questioner), open_one);
    record = ssh_questioner_end(questioner);
    assert_int_equal(record.answered, record.given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_block_is_refused),
        cmocka_unit_test(each_block_of_a_login_by_question),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
