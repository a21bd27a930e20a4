/* SPDX-License-Identifier: MIT */
/* option_row: see option_row.h; and cp_options_check_rows of options.h. */
#include "options/option_row.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "options/option_type.h"
#include "options/options.h"

const struct connpool_option *cp_option_row(const struct connpool_manager *manager, size_t index)
{
    return (const void *)((const char *)manager->options + index * manager->option_stride);
}

size_t cp_option_find(const struct connpool_manager *manager, const char *name, size_t length)
{
    size_t i;

    for (i = 0; i < manager->option_count; i++) {
        const char *known = cp_option_row(manager, i)->name;

        if (strncmp(known, name, length) == 0 && known[length] == '\0') {
            break;
        }
    }
    return i;
}

bool cp_option_is_required(const struct connpool_option *row)
{
    return (row->flags & CONNPOOL_OPTION_REQUIRED) != 0;
}

/* What is wrong with a row: member, expected and found, in the complaint. */

static bool check_name(const struct connpool_option *row, struct cp_complaint *complaint)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz", more[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

    if (row->name == NULL || row->name[0] == '\0' || strchr(letters, row->name[0]) == NULL ||
        row->name[strspn(row->name, more)] != '\0') {
        return cp_complain(complaint, "name: found %s, expected [a-z][a-z0-9_]*", cp_quote(row->name).text);
    }
    if (strcmp(row->name, "pool") == 0) {
        return cp_complain(complaint, "name: found \"pool\", expected another: it stands for the pool's keys");
    }
    if (row->help == NULL || row->help[0] == '\0') {
        return cp_complain(complaint, "help: found nothing, expected a sentence");
    }
    return true;
}

static bool check_kind(const struct connpool_option *row, struct cp_complaint *complaint)
{
    if (row->level < CONNPOOL_LEVEL_POOL || row->level > CONNPOOL_LEVEL_BOTH) {
        return cp_complain(complaint, "level: found %u, expected 1 to 3", row->level);
    }
    if (cp_option_type(row->type) == NULL) {
        return cp_complain(complaint, "type: found %u, expected %u to %u", row->type, CONNPOOL_TYPE_STRING,
                           CONNPOOL_TYPE_MAP);
    }
    if (row->type == CONNPOOL_TYPE_CHOICE && (row->choices == NULL || row->choices[0] == NULL)) {
        return cp_complain(complaint, "choices: found none, expected at least one");
    }
    if (row->type != CONNPOOL_TYPE_CHOICE && row->type != CONNPOOL_TYPE_MAP && row->choices != NULL) {
        return cp_complain(complaint, "choices: found some, expected none for this type");
    }
    return true;
}

static bool check_limit(const struct connpool_option *row, const char *member, const char *text, long double *limit,
                        struct cp_complaint *complaint)
{
    if (text == NULL || cp_option_limit(row, text, limit)) {
        return true;
    }
    return cp_complain(complaint, "%s: found %s, expected %s", member, cp_quote(text).text,
                       cp_option_type(row->type)->counted == NULL ? "none for this type" : "a number of that type");
}

static bool check_limits(const struct connpool_option *row, struct cp_complaint *complaint)
{
    long double minimum = 0, maximum = 0;

    if (!check_limit(row, "minimum", row->minimum, &minimum, complaint) ||
        !check_limit(row, "maximum", row->maximum, &maximum, complaint)) {
        return false;
    }
    if (row->minimum != NULL && row->maximum != NULL && minimum > maximum) {
        return cp_complain(complaint, "maximum: found \"%s\", expected at least the minimum \"%s\"", row->maximum,
                           row->minimum);
    }
    return true;
}

static bool check_default(const struct connpool_option *row, struct cp_complaint *complaint)
{
    struct cp_option_source source = {.folder = "/"};
    struct cp_option_reader reader = {.row = row, .source = &source};
    union cp_option_value value;

    if (row->default_text == NULL) {
        return true;
    }
    if (cp_option_is_required(row)) {
        return cp_complain(complaint, "default_text: found %s, expected none of a required option",
                           cp_quote(row->default_text).text);
    }
    if (!cp_option_read_text(&reader, row->default_text, &value)) {
        *complaint = reader.complaint;
        return complaint->no_memory ? false : cp_complain(complaint, "default_text: %s", reader.complaint.text);
    }
    cp_option_type(row->type)->free(&value);
    return true;
}

static bool check_place(const struct connpool_manager *manager, size_t index, struct cp_complaint *complaint)
{
    const struct connpool_option *row = cp_option_row(manager, index), *other;
    const struct cp_option_type *type = cp_option_type(row->type);

    if (row->offset % type->alignment != 0) {
        return cp_complain(complaint, "offset: found %u, expected a multiple of %zu", row->offset, type->alignment);
    }
    if (row->offset > manager->options_size || manager->options_size - row->offset < type->size) {
        return cp_complain(complaint, "offset: found %u for %zu bytes, expected it within options_size %u", row->offset,
                           type->size, manager->options_size);
    }
    for (size_t i = 0; i < index; i++) {
        other = cp_option_row(manager, i);
        if (strcmp(row->name, other->name) == 0) {
            return cp_complain(complaint, "name: found it twice, expected it once");
        }
        if (row->offset < other->offset + cp_option_type(other->type)->size &&
            other->offset < row->offset + type->size) {
            return cp_complain(complaint, "offset: found %u, which overlaps option \"%s\", expected room of its own",
                               row->offset, other->name);
        }
    }
    return true;
}

static bool check_table(const struct connpool_manager *manager, struct cp_complaint *complaint)
{
    if (manager->option_count == 0) {
        return true;
    }
    if (manager->options == NULL) {
        return cp_complain(complaint, "options: found nothing, expected %u rows", manager->option_count);
    }
    if (manager->option_stride < sizeof(struct connpool_option) ||
        manager->option_stride % _Alignof(struct connpool_option) != 0) {
        return cp_complain(complaint, "option_stride: found %u, expected a multiple of %zu of at least %zu",
                           manager->option_stride, _Alignof(struct connpool_option), sizeof(struct connpool_option));
    }
    return true;
}

bool cp_options_check_rows(const struct connpool_manager *manager, connpool_error *error)
{
    struct cp_complaint complaint = {0};
    bool sound = check_table(manager, &complaint);
    char place[96] = "";

    for (size_t i = 0; sound && i < manager->option_count; i++) {
        const struct connpool_option *row = cp_option_row(manager, i);

        (void)snprintf(place, sizeof(place), "option %zu (%s): ", i, row->name == NULL ? "no name" : row->name);
        sound = check_name(row, &complaint) && check_kind(row, &complaint) && check_limits(row, &complaint) &&
                check_default(row, &complaint) && check_place(manager, i, &complaint);
    }
    if (complaint.no_memory) {
        (void)cp_error_no_memory(error, manager->name);
    } else if (!sound) {
        (void)cp_error_set(error, CONNPOOL_PLUGIN_ERROR, CONNPOOL_ERROR_MISBEHAVING, "manager %s: %s%s", manager->name,
                           place, complaint.text);
    }
    return sound;
}
