/* SPDX-License-Identifier: MIT */
/* connpool_ssh_run: output, status, signals, input, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <connpool/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "server_folder.h"
#include "server_sshd.h"
#include "ssh_harness.h"

#define BIG        ((size_t)8 * 1024 * 1024)
#define SHORT_MS   150
#define TEXT_SIZE  256
#define INPUT_SIZE ((size_t)3 * 1024 * 1024)

static struct server_folder folder;
static struct server_sshd sshd;
static connpool *context;
static connpool_pool *pool;

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

static int open_pool(void **state)
{
    (void)state;
    context = ssh_harness_open(&sshd, "");
    pool = harness_pool(context);
    return 0;
}

static int close_pool(void **state)
{
    (void)state;
    harness_close(context);
    return 0;
}

static char output[TEXT_SIZE], errors[TEXT_SIZE];

static struct connpool_ssh_command command_of(const char *text)
{
    return (struct connpool_ssh_command){
        .size = sizeof(struct connpool_ssh_command),
        .timeout_ms = HARNESS_LIMIT_MS,
        .command = text,
        .output = output,
        .output_capacity = sizeof(output),
        .errors = errors,
        .errors_capacity = sizeof(errors),
    };
}

/* Run it on a lease of its own, of which the session must be as good as new. */
static void run(struct connpool_ssh_command *command)
{
    connpool_lease lease = harness_acquire(pool, "there");
    connpool_error error = {.text = ""};

    if (connpool_ssh_run(&lease, command, &error) != CONNPOOL_OK) {
        fail_msg("%s: %s", command->command, error.text);
    }
    harness_release(&lease);
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_RESET], 0);
    assert_int_equal(harness_statistics(pool).opened, 1);
}

static void output_and_errors_are_apart(void **state)
{
    struct connpool_ssh_command command = command_of("echo out; echo err >&2; exit 7");

    (void)state;
    run(&command);
    assert_int_equal(command.exit_status, 7);
    assert_string_equal(command.signal, "");
    assert_int_equal(command.output_size, 4);
    assert_memory_equal(output, "out\n", 4);
    assert_int_equal(command.errors_size, 4);
    assert_memory_equal(errors, "err\n", 4);
}

static void a_signal_ends_it(void **state)
{
    struct connpool_ssh_command command = command_of("kill -KILL $$");

    (void)state;
    run(&command);
    assert_int_equal(command.exit_status, -1);
    assert_string_equal(command.signal, "KILL");
}

static void a_command_that_is_not_there(void **state)
{
    struct connpool_ssh_command command = command_of("/no/such/program");

    (void)state;
    run(&command);
    assert_int_equal(command.exit_status, 127);
    assert_int_equal(command.output_size, 0);
}

static void big_output_is_counted_and_dropped(void **state)
{
    struct connpool_ssh_command command = command_of("head -c 8388608 /dev/zero");

    (void)state;
    output[0] = 'x';
    command.output_capacity = 1;
    run(&command);
    assert_int_equal(command.exit_status, 0);
    assert_int_equal(command.output_size, BIG);
    assert_int_equal(output[0], 0);
    command.output = NULL;
    run(&command);
    assert_int_equal(command.output_size, BIG);
}

static void big_input_goes_through(void **state)
{
    char *input = malloc(INPUT_SIZE);
    char *back = malloc(INPUT_SIZE);
    struct connpool_ssh_command command = command_of("cat");

    (void)state;
    assert_non_null(input);
    assert_non_null(back);
    for (size_t i = 0; i < INPUT_SIZE; i++) {
        input[i] = (char)(i * 7 + i / 251);
    }
    command.input = input;
    command.input_size = INPUT_SIZE;
    command.output = back;
    command.output_capacity = INPUT_SIZE;
    run(&command);
    assert_int_equal(command.output_size, INPUT_SIZE);
    assert_memory_equal(back, input, INPUT_SIZE);
    /* Nobody reads it. */
    command.command = "exit 3";
    run(&command);
    assert_int_equal(command.exit_status, 3);
    free(input);
    free(back);
}

static void an_empty_input_ends_at_once(void **state)
{
    struct connpool_ssh_command command = command_of("cat; echo done");

    (void)state;
    run(&command);
    assert_int_equal(command.output_size, 5);
}

static void expect_timeout(const char *text)
{
    struct connpool_ssh_command command = command_of(text);
    connpool_lease lease = harness_acquire(pool, "there");
    connpool_error error = {.text = ""};
    int64_t begin = harness_now_ms();

    command.timeout_ms = SHORT_MS;
    assert_int_equal(connpool_ssh_run(&lease, &command, &error), CONNPOOL_TIMED_OUT);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_TIMEOUT);
    assert_non_null(strstr(error.text, "150 ms"));
    assert_true(harness_now_ms() - begin >= SHORT_MS);
    assert_true(harness_now_ms() - begin < HARNESS_LIMIT_MS / 2);
    harness_release(&lease);
}

/* D39: the limit is of all of it, and a session that was left in the middle is nobody else's. */
static void the_limit_holds(void **state)
{
    (void)state;
    expect_timeout("exec sleep 3");
    expect_timeout("while :; do echo x; done");
    expect_timeout("exec >&- 2>&-; exec sleep 3");
    assert_int_equal(harness_statistics(pool).ended[CONNPOOL_REASON_RESET], 3);
    ssh_harness_use(pool);
    assert_int_equal(harness_statistics(pool).opened, 4);
}

/* A37, A38: the server is gone while a command runs. */
static void the_server_goes_away(void **state)
{
    struct connpool_ssh_command command = command_of("kill -KILL $PPID; sleep 3");
    connpool_lease lease = harness_acquire(pool, "there");
    connpool_error error = {.text = ""};

    (void)state;
    assert_int_equal(connpool_ssh_run(&lease, &command, &error), CONNPOOL_FAILED);
    assert_int_equal(error.error_class, CONNPOOL_ERROR_CLOSED);
    assert_int_equal(connpool_ssh_run(&lease, &command, &error), CONNPOOL_FAILED);
    harness_release(&lease);
    ssh_harness_use(pool);
    assert_int_equal(harness_statistics(pool).opened, 2);
}

static void not_a_lease_of_ours(void **state)
{
    struct connpool_ssh_command command = command_of("true");
    connpool *other = harness_open("{\"pools\": {\"raw\": {\"manager\": \"tcp\"}}}");
    connpool_lease lease = harness_acquire(harness_pool(other), sshd.endpoint);
    const connpool_lease none = CONNPOOL_LEASE_NONE;
    connpool_error error = {.text = ""};

    (void)state;
    assert_int_equal(connpool_ssh_run(&lease, &command, &error), CONNPOOL_STALE);
    assert_non_null(strstr(error.text, "no ssh session"));
    assert_int_equal(connpool_ssh_run(&none, &command, NULL), CONNPOOL_STALE);
    harness_discard(&lease);
    harness_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(output_and_errors_are_apart, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_signal_ends_it, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_command_that_is_not_there, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(big_output_is_counted_and_dropped, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(big_input_goes_through, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(an_empty_input_ends_at_once, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(the_limit_holds, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(the_server_goes_away, open_pool, close_pool),
        cmocka_unit_test(not_a_lease_of_ours),
    };

    return cmocka_run_group_tests(tests, start_server, end_server);
}
