/* SPDX-License-Identifier: MIT */
/*
 * plugin_table: a manager's table is checked and becomes the host's private copy. Structs only grow at their end, so a
 * shorter table (of an older plugin) loads as long as it reaches its last required member, and of a longer one (of a
 * newer plugin) the part that this host knows is used (failures.md E9 to E12).
 */
#ifndef CP_PLUGIN_TABLE_H
#define CP_PLUGIN_TABLE_H

#include <connpool/connpool.h>
#include <stdbool.h>

/* Magic, ABI and size; reads no byte behind the size that the table says it has. origin begins the error's text. Any
 * thread, never waits. */
bool cp_plugin_table_check_head(const struct connpool_manager *manager, const char *origin, connpool_error *error);

/* Check all and copy: table and option rows in one block, zeroed beyond what the plugin has, optional functions that
 * are NULL filled with defaults (all but check, prepare, reset, idle, close, descriptors and parse_endpoint), unknown
 * blocking bits cleared. Text and functions stay the plugin's. NULL: the error. Free with cp_plugin_table_free. Any
 * thread, never waits. */
struct connpool_manager *cp_plugin_table_copy(const struct connpool_manager *manager, const char *origin,
                                              connpool_error *error);
void cp_plugin_table_free(struct connpool_manager *copy); /* accepts NULL */

/* A table's member: what it points to. */
struct cp_plugin_pointer {
    const char *member;
    uint32_t offset;
    bool is_function; /* else text or rows */
    bool is_required;
};
/* All members that are pointers, ended by one whose member is NULL. */
extern const struct cp_plugin_pointer cp_plugin_table_pointers[];

#endif
