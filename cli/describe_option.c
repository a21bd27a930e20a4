/* SPDX-License-Identifier: MIT */
/* describe_option: see describe_option.h. */
#include "describe_option.h"

#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
    [CONNPOOL_TYPE_STRING] = "text",     [CONNPOOL_TYPE_INTEGER] = "integer",  [CONNPOOL_TYPE_NUMBER] = "number",
    [CONNPOOL_TYPE_BOOLEAN] = "boolean", [CONNPOOL_TYPE_DURATION] = "seconds", [CONNPOOL_TYPE_SIZE] = "bytes",
    [CONNPOOL_TYPE_PATH] = "path",       [CONNPOOL_TYPE_CHOICE] = "choice",    [CONNPOOL_TYPE_LIST] = "list",
    [CONNPOOL_TYPE_SECRET] = "secret",   [CONNPOOL_TYPE_MAP] = "map",
};

static const char *type_name(uint32_t type)
{
    return type < sizeof(type_names) / sizeof(type_names[0]) && type_names[type] != NULL ? type_names[type] : "unknown";
}

static const char *default_text(const struct connpool_option *option)
{
    if ((option->flags & CONNPOOL_OPTION_REQUIRED) != 0) {
        return "required";
    }
    if (option->default_text != NULL) {
        return option->default_text;
    }
    switch (option->type) {
    case CONNPOOL_TYPE_INTEGER:
    case CONNPOOL_TYPE_NUMBER:
    case CONNPOOL_TYPE_DURATION:
    case CONNPOOL_TYPE_SIZE:
        return "0";
    case CONNPOOL_TYPE_BOOLEAN:
        return "false";
    case CONNPOOL_TYPE_CHOICE:
        return option->choices[0];
    default:
        return "none";
    }
}

static const char *place_name(uint32_t level)
{
    return level == CONNPOOL_LEVEL_POOL ? "pool" : level == CONNPOOL_LEVEL_ENDPOINT ? "endpoint" : "pool, endpoint";
}

static void list_names(const char *const *names, char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; names != NULL && names[i] != NULL && length < DESCRIBE_TEXT_SIZE; i++) {
        length += (size_t)snprintf(text + length, DESCRIBE_TEXT_SIZE - length, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
}

/* What minimum and maximum count: for text its bytes, for lists and maps their items. */
static const char *limits_unit(uint32_t type)
{
    switch (type) {
    case CONNPOOL_TYPE_STRING:
    case CONNPOOL_TYPE_PATH:
    case CONNPOOL_TYPE_SECRET:
        return "bytes: ";
    case CONNPOOL_TYPE_LIST:
    case CONNPOOL_TYPE_MAP:
        return "items: ";
    default:
        return "";
    }
}

static void describe_limits(const struct connpool_option *option, char *text)
{
    const char *minimum = option->minimum, *maximum = option->maximum, *unit = limits_unit(option->type);

    text[0] = '\0';
    if (option->type == CONNPOOL_TYPE_CHOICE) {
        list_names(option->choices, text);
    } else if (minimum != NULL && maximum != NULL) {
        (void)snprintf(text, DESCRIBE_TEXT_SIZE, "%s%s to %s", unit, minimum, maximum);
    } else if (minimum != NULL) {
        (void)snprintf(text, DESCRIBE_TEXT_SIZE, "%s%s or more", unit, minimum);
    } else if (maximum != NULL) {
        (void)snprintf(text, DESCRIBE_TEXT_SIZE, "%s%s or less", unit, maximum);
    } else {
        (void)snprintf(text, DESCRIBE_TEXT_SIZE, "-");
    }
}

void describe_option(const struct connpool_option *option, struct describe_row *row)
{
    (void)snprintf(row->cells[DESCRIBE_NAME], DESCRIBE_TEXT_SIZE, "%s", option->name);
    (void)snprintf(row->cells[DESCRIBE_TYPE], DESCRIBE_TEXT_SIZE, "%s", type_name(option->type));
    (void)snprintf(row->cells[DESCRIBE_DEFAULT], DESCRIBE_TEXT_SIZE, "%s", default_text(option));
    describe_limits(option, row->cells[DESCRIBE_LIMITS]);
    (void)snprintf(row->cells[DESCRIBE_PLACE], DESCRIBE_TEXT_SIZE, "%s", place_name(option->level));
}

void describe_refused_keys(const struct connpool_option *option, char text[DESCRIBE_TEXT_SIZE])
{
    text[0] = '\0';
    if (option->type == CONNPOOL_TYPE_MAP && option->choices != NULL && option->choices[0] != NULL) {
        (void)snprintf(text, DESCRIBE_TEXT_SIZE, "not ");
        list_names(option->choices, text);
    }
}
