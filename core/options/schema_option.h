/* SPDX-License-Identifier: MIT */
/* schema_option: a manager's option rows as JSON schemas. Any thread, never waits. */
#ifndef CP_SCHEMA_OPTION_H
#define CP_SCHEMA_OPTION_H

#include <connpool/manager.h>
#include <jansson.h>

/* An object of a schema: the manager's options that may stand at a level (CONNPOOL_LEVEL_POOL or _ENDPOINT), no others
 * but the user's own. New reference; NULL: no memory. */
json_t *cp_schema_options(const struct connpool_manager *manager, uint32_t level);

#endif
