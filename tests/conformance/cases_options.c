/* SPDX-License-Identifier: MIT */
/*
 * cases_options: a value outside an option's range, of another type, or missing is refused with a message that names
 * the option; what is just inside is taken. Nothing is opened.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "options/option_row.h"
#include "options/option_type.h"
#include "setting.h"
#include "stage.h"

#define VALUE_VARIABLE "CONFORM_VALUE"
#define CANARY         "canary-5a7d1f"

static bool is_counted(uint32_t type)
{
    return type == CONNPOOL_TYPE_STRING || type == CONNPOOL_TYPE_PATH || type == CONNPOOL_TYPE_LIST ||
           type == CONNPOOL_TYPE_SECRET || type == CONNPOOL_TYPE_MAP;
}

/* Text, a list or a map of so many parts. */
static json_t *counted_value(uint32_t type, size_t count)
{
    json_t *value = type == CONNPOOL_TYPE_LIST ? json_array() : json_object();
    char *text = calloc(1, count + 1);
    char key[32];

    CONFORM(text != NULL, "out of memory");
    memset(text, 'x', count);
    if (type == CONNPOOL_TYPE_PATH && count > 0) {
        text[0] = '/'; /* else it would be made absolute, and longer */
    }
    for (size_t i = 0; i < count && type == CONNPOOL_TYPE_LIST; i++) {
        (void)json_array_append_new(value, json_string("x"));
    }
    for (size_t i = 0; i < count && type == CONNPOOL_TYPE_MAP; i++) {
        (void)snprintf(key, sizeof(key), "k%zu", i);
        (void)json_object_set_new(value, key, json_string("x"));
    }
    if (type == CONNPOOL_TYPE_SECRET) {
        (void)setenv(VALUE_VARIABLE, text, 1);
        (void)json_object_set_new(value, "env", json_string(VALUE_VARIABLE));
    } else if (type == CONNPOOL_TYPE_STRING || type == CONNPOOL_TYPE_PATH) {
        json_decref(value);
        value = json_string(text);
    }
    free(text);
    return value;
}

/* The value of a row's limit, moved by so many steps; NULL: there is none. */
static json_t *value_near(const struct connpool_option *row, const char *limit, int steps)
{
    long double counted = 0;

    if (limit == NULL || !cp_option_limit(row, limit, &counted)) {
        return NULL;
    }
    if (is_counted(row->type)) {
        bool exists = counted + steps >= 0 && (row->type != CONNPOOL_TYPE_SECRET || counted + steps > 0);

        return exists && counted < 1000000 ? counted_value(row->type, (size_t)(counted + steps)) : NULL;
    }
    if (row->type == CONNPOOL_TYPE_INTEGER || row->type == CONNPOOL_TYPE_SIZE) {
        counted += steps;
        return fabsl(counted) < 9.2e18L ? json_integer((json_int_t)counted) : NULL;
    }
    return json_real(strtod(limit, NULL) + steps);
}

/* The subject's objects with a row's value replaced (taken over) or, with NULL, left out. */
struct objects {
    json_t *options, *endpoint;
};

static struct objects replaced(const struct conform_subject *subject, const struct connpool_option *row, json_t *value)
{
    struct objects objects = {.options = setting_options(subject), .endpoint = setting_endpoint(subject)};

    (void)json_object_del(objects.options, row->name);
    (void)json_object_del(objects.endpoint, row->name);
    if (value != NULL) {
        (void)json_object_set_new((row->level & CONNPOOL_LEVEL_ENDPOINT) != 0 ? objects.endpoint : objects.options,
                                  row->name, value);
    }
    return objects;
}

static void is_refused(const struct conform_subject *subject, const struct connpool_option *row, json_t *value,
                       const char *what)
{
    struct objects objects = replaced(subject, row, value);
    const char *mistake;

    conform_at("option %s, %s", row->name, what);
    mistake = setting_mistake(subject, objects.options, objects.endpoint);
    CONFORM(mistake[0] != '\0', "it is taken");
    CONFORM(strstr(mistake, row->name) != NULL, "the message does not name it: %s", mistake);
    CONFORM(strstr(mistake, CANARY) == NULL, "the message tells a secret: %s", mistake);
}

static void is_taken(const struct conform_subject *subject, const struct connpool_option *row, json_t *value,
                     const char *what)
{
    const struct cp_option_source source = {.folder = "/"};
    struct objects objects = replaced(subject, row, value);
    struct cp_mistakes mistakes = {.origin = "subject"};
    struct cp_option_block *block;

    conform_at("option %s, %s", row->name, what);
    block = cp_options_resolve(stage_manager(subject), objects.options, "/options", objects.endpoint, "/endpoint", true,
                               &source, &mistakes);
    CONFORM(block != NULL, "it is refused: %s", mistakes.first);
    cp_options_unref(block);
    json_decref(objects.options);
    json_decref(objects.endpoint);
}

static void try_limit(const struct conform_subject *subject, const struct connpool_option *row, const char *limit,
                      int beyond, const char *what)
{
    json_t *value = value_near(row, limit, beyond);

    if (value != NULL) {
        is_refused(subject, row, value, beyond < 0 ? "its minimum - 1" : "its maximum + 1");
    }
    value = row->type == CONNPOOL_TYPE_MAP ? NULL : value_near(row, limit, 0);
    if (value != NULL) {
        is_taken(subject, row, value, what);
    }
}

void case_option_limits(const struct conform_subject *subject)
{
    const struct connpool_manager *manager = stage_manager(subject);

    for (uint32_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        try_limit(subject, row, row->minimum, -1, "its minimum");
        try_limit(subject, row, row->maximum, 1, "its maximum");
    }
}

/* No value of the row's type; to a secret, which is given by reference, a literal is none. */
static json_t *value_of_another_type(const struct connpool_option *row)
{
    switch (row->type) {
    case CONNPOOL_TYPE_STRING:
    case CONNPOOL_TYPE_PATH:
    case CONNPOOL_TYPE_LIST:
    case CONNPOOL_TYPE_MAP:
        return json_integer(5);
    case CONNPOOL_TYPE_SECRET:
        return json_string(CANARY);
    default:
        return json_string("no-such-value");
    }
}

void case_option_types(const struct conform_subject *subject)
{
    const struct connpool_option unknown = {.name = "no_such_option", .level = CONNPOOL_LEVEL_ENDPOINT};
    const struct connpool_manager *manager = stage_manager(subject);

    is_refused(subject, &unknown, json_true(), "which is none of the manager's");
    for (uint32_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        is_refused(subject, row, value_of_another_type(row), "a value of another type");
        is_refused(subject, row, json_null(), "null");
    }
}

void case_option_required(const struct conform_subject *subject)
{
    const struct connpool_manager *manager = stage_manager(subject);

    for (uint32_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        if (cp_option_is_required(row)) {
            is_refused(subject, row, NULL, "left out");
        }
    }
}

/* Keywords that a pass-through map keeps out, above all secrets, are refused by name, and their values are not told. */
void case_option_refused_keywords(const struct conform_subject *subject)
{
    const struct connpool_manager *manager = stage_manager(subject);

    for (uint32_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        for (size_t k = 0; row->type == CONNPOOL_TYPE_MAP && row->choices != NULL && row->choices[k] != NULL; k++) {
            is_refused(subject, row, json_pack("{s: s}", row->choices[k], CANARY), row->choices[k]);
        }
    }
}
