/* SPDX-License-Identifier: MIT */
/*
 * cases_secret: no secret is ever told: not by errors, the log, mistakes in a configuration, or a configuration as
 * understood. The secrets that the subject really has, and canaries in their place, with the real server and with bad
 * peers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/complaint.h"
#include "cases.h"
#include "options/option_row.h"
#include "options/secret.h"
#include "peer.h"
#include "setting.h"
#include "stage.h"

#define CANARY          "canary-5a7d1f-in-a-coal-mine"
#define CANARY_VARIABLE "CONFORM_CANARY"
#define MOST_SECRETS    16

#define KEYS                                                                                                           \
    "{\"connect_timeout\": 2, \"check_after\": 0, \"check_timeout\": 0.2, \"reset_timeout\": 0.2, "                    \
    "\"dispose_timeout\": 0.2}"
#define QUICK_KEYS                                                                                                     \
    "{\"connect_timeout\": 0.1, \"check_after\": 0, \"check_timeout\": 0.1, \"reset_timeout\": 0.1, "                  \
    "\"dispose_timeout\": 0.1}"

struct secrets {
    char *text[MOST_SECRETS];
    size_t count;
};

/* What the subject's reference for a row stands for. */
static void collect(struct secrets *secrets, const json_t *object, const struct connpool_option *row)
{
    const struct cp_option_source source = {.folder = "/"};
    const json_t *reference = json_object_get(object, row->name);
    struct cp_complaint complaint = {0};

    if (reference != NULL && secrets->count < MOST_SECRETS) {
        secrets->text[secrets->count] = cp_secret_read(reference, &source, &complaint);
        secrets->count += secrets->text[secrets->count] != NULL;
    }
}

static void find_secrets(struct secrets *secrets, const struct conform_subject *subject)
{
    const struct connpool_manager *manager = stage_manager(subject);
    json_t *options = setting_options(subject), *endpoint = setting_endpoint(subject);

    *secrets = (struct secrets){.count = 0};
    for (uint32_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        if (row->type == CONNPOOL_TYPE_SECRET) {
            collect(secrets, options, row);
            collect(secrets, endpoint, row);
        }
    }
    json_decref(options);
    json_decref(endpoint);
}

static void forget_secrets(struct secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++) {
        cp_secret_free(secrets->text[i]);
    }
}

static void tells_none(const struct secrets *secrets, const char *text)
{
    if (text == NULL) {
        return;
    }
    CONFORM(strstr(text, CANARY) == NULL, "a secret is told: %s", text);
    for (size_t i = 0; i < secrets->count; i++) {
        CONFORM(strstr(text, secrets->text[i]) == NULL, "a secret is told: %s", text);
    }
}

/* Open, use what comes, close; look at all that was said. */
static void use(const struct conform_subject *subject, const struct secrets *secrets, json_t *endpoint,
                const char *keys)
{
    struct setting setting;

    setting_open(&setting, subject, endpoint, keys);
    for (int i = 0; i < 2; i++) {
        connpool_lease lease = CONNPOOL_LEASE_NONE;

        if (setting_acquire(&setting, SETTING_PATIENCE_MS, &lease) == CONNPOOL_OK) {
            setting_release(&lease);
        }
    }
    tells_none(secrets, setting.said);
    setting_close(&setting);
}

static void use_with_peer(const struct conform_subject *subject, const struct secrets *secrets, enum peer_kind kind)
{
    struct peer peer;

    peer_open(&peer, subject, kind);
    use(subject, secrets, peer_endpoint(&peer, subject), QUICK_KEYS);
}

/* A canary where a secret stands or could stand; opened where the configuration is not refused. */
static void use_canary(const struct conform_subject *subject, const struct secrets *secrets,
                       const struct connpool_option *row)
{
    struct conform_subject changed = *subject;
    json_t *options = setting_options(subject), *endpoint = setting_endpoint(subject);
    json_t *reference = json_pack("{s: s}", "env", CANARY_VARIABLE);
    const char *mistake;

    conform_at("option %s", row->name);
    if (json_object_get(options, row->name) != NULL || (row->level & CONNPOOL_LEVEL_ENDPOINT) == 0) {
        (void)json_object_set_new(options, row->name, reference);
    } else {
        (void)json_object_set_new(endpoint, row->name, reference);
    }
    changed.options = json_dumps(options, 0);
    changed.endpoint = json_dumps(endpoint, 0);
    mistake = setting_mistake(&changed, NULL, NULL);
    tells_none(secrets, mistake);
    if (mistake[0] == '\0') {
        use(&changed, secrets, NULL, KEYS);
    }
    json_decref(options);
    json_decref(endpoint);
    free((void *)(uintptr_t)changed.options);
    free((void *)(uintptr_t)changed.endpoint);
}

static void understood(const struct conform_subject *subject, const struct secrets *secrets)
{
    char *text = setting_understood(subject);

    conform_at("the configuration as understood");
    tells_none(secrets, text);
    connpool_text_free(text);
}

void case_secrets(const struct conform_subject *subject)
{
    const struct connpool_manager *manager = stage_manager(subject);
    struct secrets secrets;

    (void)setenv(CANARY_VARIABLE, CANARY, 1);
    find_secrets(&secrets, subject);
    understood(subject, &secrets);
    if (subject->port_option != NULL || subject->path_option != NULL) {
        use_with_peer(subject, &secrets, PEER_GARBLED);
        use_with_peer(subject, &secrets, PEER_REFUSES);
        use_with_peer(subject, &secrets, PEER_SILENT);
        use_with_peer(subject, &secrets, PEER_ENDS);
    }
    use(subject, &secrets, NULL, KEYS);
    for (uint32_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        if (row->type == CONNPOOL_TYPE_SECRET) {
            use_canary(subject, &secrets, row);
        }
    }
    forget_secrets(&secrets);
}
