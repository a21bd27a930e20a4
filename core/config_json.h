/* SPDX-License-Identifier: MIT */
/*
 * config_json: a configuration's text, from a file or from memory, as JSON. A file is a regular file of at most 1 MiB;
 * text nests at most 16 deep. jansson's own words for a mistake are never shown: they can hold the secret beside it.
 */
#ifndef CP_CONFIG_JSON_H
#define CP_CONFIG_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "mistakes.h"

#define CP_CONFIG_LARGEST ((size_t)1024 * 1024)
#define CP_CONFIG_DEEPEST 16

/* New reference. NULL: mistakes were added, or memory ran out. May wait for the file. */
json_t *cp_config_json_read(const char *path, struct cp_mistakes *mistakes);
/* New reference. NULL: mistakes were added, or memory ran out. */
json_t *cp_config_json_parse(const char *text, size_t length, struct cp_mistakes *mistakes);

#endif
