/* SPDX-License-Identifier: MIT */
/*
 * mistakes: collects what is wrong with a configuration. Each mistake is one line:
 *
 *     FILE: /pools/db/max_size: found "ten", expected an integer from 1 to 1000000
 */
#ifndef CP_MISTAKES_H
#define CP_MISTAKES_H

#include <connpool/connpool.h>
#include <stdbool.h>
#include <stddef.h>

struct cp_mistakes {
    connpool_mistake_fn *report; /* may be NULL */
    void *argument;
    const char *origin; /* the configuration's file name, or "configuration" */
    size_t count;
    bool no_memory;               /* the search ended because memory ran out */
    char first[480];              /* the first mistake's text */
    connpool_status first_status; /* what kind of mistake the first is: CONNPOOL_INVALID or CONNPOOL_PLUGIN_ERROR */
};

/* path: a JSON pointer, or NULL or "" for the whole file. */
void cp_mistakes_add(struct cp_mistakes *mistakes, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What another room reports of the thing at that path. CONNPOOL_NO_MEMORY counts as no mistake, but ends the search. */
void cp_mistakes_add_error(struct cp_mistakes *mistakes, const char *path, const connpool_error *error);
/* A mistake was found, or memory ran out. */
bool cp_mistakes_any(const struct cp_mistakes *mistakes);
/* Fill the error (may be NULL) with the first mistake, or that memory ran out; returns its status. */
connpool_status cp_mistakes_error(const struct cp_mistakes *mistakes, connpool_error *error);

/* A key that is not known at that place. candidates: the names that are; suggestion says so where one is near. hint
 * (may be NULL): what to say instead, where the key is known elsewhere. */
void cp_mistakes_add_unknown(struct cp_mistakes *mistakes, const char *base, const char *key,
                             const char *const *candidates, size_t candidate_count, const char *hint);

#endif
