/* SPDX-License-Identifier: MIT */
/*
 * plugin_object: a checked file becomes an object in the process, and the object's table is found in it. Loaded with
 * RTLD_NOW (with lazy binding a missing symbol ends the process at its first call), RTLD_LOCAL (no symbol of a plugin
 * meets another's) and RTLD_NODELETE (failures.md E6, E8, E14, E23).
 */
#ifndef CP_PLUGIN_OBJECT_H
#define CP_PLUGIN_OBJECT_H

#include <connpool/connpool.h>
#include <stdbool.h>

/* dlopen's handle, the same for the same object, never to be closed; NULL: the error. The plugin's constructors run.
 * Any thread; may wait for files. */
void *cp_plugin_object_open(const char *path, connpool_error *error);

/* The object's own data symbol `connpool_manager`, whose head and then whole size can be read, and whose pointers point
 * into loaded objects: functions into executable segments, text and rows into readable ones. NULL: the error begins
 * with path. Any thread, never waits. */
const struct connpool_manager *cp_plugin_object_table(void *handle, const char *path, connpool_error *error);

#endif
