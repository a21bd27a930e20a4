/* SPDX-License-Identifier: MIT */
/* arguments: the command line, taken apart. Flags may stand before and after the names; `--` ends them. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGUMENTS_FOLDERS_MAXIMUM 16
#define ARGUMENTS_COUNT_MAXIMUM   1000

struct arguments {
    char **operands; /* what is no flag: the subcommand, then its names */
    size_t operand_count;
    uint32_t flags; /* CONNPOOL_OPEN_… */
    long count;     /* -n; 0: not given */
    bool help, version;
    bool markdown;                                /* --markdown */
    char *folders[ARGUMENTS_FOLDERS_MAXIMUM + 1]; /* --plugin-path, absolute, ended by NULL */
    char paths[ARGUMENTS_FOLDERS_MAXIMUM][PATH_MAX];
};

/* Reads the command line; argv is reordered and lent to *arguments. False: it is wrong, and stderr says why. */
bool arguments_read(struct arguments *arguments, int argc, char **argv);

#endif
