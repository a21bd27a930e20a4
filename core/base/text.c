/* SPDX-License-Identifier: MIT */
/* text: see text.h. */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

/* How many bytes of foreign text a message shows. */
#define SHOWN 120

/* The length of the UTF-8 sequence at text (RFC 3629: no overlong forms, no surrogates), its character in *character;
 * 0: broken. */
static size_t decode(const unsigned char *text, size_t length, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = text[0] < 0x80   ? 1
                  : text[0] < 0xc2 ? 0
                  : text[0] < 0xe0 ? 2
                  : text[0] < 0xf0 ? 3
                  : text[0] < 0xf5 ? 4
                                   : 0;

    if (size == 0 || size > length) {
        return 0;
    }
    *character = size == 1 ? text[0] : text[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        *character = *character << 6 | (text[i] & 0x3fu);
    }
    if (*character < least[size] || *character > 0x10ffff || (*character >= 0xd800 && *character <= 0xdfff)) {
        return 0;
    }
    return size;
}

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character <= 0x9f);
}

enum cp_text_kind cp_text_kind(const char *text, size_t length)
{
    enum cp_text_kind worst = CP_TEXT_PLAIN;
    uint32_t character;
    size_t size;

    for (size_t i = 0; i < length; i += size) {
        size = decode((const unsigned char *)text + i, length - i, &character);
        if (size == 0) {
            return CP_TEXT_BROKEN;
        }
        if (character == 0) {
            worst = CP_TEXT_NUL;
        } else if (is_control(character) && worst == CP_TEXT_PLAIN) {
            worst = CP_TEXT_CONTROL;
        }
    }
    return worst;
}

/* Appends one character of foreign text at out, escaped where it must be; its size there, 0: no room. */
static size_t put_character(char *out, size_t room, const char *text, size_t size, uint32_t character)
{
    char escaped[8];
    int length;

    if (size == 0) {
        length = snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned char)text[0]);
    } else if (is_control(character)) {
        length = snprintf(escaped, sizeof(escaped), "\\u%04x", character);
    } else if (character == '"' || character == '\\') {
        length = snprintf(escaped, sizeof(escaped), "\\%c", (int)character);
    } else {
        length = (int)size;
        memcpy(escaped, text, size);
    }
    if ((size_t)length > room) {
        return 0;
    }
    memcpy(out, escaped, (size_t)length);
    return (size_t)length;
}

/* Escapes text into out (room bytes, no NUL is added); *whole tells whether all of it found room. */
static size_t escape(char *out, size_t room, const char *text, size_t length, bool *whole)
{
    size_t used = 0;

    for (size_t i = 0; i < length;) {
        uint32_t character = 0;
        size_t size = decode((const unsigned char *)text + i, length - i, &character);
        size_t put = put_character(out + used, room - used, text + i, size, character);

        if (put == 0) {
            *whole = false;
            return used;
        }
        used += put;
        i += size == 0 ? 1 : size;
    }
    *whole = true;
    return used;
}

struct cp_quoted cp_quote_length(const char *text, size_t length)
{
    struct cp_quoted quoted = {"\""};
    bool whole;
    size_t used = escape(quoted.text + 1, SHOWN, text, length, &whole);

    memcpy(quoted.text + 1 + used, whole ? "\"" : "…\"", whole ? 2 : sizeof("…\""));
    return quoted;
}

struct cp_quoted cp_quote(const char *text)
{
    return text == NULL ? (struct cp_quoted){"nothing"} : cp_quote_length(text, strlen(text));
}

const char *cp_json_kind(const json_t *value)
{
    if (value == NULL) {
        return "nothing";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    default:
        return "null";
    }
}

struct cp_quoted cp_quote_json(const json_t *value)
{
    struct cp_quoted quoted = {""};
    size_t length;

    if (json_is_string(value)) {
        return cp_quote_length(json_string_value(value), json_string_length(value));
    }
    if (json_is_number(value)) {
        length = json_dumpb(value, quoted.text, sizeof(quoted.text) - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        if (length > 0 && length < sizeof(quoted.text)) {
            return quoted;
        }
    }
    (void)snprintf(quoted.text, sizeof(quoted.text), "%s", cp_json_kind(value));
    return quoted;
}

struct cp_quoted cp_quote_number(double number)
{
    struct cp_quoted quoted;
    json_t *value;

    if (cp_number_is_whole(number)) {
        (void)snprintf(quoted.text, sizeof(quoted.text), "%.0f", number);
        return quoted;
    }
    value = json_real(number);
    quoted = cp_quote_json(value);
    json_decref(value);
    return quoted;
}

struct cp_path cp_path_join(const char *base, const char *key)
{
    struct cp_path path;
    const size_t end = sizeof(path.text) - 1; /* where the NUL goes at the latest */
    size_t used = strnlen(base, end - 1);
    bool whole = true;

    memcpy(path.text, base, used);
    path.text[used++] = '/';
    while (*key != '\0' && whole) {
        size_t plain = strcspn(key, "~/");

        used += escape(path.text + used, end - used, key, plain, &whole);
        key += plain;
        if (*key != '\0' && whole && end - used >= 2) {
            path.text[used++] = '~';
            path.text[used++] = *key++ == '~' ? '0' : '1';
        } else {
            whole = whole && *key == '\0';
        }
    }
    path.text[used] = '\0';
    return path;
}
