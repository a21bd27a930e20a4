/* SPDX-License-Identifier: MIT */
/* json_text: see json_text.h. */
#include "base/json_text.h"

#include "base/memory.h"

char *cp_json_text(const json_t *json)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(15);
    size_t length = json_dumpb(json, NULL, 0, flags);
    char *text = length == 0 ? NULL : cp_alloc(length + 2);

    if (text != NULL && json_dumpb(json, text, length, flags) != length) {
        cp_free(text);
        return NULL;
    }
    if (text != NULL) {
        text[length] = '\n';
    }
    return text;
}
