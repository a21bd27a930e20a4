/* SPDX-License-Identifier: MIT */
/* scripted_dial: a host's table whose dial does as the test says. */
#include "scripted_dial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/socket.h>

struct connpool_dial {
    struct scripted_dial *script;
    int is_done;
};

static struct connpool_dial *start(const struct connpool_host *host, const struct connpool_dial_options *options,
                                   struct connpool_fault *fault)
{
    struct scripted_dial *script = (struct scripted_dial *)host;
    struct connpool_dial *dial;

    script->starts++;
    script->options = *options;
    if (script->failure == CONNPOOL_ERROR_INTERNAL) {
        fault->error_class = script->failure;
        return NULL;
    }
    dial = calloc(1, sizeof(*dial));
    assert_non_null(dial);
    dial->script = script;
    script->live++;
    return dial;
}

static int32_t step(struct connpool_dial *dial, struct connpool_wait *wait, struct connpool_fault *fault)
{
    struct scripted_dial *script = dial->script;
    int ends[2];

    if (script->agains > 0) {
        script->agains--;
        wait->at = wait->now + 1;
        return CONNPOOL_STEP_AGAIN;
    }
    if (script->failure != 0) {
        fault->error_class = script->failure;
        return -script->failure;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    script->fd = ends[0];
    script->peer = ends[1];
    dial->is_done = 1;
    return CONNPOOL_STEP_DONE;
}

static int32_t take(struct connpool_dial *dial)
{
    return dial->is_done ? dial->script->fd : -1;
}

static void stop(struct connpool_dial *dial)
{
    if (dial != NULL) {
        dial->script->stops++;
        dial->script->live--;
        free(dial);
    }
}

void scripted_dial_init(struct scripted_dial *dial)
{
    *dial = (struct scripted_dial){
        .table = {.size = sizeof(dial->table),
                  .name = "a test",
                  .version = "0",
                  .dial_start = start,
                  .dial_step = step,
                  .dial_take = take,
                  .dial_stop = stop},
        .fd = -1,
        .peer = -1,
    };
}

struct connpool_wait scripted_dial_wait(uint32_t flags, uint32_t ready)
{
    return (struct connpool_wait){
        .size = sizeof(struct connpool_wait), .flags = flags, .fd = -1, .ready = ready, .now = 1};
}
