/* SPDX-License-Identifier: MIT */
/*
 * options: a manager's option rows at work. Values from JSON or text become a resolved options struct for one endpoint,
 * checked, comparable, describable and wiped when freed.
 */
#ifndef CP_OPTIONS_H
#define CP_OPTIONS_H

#include <connpool/connpool.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/mistakes.h"
#include "options/secret.h"

struct cp_option_block; /* one resolved options struct, immutable, counted */

/* A manager's rows are sound: names, levels, types, offsets, default, minimum and maximum texts. False: the error names
 * manager, row, expected and found. */
bool cp_options_check_rows(const struct connpool_manager *manager, connpool_error *error);

/*
 * A pool's defaults: the rows' own, then what the pool's "options" object (may be NULL) says. Required rows that an
 * endpoint may give may be missing. path: where the object stands, for messages ("/pools/web/options"). Keys that begin
 * with x- are skipped. Mistakes may have been added: then the block serves only to look for more of them in the pool's
 * endpoints. NULL: memory ran out (mistakes says so). May wait for the files of secrets.
 */
struct cp_option_block *cp_options_defaults(const struct connpool_manager *manager, const json_t *pool_options,
                                            const char *path, const struct cp_option_source *source,
                                            struct cp_mistakes *mistakes);
/* The options of a named endpoint: a pool's defaults, then what the endpoint's object (may be NULL) says, its key
 * "pool" skipped; complete. NULL: mistakes were added, or memory ran out. May wait for the files of secrets. */
struct cp_option_block *cp_options_endpoint(struct cp_option_block *defaults, const json_t *endpoint, const char *path,
                                            const struct cp_option_source *source, struct cp_mistakes *mistakes);
/*
 * Both at once. With complete false, required rows may be missing (a pool's defaults, to be completed by run-time
 * text). NULL: as above.
 */
struct cp_option_block *cp_options_resolve(const struct connpool_manager *manager, const json_t *pool_options,
                                           const char *pool_path, const json_t *endpoint, const char *endpoint_path,
                                           bool complete, const struct cp_option_source *source,
                                           struct cp_mistakes *mistakes);
/* The name of a required row that is missing; NULL: the block is complete. */
const char *cp_options_missing(const struct cp_option_block *block);
/* Whether the manager takes endpoints at run time: it has a parser (where it has none its copy holds one that answers
 * CONNPOOL_ERROR_UNSUPPORTED to every text). Any thread, never waits. */
bool cp_options_take_text(const struct connpool_manager *manager);
/* The options of a run-time endpoint: a pool's defaults, then what the manager's parse_endpoint finds in text. Neither
 * rows of the pool's level nor shared rows nor secrets can stand in text. NULL: the error names the text (unless it may
 * hold a secret) and why: CONNPOOL_NOT_FOUND, CONNPOOL_NO_MEMORY. Any thread, never waits. */
struct cp_option_block *cp_options_parse_text(const struct connpool_manager *manager, struct cp_option_block *defaults,
                                              const char *text, connpool_error *error);

struct cp_option_block *cp_options_ref(struct cp_option_block *block);
void cp_options_unref(struct cp_option_block *block); /* accepts NULL; the last one wipes secrets */

/* The plugin's options struct; lives as long as the block. */
const void *cp_options_struct(const struct cp_option_block *block);
/* All rows equal; secrets compared in constant time. */
bool cp_options_equal(const struct cp_option_block *a, const struct cp_option_block *b);
/* All rows equal but secrets: two endpoints of which this is true while cp_options_equal is not are one place with two
 * passwords. */
bool cp_options_public_equal(const struct cp_option_block *a, const struct cp_option_block *b);
/* All rows flagged shared equal. */
bool cp_options_shared_equal(const struct cp_option_block *a, const struct cp_option_block *b);
/* A number that equal blocks share; secrets do not go into it. */
uint64_t cp_options_hash(const struct cp_option_block *block);
/* The values of the rows that may stand at a level (CONNPOOL_LEVEL_BOTH: all) as a JSON object, what is absent left
 * out, secrets as "(redacted)", new reference; NULL: no memory. */
json_t *cp_options_redacted(const struct cp_option_block *block, uint32_t level);

#endif
