/* SPDX-License-Identifier: MIT */
/* cases_parallel: a thousand opens at once in one loop, or as many as the server permits. */
#include <stdlib.h>

#include "cases.h"
#include "pool/run.h"
#include "stage.h"

#define MOST_OPENS 1000

static void all(struct stage_connection *connections, size_t count, enum cp_kind kind)
{
    conform_at("%s of %zu at once", cp_run_name(kind), count);
    stage_drive_all(connections, count, kind, 0);
    for (size_t i = 0; i < count; i++) {
        CONFORM(connections[i].result >= 0, "%s of connection %zu of %zu failed: %s", cp_run_name(kind), i + 1, count,
                connections[i].fault.text);
    }
}

void case_parallel_opens(const struct conform_subject *subject)
{
    size_t count = stage_permitted(subject, MOST_OPENS), before, after;
    struct stage_connection *connections = calloc(count, sizeof(*connections));
    struct stage stage;

    CONFORM(connections != NULL, "out of memory");
    stage_open(&stage, subject, NULL);
    stage_must_open(&stage, &connections[0]);
    stage_destroy(&connections[0]);
    before = stage_count_descriptors();
    for (size_t i = 0; i < count; i++) {
        stage_connect(&stage, &connections[i]);
    }
    all(connections, count, CP_OPEN);
    all(connections, count, CP_PREPARE);
    all(connections, count, CP_CHECK);
    all(connections, count / 2, CP_CLOSE);
    for (size_t i = 0; i < count; i++) {
        stage_destroy(&connections[i]);
    }
    after = stage_count_descriptors();
    CONFORM(after == before, "%zu descriptors before, %zu after", before, after);
    stage_close(&stage);
    free(connections);
}
