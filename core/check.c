/* SPDX-License-Identifier: MIT */
/* check: connpool_check and connpool_text_free of connpool.h. */
#include <connpool/connpool.h>

#include "config.h"
#include "error.h"
#include "memory.h"

connpool_status connpool_check(const struct connpool_options *options, connpool_mistake_fn *mistake, void *argument,
                               char **understood, connpool_error *error)
{
    struct cp_mistakes mistakes = {.report = mistake, .argument = argument};
    connpool_error first = {.status = CONNPOOL_INVALID};
    struct cp_config *config = cp_config_load(options, &mistakes, &first);
    char *text = NULL;

    if (config == NULL) {
        if (error != NULL) {
            *error = first;
        }
        return first.status;
    }
    if (understood != NULL) {
        text = cp_config_describe(config);
    }
    cp_config_free(config);
    if (understood != NULL && text == NULL) {
        return cp_error_no_memory(error, mistakes.origin);
    }
    if (understood != NULL) {
        *understood = text;
    }
    return CONNPOOL_OK;
}

void connpool_text_free(char *text)
{
    cp_free(text);
}
