/* SPDX-License-Identifier: MIT */
/*
 * ssh_run: how do I run commands on another machine without logging in for each?
 *
 *     ssh_run ssh.json build.example.org:22 COMMAND…
 *
 * runs each command on the one session, and prints what it wrote and its exit status.
 */
#include <connpool/connpool.h>
#include <connpool/ssh.h>
#include <stdio.h>

#define COMMAND_TIMEOUT 10000 /* ms */

static int run(connpool_pool *pool, const char *endpoint, const char *text)
{
    char output[4096], errors[4096];
    struct connpool_ssh_command command = {
        .size = sizeof(command),
        .timeout_ms = COMMAND_TIMEOUT,
        .command = text,
        .output = output,
        .output_capacity = sizeof(output),
        .errors = errors,
        .errors_capacity = sizeof(errors),
    };
    struct connpool_lease_info info = {.size = sizeof(info)};
    connpool_lease lease;
    connpool_error error;

    if (connpool_acquire(pool, endpoint, CONNPOOL_WAIT_DEFAULT, &lease, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    connpool_lease_info(&lease, &info);
    if (connpool_ssh_run(&lease, &command, &error) != CONNPOOL_OK) {
        fprintf(stderr, "%s: %s\n", text, error.text);
        connpool_release(&lease); /* the manager knows whether the session is of any more use */
        return -1;
    }
    fwrite(output, 1, command.output_size < sizeof(output) ? command.output_size : sizeof(output), stdout);
    fwrite(errors, 1, command.errors_size < sizeof(errors) ? command.errors_size : sizeof(errors), stdout);
    printf("%s: exit status %d; session %d, use %d\n", text, (int)command.exit_status, (int)info.id, (int)info.uses);
    connpool_release(&lease);
    return 0;
}

int main(int argc, char **argv)
{
    connpool_error error;
    connpool *context;
    connpool_pool *pool;
    int result = 0;

    if (argc < 4) {
        fprintf(stderr, "usage: ssh_run CONFIGURATION HOST:PORT COMMAND…\n");
        return 2;
    }
    context = connpool_open(argv[1], &error);
    if (context == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    pool = connpool_pool_get(context, "machines");
    for (int i = 3; result == 0 && i < argc; i++) {
        result = run(pool, argv[2], argv[i]);
    }
    return connpool_close(context, 1000, NULL) != CONNPOOL_OK || result != 0;
}
