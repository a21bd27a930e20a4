/* SPDX-License-Identifier: MIT */
/* schema: `connpool schema MANAGER…`: the JSON schema of configurations with these managers, for editors. */
#include "command.h"
#include "output.h"

int schema_run(const struct arguments *arguments, char **operands, size_t count)
{
    const struct connpool_manager *managers[SCHEMA_MANAGERS_MAXIMUM];
    connpool_error error;
    char *text;

    for (size_t i = 0; i < count; i++) {
        if (connpool_plugin_load(operands[i], arguments->folders, arguments->flags, &managers[i], &error) !=
            CONNPOOL_OK) {
            output_complain("%s", error.text);
            return COMMAND_FAILED;
        }
    }
    text = connpool_schema(managers, count, &error);
    if (text == NULL) {
        output_complain("%s", error.text);
        return COMMAND_FAILED;
    }
    (void)fputs(text, stdout);
    connpool_text_free(text);
    return COMMAND_OK;
}
