/* SPDX-License-Identifier: MIT */
/* option_scalar: the types of option that hold one value: text, paths, secrets, numbers, durations, sizes, booleans,
 * choices. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/text.h"
#include "options/option_type.h"

/* Seconds of the longest duration: about 31 years, so that sums of a few stay far from the end of int64_t. */
#define LONGEST 1e9

/* ---- Text ---- */

static bool string_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    return cp_option_is_clean(reader, text) && cp_option_copy_text(reader, text, &value->text);
}

static bool string_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    return json_is_string(json) ? string_from_text(reader, json_string_value(json), value)
                                : cp_option_complain_json(reader, json);
}

static long double string_measure(const union cp_option_value *value)
{
    return (long double)strlen(value->text);
}

static bool string_equal(const union cp_option_value *a, const union cp_option_value *b)
{
    return cp_option_text_equal(a->text, b->text);
}

static uint64_t string_hash(const union cp_option_value *value)
{
    return cp_option_text_hash(value->text);
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
    if (!cp_option_is_clean(reader, text)) {
        return false;
    }
    if (text[0] == '/' || text[0] == '@' || text[0] == '\0') {
        return cp_option_copy_text(reader, text, &value->text);
    }
    if (reader->source->folder == NULL) {
        return cp_complain(&reader->complaint, "found %s, expected an absolute path", cp_quote(text).text);
    }
    value->text = cp_file_absolute(reader->source->folder, text);
    return value->text != NULL || cp_complain_no_memory(&reader->complaint);
}

static bool path_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    return json_is_string(json) ? path_from_text(reader, json_string_value(json), value)
                                : cp_option_complain_json(reader, json);
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

static bool integer_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    return cp_number_read_integer(text, &value->integer) || cp_option_complain_text(reader, text);
}

static bool integer_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    value->integer = json_integer_value(json);
    return json_is_integer(json) || cp_option_complain_json(reader, json);
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
    return json_is_number(json) || cp_option_complain_json(reader, json);
}

static bool number_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    return cp_number_read(text, &value->number) || cp_option_complain_text(reader, text);
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

static bool take_seconds(double seconds, union cp_option_value *value)
{
    bool fits = seconds >= 0 && seconds <= LONGEST;

    value->integer = fits ? cp_number_nanoseconds(seconds) : 0;
    return fits;
}

static bool duration_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    return (json_is_number(json) && take_seconds(json_number_value(json), value)) ||
           cp_option_complain_json(reader, json);
}

static bool duration_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    double seconds;

    return (cp_number_read(text, &seconds) && take_seconds(seconds, value)) || cp_option_complain_text(reader, text);
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
    char number[24] = "";

    if (unit > 0 && digits < sizeof(number)) {
        memcpy(number, text, digits);
        if (cp_number_read_integer(number, &value->integer) &&
            !__builtin_mul_overflow(value->integer, unit, &value->integer)) {
            return true;
        }
    }
    return cp_option_complain_text(reader, text);
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
    return cp_option_complain_json(reader, json);
}

/* ---- Booleans and choices ---- */

static bool boolean_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    value->index = json_is_true(json);
    return json_is_boolean(json) || cp_option_complain_json(reader, json);
}

static bool boolean_from_text(struct cp_option_reader *reader, const char *text, union cp_option_value *value)
{
    value->index = strcmp(text, "true") == 0;
    return value->index == 1 || strcmp(text, "false") == 0 || cp_option_complain_text(reader, text);
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
    return cp_option_complain_text(reader, text);
}

static bool choice_from_json(struct cp_option_reader *reader, const json_t *json, union cp_option_value *value)
{
    return json_is_string(json) ? choice_from_text(reader, json_string_value(json), value)
                                : cp_option_complain_json(reader, json);
}

static json_t *choice_show(const struct connpool_option *row, const union cp_option_value *value)
{
    return json_string(row->choices[value->index]);
}

/* ---- The types ---- */

