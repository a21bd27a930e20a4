/* SPDX-License-Identifier: MIT */
/*
 * cases_proxy: with a proxy in front of the real server: bytes that come one by one, a conversation that is cut, and
 * parked connections that are lost in each way. (failures.md A6 to A12)
 */
#include "cases.h"
#include "interposer.h"
#include "pool/run.h"
#include "setting.h"
#include "stage.h"

/* Between one byte and the next, where there are so few of them; more go as fast as they can, and the system may join
 * some of them again. */
#define FEW_BYTES   100
#define INTERVAL_MS 5

/* How many bytes the server says in an open. */
static size_t length_of_open(struct stage *stage, const struct interposer *interposer)
{
    struct stage_connection connection;
    size_t length;

    stage_must_open(stage, &connection);
    length = server_proxy_counts(&interposer->proxy).from_server;
    stage_destroy(&connection);
    return length;
}

/* Each byte of the server is a packet of its own: nothing may depend on how the stream is cut into pieces. */
void case_byte_by_byte(const struct conform_subject *subject)
{
    struct server_proxy_rule rule = {.fault = SERVER_PROXY_TRICKLE, .side = SERVER_PROXY_SERVER};
    struct stage_connection connection;
    struct interposer interposer;
    struct stage stage;

    interposer_start(&interposer, subject);
    stage_open(&stage, subject, interposer_endpoint(&interposer));
    rule.interval_ms = length_of_open(&stage, &interposer) < FEW_BYTES ? INTERVAL_MS : 0;
    server_proxy_set_rule(&interposer.proxy, &rule);
    stage_must_open(&stage, &connection);
    stage_must(&connection, CP_PREPARE, 0);
    stage_must(&connection, CP_RESET, 0);
    stage_must(&connection, CP_IDLE, 0);
    stage_must(&connection, CP_CHECK, 0);
    stage_must(&connection, CP_CLOSE, 0);
    stage_destroy(&connection);
    stage_close(&stage);
    interposer_stop(&interposer);
}

/* ---- A conversation that is cut ---- */

#define POINTS     12
#define SILENCE_MS 50

/* A lost connection says nothing of who either side is, nor of the options: such an error would never be retried. */
static void is_no_verdict(int32_t result, const struct stage_connection *connection)
{
    CONFORM(result != -CONNPOOL_ERROR_AUTHENTICATION && result != -CONNPOOL_ERROR_TRUST &&
                result != -CONNPOOL_ERROR_CONFIGURATION && result != -CONNPOOL_ERROR_MISBEHAVING &&
                result != -CONNPOOL_ERROR_INTERNAL,
            "open of a connection that was cut failed with the class %s: %s", connpool_error_class_text(-result),
            connection->fault.text);
}

static void open_and_cut(struct stage *stage, const struct interposer *interposer, enum server_proxy_fault fault,
                         size_t after)
{
    const struct server_proxy_rule rule = {.fault = fault, .side = SERVER_PROXY_SERVER, .after = after};
    bool is_end = fault == SERVER_PROXY_RESET || fault == SERVER_PROXY_END;
    struct stage_connection connection;
    int32_t result;

    server_proxy_set_rule(&interposer->proxy, &rule);
    stage_connect(stage, &connection);
    result = is_end ? stage_drive(&connection, CP_OPEN, 0) : stage_drive_for(&connection, CP_OPEN, 0, SILENCE_MS);
    if (is_end) {
        is_no_verdict(result, &connection);
    }
    conform_at("destroy after fault %d at byte %zu", (int)fault, after);
    stage_destroy(&connection);
    server_proxy_await_open(&interposer->proxy, 0);
}

/* At some of its bytes; that each manager stands it at every byte, its own tests show. */
void case_cut(const struct conform_subject *subject)
{
    static const enum server_proxy_fault faults[] = {SERVER_PROXY_SILENCE, SERVER_PROXY_RESET, SERVER_PROXY_END,
                                                     SERVER_PROXY_GARBAGE};
    struct interposer interposer;
    struct stage stage;
    size_t length, before, after;

    interposer_start(&interposer, subject);
    stage_open(&stage, subject, interposer_endpoint(&interposer));
    length = length_of_open(&stage, &interposer);
    if (length == 0) {
        conform_skip("the server says nothing in an open");
    }
    server_proxy_await_open(&interposer.proxy, 0);
    before = stage_count_descriptors();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        for (size_t point = 0; point < POINTS; point++) {
            open_and_cut(&stage, &interposer, faults[i], length * point / POINTS);
        }
    }
    after = stage_count_descriptors();
    CONFORM(after == before, "%zu descriptors before, %zu after", before, after);
    stage_close(&stage);
    interposer_stop(&interposer);
}

/* ---- A parked connection that is lost ---- */

#define KEYS                                                                                                           \
    "{\"check_after\": 0, \"check_timeout\": 0.3, \"reset_timeout\": 0.3, \"dispose_timeout\": 0.3, "                  \
    "\"lifetime_jitter\": 0}"

/* The acquire after the loss gets a connection that works; whether the parked one was lent again. */
static bool lose_parked(const struct conform_subject *subject, enum server_proxy_fault fault)
{
    struct interposer interposer;
    struct setting setting;
    connpool_lease lease;
    uint64_t id;
    bool is_same;

    conform_at("fault %d", (int)fault);
    interposer_start(&interposer, subject);
    setting_open(&setting, subject, interposer_endpoint(&interposer), KEYS);
    lease = setting_must_acquire(&setting);
    id = setting_info(&lease).id;
    setting_release(&lease);
    server_proxy_break(&interposer.proxy, fault);
    lease = setting_must_acquire(&setting);
    is_same = setting_info(&lease).id == id;
    setting_release(&lease);
    setting_close(&setting);
    interposer_stop(&interposer);
    return is_same;
}

/* One that ended is never lent again; one that fell silent not by a manager that can check. */
void case_parked_lost(const struct conform_subject *subject)
{
    bool can_check = stage_manager(subject)->check != NULL;

    CONFORM(!lose_parked(subject, SERVER_PROXY_RESET), "a connection that was reset was lent again");
    CONFORM(!lose_parked(subject, SERVER_PROXY_END), "a connection that the peer ended was lent again");
    CONFORM(!lose_parked(subject, SERVER_PROXY_SILENCE) || !can_check, "a silent connection was lent after a check");
}
