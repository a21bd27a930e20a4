/* SPDX-License-Identifier: MIT */
/* option_type: see option_type.h. The functions stand in groups, one for each type, the table at the end. */
#include "option_type.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "file.h"
#include "hash.h"
#include "memory.h"
#include "number.h"
#include "text.h"

/* Seconds of the longest duration: about 31 years, so that sums of a few stay far from the end of int64_t. */
#define LONGEST 1e9

static bool complain(struct cp_option_reader *reader, const char *found)
{
    return cp_complain(&reader->complaint, "found %s, expected %s", found, cp_option_expected(reader->row).text);
}

static bool complain_json(struct cp_option_reader *reader, const json_t *json)
{
    return complain(reader, cp_quote_json(json).text);
}

static bool complain_text(struct cp_option_reader *reader, const char *text)
{
    return complain(reader, cp_quote(text).text);
}

/* ---- Text ---- */

/* Text that goes into a protocol or a name: a line end or a NUL in it could begin something else there. */
static bool is_clean(struct cp_option_reader *reader, const char *text)
{
    switch (cp_text_kind(text, strlen(text))) {
    case CP_TEXT_PLAIN:
        return true;
    case CP_TEXT_CONTROL:
        return cp_complain(&reader->complaint, "found %s with a control character, expected %s", cp_quote(text).text,
                           cp_option_expected(reader->row).text);
    default:
        return complain(reader, "text that is not UTF-8");
    }
}

static bool copy_text(struct cp_option_reader *reader, const char *text, const char **copy)
{
    *copy = cp_text_copy(text);
    return *copy != NULL || cp_complain_no_memory(&reader->complaint);
}

static bool string_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    return is_clean(reader, text) && copy_text(reader, text, &value->text);
}

static bool string_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    return json_is_string(json) ? string_from_text(reader, json_string_value(json), value)
                                : complain_json(reader, json);
}

static long double string_measure(const union cp_option_value *value)
{
    return (long double)strlen(value->text);
}

static bool text_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool string_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return text_equal(a->text, b->text);
}

static uint64_t text_hash(const char *text)
{
    return text == NULL ? 0 : cp_hash(text, strlen(text));
}

static uint64_t string_hash(const union cp_option_value *value)
{
    return text_hash(value->text);
}

static json_t *string_show(const struct connpool_option *row, const union cp_option_value *value)
{
    (void)row;
    return json_string(value->text);
}

static bool string_is_absent(const union cp_option_value *value)
{
    return value->text == NULL;
}

static void string_free(union cp_option_value *value)
{
    cp_free((void *)(uintptr_t)value->text);
}

/* ---- Paths: as strings, but absolute ---- */

static bool path_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    if (!is_clean(reader, text)) {
        return false;
    }
    if (text[0] == '/' || text[0] == '@' || text[0] == '\0') {
        return copy_text(reader, text, &value->text);
    }
    if (reader->source->folder == NULL) {
        return cp_complain(&reader->complaint, "found %s, expected an absolute path", cp_quote(text).text);
    }
    value->text = cp_file_absolute(reader->source->folder, text);
    return value->text != NULL || cp_complain_no_memory(&reader->complaint);
}

static bool path_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    return json_is_string(json) ? path_from_text(reader, json_string_value(json), value) : complain_json(reader, json);
}

/* ---- Secrets ---- */

static bool secret_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    value->text = cp_secret_read(json, reader->source, &reader->complaint);
    return value->text != NULL;
}

/* Not even the name of an endpoint may hold one. */
static bool secret_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    (void)text;
    (void)value;
    return cp_complain(&reader->complaint, "found a secret in text, expected it in the configuration, by reference");
}

static bool secret_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return cp_secret_equal(a->text, b->text);
}

/* A hash may end in a log or a core file. */
static uint64_t secret_hash(const union cp_option_value *value)
{
    (void)value;
    return 0;
}

