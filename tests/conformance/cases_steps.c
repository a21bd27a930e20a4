/* SPDX-License-Identifier: MIT */
/*
 * cases_steps: a whole life of a connection, by each driver; steps from changing threads, too early and too late; and
 * destroy at every point of each operation. (failures.md E16, E17.)
 */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "cases.h"
#include "peer.h"
#include "pool/run.h"
#include "stage.h"

typedef int32_t drive_fn(struct stage_connection *connection, enum cp_kind kind, uint32_t flags);

static void succeed(struct stage_connection *connection, drive_fn *drive, enum cp_kind kind, uint32_t flags)
{
    int32_t result = drive(connection, kind, flags);

    CONFORM(result >= 0, "%s of a healthy connection failed: %s: %s", cp_run_name(kind),
            connpool_error_class_text(-result), connection->fault.text);
}

/* Opened, lent three times with all that goes with it, closed; then another one, for what a life leaves behind. */
static void live(struct stage *stage, drive_fn *drive)
{
    for (int lives = 0; lives < 2; lives++) {
        struct stage_connection connection;

        stage_connect(stage, &connection);
        succeed(&connection, drive, CP_OPEN, 0);
        for (int lease = 0; lease < 3; lease++) {
            succeed(&connection, drive, CP_PREPARE, lease == 1 ? CONNPOOL_WAIT_FOR_LOOP : 0);
            succeed(&connection, drive, CP_RESET, 0);
            succeed(&connection, drive, CP_IDLE, 0);
            succeed(&connection, drive, CP_CHECK, 0);
        }
        succeed(&connection, drive, CP_CLOSE, 0);
        stage_destroy(&connection);
    }
}

void case_life(const struct conform_subject *subject)
{
    struct stage stage;

    stage_open(&stage, subject, NULL);
    live(&stage, stage_drive);
    stage_close(&stage);
}

void case_life_blocking_driver(const struct conform_subject *subject)
{
    struct stage stage;

    stage_open(&stage, subject, NULL);
    live(&stage, stage_drive_blocking);
    stage_close(&stage);
}

void case_life_loop(const struct conform_subject *subject)
{
    struct stage stage;

    stage_open(&stage, subject, NULL);
    live(&stage, stage_drive_loop);
    stage_close(&stage);
}

/* The steps of one connection come from different threads, none of which lives until the next. */
void case_thread_hop(const struct conform_subject *subject)
{
    struct stage stage;

    stage_open(&stage, subject, NULL);
    stage.hops = true;
    live(&stage, stage_drive);
    stage_close(&stage);
}

/* Each step is made again at once, with nothing ready: the operation gets on all the same, and ends well. */
void case_early_calls(const struct conform_subject *subject)
{
    struct stage stage;

    stage_open(&stage, subject, NULL);
    stage.is_early = true;
    live(&stage, stage_drive);
    stage_close(&stage);
}

/* A manager handles no time limit: called late, an open goes on where it is. */
void case_late_calls(const struct conform_subject *subject)
{
    struct stage_connection connection;
    struct stage stage;

    stage_open(&stage, subject, NULL);
    stage.is_late = true;
    stage_must_open(&stage, &connection);
    stage_must(&connection, CP_PREPARE, 0);
    stage_destroy(&connection);
    stage_close(&stage);
}

/* An open that asks to be called at times for as long waits for nothing else. */
#define REST_STEPS 50
#define REST_MS    200

/* Let an open get as far as it does with this peer; whether it waits now, and nothing comes. */
static bool comes_to_rest(struct stage_connection *connection)
{
    uint32_t ready = 0;
    bool ended = true;

    stage_start(connection, CP_OPEN, 0);
    for (int i = 0; i < REST_STEPS && ended; i++) {
        if (stage_step(connection, ready) != CONNPOOL_STEP_AGAIN) {
            return false;
        }
        ready = stage_wait(connection, REST_MS, &ended);
    }
    CONFORM(ready == 0, "it waits for what is always there");
    return true;
}

