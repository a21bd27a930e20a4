/* SPDX-License-Identifier: MIT */
/* option_collection: the types of option that hold any number of texts: lists and maps. */
#include <stdint.h>
#include <string.h>

#include "base/complaint.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "options/option_type.h"

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

static bool copy_part(struct cp_option_reader *reader, const char *text, size_t length, const char **copy)
{
    *copy = cp_text_copy_length(text, length);
    return *copy != NULL || cp_complain_no_memory(&reader->complaint);
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
        if (!cp_option_is_clean(reader, json_string_value(item)) ||
            !cp_option_copy_text(reader, json_string_value(item), &items[index])) {
            return false;
        }
    }
    return true;
}

static bool list_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    if (!json_is_array(json)) {
        return cp_option_complain_json(reader, json);
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

/* How many entries text has: between commas; none in empty text. */
static uint32_t count_entries(const char *text)
{
    uint32_t count = *text != '\0';

    for (; *text != '\0'; text++) {
        count += *text == ',';
    }
    return count;
}

/* Items with commas between them. */
static bool list_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    const char **items;

    if (!new_texts(reader, count_entries(text), &value->list.items)) {
        return false;
    }
    value->list.count = count_entries(text);
    items = (const char **)(uintptr_t)value->list.items;
    for (uint32_t i = 0; i < value->list.count; i++) {
        size_t length = strcspn(text, ",");

        if (!copy_part(reader, text, length, &items[i]) || !cp_option_is_clean(reader, items[i])) {
            list_free(value);
            return false;
        }
        text += length + 1;
    }
    return true;
}

static long double list_measure(const union cp_option_value *value)
{
    return value->list.count;
}

static bool texts_equal(const char *const *a, const char *const *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!cp_option_text_equal(a[i], b[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t texts_hash(const char *const *texts, uint32_t count)
{
    uint64_t hash = count;

    for (uint32_t i = 0; i < count; i++) {
        hash = cp_hash_pair(hash, cp_option_text_hash(texts[i]));
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
static bool is_map_entry(struct cp_option_reader *reader, const char *key, const char *value)
{
    if (is_refused(reader->row, key)) {
        return cp_complain(&reader->complaint, "found the key %s, expected other keys: this one is refused here",
                           cp_quote(key).text);
    }
    if (key[0] == '\0' || cp_text_kind(key, strlen(key)) != CP_TEXT_PLAIN) {
        return cp_option_complain(reader, "a key that is empty or holds a control character");
    }
    if (cp_text_kind(value, strlen(value)) != CP_TEXT_PLAIN) {
        return cp_complain(&reader->complaint, "found text with a control character as the value of %s, expected %s",
                           cp_quote(key).text, cp_option_expected(reader->row).text);
    }
    return true;
}

static bool new_map(struct cp_option_reader *reader, size_t count, struct connpool_map *map)
{
    map->count = (uint32_t)count;
    return new_texts(reader, count, &map->keys) && new_texts(reader, count, &map->values);
}

static bool fill_map(struct cp_option_reader *reader, const json_t *json, const char **keys, const char **values)
{
    const char *key;
    json_t *value;
    size_t index = 0;

    json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
        if (!json_is_string(value)) {
            return cp_complain(&reader->complaint, "found %s as the value of %s, expected %s", cp_json_kind(value),
                               cp_quote(key).text, cp_option_expected(reader->row).text);
        }
        if (!is_map_entry(reader, key, json_string_value(value)) || !cp_option_copy_text(reader, key, &keys[index]) ||
            !cp_option_copy_text(reader, json_string_value(value), &values[index])) {
            return false;
        }
        index++;
    }
    return true;
}

static bool map_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    if (!json_is_object(json)) {
        return cp_option_complain(reader, cp_json_kind(json));
    }
    if (new_map(reader, json_object_size(json), &value->map) &&
        fill_map(reader, json, (const char **)(uintptr_t)value->map.keys,
                 (const char **)(uintptr_t)value->map.values)) {
        return true;
    }
    map_free(value);
    return false;
}

static bool is_among(const char *key, const char *const *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool fill_map_from_text(struct cp_option_reader *reader, const char *text, const char **keys,
                               const char **values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strcspn(text, ","), key_length = strcspn(text, "=,");

        if (text[key_length] != '=') {
            return cp_option_complain(reader, "an entry without a \"=\"");
        }
        if (!copy_part(reader, text, key_length, &keys[i]) ||
            !copy_part(reader, text + key_length + 1, length - key_length - 1, &values[i]) ||
            !is_map_entry(reader, keys[i], values[i])) {
            return false;
        }
        if (is_among(keys[i], keys, i)) {
            return cp_complain(&reader->complaint, "found the key %s twice, expected it once", cp_quote(keys[i]).text);
        }
        text += length + 1;
    }
    return true;
}

/* key=value with commas between them. */
static bool map_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    uint32_t count = count_entries(text);

    if (new_map(reader, count, &value->map) &&
        fill_map_from_text(reader, text, (const char **)(uintptr_t)value->map.keys,
                           (const char **)(uintptr_t)value->map.values, count)) {
        return true;
    }
    map_free(value);
    return false;
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

/* ---- The types ---- */

const struct cp_option_type cp_option_list = {
    .name = "a list of texts",
    .counted = "items",
    .size = sizeof(struct connpool_list),
    .alignment = _Alignof(struct connpool_list),
    .takes_text = true,
    .from_json = list_from_json,
    .from_text = list_from_text,
    .measure = list_measure,
    .equal = list_equal,
    .hash = list_hash,
    .show = list_show,
    .is_absent = list_is_absent,
    .free = list_free,
};

const struct cp_option_type cp_option_map = {
    .name = "an object of texts",
    .counted = "keys",
    .size = sizeof(struct connpool_map),
    .alignment = _Alignof(struct connpool_map),
    .takes_text = true,
    .from_json = map_from_json,
    .from_text = map_from_text,
    .measure = map_measure,
    .equal = map_equal,
    .hash = map_hash,
    .show = map_show,
    .is_absent = map_is_absent,
    .free = map_free,
};
