/* SPDX-License-Identifier: MIT */
/* command: what a subcommand is. Each has a file of its name; main.c has the table. */
#ifndef COMMAND_H
#define COMMAND_H

#include <connpool/connpool.h>

#include "arguments.h"

#define COMMAND_OK     0
#define COMMAND_FAILED 1
#define COMMAND_USAGE  2 /* the command line was wrong */

#define SCHEMA_MANAGERS_MAXIMUM 100

struct command {
    const char *name;
    const char *operands; /* as the usage line shows them */
    size_t least, most;   /* how many of them there may be */
    int has_count;        /* 1: takes -n */
    int has_markdown;     /* 1: takes --markdown */
    const char *summary;
    /* Does it, with so many operands (its own name left out); the exit code. What went wrong is on stderr. */
    int (*run)(const struct arguments *arguments, char **operands, size_t count);
};

int check_run(const struct arguments *arguments, char **operands, size_t count);
int plugins_run(const struct arguments *arguments, char **operands, size_t count);
int describe_run(const struct arguments *arguments, char **operands, size_t count);
int schema_run(const struct arguments *arguments, char **operands, size_t count);
int ping_run(const struct arguments *arguments, char **operands, size_t count);

#endif
