/* SPDX-License-Identifier: MIT */
/* setting: see setting.h. */
#include "setting.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static json_t *parsed(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text == NULL ? "{}" : text, 0, &error);

    CONFORM(json != NULL, "the subject's options are no JSON: %s", error.text);
    return json;
}

json_t *setting_options(const struct conform_subject *subject)
{
    return parsed(subject->options);
}

json_t *setting_endpoint(const struct conform_subject *subject)
{
    return parsed(subject->endpoint);
}

char *setting_json(const struct conform_subject *subject, json_t *options, json_t *endpoint, const char *keys)
{
    json_t *pool = parsed(keys);
    json_t *json = json_pack("{s: {s: o}}", "pools", "subject", pool);
    char *text;

    CONFORM(json != NULL, "out of memory");
    (void)json_object_set_new(pool, "manager", json_string(subject->manager));
    (void)json_object_set_new(pool, "options", options == NULL ? setting_options(subject) : options);
    (void)json_object_set_new(pool, "endpoints",
                              json_pack("{s: o}", "server", endpoint == NULL ? setting_endpoint(subject) : endpoint));
    text = json_dumps(json, JSON_COMPACT);
    CONFORM(text != NULL, "out of memory");
    json_decref(json);
    return text;
}

/* ---- Contexts ---- */

static void note(struct setting *setting, const char *text)
{
    size_t length = strlen(text) + 1;

    (void)pthread_mutex_lock(&lock);
    setting->said = realloc(setting->said, setting->length + length + 1);
    CONFORM(setting->said != NULL, "out of memory");
    (void)snprintf(setting->said + setting->length, length + 1, "%s\n", text);
    setting->length += length;
    (void)pthread_mutex_unlock(&lock);
}

static void take_log(void *argument, int32_t level, const char *text)
{
    (void)level;
    note(argument, text);
}

/* The options of a context, all but json; folder holds the plugin's folder. */
static struct connpool_options context_options(const struct conform_subject *subject, char *const *folders)
{
    return (struct connpool_options){.size = sizeof(struct connpool_options),
                                     .flags = CONNPOOL_OPEN_TRUST_ANY_OWNER,
                                     .folder = "/",
                                     .managers = subject->table == NULL ? NULL : &subject->table,
                                     .manager_count = subject->table != NULL,
                                     .plugin_path = subject->table == NULL ? folders : NULL};
}

void setting_open(struct setting *setting, const struct conform_subject *subject, json_t *endpoint, const char *keys)
{
    char *const folders[] = {(char *)(uintptr_t)subject->folder, NULL};
    struct connpool_options options = context_options(subject, folders);
    char *json = setting_json(subject, NULL, endpoint, keys);

    memset(setting, 0, sizeof(*setting));
    options.json = json;
    options.log = take_log;
    options.log_argument = setting;
    setting->context = connpool_open_with(&options, &setting->error);
    CONFORM(setting->context != NULL, "the configuration is refused: %s", setting->error.text);
    setting->pool = connpool_pool_at(setting->context, 0);
    free(json);
}

void setting_close(struct setting *setting)
{
    size_t left = 0;

    conform_at("connpool_close");
    CONFORM(connpool_close(setting->context, SETTING_PATIENCE_MS, &left) == CONNPOOL_OK,
            "%zu connections were left when the context closed", left);
    free(setting->said);
}

static void take_mistake(void *argument, const char *text)
{
    char *first = argument;

    if (first[0] == '\0') {
        (void)snprintf(first, 600, "%s", text);
    }
}

const char *setting_mistake(const struct conform_subject *subject, json_t *options, json_t *endpoint)
{
    static char first[600];
    char *const folders[] = {(char *)(uintptr_t)subject->folder, NULL};
    struct connpool_options open_options = context_options(subject, folders);
    char *json = setting_json(subject, options, endpoint, NULL);
    connpool_error error = {.text = ""};
    connpool_status status;

    first[0] = '\0';
    open_options.json = json;
    status = connpool_check(&open_options, take_mistake, first, NULL, &error);
    CONFORM((status == CONNPOOL_OK) == (first[0] == '\0'), "connpool_check answered \"%s\" and named %s",
            connpool_status_text(status), first[0] == '\0' ? "no mistake" : first);
    free(json);
    return first;
}

char *setting_understood(const struct conform_subject *subject)
{
    char *const folders[] = {(char *)(uintptr_t)subject->folder, NULL};
    struct connpool_options open_options = context_options(subject, folders);
    char *json = setting_json(subject, NULL, NULL, NULL);
    connpool_error error = {.text = ""};
    char *text = NULL;

    open_options.json = json;
    CONFORM(connpool_check(&open_options, NULL, NULL, &text, &error) == CONNPOOL_OK, "%s", error.text);
    free(json);
    return text;
}

connpool_status setting_acquire(struct setting *setting, int limit_ms, connpool_lease *lease)
{
    connpool_status status;

    conform_at("connpool_acquire");
    status = connpool_acquire(setting->pool, "server", limit_ms, lease, &setting->error);
    if (status != CONNPOOL_OK) {
        note(setting, setting->error.text);
    }
    conform_at("after connpool_acquire");
    return status;
}

connpool_lease setting_must_acquire(struct setting *setting)
{
    connpool_lease lease = CONNPOOL_LEASE_NONE;

    CONFORM(setting_acquire(setting, SETTING_PATIENCE_MS, &lease) == CONNPOOL_OK, "%s", setting->error.text);
    return lease;
}

void setting_release(connpool_lease *lease)
{
    conform_at("connpool_release");
    CONFORM(connpool_release(lease) == CONNPOOL_OK, "a lease could not be released");
}

struct connpool_statistics setting_statistics(const struct setting *setting)
{
    struct connpool_statistics statistics = {.size = sizeof(statistics)};

    connpool_pool_statistics(setting->pool, &statistics);
    return statistics;
}

const char *setting_tale(const struct setting *setting)
{
    static char tale[300];
    struct connpool_statistics statistics = setting_statistics(setting);
    size_t length = 0;

    for (int i = 0; i < CONNPOOL_REASON_COUNT; i++) {
        if (statistics.ended[i] > 0) {
            length +=
                (size_t)snprintf(tale + length, sizeof(tale) - length, "%llu %s, ",
                                 (unsigned long long)statistics.ended[i], connpool_reason_text((connpool_reason)i));
        }
    }
    (void)snprintf(tale + length, sizeof(tale) - length, "log: %s", setting->said == NULL ? "" : setting->said);
    return tale;
}

struct connpool_lease_info setting_info(const connpool_lease *lease)
{
    struct connpool_lease_info info = {.size = sizeof(info)};

    CONFORM(connpool_lease_info(lease, &info) == CONNPOOL_OK, "a lease gives no information");
    return info;
}
