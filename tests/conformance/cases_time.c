/* SPDX-License-Identifier: MIT */
/*
 * cases_time: a step takes less than a millisecond unless its operation is marked as blocking. What is measured does
 * not depend on what else the machine does: the CPU time of the thread, and the time for which it gave the CPU away of
 * its own will (a thread that is pushed aside does not). Of several lives the best counts, so a single late wake-up is
 * none of the manager's.
 */
#include "base/clock.h"
#include "cases.h"
#include "interposer.h"
#include "peer.h"
#include "stage.h"

#define STEP_LIMIT_US 1000
#define LIVES         5
/* More than any step may take. */
#define DELAY_MS (CONFORM_IS_SANITIZED ? 40 : 10)
/* How much slower a step may be under a sanitizer. */
#define SANITIZER_FACTOR 20

static int64_t limit_of(const struct conform_subject *subject)
{
    int64_t limit = (subject->step_limit_us == 0 ? STEP_LIMIT_US : subject->step_limit_us) * (CP_MILLISECOND / 1000);

    return CONFORM_IS_SANITIZED ? limit * SANITIZER_FACTOR : limit;
}

static void whole_life(struct stage *stage)
{
    struct stage_connection connection;

    stage_must_open(stage, &connection);
    stage_must(&connection, CP_PREPARE, 0);
    stage_must(&connection, CP_RESET, 0);
    stage_must(&connection, CP_IDLE, 0);
    stage_must(&connection, CP_CHECK, 0);
    stage_must(&connection, CP_PREPARE, CONNPOOL_WAIT_FOR_LOOP);
    stage_must(&connection, CP_CLOSE, 0);
    stage_destroy(&connection);
}

/* Open with a peer that never answers; what it comes to is not asked. */
static void silent_open(struct stage *stage)
{
    struct stage_connection connection;

    stage_connect(stage, &connection);
    (void)stage_drive_for(&connection, CP_OPEN, 0, 100);
    stage_destroy(&connection);
}

static void measure(struct stage *stage, void (*life)(struct stage *stage))
{
    int64_t limit = limit_of(stage->subject), cpu = CP_NEVER, blocked = CP_NEVER;
    char name[sizeof(stage->longest_name)] = "";

    life(stage); /* what is made once in the process is made now */
    for (int i = 0; i < LIVES && (cpu > limit || blocked > limit); i++) {
        stage->longest_cpu = stage->longest_blocked = 0;
        life(stage);
        cpu = stage->longest_cpu < cpu ? stage->longest_cpu : cpu;
        blocked = stage->longest_blocked < blocked ? stage->longest_blocked : blocked;
        (void)snprintf(name, sizeof(name), "%s", stage->longest_name);
    }
    conform_at("%s", name);
    CONFORM(cpu <= limit, "took %lld us of CPU time at best, at most %lld are allowed", (long long)cpu / 1000,
            (long long)limit / 1000);
    CONFORM(blocked <= limit, "waited %lld us at best, at most %lld are allowed", (long long)blocked / 1000,
            (long long)limit / 1000);
}

void case_steps_are_short(const struct conform_subject *subject)
{
    struct stage stage;

    stage_open(&stage, subject, NULL);
    measure(&stage, whole_life);
    stage_close(&stage);
}

void case_steps_are_short_silent(const struct conform_subject *subject)
{
    struct stage stage;
    struct peer peer;

    peer_open(&peer, subject, PEER_SILENT);
    stage_open(&stage, subject, peer_endpoint(&peer, subject));
    measure(&stage, silent_open);
    stage_close(&stage);
}

/* Each piece of either side comes late: a step that waits for the answer to what it said is found out. */
void case_steps_are_short_slow(const struct conform_subject *subject)
{
    const struct server_proxy_rule rule = {.fault = SERVER_PROXY_FORWARD, .delay_ms = DELAY_MS};
    struct interposer interposer;
    struct stage stage;

    interposer_start(&interposer, subject);
    server_proxy_set_rule(&interposer.proxy, &rule);
    stage_open(&stage, subject, interposer_endpoint(&interposer));
    measure(&stage, whole_life);
    stage_close(&stage);
    interposer_stop(&interposer);
}
