/* SPDX-License-Identifier: MIT */
/* option_type: see option_type.h: the table, what all types share, and the limits. */
#include "options/option_type.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"

static const struct cp_option_type *const types[] = {
    [CONNPOOL_TYPE_STRING] = &cp_option_string,     [CONNPOOL_TYPE_INTEGER] = &cp_option_integer,
    [CONNPOOL_TYPE_NUMBER] = &cp_option_number,     [CONNPOOL_TYPE_BOOLEAN] = &cp_option_boolean,
    [CONNPOOL_TYPE_DURATION] = &cp_option_duration, [CONNPOOL_TYPE_SIZE] = &cp_option_size,
    [CONNPOOL_TYPE_PATH] = &cp_option_path,         [CONNPOOL_TYPE_CHOICE] = &cp_option_choice,
    [CONNPOOL_TYPE_LIST] = &cp_option_list,         [CONNPOOL_TYPE_SECRET] = &cp_option_secret,
    [CONNPOOL_TYPE_MAP] = &cp_option_map,
};

const struct cp_option_type *cp_option_type(uint32_t type)
{
    return type < sizeof(types) / sizeof(types[0]) ? types[type] : NULL;
}

/* ---- What types share ---- */

bool cp_option_complain(struct cp_option_reader *reader, const char *found)
{
    return cp_complain(&reader->complaint, "found %s, expected %s", found, cp_option_expected(reader->row).text);
}

bool cp_option_complain_json(struct cp_option_reader *reader, const json_t *json)
{
    return cp_option_complain(reader, cp_quote_json(json).text);
}

bool cp_option_complain_text(struct cp_option_reader *reader, const char *text)
{
    return cp_option_complain(reader, cp_quote(text).text);
}

bool cp_option_is_clean(struct cp_option_reader *reader, const char *text)
{
    switch (cp_text_kind(text, strlen(text))) {
    case CP_TEXT_PLAIN:
        return true;
    case CP_TEXT_CONTROL:
        return cp_complain(&reader->complaint, "found %s with a control character, expected %s", cp_quote(text).text,
                           cp_option_expected(reader->row).text);
    default:
        return cp_option_complain(reader, "text that is not UTF-8");
    }
}

bool cp_option_copy_text(struct cp_option_reader *reader, const char *text, const char **copy)
{
    *copy = cp_text_copy(text);
    return *copy != NULL || cp_complain_no_memory(&reader->complaint);
}

bool cp_option_text_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

uint64_t cp_option_text_hash(const char *text)
{
    return text == NULL ? 0 : cp_hash(text, strlen(text));
}

/* ---- Limits ---- */

static bool read_count(const char *text, long double *count)
{
    uint64_t number = 0;

    for (const char *digit = text; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || digit - text > 15) {
            return false;
        }
        number = number * 10 + (uint64_t)(*digit - '0');
    }
    *count = (long double)number;
    return *text != '\0';
}

bool cp_option_limit(const struct connpool_option *row, const char *text, long double *limit)
{
    const struct cp_option_type *type = cp_option_type(row->type);
    struct cp_option_source source = {0};
    struct cp_option_reader reader = {.row = row, .source = &source};
    union cp_option_value value = {0};

    if (type->counted == NULL) {
        return false;
    }
    if (type->counted[0] != '\0') {
        return read_count(text, limit);
    }
    if (!type->from_text(&reader, text, &value)) {
        return false;
    }
    *limit = type->measure(&value);
    return true;
}

static bool is_within(const struct connpool_option *row, const union cp_option_value *value)
{
    const struct cp_option_type *type = cp_option_type(row->type);
    long double limit;

    if (row->minimum != NULL && cp_option_limit(row, row->minimum, &limit) && type->measure(value) < limit) {
        return false;
    }
    return row->maximum == NULL || !cp_option_limit(row, row->maximum, &limit) || type->measure(value) <= limit;
}

/* `found` shows the value where it may be shown. */
static bool hold_against_limits(struct cp_option_reader *reader, const char *found, union cp_option_value *value)
{
    if (is_within(reader->row, value)) {
        return true;
    }
    cp_option_type(reader->row->type)->free(value);
    return cp_option_complain(reader, found);
}

bool cp_option_read_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    const struct cp_option_type *type = cp_option_type(reader->row->type);

    memset(value, 0, sizeof(*value));
    return type->from_json(reader, json, value) &&
           hold_against_limits(
               reader, type->takes_text ? cp_quote_json(json).text : "a secret that is too short or too long", value);
}

bool cp_option_read_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    memset(value, 0, sizeof(*value));
    return cp_option_type(reader->row->type)->from_text(reader, text, value) &&
           hold_against_limits(reader, cp_quote(text).text, value);
}

/* ---- What is expected ---- */

static void add(struct cp_expected *expected, const char *before, const char *text, const char *after)
{
    size_t used = strlen(expected->text);

    (void)snprintf(expected->text + used, sizeof(expected->text) - used, "%s%s%s", before, text, after);
}

/* What the limit counts: "1 byte", "2 bytes". */
static void add_counted(struct cp_expected *expected, const struct cp_option_type *type, const char *limit)
{
    size_t length = type->counted == NULL ? 0 : strlen(type->counted);
    bool is_one = length > 0 && strcmp(limit, "1") == 0;

    (void)snprintf(expected->text + strlen(expected->text), sizeof(expected->text) - strlen(expected->text), "%.*s",
                   (int)(length - is_one), type->counted);
}

struct cp_expected cp_option_expected(const struct connpool_option *row)
{
    const struct cp_option_type *type = cp_option_type(row->type);
    struct cp_expected expected = {""};
    const char *unit = type->counted == NULL || type->counted[0] == '\0' ? "" : " ";

    add(&expected, type->name, "", "");
    for (size_t i = 0; row->type == CONNPOOL_TYPE_CHOICE && row->choices[i] != NULL; i++) {
        add(&expected, i == 0 ? " \"" : ", \"", row->choices[i], "\"");
    }
    if (row->minimum != NULL && row->maximum != NULL) {
        add(&expected, unit[0] == '\0' ? " from " : " of ", row->minimum, " to ");
        add(&expected, row->maximum, unit, type->counted);
    } else if (row->minimum != NULL) {
        add(&expected, " of at least ", row->minimum, unit);
        add_counted(&expected, type, row->minimum);
    } else if (row->maximum != NULL) {
        add(&expected, " of at most ", row->maximum, unit);
        add_counted(&expected, type, row->maximum);
    } else if (row->type == CONNPOOL_TYPE_DURATION) {
        add(&expected, " from 0 to 1000000000", "", "");
    }
    return expected;
}
