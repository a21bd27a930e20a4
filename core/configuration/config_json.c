/* SPDX-License-Identifier: MIT */
/* config_json: see config_json.h. */
#include "configuration/config_json.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* ---- The file ---- */

static const char *file_kind(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    default:
        return "a device";
    }
}

/* Reads up to one byte more than is allowed into the buffer. -1: the mistake. */
static ssize_t read_open_file(int fd, char *buffer, struct cp_mistakes *mistakes)
{
    struct stat status;
    ssize_t length;

    if (fstat(fd, &status) != 0) {
        cp_mistakes_add(mistakes, NULL, "found a file that cannot be read: %s", cp_file_reason(errno));
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        cp_mistakes_add(mistakes, NULL, "found %s, expected a regular file", file_kind(status.st_mode));
        return -1;
    }
    length = cp_file_read(fd, buffer, CP_CONFIG_LARGEST + 1);
    if (length < 0) {
        cp_mistakes_add(mistakes, NULL, "found a file that cannot be read: %s", cp_file_reason(errno));
    }
    return length;
}

json_t *cp_config_json_read(const char *path, struct cp_mistakes *mistakes)
{
    char *buffer = cp_alloc(CP_CONFIG_LARGEST + 1);
    json_t *json = NULL;
    ssize_t length;
    int fd;

    if (buffer == NULL) {
        mistakes->no_memory = true;
        return NULL;
    }
    fd = cp_file_open(path);
    if (fd < 0) {
        cp_mistakes_add(mistakes, NULL, "found no file that can be opened: %s", cp_file_reason(errno));
    } else {
        length = read_open_file(fd, buffer, mistakes);
        json = length < 0 ? NULL : cp_config_json_parse(buffer, (size_t)length, mistakes);
        (void)close(fd);
    }
    cp_free_secret(buffer, CP_CONFIG_LARGEST + 1);
    return json;
}

/* ---- The text ---- */

struct place {
    int line, column; /* from 1; the column counts characters */
};

static void add_at(struct cp_mistakes *mistakes, struct place place, const char *found, const char *expected)
{
    cp_mistakes_add(mistakes, NULL, "line %d, column %d: found %s, expected %s", place.line, place.column, found,
                    expected);
}

static void advance(struct place *place, char character)
{
    if (character == '\n') {
        place->line++;
        place->column = 1;
    } else if ((character & 0xc0) != 0x80) {
        place->column++;
    }
}

/* What is looked for before the parser is: it takes up to 21 times the memory of what it reads, so nesting is measured
 * here. */
struct scan {
    struct place place;
    bool in_string, is_escaped;
    bool has_content; /* something but white space */
    int depth;
};

/* What is wrong with the next character; NULL: nothing. */
static const char *scan_character(struct scan *scan, char character)
{
    if (character == '\0') {
        return "a NUL";
    }
    scan->has_content = scan->has_content || strchr(" \t\r\n", character) == NULL;
    if (scan->is_escaped) {
        scan->is_escaped = false;
    } else if (character == '"') {
        scan->in_string = !scan->in_string;
    } else if (scan->in_string) {
        scan->is_escaped = character == '\\';
    } else if (character == '{' || character == '[') {
        scan->depth++;
    } else if (character == '}' || character == ']') {
        scan->depth--;
    }
    return scan->depth > CP_CONFIG_DEEPEST ? "nesting deeper than 16 levels" : NULL;
}

static bool check_text(const char *text, size_t length, struct cp_mistakes *mistakes)
{
    struct scan scan = {.place = {1, 1}};

    for (size_t i = 0; i < length; i++) {
        const char *found = scan_character(&scan, text[i]);

        if (found != NULL) {
            add_at(mistakes, scan.place, found, scan.depth > CP_CONFIG_DEEPEST ? "at most 16 levels" : "text");
            return false;
        }
        advance(&scan.place, text[i]);
    }
    if (!scan.has_content) {
        cp_mistakes_add(mistakes, NULL, "found nothing, expected a JSON object");
    }
    return scan.has_content;
}

