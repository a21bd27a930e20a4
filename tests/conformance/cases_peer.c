/* SPDX-License-Identifier: MIT */
/*
 * cases_peer: through the public API, with a peer that refuses, is silent, ends, resets or talks nonsense. Whatever the
 * manager makes of it, the acquire ends by its limit with a status that fits, and nothing is left behind. (failures.md
 * A1, A3, A4, A6, A7, A8.)
 */
#include <string.h>

#include "cases.h"
#include "peer.h"
#include "setting.h"
#include "stage.h"

/* Limits that are short beside what hangs, and long beside what does not. */
#define KEYS                                                                                                           \
    "{\"connect_timeout\": 0.2, \"check_after\": 0, \"check_timeout\": 0.2, \"reset_timeout\": 0.2, "                  \
    "\"dispose_timeout\": 0.2, \"lifetime_jitter\": 0}"

static const struct connpool_error *failure(const struct setting *setting, connpool_status status)
{
    const struct connpool_error *error = &setting->error;

    CONFORM(status == CONNPOOL_FAILED || status == CONNPOOL_TIMED_OUT, "the acquire ended with \"%s\": %s",
            connpool_status_text(status), error->text);
    CONFORM(error->error_class != CONNPOOL_ERROR_MISBEHAVING && error->error_class != CONNPOOL_ERROR_INTERNAL &&
                error->error_class != 0,
            "the acquire ended with class \"%s\": %s", connpool_error_class_text(error->error_class), error->text);
    CONFORM(strstr(error->text, "server") != NULL, "the error does not name the endpoint: %s", error->text);
    return error;
}

/* Acquire twice, use what comes; the class of the last failure, 0: there was none. */
static int32_t try_peer(const struct conform_subject *subject, const struct peer *peer)
{
    struct setting setting;
    int32_t error_class = 0;

    setting_open(&setting, subject, peer_endpoint(peer, subject), KEYS);
    for (int i = 0; i < 2; i++) {
        connpool_lease lease = CONNPOOL_LEASE_NONE;
        connpool_status status = setting_acquire(&setting, SETTING_PATIENCE_MS, &lease);

        if (status == CONNPOOL_OK) {
            setting_release(&lease);
        } else {
            error_class = failure(&setting, status)->error_class;
        }
    }
    setting_close(&setting);
    return error_class;
}

static int32_t face(const struct conform_subject *subject, enum peer_kind kind)
{
    struct peer peer;
    size_t before, after;
    int32_t error_class;

    peer_open(&peer, subject, kind);
    (void)try_peer(subject, &peer); /* what is made once in the process is made now */
    before = stage_count_descriptors();
    error_class = try_peer(subject, &peer);
    after = stage_count_descriptors();
    conform_at("after all is closed");
    CONFORM(after == before, "%zu descriptors before, %zu after", before, after);
    return error_class;
}

void case_peer_refuses(const struct conform_subject *subject)
{
    int32_t error_class = face(subject, PEER_REFUSES);

    CONFORM(error_class == CONNPOOL_ERROR_REFUSED, "the error's class is \"%s\", expected refused",
            connpool_error_class_text(error_class));
}

void case_peer_full(const struct conform_subject *subject)
{
    int32_t error_class = face(subject, PEER_FULL);

    CONFORM(error_class == CONNPOOL_ERROR_TIMEOUT, "the error's class is \"%s\", expected timeout",
            connpool_error_class_text(error_class));
}

/* A manager that speaks first and needs no answer may succeed. */
void case_peer_silent(const struct conform_subject *subject)
{
    int32_t error_class = face(subject, PEER_SILENT);

    CONFORM(error_class == CONNPOOL_ERROR_TIMEOUT || error_class == 0, "the error's class is \"%s\", expected timeout",
            connpool_error_class_text(error_class));
}

void case_peer_ends(const struct conform_subject *subject)
{
    (void)face(subject, PEER_ENDS);
}

void case_peer_resets(const struct conform_subject *subject)
{
    (void)face(subject, PEER_RESETS);
}

/* Opened by hand, each failure has a class, a scope, and a sentence that says why. */
void case_faults(const struct conform_subject *subject)
{
    static const enum peer_kind kinds[] = {PEER_REFUSES, PEER_ENDS, PEER_RESETS, PEER_GARBLED};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct stage_connection connection;
        struct stage stage;
        struct peer peer;
        int32_t result;

        peer_open(&peer, subject, kinds[i]);
        stage_open(&stage, subject, peer_endpoint(&peer, subject));
        stage_connect(&stage, &connection);
        result = stage_drive(&connection, CP_OPEN, 0);
        CONFORM(kinds[i] != PEER_REFUSES || result == -CONNPOOL_ERROR_REFUSED,
                "open answered %d where nobody listens, expected the class refused", result);
        stage_destroy(&connection);
        stage_close(&stage);
    }
}

void case_peer_garbled(const struct conform_subject *subject)
{
    (void)face(subject, PEER_GARBLED);
}
