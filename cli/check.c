/* SPDX-License-Identifier: MIT */
/* check: `connpool check FILE`: every mistake of a configuration on stderr, or the whole of it, as it is understood, on
 * stdout. */
#include <stdbool.h>

#include "command.h"
#include "output.h"

static void print_mistake(void *argument, const char *text)
{
    bool *any = argument;

    *any = true;
    output_text(stderr, text);
    (void)fputc('\n', stderr);
}

int check_run(const struct arguments *arguments, char **operands, size_t count)
{
    struct connpool_options options = {
        .size = sizeof(options),
        .flags = arguments->flags,
        .path = operands[0],
        .plugin_path = arguments->folders,
    };
    connpool_error error;
    char *understood;
    bool any = false;

    (void)count;
    if (connpool_check(&options, print_mistake, &any, &understood, &error) != CONNPOOL_OK) {
        if (!any) {
            output_complain("%s", error.text);
        }
        return COMMAND_FAILED;
    }
    output_lines(stdout, understood);
    connpool_text_free(understood);
    return COMMAND_OK;
}
