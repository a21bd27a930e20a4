/* SPDX-License-Identifier: MIT */
/* text: what text may hold, and how foreign text is shown in a message: quoted, cut, on one line. Any thread, never
 * waits. */
#ifndef CP_TEXT_H
#define CP_TEXT_H

#include <jansson.h>
#include <stddef.h>

enum cp_text_kind {
    CP_TEXT_PLAIN,   /* UTF-8 without control characters */
    CP_TEXT_CONTROL, /* UTF-8 with a control character: below U+0020, U+007F … U+009F */
    CP_TEXT_NUL,     /* UTF-8 with a NUL */
    CP_TEXT_BROKEN   /* not UTF-8 */
};

/* The worst that is found in length bytes of text, in the order above. */
enum cp_text_kind cp_text_kind(const char *text, size_t length);

/* A piece of a message, a value: `cp_quote(name).text` lives to the end of the full expression that it stands in. */
struct cp_quoted {
    char text[160];
};

/* The text in double quotes; control characters, quotes, backslashes and broken bytes escaped; cut after about 120
 * bytes. NULL: "nothing". */
struct cp_quoted cp_quote(const char *text);
struct cp_quoted cp_quote_length(const char *text, size_t length);
/* A JSON value as a message shows it: text quoted, numbers as they would be written, else its kind ("an object"). */
struct cp_quoted cp_quote_json(const json_t *value);
/* Only the kind of a JSON value: "text", "an integer". */
const char *cp_json_kind(const json_t *value);
/* A number as JSON writes it, whatever the locale. */
struct cp_quoted cp_quote_number(double number);

/* A JSON pointer (RFC 6901); control characters are shown as escapes. */
struct cp_path {
    char text[1024];
};
/* base + "/" + key; cut where it is longer than the struct. */
struct cp_path cp_path_join(const char *base, const char *key);

#endif
