/* SPDX-License-Identifier: MIT */
/*
 * secret: values that are given by reference, {"env": "NAME"} or {"file": "path"}, kept apart from all other memory
 * (their pages are left out of core files) and wiped when freed. What is said about them names the reference, never the
 * value.
 */
#ifndef CP_SECRET_H
#define CP_SECRET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct cp_complaint;

/* How values are read. */
struct cp_option_source {
    const char *folder;        /* relative paths are relative to it; NULL: none may be relative */
    bool allow_inline_secrets; /* a secret may be a literal */
};

/* The secret that a JSON value refers to. A file: regular, owned by root or the effective user, not open to group or
 * others, at most 64 KiB; one line end at its end is not part of the secret. An environment variable is not read in a
 * set-uid program. Neither may be empty or hold a NUL. NULL: the complaint. May wait for a file. */
char *cp_secret_read(const json_t *reference, const struct cp_option_source *source, struct cp_complaint *complaint);
/* Wipes. Accepts NULL. */
void cp_secret_free(char *text);
/* In a time that depends on the lengths only. NULL equals NULL. */
bool cp_secret_equal(const char *a, const char *b);

#endif
