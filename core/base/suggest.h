/* SPDX-License-Identifier: MIT */
/* suggest: the known name that somebody probably meant. Any thread, never waits, takes no memory. */
#ifndef CP_SUGGEST_H
#define CP_SUGGEST_H

#include <stddef.h>

/* How many insertions, deletions, replacements and swaps of neighbours lead from a to b, none of them editing a place
 * twice (the optimal string alignment form of the Damerau-Levenshtein distance). Names over 64 bytes: SIZE_MAX. */
size_t cp_suggest_distance(const char *a, const char *b);

/* Looks for the nearest of many names: begin, offer each, then read best. */
struct cp_suggestion {
    const char *wanted;
    const char *best; /* NULL: none is near: within a third of the wanted name's length, at least 1 */
    size_t distance;
};
void cp_suggest_begin(struct cp_suggestion *suggestion, const char *wanted);
/* name is kept as a pointer. */
void cp_suggest_offer(struct cp_suggestion *suggestion, const char *name);

#endif
