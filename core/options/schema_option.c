/* SPDX-License-Identifier: MIT */
/* schema_option: see schema_option.h. One table says how each type of option is written in a schema; its minimum and
 * maximum are held against the value, or against the count of what the type counts. */
#include "options/schema_option.h"

#include <stdbool.h>
#include <string.h>

#include "base/number.h"
#include "options/option_row.h"
#include "options/option_type.h"

static json_t *text(const struct connpool_option *row)
{
    (void)row;
    return json_pack("{s:s}", "type", "string");
}

static json_t *integer(const struct connpool_option *row)
{
    (void)row;
    return json_pack("{s:s}", "type", "integer");
}

static json_t *number(const struct connpool_option *row)
{
    (void)row;
    return json_pack("{s:s}", "type", "number");
}

static json_t *boolean(const struct connpool_option *row)
{
    (void)row;
    return json_pack("{s:s}", "type", "boolean");
}

/* The limits are held against the number of bytes; what is written as text the schema cannot count. */
static json_t *size(const struct connpool_option *row)
{
    (void)row;
    return json_pack("{s:[s,s],s:s}", "type", "integer", "string", "pattern", "^[0-9]+ ?[KMG]iB$");
}

static json_t *names(const char *const *texts)
{
    json_t *array = json_array();

    for (size_t i = 0; array != NULL && texts != NULL && texts[i] != NULL; i++) {
        if (json_array_append_new(array, json_string(texts[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

static json_t *choice(const struct connpool_option *row)
{
    return json_pack("{s:o}", "enum", names(row->choices));
}

static json_t *list(const struct connpool_option *row)
{
    (void)row;
    return json_pack("{s:s,s:{s:s}}", "type", "array", "items", "type", "string");
}

/* A literal is refused unless the configuration allows it, which only its reader can tell. */
static json_t *secret(const struct connpool_option *row)
{
    (void)row;
    return json_pack("{s:[s,s],s:{s:{s:s},s:{s:s}},s:b,s:i,s:i}", "type", "object", "string", "properties", "env",
                     "type", "string", "file", "type", "string", "additionalProperties", 0, "minProperties", 1,
                     "maxProperties", 1);
}

static json_t *map(const struct connpool_option *row)
{
    return json_pack("{s:s,s:{s:s},s:{s:{s:o}}}", "type", "object", "additionalProperties", "type", "string",
                     "propertyNames", "not", "enum", names(row->choices));
}

static const struct {
    json_t *(*schema)(const struct connpool_option *row);
    const char *minimum, *maximum; /* the words of the schema for the row's limits */
} types[] = {
    /* A schema counts characters, the limits bytes: what it says of text is the weaker of both (add_limit). */
    [CONNPOOL_TYPE_STRING] = {text, "minLength", "maxLength"},
    [CONNPOOL_TYPE_INTEGER] = {integer, "minimum", "maximum"},
    [CONNPOOL_TYPE_NUMBER] = {number, "minimum", "maximum"},
    [CONNPOOL_TYPE_BOOLEAN] = {boolean, NULL, NULL},
    [CONNPOOL_TYPE_DURATION] = {number, "minimum", "maximum"},
    [CONNPOOL_TYPE_SIZE] = {size, "minimum", "maximum"},
    [CONNPOOL_TYPE_PATH] = {text, "minLength", "maxLength"},
    [CONNPOOL_TYPE_CHOICE] = {choice, NULL, NULL},
    [CONNPOOL_TYPE_LIST] = {list, "minItems", "maxItems"},
    [CONNPOOL_TYPE_SECRET] = {secret, "minLength", "maxLength"},
    [CONNPOOL_TYPE_MAP] = {map, "minProperties", "maxProperties"},
};

/* Exact, where it is whole: a double is not beyond 2^53, and the schema may not be the stricter one. */
static json_t *limit_json(long double limit)
{
    if (limit >= -0x1p63L && limit < 0x1p63L) {
        int64_t whole = (int64_t)limit;
        long double rest = limit - (long double)whole;

        if (!(rest > 0) && !(rest < 0)) {
            return json_integer(whole);
        }
    }
    return cp_number_json((double)limit);
}

/* The schema's own word for a limit, with the limit; nothing where the row has none. False: no memory. */
static bool add_limit(json_t *schema, const char *word, const struct connpool_option *row, const char *limit)
{
    const char *counted = cp_option_type(row->type)->counted;
    long double value;

    if (word == NULL || limit == NULL || !cp_option_limit(row, limit, &value)) {
        return true;
    }
    if (counted != NULL && strcmp(counted, "bytes") == 0 && limit == row->minimum) {
        value = value > 0; /* a character may be several bytes */
    }
    return json_object_set_new(schema, word, limit_json(value)) == 0;
}

static bool add_default(json_t *schema, const struct connpool_option *row)
{
    struct cp_option_reader reader = {.row = row};
    union cp_option_value value = {.text = NULL};
    bool is_added;

    if (row->default_text == NULL || row->type == CONNPOOL_TYPE_SECRET) {
        return true;
    }
    if (!cp_option_read_text(&reader, row->default_text, &value)) {
        return false;
    }
    is_added = json_object_set_new(schema, "default", cp_option_type(row->type)->show(row, &value)) == 0;
    cp_option_type(row->type)->free(&value);
    return is_added;
}

static json_t *row_schema(const struct connpool_option *row)
{
    json_t *schema = types[row->type].schema(row);

    if (schema != NULL &&
        (!add_limit(schema, types[row->type].minimum, row, row->minimum) ||
         !add_limit(schema, types[row->type].maximum, row, row->maximum) || !add_default(schema, row) ||
         (row->help != NULL && json_object_set_new(schema, "description", json_string(row->help)) != 0))) {
        json_decref(schema);
        return NULL;
    }
    return schema;
}

/* An option of both levels may stand at the other one. */
static bool must_stand(const struct connpool_option *row, uint32_t level)
{
    return cp_option_is_required(row) && row->level == level;
}

static bool add_rows(const struct connpool_manager *manager, uint32_t level, json_t *properties, json_t *required)
{
    for (size_t i = 0; i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        if ((row->level & level) == 0) {
            continue;
        }
        if (json_object_set_new(properties, row->name, row_schema(row)) != 0 ||
            (must_stand(row, level) && json_array_append_new(required, json_string(row->name)) != 0)) {
            return false;
        }
    }
    return true;
}

json_t *cp_schema_options(const struct connpool_manager *manager, uint32_t level)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    json_t *schema = json_pack("{s:s,s:O,s:O,s:{s:{}},s:b}", "type", "object", "properties", properties, "required",
                               required, "patternProperties", "^x-", "additionalProperties", 0);

    if (schema != NULL && !add_rows(manager, level, properties, required)) {
        json_decref(schema);
        schema = NULL;
    }
    json_decref(properties);
    json_decref(required);
    return schema;
}