static void add_json_mistake(struct cp_mistakes *mistakes, const json_error_t *error)
{
    struct place place = {error->line > 0 ? error->line : 1, error->column > 0 ? error->column : 1};

    switch (json_error_code(error)) {
    case json_error_out_of_memory:
        mistakes->no_memory = true;
        break;
    case json_error_duplicate_key:
        add_at(mistakes, place, "a key for the second time in its object", "it once");
        break;
    case json_error_premature_end_of_input:
        add_at(mistakes, place, "the end", "the rest of the configuration");
        break;
    case json_error_end_of_input_expected:
        add_at(mistakes, place, "more text", "the end after the configuration's last \"}\"");
        break;
    case json_error_invalid_utf8:
        add_at(mistakes, place, "bytes that are not UTF-8", "UTF-8");
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        add_at(mistakes, place, "\\u0000", "text without NULs");
        break;
    case json_error_numeric_overflow:
        add_at(mistakes, place, "a number that is too large", "a smaller one");
        break;
    case json_error_stack_overflow:
        add_at(mistakes, place, "nesting that is too deep", "at most 16 levels");
        break;
    default:
        add_at(mistakes, place, "what is not JSON",
               "JSON (no comments, no comma after the last item, text in double quotes)");
    }
}

static void seed(void)
{
    json_object_seed(0);
}

/* The parser's errno tells where memory ran out: it may call that a mistake of syntax. */
static json_t *load(const char *text, size_t length, json_error_t *error, struct cp_mistakes *mistakes)
{
    json_t *json;

    errno = 0;
    json = json_loadb(text, length, JSON_REJECT_DUPLICATES, error);
    mistakes->no_memory = mistakes->no_memory || errno == ENOMEM;
    return json;
}

/* jansson frees without wiping. */
static void wipe(json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_string(json)) {
        explicit_bzero((void *)(uintptr_t)json_string_value(json), json_string_length(json));
    }
    json_object_foreach (json, key, value) {
        wipe(value);
    }
    json_array_foreach (json, i, value) {
        wipe(value);
    }
}

void cp_config_json_free(json_t *json)
{
    wipe(json);
    json_decref(json);
}

/* jansson 2.14 loses characters of keys, texts and numbers where its buffer cannot grow, and does not say so; what is
 * read twice and is the same was read whole. */
static json_t *load_twice(const char *text, size_t length, json_error_t *error, struct cp_mistakes *mistakes)
{
    json_t *json = load(text, length, error, mistakes), *again;
    json_error_t ignored;

    if (json == NULL) {
        return NULL;
    }
    again = load(text, length, &ignored, mistakes);
    mistakes->no_memory = mistakes->no_memory || json_equal(json, again) == 0;
    cp_config_json_free(again);
    if (mistakes->no_memory) {
        cp_config_json_free(json);
        json = NULL;
    }
    return json;
}

json_t *cp_config_json_parse(const char *text, size_t length, struct cp_mistakes *mistakes)
{
    static pthread_once_t seeded = PTHREAD_ONCE_INIT;
    json_error_t error;
    json_t *json;

    (void)pthread_once(&seeded, seed);
    if (length > CP_CONFIG_LARGEST) {
        cp_mistakes_add(mistakes, NULL, "found more than 1 MiB, expected at most 1 MiB");
        return NULL;
    }
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        cp_mistakes_add(mistakes, NULL, "found a byte order mark, expected the configuration to begin with \"{\"");
        return NULL;
    }
    if (!check_text(text, length, mistakes)) {
        return NULL;
    }
    json = load_twice(text, length, &error, mistakes);
    if (json == NULL && !mistakes->no_memory) {
        add_json_mistake(mistakes, &error);
    } else if (json != NULL && !json_is_object(json)) {
        cp_mistakes_add(mistakes, NULL, "found %s, expected an object", cp_json_kind(json));
        cp_config_json_free(json);
        json = NULL;
    }
    return json;
}