static json_t *secret_show(const struct connpool_option *row, const union cp_option_value *value)
{
    (void)row;
    (void)value;
    return json_string("(redacted)");
}

static void secret_free(union cp_option_value *value)
{
    cp_secret_free((char *)(uintptr_t)value->text);
}

/* ---- Numbers ---- */

/* A JSON number in text; NULL: it is none. jansson reads it the same in every locale. */
static json_t *number_in_text(const char *text)
{
    size_t length = strlen(text);
    bool is_bare = length > 0 && (*text == '-' || (*text >= '0' && *text <= '9')) && text[length - 1] >= '0' &&
                   text[length - 1] <= '9';

    return is_bare ? json_loadb(text, length, JSON_DECODE_ANY, NULL) : NULL;
}

/* Reads text as the JSON that it would be. */
static bool number_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    json_t *json = number_in_text(text);
    bool taken =
        json == NULL ? complain_text(reader, text) : cp_option_type(reader->row->type)->from_json(reader, json, value);

    json_decref(json);
    return taken;
}

static bool integer_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    value->integer = json_integer_value(json);
    return json_is_integer(json) || complain_json(reader, json);
}

static long double integer_measure(const union cp_option_value *value)
{
    return (long double)value->integer;
}

static bool integer_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return a->integer == b->integer;
}

static uint64_t integer_hash(const union cp_option_value *value)
{
    return cp_hash(&value->integer, sizeof(value->integer));
}

static json_t *integer_show(const struct connpool_option *row, const union cp_option_value *value)
{
    (void)row;
    return json_integer(value->integer);
}

static bool never_absent(const union cp_option_value *value)
{
    (void)value;
    return false;
}

static void free_nothing(union cp_option_value *value)
{
    (void)value;
}

static bool number_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    value->number = json_number_value(json) + 0.0; /* -0 becomes 0, equal numbers have equal bytes */
    return json_is_number(json) || complain_json(reader, json);
}

static long double number_measure(const union cp_option_value *value)
{
    return value->number;
}

static bool number_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return a->number >= b->number && a->number <= b->number;
}

static uint64_t number_hash(const union cp_option_value *value)
{
    return cp_hash(&value->number, sizeof(value->number));
}

static json_t *number_show(const struct connpool_option *row, const union cp_option_value *value)
{
    (void)row;
    return cp_number_json(value->number);
}

/* ---- Durations and sizes ---- */

static bool duration_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    double seconds = json_number_value(json);

    if (!json_is_number(json) || seconds < 0 || seconds > LONGEST) {
        return complain_json(reader, json);
    }
    value->integer = cp_number_nanoseconds(seconds);
    return true;
}

static long double duration_measure(const union cp_option_value *value)
{
    return (long double)value->integer / CP_SECOND;
}

static json_t *duration_show(const struct connpool_option *row, const union cp_option_value *value)
{
    (void)row;
    return cp_number_json((double)duration_measure(value));
}

/* The bytes that "KiB", "MiB", "GiB" or nothing stands for; 0: another word. */
static int64_t unit_of(const char *word)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(word, units[i]) == 0) {
            return INT64_C(1) << (10 * i);
        }
    }
    return 0;
}

static bool size_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    size_t digits = strspn(text, "0123456789");
    int64_t unit = unit_of(text + digits + (text[digits] == ' ' && text[digits + 1] != '\0'));
    int64_t number = 0;
    bool fits = digits > 0 && unit > 0;

    for (size_t i = 0; i < digits && fits; i++) {
        fits = !__builtin_mul_overflow(number, 10, &number) && !__builtin_add_overflow(number, text[i] - '0', &number);
    }
    return (fits && !__builtin_mul_overflow(number, unit, &value->integer)) || complain_text(reader, text);
}

static bool size_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    if (json_is_integer(json) && json_integer_value(json) >= 0) {
        value->integer = json_integer_value(json);
        return true;
    }
    /* Digits alone are a number in quotes. */
    if (json_is_string(json) && json_string_length(json) > 3 &&
        strcmp(json_string_value(json) + json_string_length(json) - 2, "iB") == 0) {
        return size_from_text(reader, json_string_value(json), value);
    }
    return complain_json(reader, json);
}

