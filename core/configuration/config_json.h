/* SPDX-License-Identifier: MIT */
/*
 * config_json: a configuration's text, from a file or from memory, as JSON. A file is a regular file of at most 1 MiB;
 * text nests at most 16 deep. jansson's own words for a mistake are never shown: they can hold the secret beside it.
 */
#ifndef CP_CONFIG_JSON_H
#define CP_CONFIG_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/mistakes.h"

#define CP_CONFIG_LARGEST ((size_t)1024 * 1024)
#define CP_CONFIG_DEEPEST 16

/* To be freed with cp_config_json_free. NULL: mistakes were added, or memory ran out. May wait for the file. */
json_t *cp_config_json_read(const char *path, struct cp_mistakes *mistakes);
/* To be freed likewise. NULL: mistakes were added, or memory ran out. */
json_t *cp_config_json_parse(const char *text, size_t length, struct cp_mistakes *mistakes);
/* Overwrite every text in it, which may be a secret, and free it; nobody else holds a part of it. Accepts NULL. */
void cp_config_json_free(json_t *json);

#endif
