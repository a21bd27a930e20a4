/* SPDX-License-Identifier: MIT */
/* schema: connpool_schema of connpool.h: what a configuration may say, as a JSON schema, from the tables of the
 * managers and of the pool's keys. What it says is never stricter than the library; the library says more. */
#include <connpool/connpool.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json_text.h"
#include "options/options.h"
#include "options/policy.h"
#include "options/schema_option.h"
#include "plugin/plugin_table.h"

static bool add(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* An object for names that the user gives, each with a value of that schema (a new reference). */
static json_t *named(json_t *schema)
{
    return json_pack("{s:s,s:{s:i,s:i},s:o}", "type", "object", "propertyNames", "minLength", 1, "maxLength", 255,
                     "additionalProperties", schema);
}

/* What the pool's keys are; with at_endpoint, those that an endpoint may override. */
static json_t *policy_keys(bool at_endpoint)
{
    json_t *properties = json_object();

    if (properties != NULL && !cp_policy_schema(at_endpoint, properties)) {
        json_decref(properties);
        return NULL;
    }
    return properties;
}

static json_t *overrides(void)
{
    return json_pack("{s:s,s:o,s:{s:{}},s:b}", "type", "object", "properties", policy_keys(true), "patternProperties",
                     "^x-", "additionalProperties", 0);
}

static json_t *endpoint_of(const struct connpool_manager *manager)
{
    json_t *schema = cp_schema_options(manager, CONNPOOL_LEVEL_ENDPOINT);
    json_t *properties = json_object_get(schema, "properties");

    if (properties != NULL && !add(properties, "pool", json_pack("{s:s}", "$ref", "#/definitions/overrides"))) {
        json_decref(schema);
        return NULL;
    }
    return schema;
}

/* Of a pool whose manager has that name: its options and endpoints. */
static json_t *case_of(const struct connpool_manager *manager)
{
    return json_pack("{s:{s:{s:{s:s}}},s:{s:{s:o,s:o}}}", "if", "properties", "manager", "const", manager->name, "then",
                     "properties", "options", cp_schema_options(manager, CONNPOOL_LEVEL_POOL), "endpoints",
                     named(endpoint_of(manager)));
}

static json_t *cases_of(const struct connpool_manager *const *managers, size_t count)
{
    json_t *cases = json_array();

    for (size_t i = 0; cases != NULL && i < count; i++) {
        if (json_array_append_new(cases, case_of(managers[i])) != 0) {
            json_decref(cases);
            return NULL;
        }
    }
    return cases;
}

static json_t *names_of(const struct connpool_manager *const *managers, size_t count)
{
    json_t *names = json_array();

    for (size_t i = 0; names != NULL && i < count; i++) {
        if (json_array_append_new(names, json_string(managers[i]->name)) != 0) {
            json_decref(names);
            return NULL;
        }
    }
    return names;
}

static json_t *pool_of(const struct connpool_manager *const *managers, size_t count)
{
    json_t *properties = policy_keys(false);
    json_t *schema;

    if (properties == NULL ||
        !add(properties, "manager", json_pack("{s:s,s:o}", "type", "string", "examples", names_of(managers, count))) ||
        !add(properties, "options", json_pack("{s:s}", "type", "object")) ||
        !add(properties, "endpoints",
             json_pack("{s:s,s:{s:s}}", "type", "object", "additionalProperties", "type", "object"))) {
        json_decref(properties);
        return NULL;
    }
    schema = json_pack("{s:s,s:[s],s:o,s:{s:{}},s:b}", "type", "object", "required", "manager", "properties",
                       properties, "patternProperties", "^x-", "additionalProperties", 0);
    if (schema != NULL && count > 0 && !add(schema, "allOf", cases_of(managers, count))) {
        json_decref(schema);
        return NULL;
    }
    return schema;
}

static json_t *configuration_of(const struct connpool_manager *const *managers, size_t count)
{
    return json_pack("{s:s,s:s,s:s,s:[s],s:{s:{s:s,s:{s:s}},s:{s:s},s:o},s:{s:{}},s:b,s:{s:o}}", "$schema",
                     "http://json-schema.org/draft-07/schema#", "title", "A configuration of connpool", "type",
                     "object", "required", "pools", "properties", "plugin_path", "type", "array", "items", "type",
                     "string", "allow_inline_secrets", "type", "boolean", "pools", named(pool_of(managers, count)),
                     "patternProperties", "^x-", "additionalProperties", 0, "definitions", "overrides", overrides());
}

/* The tables as the library itself would use them. False: the error. */
static bool check_all(const struct connpool_manager *const *managers, size_t count, connpool_error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct connpool_manager *copy;
        bool is_sound;

        if (managers[i] == NULL) {
            (void)cp_error_set(error, CONNPOOL_INVALID, 0, "connpool_schema: found NULL among the managers");
            return false;
        }
        copy = cp_plugin_table_copy(managers[i], "connpool_schema", error);
        if (copy == NULL) {
            return false;
        }
        is_sound = cp_options_check_rows(copy, error);
        cp_plugin_table_free(copy);
        if (!is_sound) {
            return false;
        }
    }
    return true;
}

char *connpool_schema(const struct connpool_manager *const *managers, size_t count, connpool_error *error)
{
    json_t *schema;
    char *text;

    if (!check_all(managers, count, error)) {
        return NULL;
    }
    schema = configuration_of(managers, count);
    text = schema == NULL ? NULL : cp_json_text(schema);
    json_decref(schema);
    if (text == NULL) {
        (void)cp_error_no_memory(error, "connpool_schema");
    }
    return text;
}
