/* SPDX-License-Identifier: MIT */
/* The keep-alives of the manager ssh: its idle, driven by hand with a real sshd at the other end (A37). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <connpool/ssh.h>
#include <stdio.h>

#include "conform.h"
#include "server_folder.h"
#include "server_sshd.h"
#include "stage.h"

#define ANSWER_MS 10000
#define LIMIT_S   30
#define SLACK     (2 * CP_SECOND) /* that the system's clock may go on by meanwhile */
#define INTERVAL  (30 * CP_SECOND)
#define TIMEOUT   (10 * CP_SECOND)

static struct server_folder folder;
static struct server_sshd sshd;
static char options[1024], endpoint[128];
static struct stage stage;
static struct stage_connection session;

static int begin(void **state)
{
    (void)state;
    server_folder_init(&folder);
    server_sshd_start(&sshd, &folder, "");
    return 0;
}

static int end(void **state)
{
    (void)state;
    server_sshd_kill(&sshd);
    server_folder_fini(&folder);
    return 0;
}

static void describe(const char *more)
{
    (void)snprintf(endpoint, sizeof(endpoint), "{\"host\": \"127.0.0.1\", \"port\": %u}", sshd.port);
    (void)snprintf(options, sizeof(options),
                   "{\"user\": \"" SERVER_SSHD_USER "\", \"known_hosts\": \"%s\", \"private_key\": \"%s\"%s}",
                   sshd.known_hosts, sshd.private_key, more);
}

/* A session, parked. */
static void park(const struct conform_subject *subject)
{
    stage_open(&stage, subject, NULL);
    stage_must_open(&stage, &session);
    stage_start(&session, CP_IDLE, 0);
}

static void leave(void)
{
    stage_destroy(&session);
    stage_close(&stage);
}

static void pass(int64_t time)
{
    atomic_fetch_add(&stage.lead, time);
}

static bool is_probing(void)
{
    return (session.wait.flags & CONNPOOL_WAIT_BUSY) != 0;
}

/* One step, after which it waits until so long from now. */
static void rests(bool is_busy, int64_t time)
{
    int64_t left;

    CONFORM(stage_step(&session, 0) == CONNPOOL_STEP_AGAIN, "%s", session.fault.text);
    left = session.wait.at - stage_now(&stage);
    CONFORM(is_probing() == is_busy, "it %s", is_busy ? "does not probe" : "probes");
    CONFORM(left <= time && left > time - SLACK, "it waits %lld ms", (long long)(left / CP_MILLISECOND));
}

static void probe_again_and_again(const struct conform_subject *subject)
{
    park(subject);
    rests(false, INTERVAL);
    for (int i = 0; i < 3; i++) {
        pass(INTERVAL);
        /* The answer may have come before the step was over. */
        CONFORM(stage_step(&session, 0) == CONNPOOL_STEP_AGAIN, "%s", session.fault.text);
        while (is_probing()) {
            uint32_t ready = stage_wait(&session, ANSWER_MS, NULL);

            CONFORM(ready != 0, "no answer");
            CONFORM(stage_step(&session, ready) == CONNPOOL_STEP_AGAIN, "%s", session.fault.text);
        }
        CONFORM(session.wait.at > stage_now(&stage) + INTERVAL - SLACK, "the next probe is too soon");
    }
    leave();
}

static void probe_in_vain(const struct conform_subject *subject)
{
    park(subject);
    rests(false, INTERVAL);
    server_sshd_stop(&sshd);
    pass(INTERVAL);
    rests(true, TIMEOUT);
    pass(TIMEOUT - SLACK);
    CONFORM(stage_step(&session, 0) == CONNPOOL_STEP_AGAIN, "before its time: %s", session.fault.text);
    pass(SLACK);
    CONFORM(stage_step(&session, 0) == -CONNPOOL_ERROR_TIMEOUT, "it is not dead");
    leave();
}

static void probe_never(const struct conform_subject *subject)
{
    park(subject);
    for (int i = 0; i < 2; i++) {
        CONFORM(stage_step(&session, 0) == CONNPOOL_STEP_AGAIN, "%s", session.fault.text);
        CONFORM(!is_probing() && session.wait.at == 0, "a probe is due");
        pass(1000 * INTERVAL);
    }
    leave();
}

static void passes(void (*run)(const struct conform_subject *), const char *more)
{
    static const struct conform_subject subject = {.manager = "ssh",
                                                   .folder = CONNPOOL_TEST_PLUGIN_FOLDER,
                                                   .options = options,
                                                   .endpoint = endpoint,
                                                   .native = CONNPOOL_SSH_TYPE};
    const struct conform_case one = {"idle", run, LIMIT_S};
    struct conform_result result;

    describe(more);
    result = conform_run(&one, &subject);
    if (result.verdict != CONFORM_PASSED) {
        fail_msg("%s", result.text);
    }
}

static void a_probe_is_due_again_and_again(void **state)
{
    (void)state;
    passes(probe_again_and_again, ", \"probe_interval\": 30, \"probe_timeout\": 10");
}

static void a_probe_without_an_answer_is_the_end(void **state)
{
    (void)state;
    passes(probe_in_vain, ", \"probe_interval\": 30, \"probe_timeout\": 10");
    server_sshd_kill(&sshd); /* with its session, which is stopped */
    server_sshd_restart(&sshd, "");
}

static void without_an_interval_nothing_is_due(void **state)
{
    (void)state;
    passes(probe_never, ", \"probe_interval\": 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_is_due_again_and_again),
        cmocka_unit_test(a_probe_without_an_answer_is_the_end),
        cmocka_unit_test(without_an_interval_nothing_is_due),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
