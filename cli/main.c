/* SPDX-License-Identifier: MIT */
/* main: the command `connpool`: the table of its subcommands, and its help. */
#include <string.h>

#include "command.h"
#include "output.h"

static const struct command commands[] = {
    {"check", "FILE", 1, 1, 0, 0, "check a configuration and print how it is understood", check_run},
    {"plugins", "[DIR]", 0, 1, 0, 0, "list the plugins of a folder, or of the search path", plugins_run},
    {"describe", "MANAGER", 1, 1, 0, 1, "print a manager's options; by name, or by the absolute path of its file",
     describe_run},
    {"schema", "MANAGER…", 1, SCHEMA_MANAGERS_MAXIMUM, 0, 0,
     "print the JSON schema of configurations with these managers, for an editor", schema_run},
    {"ping", "FILE [POOL[/ENDPOINT]]", 1, 2, 1, 0, "connect to endpoints, and time new and reused connections",
     ping_run},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char flags_help[] =
    "flags:\n"
    "  -n, --count COUNT      ping: how often a connection is reused (5)\n"
    "  --markdown             describe: as a table of Markdown, for a manual\n"
    "  --plugin-path DIR      look for plugins here first; may be repeated\n"
    "  --trust-any-owner      load plugins whoever owns or may write their files\n"
    "  -h, --help             this text\n"
    "  --version              the version\n"
    "\n"
    "Exit code: 0, 1 if something is wrong or cannot be reached, 2 for a wrong command line.\n";

static void print_usage_line(FILE *stream, const struct command *command)
{
    (void)fprintf(stream, "usage: connpool %s %s%s [FLAG…]\n", command->name, command->operands,
                  command->has_count      ? " [-n COUNT]"
                  : command->has_markdown ? " [--markdown]"
                                          : "");
}

static int print_help(const struct command *command)
{
    if (command != NULL) {
        print_usage_line(stdout, command);
        printf("%s\n", command->summary);
    } else {
        printf("usage: connpool COMMAND [ARGUMENT…] [FLAG…]\n\ncommands:\n");
        for (size_t i = 0; i < COMMANDS; i++) {
            printf("  %s %s\n      %s\n", commands[i].name, commands[i].operands, commands[i].summary);
        }
    }
    printf("\n%s", flags_help);
    return COMMAND_OK;
}

static int wrong_usage(const struct command *command)
{
    if (command != NULL) {
        print_usage_line(stderr, command);
    } else {
        (void)fputs("usage: connpool check|plugins|describe|schema|ping [ARGUMENT…] [FLAG…], or connpool --help\n",
                    stderr);
    }
    return COMMAND_USAGE;
}

/* NULL: no such command. */
static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int run(const struct command *command, const struct arguments *arguments)
{
    size_t count = arguments->operand_count - 1;

    if (arguments->count != 0 && !command->has_count) {
        output_complain("-n is a flag of ping");
        return wrong_usage(command);
    }
    if (arguments->markdown && !command->has_markdown) {
        output_complain("--markdown is a flag of describe");
        return wrong_usage(command);
    }
    if (count < command->least) {
        output_complain("%s needs %s", command->name, command->operands);
        return wrong_usage(command);
    }
    if (count > command->most) {
        output_complain("%s: one name too many: %s", command->name, arguments->operands[1 + command->most]);
        return wrong_usage(command);
    }
    return command->run(arguments, arguments->operands + 1, count);
}

static int decide(const struct arguments *arguments)
{
    const struct command *command = NULL;

    if (arguments->version) {
        printf("connpool %s\n", connpool_version());
        return COMMAND_OK;
    }
    if (arguments->operand_count > 0) {
        command = find(arguments->operands[0]);
        if (command == NULL) {
            output_complain("no such command: %s", arguments->operands[0]);
            return wrong_usage(NULL);
        }
    }
    if (arguments->help) {
        return print_help(command);
    }
    if (command == NULL) {
        output_complain("a command is missing");
        return wrong_usage(NULL);
    }
    return run(command, arguments);
}

int main(int argc, char **argv)
{
    static struct arguments arguments;
    int code;

    output_init();
    code = arguments_read(&arguments, argc, argv) ? decide(&arguments) : wrong_usage(NULL);
    return output_finish() || code != COMMAND_OK ? code : COMMAND_FAILED;
}