const struct cp_option_type cp_option_string = {
    .name = "text",
    .counted = "bytes",
    .size = sizeof(const char *),
    .alignment = _Alignof(const char *),
    .takes_text = true,
    .from_json = string_from_json,
    .from_text = string_from_text,
    .measure = string_measure,
    .equal = string_equal,
    .hash = string_hash,
    .show = string_show,
    .is_absent = string_is_absent,
    .free = string_free,
};

const struct cp_option_type cp_option_integer = {
    .name = "an integer",
    .counted = "",
    .size = sizeof(int64_t),
    .alignment = _Alignof(int64_t),
    .takes_text = true,
    .from_json = integer_from_json,
    .from_text = integer_from_text,
    .measure = integer_measure,
    .equal = integer_equal,
    .hash = integer_hash,
    .show = integer_show,
    .is_absent = never_absent,
    .free = free_nothing,
};

const struct cp_option_type cp_option_number = {
    .name = "a number",
    .counted = "",
    .size = sizeof(double),
    .alignment = _Alignof(double),
    .takes_text = true,
    .from_json = number_from_json,
    .from_text = number_from_text,
    .measure = number_measure,
    .equal = number_equal,
    .hash = number_hash,
    .show = number_show,
    .is_absent = never_absent,
    .free = free_nothing,
};

const struct cp_option_type cp_option_boolean = {
    .name = "true or false",
    .size = sizeof(int32_t),
    .alignment = _Alignof(int32_t),
    .takes_text = true,
    .from_json = boolean_from_json,
    .from_text = boolean_from_text,
    .equal = index_equal,
    .hash = index_hash,
    .show = boolean_show,
    .is_absent = never_absent,
    .free = free_nothing,
};

const struct cp_option_type cp_option_duration = {
    .name = "a number of seconds",
    .counted = "",
    .size = sizeof(int64_t),
    .alignment = _Alignof(int64_t),
    .takes_text = true,
    .from_json = duration_from_json,
    .from_text = duration_from_text,
    .measure = duration_measure,
    .equal = integer_equal,
    .hash = integer_hash,
    .show = duration_show,
    .is_absent = never_absent,
    .free = free_nothing,
};

const struct cp_option_type cp_option_size = {
    .name = "a number of bytes, or text with KiB, MiB or GiB,",
    .counted = "",
    .size = sizeof(int64_t),
    .alignment = _Alignof(int64_t),
    .takes_text = true,
    .from_json = size_from_json,
    .from_text = size_from_text,
    .measure = integer_measure,
    .equal = integer_equal,
    .hash = integer_hash,
    .show = integer_show,
    .is_absent = never_absent,
    .free = free_nothing,
};

const struct cp_option_type cp_option_path = {
    .name = "a path",
    .counted = "bytes",
    .size = sizeof(const char *),
    .alignment = _Alignof(const char *),
    .takes_text = true,
    .from_json = path_from_json,
    .from_text = path_from_text,
    .measure = string_measure,
    .equal = string_equal,
    .hash = string_hash,
    .show = string_show,
    .is_absent = string_is_absent,
    .free = string_free,
};

const struct cp_option_type cp_option_choice = {
    .name = "one of",
    .size = sizeof(int32_t),
    .alignment = _Alignof(int32_t),
    .takes_text = true,
    .from_json = choice_from_json,
    .from_text = choice_from_text,
    .equal = index_equal,
    .hash = index_hash,
    .show = choice_show,
    .is_absent = never_absent,
    .free = free_nothing,
};

const struct cp_option_type cp_option_secret = {
    .name = "a secret",
    .counted = "bytes",
    .size = sizeof(const char *),
    .alignment = _Alignof(const char *),
    .takes_text = false,
    .from_json = secret_from_json,
    .from_text = secret_from_text,
    .measure = string_measure,
    .equal = secret_equal,
    .hash = secret_hash,
    .show = secret_show,
    .is_absent = string_is_absent,
    .free = secret_free,
};
