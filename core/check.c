/* SPDX-License-Identifier: MIT */
/* check: connpool_check and connpool_text_free of connpool.h. */
#include <connpool/connpool.h>

#include "config.h"
#include "error.h"
#include "memory.h"

/* The configuration itself: all its mistakes, or what was understood (NULL: not asked for). */
static connpool_status check_config(const struct connpool_options *options, struct cp_mistakes *mistakes,
                                    char **understood, connpool_error *error)
{
    struct cp_config *config = cp_config_load(options, mistakes, error);

    if (config == NULL) {
        return cp_mistakes_error(mistakes, error);
    }
    if (understood != NULL) {
        *understood = cp_config_describe(config);
    }
    cp_config_free(config);
    return understood == NULL || *understood != NULL ? CONNPOOL_OK : cp_error_no_memory(error, mistakes->origin);
}

/* What the managers say when they see it: they read files and make their pools and endpoints, and connect nothing. */
static connpool_status check_managers(const struct connpool_options *options, struct cp_mistakes *mistakes,
                                      connpool_error *error)
{
    connpool_error refusal;
    connpool *context = connpool_open_with(options, &refusal);

    if (context == NULL) {
        cp_mistakes_add_error(mistakes, NULL, &refusal);
        return cp_mistakes_error(mistakes, error);
    }
    return connpool_close(context, 0, NULL);
}

connpool_status connpool_check(const struct connpool_options *options, connpool_mistake_fn *mistake, void *argument,
                               char **understood, connpool_error *error)
{
    struct cp_mistakes mistakes = {.report = mistake, .argument = argument};
    char *text = NULL;
    connpool_status status = check_config(options, &mistakes, understood == NULL ? NULL : &text, error);

    if (status == CONNPOOL_OK) {
        status = check_managers(options, &mistakes, error);
    }
    if (status != CONNPOOL_OK || understood == NULL) {
        cp_free(text);
    } else {
        *understood = text;
    }
    return status;
}

void connpool_text_free(char *text)
{
    cp_free(text);
}
