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

/* Collects the mistakes of a configuration; each is one line that names the file, the JSON path, what was found and
 * what was expected. */
struct cp_mistakes {
    connpool_mistake_fn *report; /* may be NULL */
    void *argument;
    const char *origin; /* the configuration's file name, or "configuration" */
    size_t count;
    bool no_memory;  /* the search ended because memory ran out */
    char first[480]; /* the first mistake's text */
};
void cp_mistakes_add(struct cp_mistakes *mistakes, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How values are read. */
struct cp_option_source {
    const char *folder;        /* relative paths are relative to it; NULL: none may be relative */
    bool allow_inline_secrets; /* a secret may be a literal */
};

struct cp_option_block; /* one resolved options struct, immutable, counted */

/* A manager's rows are sound: names, levels, types, offsets, default, minimum and maximum texts. False: the error names
 * manager, row, expected and found. */
bool cp_options_check_rows(const struct connpool_manager *manager, connpool_error *error);

/*
 * The options of one endpoint from the pool's "options" object and the endpoint's own object (either may be NULL;
 * "pool" and keys that begin with x- in the endpoint's are skipped). paths: where the two stand, for messages
 * ("/pools/web/options"). With complete false, required rows may be missing (a pool's defaults, to be completed by
 * run-time text). NULL: mistakes were added.
 */
struct cp_option_block *cp_options_resolve(const struct connpool_manager *manager, const json_t *pool_options,
                                           const char *pool_path, const json_t *endpoint, const char *endpoint_path,
                                           bool complete, const struct cp_option_source *source,
                                           struct cp_mistakes *mistakes);
/* The options of a run-time endpoint: a pool's defaults, then what the manager's parse_endpoint finds in text. NULL:
 * the error names the text and why. */
struct cp_option_block *cp_options_parse_text(const struct connpool_manager *manager, struct cp_option_block *defaults,
                                              const char *text, connpool_error *error);

struct cp_option_block *cp_options_ref(struct cp_option_block *block);
void cp_options_unref(struct cp_option_block *block); /* accepts NULL; the last one wipes secrets */

/* The plugin's options struct; lives as long as the block. */
const void *cp_options_struct(const struct cp_option_block *block);
/* All rows equal; secrets compared in constant time. */
bool cp_options_equal(const struct cp_option_block *a, const struct cp_option_block *b);
/* All rows flagged shared equal. */
bool cp_options_shared_equal(const struct cp_option_block *a, const struct cp_option_block *b);
/* A number that equal blocks share; secrets do not go into it. */
uint64_t cp_options_hash(const struct cp_option_block *block);
/* The values as a JSON object, secrets as "(redacted)", new reference; NULL: no memory. */
json_t *cp_options_redacted(const struct cp_option_block *block);

#endif