/* ---- Booleans and choices ---- */

static bool boolean_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    value->index = json_is_true(json);
    return json_is_boolean(json) || complain_json(reader, json);
}

static bool boolean_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    value->index = strcmp(text, "true") == 0;
    return value->index == 1 || strcmp(text, "false") == 0 || complain_text(reader, text);
}

static bool index_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return a->index == b->index;
}

static uint64_t index_hash(const union cp_option_value *value)
{
    return cp_hash(&value->index, sizeof(value->index));
}

static json_t *boolean_show(const struct connpool_option *row, const union cp_option_value *value)
{
    (void)row;
    return json_boolean(value->index);
}

static bool choice_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    for (int32_t i = 0; reader->row->choices[i] != NULL; i++) {
        if (strcmp(text, reader->row->choices[i]) == 0) {
            value->index = i;
            return true;
        }
    }
    return complain_text(reader, text);
}

static bool choice_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    return json_is_string(json) ? choice_from_text(reader, json_string_value(json), value)
                                : complain_json(reader, json);
}

static json_t *choice_show(const struct connpool_option *row, const union cp_option_value *value)
{
    return json_string(row->choices[value->index]);
}

/* ---- Lists and maps ---- */

/* Frees a list's or map's column. */
static void free_texts(const char *const *texts, uint32_t count)
{
    for (uint32_t i = 0; texts != NULL && i < count; i++) {
        cp_free((void *)(uintptr_t)texts[i]);
    }
    cp_free((void *)(uintptr_t)texts);
}

static void list_free(union cp_option_value *value)
{
    free_texts(value->list.items, value->list.count);
}

static void map_free(union cp_option_value *value)
{
    free_texts(value->map.keys, value->map.count);
    free_texts(value->map.values, value->map.count);
}

static bool new_texts(struct cp_option_reader *reader, size_t count, const char *const **texts)
{
    if (count == 0) {
        return true;
    }
    *texts = cp_alloc_array(count, sizeof(**texts));
    return *texts != NULL || cp_complain_no_memory(&reader->complaint);
}

static bool fill_list(struct cp_option_reader *reader, const json_t *json, const char **items)
{
    size_t index;
    json_t *item;

    json_array_foreach (json, index, item) {
        if (!json_is_string(item)) {
            return cp_complain(&reader->complaint, "found a list with %s in it, expected %s", cp_json_kind(item),
                               cp_option_expected(reader->row).text);
        }
        if (!is_clean(reader, json_string_value(item)) || !copy_text(reader, json_string_value(item), &items[index])) {
            return false;
        }
    }
    return true;
}

static bool list_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    if (!json_is_array(json)) {
        return complain_json(reader, json);
    }
    if (!new_texts(reader, json_array_size(json), &value->list.items)) {
        return false;
    }
    value->list.count = (uint32_t)json_array_size(json);
    if (!fill_list(reader, json, (const char **)(uintptr_t)value->list.items)) {
        list_free(value);
        return false;
    }
    return true;
}

/* Items with commas between them. */
static bool list_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    json_t *list = json_array();
    bool taken = list != NULL;
    const char *item = *text == '\0' ? NULL : text;

    while (taken && item != NULL) {
        size_t length = strcspn(item, ",");

        taken = json_array_append_new(list, json_stringn(item, length)) == 0;
        item = item[length] == '\0' ? NULL : item + length + 1;
    }
    if (!taken) {
        (void)complain_text(reader, text);
    }
    taken = taken && list_from_json(reader, list, value);
    json_decref(list);
    return taken;
}

static long double list_measure(const union cp_option_value *value)
{
    return value->list.count;
}

