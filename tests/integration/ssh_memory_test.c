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
#include <stdbool.h>
#include <string.h>

#include "../../plugins/ssh/ssh_memory.h"
#include "harness.h"
#include "server_folder.h"
#include "server_sshd.h"

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

static connpool *open_context(void)
{
    static const struct connpool_manager *const managers[] = {&connpool_manager};
    char json[1024];
    struct connpool_options options = {.size = sizeof(options), .json = json, .managers = managers, .manager_count = 1};
    connpool_error error = {.text = ""};
    connpool *context;

    assert_true(
        snprintf(json, sizeof(json),
                 "{\"pools\": {\"p\": {\"manager\": \"ssh\", \"endpoints\": {\"there\": {\"host\": \"127.0.0.1\","
                 " \"port\": %u, \"user\": \"" SERVER_SSHD_USER "\", \"known_hosts\": \"%s\","
                 " \"private_key\": \"%s\"}}}}}",
                 sshd.port, sshd.known_hosts, sshd.private_key) < (int)sizeof(json));
    context = connpool_open_with(&options, &error);
    if (context == NULL) {
        fail_msg("open: %s", error.text);
    }
    return context;
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

/* B19 */
static void each_block_is_refused(void **state)
{
    connpool *context = open_context();
    connpool_pool *pool = harness_pool(context);
    unsigned failed = 0;

    (void)state;
    for (long number = 0; countdown < 0; number++) {
        connpool_error error = {.text = ""};

        assert_in_range(number, 0, BLOCKS_MAXIMUM);
        if (use_one(pool, number, &error) != CONNPOOL_OK) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_block_is_refused),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
