/* SPDX-License-Identifier: MIT */
/* The manager ssh besieged (A21, A22, A42). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <stdio.h>
#include <string.h>

#include "server_sshd.h"
#include "siege.h"

#define ANSWER_MS 10000

static struct server_folder folder;
static struct server_sshd sshd;

static enum siege_answer ask(const connpool_lease *lease, const char *token)
{
    char text[64];
    char output[64] = "";
    char expected[64];
    struct connpool_ssh_command command = {.size = sizeof(command),
                                           .command = text,
                                           .timeout_ms = ANSWER_MS,
                                           .output = output,
                                           .output_capacity = sizeof(output) - 1};

    (void)snprintf(text, sizeof(text), "echo %s", token);
    (void)snprintf(expected, sizeof(expected), "%s\n", token);
    if (connpool_ssh_run(lease, &command, NULL) != CONNPOOL_OK || command.exit_status != 0) {
        return SIEGE_FAILED;
    }
    return strcmp(output, expected) == 0 ? SIEGE_ANSWERED : SIEGE_WRONG;
}

static void kill_sshd(void *server)
{
    server_sshd_kill(server);
}

static void restart_sshd(void *server)
{
    server_sshd_restart(server, "");
}

static void besiege(bool collector)
{
    char keys[512];
    struct siege siege = {.manager = "ssh",
                          .keys = keys,
                          .endpoint = "there",
                          .progress = 60,
                          .restarts = 3,
                          .server = &sshd,
                          .ask = ask,
                          .kill = kill_sshd,
                          .restart = restart_sshd,
                          .port = sshd.port};

    (void)snprintf(keys, sizeof(keys),
                   ", \"endpoints\": {\"there\": {\"host\": \"127.0.0.1\", \"port\": %u,"
                   " \"user\": \"" SERVER_SSHD_USER "\", \"known_hosts\": \"%s\", \"private_key\": \"%s\"}}",
                   sshd.port, sshd.known_hosts, sshd.private_key);
    siege_run(&siege, collector);
}

static int start(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return 0;
}

int main(void)
{
    return siege_tests(besiege, start, stop);
}