/* While nothing has come, a call answers again with the same wait. */
static void stays_unchanged(struct stage_connection *connection)
{
    struct connpool_wait before = connection->wait;

    for (int i = 0; i < 20; i++) {
        const struct connpool_wait *after = &connection->wait;

        (void)stage_step(connection, 0);
        if (before.at != 0 && after->now >= before.at) {
            return; /* its time has come */
        }
        CONFORM(connection->result == CONNPOOL_STEP_AGAIN, "a call before anything came answered %d: %s",
                connection->result, connection->fault.text);
        CONFORM(
            after->fd == before.fd && after->events == before.events && after->at == before.at &&
                after->flags == before.flags,
            "a call before anything came changed the wait from fd %d, events %u, at %lld, flags %u to %d, %u, %lld, %u",
            before.fd, before.events, (long long)before.at, before.flags, after->fd, after->events,
            (long long)after->at, after->flags);
    }
}

static void unchanged_with(const struct conform_subject *subject, enum peer_kind kind)
{
    struct stage_connection connection;
    struct stage stage;
    struct peer peer;

    peer_open(&peer, subject, kind);
    stage_open(&stage, subject, peer_endpoint(&peer, subject));
    stage_connect(&stage, &connection);
    if (comes_to_rest(&connection)) {
        stays_unchanged(&connection);
    }
    stage_destroy(&connection);
    stage_close(&stage);
}

void case_unchanged(const struct conform_subject *subject)
{
    unchanged_with(subject, PEER_FULL);
    unchanged_with(subject, PEER_SILENT);
}

/* ---- Destroy at every point ---- */

/* Most points tried of one operation; it has no more steps, or not much is to be learned from them. */
#define MOST_POINTS 60

/* Destroy after so many steps of the operation; true: it has not more. */
static bool destroyed_after(struct stage *stage, enum cp_kind kind, unsigned steps)
{
    struct stage_connection connection;
    bool is_over;

    if (kind == CP_OPEN) {
        stage_connect(stage, &connection);
    } else {
        stage_must_open(stage, &connection);
        stage_must(&connection, CP_PREPARE, 0);
    }
    is_over = stage_drive_some(&connection, kind, 0, steps);
    CONFORM(!is_over || connection.result >= 0, "%s of a healthy connection failed: %s", cp_run_name(kind),
            connection.fault.text);
    conform_at("destroy after %u steps of %s", steps, cp_run_name(kind));
    stage_destroy(&connection);
    return is_over;
}

static void destroy_at_each_point(const struct conform_subject *subject, enum cp_kind kind)
{
    struct stage stage;
    size_t before;

    stage_open(&stage, subject, NULL);
    if (!stage_has(&stage, kind)) {
        conform_skip("the manager has no %s", cp_run_name(kind));
    }
    (void)destroyed_after(&stage, kind, UINT32_MAX); /* what is made once in the process is there now */
    before = stage_count_descriptors();
    for (unsigned steps = 1; steps <= MOST_POINTS; steps++) {
        bool is_over = destroyed_after(&stage, kind, steps);
        size_t after = stage_count_descriptors();

        CONFORM(after == before, "%zu descriptors before, %zu after", before, after);
        if (is_over) {
            break;
        }
    }
    stage_close(&stage);
}

void case_destroy_open(const struct conform_subject *subject)
{
    destroy_at_each_point(subject, CP_OPEN);
}

void case_destroy_check(const struct conform_subject *subject)
{
    destroy_at_each_point(subject, CP_CHECK);
}

void case_destroy_reset(const struct conform_subject *subject)
{
    destroy_at_each_point(subject, CP_RESET);
}

void case_destroy_close(const struct conform_subject *subject)
{
    destroy_at_each_point(subject, CP_CLOSE);
}

/* A close that is cut is one step, then destroy. */
void case_close_cut(const struct conform_subject *subject)
{
    struct stage_connection connection;
    struct stage stage;

    stage_open(&stage, subject, NULL);
    for (int i = 0; i < 2; i++) {
        stage_must_open(&stage, &connection);
        stage_must(&connection, CP_PREPARE, i == 0 ? 0 : CONNPOOL_WAIT_FOR_LOOP);
        stage_start(&connection, CP_CLOSE, CONNPOOL_WAIT_CUT);
        (void)stage_step(&connection, 0);
        stage_destroy(&connection);
    }
    stage_close(&stage);
}
