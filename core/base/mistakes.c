/* SPDX-License-Identifier: MIT */
/* mistakes: see mistakes.h. */
#include "base/mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/suggest.h"
#include "base/text.h"

/* Longer lines are cut. */
#define LINE 2048

static void add_line(struct cp_mistakes *mistakes, connpool_status status, char *line)
{
    for (char *c = line; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
    if (mistakes->count++ == 0) {
        (void)snprintf(mistakes->first, sizeof(mistakes->first), "%s", line);
        mistakes->first_status = status;
    }
    if (mistakes->report != NULL) {
        mistakes->report(mistakes->argument, line);
    }
}

static size_t begin_line(char *line, const char *origin, const char *path)
{
    bool whole = path == NULL || path[0] == '\0';
    int length = snprintf(line, LINE, "%s: %s%s", origin, whole ? "" : path, whole ? "" : ": ");

    return length < LINE ? (size_t)length : LINE - 1;
}

void cp_mistakes_add(struct cp_mistakes *mistakes, const char *path, const char *format, ...)
{
    char line[LINE];
    size_t begun = begin_line(line, mistakes->origin, path);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line + begun, sizeof(line) - begun, format, arguments);
    va_end(arguments);
    add_line(mistakes, CONNPOOL_INVALID, line);
}

void cp_mistakes_add_error(struct cp_mistakes *mistakes, const char *path, const connpool_error *error)
{
    char line[LINE];
    size_t begun;

    if (error->status == CONNPOOL_NO_MEMORY) {
        mistakes->no_memory = true;
        return;
    }
    begun = begin_line(line, mistakes->origin, path);
    (void)snprintf(line + begun, sizeof(line) - begun, "%s", error->text);
    add_line(mistakes, error->status, line);
}

bool cp_mistakes_any(const struct cp_mistakes *mistakes)
{
    return mistakes->count > 0 || mistakes->no_memory;
}

connpool_status cp_mistakes_error(const struct cp_mistakes *mistakes, connpool_error *error)
{
    if (mistakes->no_memory) {
        return cp_error_no_memory(error, mistakes->origin);
    }
    return cp_error_set(error, mistakes->first_status, CONNPOOL_ERROR_CONFIGURATION, "%s", mistakes->first);
}

static void list_candidates(char *list, size_t size, const char *const *candidates, size_t count)
{
    size_t used = 0;

    list[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        int length = snprintf(list + used, size - used, "%s%s", i == 0 ? "" : ", ", candidates[i]);

        used += length < 0 ? 0 : (size_t)length;
    }
}

void cp_mistakes_add_unknown(struct cp_mistakes *mistakes, const char *base, const char *key,
                             const char *const *candidates, size_t candidate_count, const char *hint)
{
    struct cp_path path = cp_path_join(base, key);
    struct cp_suggestion suggestion;
    char list[1024];

    if (hint != NULL) {
        cp_mistakes_add(mistakes, path.text, "found a key that does not belong here, expected it %s", hint);
        return;
    }
    cp_suggest_begin(&suggestion, key);
    for (size_t i = 0; i < candidate_count; i++) {
        cp_suggest_offer(&suggestion, candidates[i]);
    }
    if (suggestion.best != NULL) {
        cp_mistakes_add(mistakes, path.text, "found an unknown key, did you mean \"%s\"?", suggestion.best);
    } else if (candidate_count == 0) {
        cp_mistakes_add(mistakes, path.text, "found an unknown key, expected none");
    } else {
        list_candidates(list, sizeof(list), candidates, candidate_count);
        cp_mistakes_add(mistakes, path.text, "found an unknown key, expected one of %s", list);
    }
}
