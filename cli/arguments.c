/* SPDX-License-Identifier: MIT */
/* arguments: see arguments.h. */
#include "arguments.h"

#include <connpool/connpool.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

enum { MARKDOWN = 256, PLUGIN_PATH, TRUST_ANY_OWNER, VERSION };

static const struct option flags[] = {
    {"count", required_argument, NULL, 'n'},
    {"help", no_argument, NULL, 'h'},
    {"markdown", no_argument, NULL, MARKDOWN},
    {"plugin-path", required_argument, NULL, PLUGIN_PATH},
    {"trust-any-owner", no_argument, NULL, TRUST_ANY_OWNER},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

static bool add_folder(struct arguments *arguments, const char *folder)
{
    size_t count = 0;

    while (arguments->folders[count] != NULL) {
        count++;
    }
    if (count == ARGUMENTS_FOLDERS_MAXIMUM) {
        output_complain("--plugin-path was given more than %d times", ARGUMENTS_FOLDERS_MAXIMUM);
        return false;
    }
    if (realpath(folder, arguments->paths[count]) == NULL) {
        output_complain("--plugin-path %s: %s", folder, strerror(errno));
        return false;
    }
    arguments->folders[count] = arguments->paths[count];
    return true;
}

static bool set_count(struct arguments *arguments, const char *text)
{
    char *end;

    errno = 0;
    arguments->count = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || arguments->count < 1 ||
        arguments->count > ARGUMENTS_COUNT_MAXIMUM) {
        output_complain("-n %s: expected a number from 1 to %d", text, ARGUMENTS_COUNT_MAXIMUM);
        return false;
    }
    return true;
}

static bool take(struct arguments *arguments, int flag, char **argv)
{
    switch (flag) {
    case 'h':
        arguments->help = true;
        return true;
    case 'n':
        return set_count(arguments, optarg);
    case MARKDOWN:
        arguments->markdown = true;
        return true;
    case PLUGIN_PATH:
        return add_folder(arguments, optarg);
    case TRUST_ANY_OWNER:
        arguments->flags |= CONNPOOL_OPEN_TRUST_ANY_OWNER;
        return true;
    case VERSION:
        arguments->version = true;
        return true;
    case ':':
        output_complain("%s needs a value", argv[optind - 1]);
        return false;
    default:
        if (strncmp(argv[optind - 1], "--", 2) == 0) {
            output_complain("unknown flag %s", argv[optind - 1]);
        } else {
            output_complain("unknown flag -%c", optopt);
        }
        return false;
    }
}

bool arguments_read(struct arguments *arguments, int argc, char **argv)
{
    int flag;

    memset(arguments, 0, sizeof(*arguments));
    while ((flag = getopt_long(argc, argv, ":hn:", flags, NULL)) != -1) {
        if (!take(arguments, flag, argv)) {
            return false;
        }
    }
    arguments->operands = argv + optind;
    arguments->operand_count = (size_t)(argc - optind);
    return true;
}