static bool texts_equal(const char *const *a, const char *const *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!text_equal(a[i], b[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t texts_hash(const char *const *texts, uint32_t count)
{
    uint64_t hash = count;

    for (uint32_t i = 0; i < count; i++) {
        hash = cp_hash_pair(hash, text_hash(texts[i]));
    }
    return hash;
}

static bool list_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return a->list.count == b->list.count && texts_equal(a->list.items, b->list.items, a->list.count);
}

static uint64_t list_hash(const union cp_option_value *value)
{
    return texts_hash(value->list.items, value->list.count);
}

static json_t *list_show(const struct connpool_option *row, const union cp_option_value *value)
{
    json_t *list = json_array();

    (void)row;
    for (uint32_t i = 0; i < value->list.count; i++) {
        if (json_array_append_new(list, json_string(value->list.items[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool list_is_absent(const union cp_option_value *value)
{
    return value->list.count == 0;
}

static bool is_refused(const struct connpool_option *row, const char *key)
{
    for (size_t i = 0; row->choices != NULL && row->choices[i] != NULL; i++) {
        if (strcmp(key, row->choices[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The values of a map are not shown: a keyword that the row does not know of may be a secret. */
static bool is_map_entry(struct cp_option_reader *reader, const char *key, const json_t *value)
{
    if (is_refused(reader->row, key)) {
        return cp_complain(&reader->complaint, "found the key %s, expected other keys: this one is refused here",
                           cp_quote(key).text);
    }
    if (key[0] == '\0' || cp_text_kind(key, strlen(key)) != CP_TEXT_PLAIN) {
        return complain(reader, "a key that is empty or holds a control character");
    }
    if (!json_is_string(value) || cp_text_kind(json_string_value(value), json_string_length(value)) != CP_TEXT_PLAIN) {
        return cp_complain(&reader->complaint, "found %s as the value of %s, expected %s",
                           json_is_string(value) ? "text with a control character" : cp_json_kind(value),
                           cp_quote(key).text, cp_option_expected(reader->row).text);
    }
    return true;
}

static bool fill_map(struct cp_option_reader *reader, const json_t *json, const char **keys, const char **values)
{
    const char *key;
    json_t *value;
    size_t index = 0;

    json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
        if (!is_map_entry(reader, key, value) || !copy_text(reader, key, &keys[index]) ||
            !copy_text(reader, json_string_value(value), &values[index])) {
            return false;
        }
        index++;
    }
    return true;
}

static bool map_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    size_t count = json_object_size(json);

    if (!json_is_object(json)) {
        return complain(reader, cp_json_kind(json));
    }
    value->map.count = (uint32_t)count;
    if (!new_texts(reader, count, &value->map.keys) || !new_texts(reader, count, &value->map.values) ||
        !fill_map(reader, json, (const char **)(uintptr_t)value->map.keys,
                  (const char **)(uintptr_t)value->map.values)) {
        map_free(value);
        return false;
    }
    return true;
}

/* key=value with commas between them. */
static bool map_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    json_t *map = json_object();
    bool taken = map != NULL;
    const char *entry = *text == '\0' ? NULL : text;

    while (taken && entry != NULL) {
        size_t length = strcspn(entry, ","), key_length = strcspn(entry, "=,");
        const char *found = entry + key_length + 1;

        taken = entry[key_length] == '=' && json_object_getn(map, entry, key_length) == NULL &&
                json_object_setn_new(map, entry, key_length, json_stringn(found, length - key_length - 1)) == 0;
        entry = entry[length] == '\0' ? NULL : entry + length + 1;
    }
    if (!taken) {
        (void)complain(reader, "text of another form");
    }
    taken = taken && map_from_json(reader, map, value);
    json_decref(map);
    return taken;
}

static long double map_measure(const union cp_option_value *value)
{
    return value->map.count;
}

static bool map_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return a->map.count == b->map.count && texts_equal(a->map.keys, b->map.keys, a->map.count) &&
           texts_equal(a->map.values, b->map.values, a->map.count);
}

static uint64_t map_hash(const union cp_option_value *value)
{
    return cp_hash_pair(texts_hash(value->map.keys, value->map.count), texts_hash(value->map.values, value->map.count));
}

static json_t *map_show(const struct connpool_option *row, const union cp_option_value *value)
{
    json_t *map = json_object();

    (void)row;
    for (uint32_t i = 0; i < value->map.count; i++) {
        if (json_object_set_new(map, value->map.keys[i], json_string(value->map.values[i])) != 0) {
            json_decref(map);
            return NULL;
        }
    }
    return map;
}

static bool map_is_absent(const union cp_option_value *value)
{
    return value->map.count == 0;
}

/* ---- The table ---- */

#define LAYOUT(type) sizeof(type), _Alignof(type)

static const struct cp_option_type types[] = {
    [CONNPOOL_TYPE_STRING] = {"text", "bytes", LAYOUT(const char *), true, string_from_json, string_from_text,
                              string_measure, string_equal, string_hash, string_show, string_is_absent, string_free},
    [CONNPOOL_TYPE_INTEGER] = {"an integer", "", LAYOUT(int64_t), true, integer_from_json, number_from_text,
                               integer_measure, integer_equal, integer_hash, integer_show, never_absent, free_nothing},
    [CONNPOOL_TYPE_NUMBER] = {"a number", "", LAYOUT(double), true, number_from_json, number_from_text, number_measure,
                              number_equal, number_hash, number_show, never_absent, free_nothing},
    [CONNPOOL_TYPE_BOOLEAN] = {"true or false", NULL, LAYOUT(int32_t), true, boolean_from_json, boolean_from_text, NULL,
                               index_equal, index_hash, boolean_show, never_absent, free_nothing},
    [CONNPOOL_TYPE_DURATION] = {"a number of seconds", "", LAYOUT(int64_t), true, duration_from_json, number_from_text,
                                duration_measure, integer_equal, integer_hash, duration_show, never_absent,
                                free_nothing},
    [CONNPOOL_TYPE_SIZE] = {"a number of bytes, or text with KiB, MiB or GiB,", "", LAYOUT(int64_t), true,
                            size_from_json, size_from_text, integer_measure, integer_equal, integer_hash, integer_show,
                            never_absent, free_nothing},
    [CONNPOOL_TYPE_PATH] = {"a path", "bytes", LAYOUT(const char *), true, path_from_json, path_from_text,
                            string_measure, string_equal, string_hash, string_show, string_is_absent, string_free},
    [CONNPOOL_TYPE_CHOICE] = {"one of", NULL, LAYOUT(int32_t), true, choice_from_json, choice_from_text, NULL,
                              index_equal, index_hash, choice_show, never_absent, free_nothing},
    [CONNPOOL_TYPE_LIST] = {"a list of texts", "items", LAYOUT(struct connpool_list), true, list_from_json,
                            list_from_text, list_measure, list_equal, list_hash, list_show, list_is_absent, list_free},
    [CONNPOOL_TYPE_SECRET] = {"a secret", "bytes", LAYOUT(const char *), false, secret_from_json, secret_from_text,
                              string_measure, secret_equal, secret_hash, secret_show, string_is_absent, secret_free},
    [CONNPOOL_TYPE_MAP] = {"an object of texts", "keys", LAYOUT(struct connpool_map), true, map_from_json,
                           map_from_text, map_measure, map_equal, map_hash, map_show, map_is_absent, map_free},
};

const struct cp_option_type *cp_option_type(uint32_t type)
{
    return type < sizeof(types) / sizeof(types[0]) && types[type].name != NULL ? &types[type] : NULL;
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
    return complain(reader, found);
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
        add(&expected, type->counted, "", "");
    } else if (row->maximum != NULL) {
        add(&expected, " of at most ", row->maximum, unit);
        add(&expected, type->counted, "", "");
    } else if (row->type == CONNPOOL_TYPE_DURATION) {
        add(&expected, " from 0 to 1000000000", "", "");
    }
    return expected;
}
