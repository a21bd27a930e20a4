/* SPDX-License-Identifier: MIT */
/* suggest: see suggest.h. */
#include "base/suggest.h"

#include <stdint.h>
#include <string.h>

#define LONGEST 64

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t cp_suggest_distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST + 1]; /* of the table of distances of prefixes: this row and the two before it */
    size_t a_length = strnlen(a, LONGEST + 1), b_length = strnlen(b, LONGEST + 1);

    if (a_length > LONGEST || b_length > LONGEST) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_length; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

void cp_suggest_begin(struct cp_suggestion *suggestion, const char *wanted)
{
    size_t allowed = strlen(wanted) / 3;

    suggestion->wanted = wanted;
    suggestion->best = NULL;
    suggestion->distance = (allowed == 0 ? 1 : allowed) + 1;
}

void cp_suggest_offer(struct cp_suggestion *suggestion, const char *name)
{
    size_t distance = cp_suggest_distance(suggestion->wanted, name);

    if (distance < suggestion->distance) {
        suggestion->distance = distance;
        suggestion->best = name;
    }
}
