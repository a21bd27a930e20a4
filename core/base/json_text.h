/* SPDX-License-Identifier: MIT */
/* json_text: JSON as text for people: indented, ended by a line end. */
#ifndef CP_JSON_TEXT_H
#define CP_JSON_TEXT_H

#include <jansson.h>

/* To be freed with cp_free. NULL: no memory. Any thread, never waits. */
char *cp_json_text(const json_t *json);

#endif
